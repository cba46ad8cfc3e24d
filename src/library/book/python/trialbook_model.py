"""Answers of a trialbook model in Python, without trialbook: what MLflow's pyfunc flavour loads.

Reads the model's own files. TF-IDF needs numpy and scikit-learn, DistilBERT needs Transformers and PyTorch.
"""

import json
import pathlib
import re

import numpy as np

# The newest layout of model.json that this reads.
SCHEMA_VERSION = 2
# What stands in a file where a term is no feature itself.
NO_FEATURE = 2**32 - 1
# As trialbook does, and scikit-learn does not: HTML line breaks are spaces.
LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE | re.ASCII)


class Lists:
    """The lists of numbers of a file, in their order."""

    def __init__(self, path, magic):
        self.bytes = path.read_bytes()
        if self.bytes[:8] != magic:
            raise ValueError(f"{path} does not begin as such a file does")
        self.at = 8

    def next(self, kind):
        length = int.from_bytes(self.bytes[self.at : self.at + 8], "little")
        start = self.at + 8
        self.at = start + length * np.dtype(kind).itemsize
        # 8 bytes at the end are the checksum.
        if self.at > len(self.bytes) - 8:
            raise ValueError("a list is longer than its file")
        return np.frombuffer(self.bytes, dtype=kind, count=length, offset=start)


def terms(folder):
    """Every term with its feature, and in how many texts each feature occurs."""
    lists = Lists(folder / "vocabulary.bin", b"tbvocab1")
    ends = np.cumsum(lists.next("<u4"), dtype=np.int64)
    text = lists.next("u1").tobytes()
    words = [text[start:end].decode() for start, end in zip([0, *ends[:-1]], ends)]
    found = {word: int(feature) for word, feature in zip(words, lists.next("<u4")) if feature != NO_FEATURE}
    before = words
    for _ in range(int(lists.next("<u8")[0])):
        prefixes, last, features = (lists.next("<u4") for _ in range(3))
        grams = [f"{before[prefix]} {words[word]}" for prefix, word in zip(prefixes, last)]
        found.update((gram, int(feature)) for gram, feature in zip(grams, features) if feature != NO_FEATURE)
        before = grams
    return found, lists.next("<u4")


class Tfidf:
    def __init__(self, folder, header):
        from sklearn.feature_extraction.text import CountVectorizer

        self.classes = header["classes"]
        settings = header["params"]["vectorizer"]
        vocabulary, in_texts = terms(folder)
        stop_words = settings.get("stop_words", "none")
        if stop_words == "english":
            from trialbook_words import ENGLISH as words
        else:
            words = stop_words["list"] if isinstance(stop_words, dict) else []
        self.counter = CountVectorizer(
            vocabulary=vocabulary,
            ngram_range=(settings["ngram_min"], settings["ngram_max"]),
            preprocessor=self.prepared(settings),
            stop_words=words or None,
            dtype=np.float64,
        )
        self.is_sublinear = settings["sublinear_tf"]
        n_texts, in_texts = header["sizes"]["n_texts"], in_texts.astype(np.float64)
        if not settings["use_idf"]:
            self.idf = np.ones_like(in_texts)
        elif settings["smooth_idf"]:
            self.idf = np.log((1 + n_texts) / (1 + in_texts)) + 1
        else:
            self.idf = np.log(n_texts / in_texts) + 1
        lists = Lists(folder / "weights.bin", b"tbweigh1")
        lists.next("<u8")
        self.intercepts = lists.next("<f8")
        self.coefficients = lists.next("<f8").reshape(-1, len(self.intercepts))

    @staticmethod
    def prepared(settings):
        def prepare(text):
            text = LINE_BREAK.sub(" ", text) if settings["html"] == "strip" else text
            return text.lower() if settings["casing"] == "lower" else text

        return prepare

    def probabilities(self, texts):
        from sklearn.preprocessing import normalize

        rows = self.counter.transform(texts)
        if self.is_sublinear:
            rows.data = 1 + np.log(rows.data)
        margins = normalize(rows.multiply(self.idf).tocsr()) @ self.coefficients + self.intercepts
        if margins.shape[1] == 1:
            positive = 1 / (1 + np.exp(-margins))
            return np.hstack([1 - positive, positive])
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


class Encoder:
    def __init__(self, folder, header):
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.classes = header["classes"]
        self.max_length = header["max_length"]
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def probabilities(self, texts):
        import torch

        answers = []
        for start in range(0, len(texts), 32):
            tokens = self.tokenizer(
                texts[start : start + 32],
                padding=True,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            )
            tokens.pop("token_type_ids", None)
            with torch.no_grad():
                answers.append(self.model(**tokens).logits.double().softmax(dim=1).numpy())
        return np.concatenate(answers)


class Decision:
    """What becomes of a model's probabilities: calibration, and of two classes the threshold."""

    def __init__(self, header):
        decision = header.get("decision", {})
        self.calibration = decision.get("calibration")
        self.threshold = (decision.get("threshold") or {}).get("value", 0.5)

    def calibrated(self, probabilities):
        if self.calibration is None:
            return probabilities
        if self.calibration["method"] == "isotonic":
            positive = np.interp(probabilities[:, 1], self.calibration["x"], self.calibration["y"])
            return np.stack([1 - positive, positive], axis=1)
        logits = np.log(np.maximum(probabilities, np.finfo(np.float64).eps)) / self.calibration["temperature"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def labels(self, probabilities):
        """The index of the class that each row is labelled with."""
        if probabilities.shape[1] == 2:
            return (probabilities[:, 1] >= self.threshold).astype(int)
        return probabilities.argmax(axis=1)


def texts_of(asked):
    """One text for each row of a frame, a series, an array or a list."""
    if isinstance(asked, str):
        return [asked]
    if hasattr(asked, "columns"):
        if len(asked.columns) != 1 and "text" not in asked.columns:
            raise ValueError(f"one column of texts is needed, found {list(asked.columns)}")
        asked = asked["text"] if "text" in asked.columns else asked.iloc[:, 0]
    if isinstance(asked, dict):
        asked = next(iter(asked.values()))
    texts = [str(text) for text in np.asarray(asked, dtype=object).reshape(-1)]
    return texts


class Model:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        header = json.loads((folder / "model.json").read_text())
        if header["schema_version"] > SCHEMA_VERSION:
            raise ValueError(f"model.json has schema {header['schema_version']}, this reads up to {SCHEMA_VERSION}")
        self.model = {"tfidf": Tfidf, "distilbert": Encoder}[header["model"]](folder, header)
        self.decision = Decision(header)

    def predict(self, model_input, params=None):
        """A row for each text: its label, and the probability of every class."""
        import pandas as pd

        texts = texts_of(model_input)
        classes = self.model.classes
        probabilities = self.model.probabilities(texts) if texts else np.empty((0, len(classes)))
        probabilities = self.decision.calibrated(probabilities)
        answer = {"label": [classes[idx] for idx in self.decision.labels(probabilities)]}
        answer.update((f"probability_{name}", probabilities[:, idx]) for idx, name in enumerate(classes))
        return pd.DataFrame(answer)


def _load_pyfunc(path):
    return Model(path)
