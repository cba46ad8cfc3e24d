"""DistilBERT by Transformers on PyTorch, and on the CPU by ONNX Runtime too, with the weights in DIR, in 32
bits and as ONNX Runtime's own dynamic quantisation makes 8 of them.

usage: torch_distilbert.py make DIR                       a checkpoint of distilbert-base's sizes, random weights
       torch_distilbert.py bench DIR --device cpu|cuda:0 [--shapes 1x128,8x128] [--train 8x128] [--precision bf16]

Prints one JSON object."""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from transformers import DistilBertConfig, DistilBertForSequenceClassification

N_WARM, N_TIMED, N_TIMED_SHORT, N_STEPS = 3, 9, 45, 12


def shape(text):
    return tuple(int(part) for part in text.split("x"))


def make(folder):
    torch.manual_seed(7)
    DistilBertForSequenceClassification(DistilBertConfig(num_labels=2)).save_pretrained(folder)


def token_ids(n, length, device="cpu"):
    return torch.arange(1000, 1000 + n * length, device=device).reshape(n, length)


def timed(work, wait, n_tokens):
    """Of timed passes, after some that are not: milliseconds, and those of all processors together."""
    walls, cpus = [], []
    for _ in range(N_WARM + (N_TIMED_SHORT if n_tokens < 512 else N_TIMED)):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work()
        wait()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    middle = {
        "ms": statistics.median(walls[N_WARM:]) * 1e3,
        "cpu_ms": statistics.mean(cpus[N_WARM:]) * 1e3,
    }
    return middle, answer


def products_in(precision, device):
    """Mixed precision as PyTorch means it; f32 leaves everything as it is."""
    kinds = {"bf16": torch.bfloat16, "f16": torch.float16}
    return torch.autocast(torch.device(device).type, kinds.get(precision), enabled=precision in kinds)


def torch_rows(model, shapes, device, precision, wait):
    rows = []
    model.eval()
    with torch.inference_mode(), products_in(precision, device):
        for n, length in shapes:
            ids = token_ids(n, length, device)
            times, answer = timed(lambda: model(input_ids=ids).logits.cpu(), wait, n * length)
            rows.append({"batch": n, "length": length, **times, "logits": answer[0].float().tolist()})
    return rows


def onnx_file(model, folder):
    """The model for ONNX Runtime, written once."""
    path = Path(folder) / "model.onnx"
    if not path.exists():
        ids = token_ids(1, 8)
        axes = {0: "batch", 1: "length"}
        torch.onnx.export(
            model.eval(),
            (ids, torch.ones_like(ids)),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes},
            dynamo=False,
        )
    return path


def int8_file(path):
    """That model with weights in 8 bits, one scale for each output, written once: every product with weights
    and the embeddings."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantized = path.with_name("model-int8.onnx")
    if not quantized.exists():
        quantize_dynamic(path, quantized, per_channel=True, weight_type=QuantType.QInt8)
    return quantized


def onnx_rows(path, shapes, n_threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rows = []
    for n, length in shapes:
        ids = token_ids(n, length)
        feed = {"input_ids": ids.numpy(), "attention_mask": torch.ones_like(ids).numpy()}
        times, answer = timed(lambda: session.run(None, feed)[0], lambda: None, n * length)
        rows.append({"batch": n, "length": length, **times, "logits": answer[0].tolist()})
    peer = f"ONNX Runtime {onnxruntime.__version__}"
    return {"peer": peer, "predict": rows, "bytes": path.stat().st_size}


def train_ms(model, n, length, device, precision, wait):
    """A step as Transformers' Trainer takes it: forward, backward, clipping, AdamW. Milliseconds, and those of
    all processors together."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    ids = token_ids(n, length, device) % 20_000 + 1000
    labels = torch.arange(n, device=device) % 2
    times, cpus = [], []
    for _ in range(N_STEPS):
        start, cpu = time.perf_counter(), time.process_time()
        with products_in(precision, device):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        wait()
        times.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    return {"ms": statistics.median(times[N_WARM:]) * 1e3, "cpu_ms": statistics.mean(cpus[N_WARM:]) * 1e3}


def bench(args):
    torch.set_num_threads(args.threads)
    is_cuda = args.device.startswith("cuda")
    wait = torch.cuda.synchronize if is_cuda else lambda: None
    model = DistilBertForSequenceClassification.from_pretrained(args.folder).to(args.device)
    # As ours: on a CPU only training would be mixed, and is refused.
    precision = args.precision if is_cuda else "f32"
    rows = torch_rows(model, args.shapes, args.device, precision, wait)
    answer = {"peer": f"PyTorch {torch.__version__}", "predict": rows}
    if not is_cuda:
        path = onnx_file(model, args.folder)
        answer["onnxruntime"] = onnx_rows(path, args.shapes, args.threads)
        answer["onnxruntime_int8"] = onnx_rows(int8_file(path), args.shapes, args.threads)
    if args.train:
        n, length = args.train
        times = train_ms(model, n, length, args.device, args.precision, wait)
        answer["train"] = {"batch": n, "length": length, **times}
    print(json.dumps(answer))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["make", "bench"])
    parser.add_argument("folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shapes", type=lambda text: [shape(part) for part in text.split(",")], default="1x128,8x128")
    parser.add_argument("--train", type=shape)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.verb == "make":
        make(args.folder)
    else:
        bench(args)


if __name__ == "__main__":
    main()
