"""The same work as `trialbook train avgnet|cnn|lstm` and its evaluation, done with PyTorch on the CPU.

usage: torch_nets.py part FILE.parquet N OUT.parquet      every so many rows of a file, N in all
       torch_nets.py train NET TRAIN.parquet TEST.parquet [--epochs 1] [--threads 2]

Reads the columns `text` and `label` (0 or 1), learns a vocabulary, trains on nine tenths of the train file, measures
the last tenth after each epoch and the test file at the end, with trialbook's sizes and settings. Prints one line of
JSON; the seconds leave out its imports."""

import argparse
import json
import random
import re
import time
from collections import Counter

import pyarrow.parquet
import torch
from torch import nn

BATCH_SIZE, WARMUP, CLIP, DECAY, WINDOW = 32, 0.1, 1.0, 0.01, 50
MIN_FREQ, VOCAB_SIZE, EMBEDDING = 5, 25_000, 100
# Learning rate and most tokens of a text.
SETTINGS = {"avgnet": (3e-3, 512), "cnn": (1e-3, 400), "lstm": (1e-3, 256)}
MARKS = re.compile(r"([.,()!?'])")
SPACES = re.compile(r"[;:]|<br />")


def words(text):
    """torchtext's basic_english."""
    return MARKS.sub(r" \1 ", SPACES.sub(" ", text.lower()).replace('"', "")).split()


class AvgNet(nn.Module):
    def __init__(self, n_words):
        super().__init__()
        self.embedding = nn.EmbeddingBag(n_words, EMBEDDING, mode="mean")
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.dense1, self.dense2, self.dropout = nn.Linear(EMBEDDING, 100), nn.Linear(100, 2), nn.Dropout(0.3)

    def forward(self, texts):
        lengths = torch.tensor([0] + [len(text) for text in texts[:-1]])
        mean = self.embedding(torch.cat(texts), lengths.cumsum(0))
        return self.dense2(self.dropout(torch.relu(self.dense1(mean))))


class Cnn(nn.Module):
    def __init__(self, n_words):
        super().__init__()
        self.embedding = nn.Embedding(n_words, EMBEDDING)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.convs = nn.ModuleList(nn.Conv1d(EMBEDDING, 100, width) for width in (3, 4, 5))
        self.dense, self.dropout = nn.Linear(300, 2), nn.Dropout(0.5)

    def forward(self, texts):
        ids = nn.utils.rnn.pad_sequence(texts, batch_first=True)
        ids = nn.functional.pad(ids, (0, max(0, 5 - ids.shape[1])))
        tokens = self.embedding(ids).transpose(1, 2)
        strongest = [torch.relu(conv(tokens)).amax(2) for conv in self.convs]
        return self.dense(self.dropout(torch.cat(strongest, 1)))


class Lstm(nn.Module):
    def __init__(self, n_words):
        super().__init__()
        self.embedding = nn.Embedding(n_words, EMBEDDING)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.lstm = nn.LSTM(EMBEDDING, 256, num_layers=2, bidirectional=True, dropout=0.5, batch_first=True)
        self.dense, self.dropout = nn.Linear(512, 2), nn.Dropout(0.5)

    def forward(self, texts):
        lengths = torch.tensor([len(text) for text in texts])
        tokens = self.dropout(self.embedding(nn.utils.rnn.pad_sequence(texts, batch_first=True)))
        packed = nn.utils.rnn.pack_padded_sequence(tokens, lengths, batch_first=True, enforce_sorted=False)
        _, (state, _) = self.lstm(packed)
        return self.dense(self.dropout(torch.cat([state[-2], state[-1]], 1)))


def measure(model, texts, labels):
    """Accuracy and F1, in batches of similar length."""
    model.eval()
    order = sorted(range(len(texts)), key=lambda idx: len(texts[idx]))
    predicted = torch.empty(len(texts), dtype=torch.long)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH_SIZE):
            members = order[start : start + BATCH_SIZE]
            predicted[members] = model([texts[idx] for idx in members]).argmax(1)
    labels = torch.tensor(labels)
    hits = int(((predicted == 1) & (labels == 1)).sum())
    f1 = 2 * hits / max(1, int((predicted == 1).sum()) + int((labels == 1).sum()))
    return float((predicted == labels).float().mean()), f1


def read(path):
    table = pyarrow.parquet.read_table(path, columns=["text", "label"])
    return table["text"].to_pylist(), table["label"].to_pylist()


def train(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(42)
    shuffle = random.Random(42).shuffle
    start = time.perf_counter()
    (train_texts, train_labels), (test_texts, test_labels) = read(args.train), read(args.test)
    rate, longest = SETTINGS[args.net]
    train_words = [words(text) for text in train_texts]
    counts = Counter(word for text in train_words for word in text)
    known = [word for word, count in counts.most_common(VOCAB_SIZE - 2) if count >= MIN_FREQ]
    numbers = {word: idx + 2 for idx, word in enumerate(known)}

    def encode(texts):
        return [torch.tensor([numbers.get(word, 1) for word in text[:longest]] or [1]) for text in texts]

    ids, test_ids = encode(train_words), encode([words(text) for text in test_texts])
    rows = list(range(len(ids)))
    shuffle(rows)
    valid, learnt = rows[: len(rows) // 10], rows[len(rows) // 10 :]

    model = {"avgnet": AvgNet, "cnn": Cnn, "lstm": Lstm}[args.net](len(numbers) + 2)
    vectors = [value for value in model.parameters() if value.dim() == 1]
    matrices = [value for value in model.parameters() if value.dim() > 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    n_steps = args.epochs * -(-len(learnt) // BATCH_SIZE)
    n_warm = max(1, round(WARMUP * n_steps))
    share = lambda step: min((step + 1) / n_warm, (n_steps - step) / max(1, n_steps - n_warm))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    for _ in range(args.epochs):
        model.train()
        shuffle(learnt)
        batches = []
        for first in range(0, len(learnt), BATCH_SIZE * WINDOW):
            window = sorted(learnt[first : first + BATCH_SIZE * WINDOW], key=lambda row: len(ids[row]))
            batches += [window[at : at + BATCH_SIZE] for at in range(0, len(window), BATCH_SIZE)]
        shuffle(batches)
        for batch in batches:
            logits = model([ids[row] for row in batch])
            loss = nn.functional.cross_entropy(logits, torch.tensor([train_labels[row] for row in batch]))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
        measure(model, [ids[row] for row in valid], [train_labels[row] for row in valid])
    accuracy, f1 = measure(model, test_ids, test_labels)
    total_s = time.perf_counter() - start
    n_learnt = args.epochs * sum(len(ids[row]) for row in learnt)
    n_measured = args.epochs * sum(len(ids[row]) for row in valid) + sum(len(text) for text in test_ids)
    answer = {"peer": f"PyTorch {torch.__version__}", "total_s": total_s, "accuracy": accuracy, "f1": f1}
    print(json.dumps(answer | {"n_learnt": n_learnt, "n_measured": n_measured}))


def part(args):
    table = pyarrow.parquet.read_table(args.file, columns=["text", "label"])
    rows = [idx * table.num_rows // args.n for idx in range(args.n)]
    pyarrow.parquet.write_table(table.take(rows), args.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    cut = verbs.add_parser("part")
    cut.add_argument("file")
    cut.add_argument("n", type=int)
    cut.add_argument("out")
    cut.set_defaults(run=part)
    fit = verbs.add_parser("train")
    fit.add_argument("net", choices=list(SETTINGS))
    fit.add_argument("train")
    fit.add_argument("test")
    fit.add_argument("--epochs", type=int, default=1)
    fit.add_argument("--threads", type=int, default=2)
    fit.set_defaults(run=train)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
