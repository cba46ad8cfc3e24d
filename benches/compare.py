"""Runs trialbook and its peer on the same work in the same run and prints both with their ratio.

usage: compare.py tfidf [--runs N] [--ngram N] [--c C] [--min-df N]
       compare.py registry [--runs N]
       compare.py cells [--runs N] [--quick]     --quick: no DataFrames in evcxr, which would compile polars first
       compare.py serve [--runs N]
       compare.py distilbert [--runs N] [--device cpu|cuda:0] [--precision bf16]
       compare.py nets [--runs N]
       compare.py tracking [--runs N] [--stored RUNS]
       compare.py sweep [--rows N] [--tol TOL]
       compare.py drift [--windows N] [--texts N] [--rows N]

Needs the release build (`just build`) and a Python that has the peer: `just bench-setup` makes one
in target/bench-venv, `just bench-setup-distilbert` adds PyTorch to it, and `just bench-setup-cells`
makes evcxr in target/bench-evcxr. `serve` loads both servers with wrk. The IMDB reviews (train.parquet and test.parquet) are looked for
in $IMDB, in data/imdb, and in data/imdb of the folders beside this one.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import cells as terminal
import tracking as tracked

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benches" / "peers"
PROGRAM = ROOT / "target" / "release" / "trialbook"
EVCXR = ROOT / "target" / "bench-evcxr" / "bin" / "evcxr"


def fail(message, hint):
    sys.exit(f"error: {message}\n  hint: {hint}")


def measure(command, env=None):
    """Runs `command`; returns its last line as JSON, wall seconds and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        fail(f"{' '.join(map(str, command))} exited with {process.returncode}", "see its message above")
    return json.loads(out[out.index(b"{") :]), wall, usage.ru_maxrss / 1024


def machine():
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores of {model}"


def imdb():
    places = [os.environ.get("IMDB"), ROOT / "data" / "imdb", *sorted(ROOT.parent.glob("*/data/imdb"))]
    for place in filter(None, places):
        pair = Path(place) / "train.parquet", Path(place) / "test.parquet"
        if all(path.exists() for path in pair):
            return pair
    fail("no IMDB reviews found", "put train.parquet and test.parquet into data/imdb, or set IMDB=DIR (see README)")


def table(heads, rows):
    widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, ["-" * width for width in widths], *rows]:
        cells = [str(cell).ljust(w) if i == 0 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        print("  ".join(cells))


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f}"


def tfidf(args):
    train, test = imdb()
    with tempfile.TemporaryDirectory() as store:
        add = [PROGRAM, "--store", store, "--json", "data", "add", "imdb", "--train", train, "--test", test]
        _, add_s, _ = measure(add)
        ours_command = [PROGRAM, "--store", store, "--json", "train", "tfidf", "--data", "imdb", "--sublinear"]
        # scikit-learn counts the "br" of "<br />" as a word; so do we here, for the same features.
        ours_command += ["--keep-html"]
        ours_command += ["--ngram", str(args.ngram), "--c", str(args.c), "--min-df", str(args.min_df)]
        peer_command = [args.python, PEERS / "sklearn_tfidf.py", train, test]
        peer_command += ["--ngram", str(args.ngram), "--c", str(args.c), "--min-df", str(args.min_df)]
        ours, peers = [], []
        for run in range(args.runs):
            # In turn, so that a machine whose speed drifts slows both.
            ours.append(measure(ours_command))
            peers.append(measure(peer_command))
            print(f"run {run + 1} of {args.runs}: trialbook {ours[-1][1]:.2f} s, scikit-learn {peers[-1][1]:.2f} s", flush=True)
    print(f"\nTF-IDF (1..{args.ngram}-grams, min_df {args.min_df}, sublinear) + logistic regression (C {args.c:g}) on IMDB")
    print(f"{machine()}; median of {args.runs} runs each, taken in turn\n")
    rows = []

    def row(name, our, peer, digits=2, ratio=True):
        quotient = statistics.median([p / o for o, p in zip(our, peer)])
        rows.append([name, spread(our, digits), spread(peer, digits), f"{quotient:.1f}x" if ratio else ""])

    row("whole process (s)", [o[1] for o in ours], [p[1] for p in peers])
    row("read, vectorise, fit, predict, evaluate (s)", [o[1] for o in ours], [p[0]["total_s"] for p in peers])
    row("peak memory (MB)", [o[2] for o in ours], [p[2] for p in peers], 0)
    row("accuracy", [o[0]["metrics"]["accuracy"] for o in ours], [p[0]["accuracy"] for p in peers], 4, False)
    row("f1", [o[0]["metrics"]["f1"] for o in ours], [p[0]["f1"] for p in peers], 4, False)
    row("features", [o[0]["classifier"]["sizes"]["n_features"] for o in ours], [p[0]["n_features"] for p in peers], 0, False)
    table(["", "trialbook", "scikit-learn", "ratio"], rows)
    print("\nOur figure in both time rows is the whole process, model and artifacts saved and registered;")
    print("the peer's second row leaves out its imports and saves nothing.")
    print(f"Once, before: `data add` copied and fingerprinted the corpus in {add_s:.2f} s.")
    steps = ours[-1][0]["timings"]
    print("Steps of the last run: " + ", ".join(f"{name} {seconds:.3f}" for name, seconds in steps.items()))


def sweep(args):
    """24 settings by 5 folds, each of both once: the peer takes minutes."""
    grid = ["--ngram", "1,2", "--min-df", "1,2,5", "--c", "0.1,1,10,100"]
    train, test = imdb()
    with tempfile.TemporaryDirectory() as folder:
        store, folds = Path(folder, "store"), Path(folder, "folds.txt")
        if args.rows:
            import pyarrow.parquet

            whole = pyarrow.parquet.read_table(train)
            train = Path(folder, "train.parquet")
            step = max(1, whole.num_rows // args.rows)
            pyarrow.parquet.write_table(whole.take(list(range(0, whole.num_rows, step))), train)
        measure([PROGRAM, "--store", store, "--json", "data", "add", "imdb", "--train", train, "--test", test])
        subprocess.run([args.python, PEERS / "sklearn_sweep.py", train, folds, "--only-folds", "5"], check=True)
        ours, our_s, our_mb = measure(
            [PROGRAM, "--store", store, "--json", "sweep", "tfidf", "--data", "imdb", "--sublinear", "--keep-html"]
            + ["--folds", folds, "--fresh", *grid]
        )
        print(f"trialbook {our_s:.1f} s", flush=True)
        peer, peer_s, _ = measure([args.python, PEERS / "sklearn_sweep.py", train, folds, *grid, "--tol", str(args.tol)])
        print(f"{peer['peer']} {peer_s:.1f} s", flush=True)

    def by_setting(pairs):
        return {(int(given["ngram"]), float(given["min-df"]), float(given["c"])): score for given, score in pairs}

    our_scores = by_setting((given, one["mean"]["f1"]) for given, one in zip(ours["varied"], ours["settings"]))
    peer_scores = by_setting((one, one["f1"]) for one in peer["settings"])
    if our_scores.keys() != peer_scores.keys():
        fail("both searched other settings", "see the options of both")
    best = max(our_scores, key=our_scores.get), max(peer_scores, key=peer_scores.get)
    largest = max(abs(our_scores[one] - peer_scores[one]) for one in our_scores)
    print(f"\n{len(our_scores)} settings by 5 folds: TF-IDF (sublinear) + logistic regression on the train split of IMDB")
    print(f"{machine()}; once each; GridSearchCV(n_jobs=2) over a Pipeline with memory, tol={args.tol:g}, without its last fit\n")
    named = ["ngram {}, min_df {:g}, C {:g}".format(*one) for one in best]
    rows = [
        ["whole process (s)", f"{our_s:.1f}", f"{peer_s:.1f}", f"{peer_s / our_s:.1f}x"],
        ["peak memory (MB)", f"{our_mb:.0f}", f"{peer['peak_mb']}", f"{peer['peak_mb'] / our_mb:.1f}x"],
        ["best f1", f"{our_scores[best[0]]:.4f}", f"{peer_scores[best[1]]:.4f}", ""],
        ["best setting", *named, ""],
    ]
    table(["", "trialbook", "scikit-learn", "ratio"], rows)
    print(f"\nThe largest difference between both scores of a setting: {largest:.1e}.")


def criterion_medians():
    """Milliseconds of every benchmark that criterion has measured, by its name."""
    medians = {}
    for path in (ROOT / "target" / "criterion").glob("**/new/benchmark.json"):
        name = json.loads(path.read_text())["function_id"]
        estimates = json.loads((path.parent / "estimates.json").read_text())
        medians[name] = estimates["median"]["point_estimate"] / 1e6
    return medians


def registry(args):
    n_runs = 200
    peer, _, _ = measure([args.python, PEERS / "mlflow_tracking.py", str(n_runs)])
    bench = ["cargo", "bench", "--locked", "--bench", "registry", "--", "--noplot", "--quiet"]
    done = subprocess.run(bench, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail("the registry's benchmark failed", "see its message above")
    peaks = {name: mb for line in done.stdout.splitlines() if line.startswith("{") for name, mb in json.loads(line).items()}
    again, _, _ = measure([args.python, PEERS / "mlflow_tracking.py", str(n_runs)])
    ours = criterion_medians()
    peer_ms = statistics.median([peer["live_ms_per_run"], again["live_ms_per_run"]])
    live = ours["live: create, log, finish (3 durable commits)"]
    print(f"Tracking runs durably, beside {peer['peer']} (before and after, {n_runs} runs each)")
    print(f"{machine()}; medians\n")
    rows = [
        ["a live run: create, log, finish (ms)", f"{live:.2f}", f"{peer_ms:.1f}", f"{peer_ms / live:.0f}x"],
        ["list 10,000 runs by metric (ms)", f"{ours['list all by metric']:.1f}", "", ""],
        ["filter 10,000 runs, best 100 (ms)", f"{ours['filter, best 100']:.1f}", "", ""],
        ["list 100,000 runs by metric, first 1,000 (ms)", f"{ours['100,000: list by metric, first 1,000']:.1f}", "", ""],
        ["filter 100,000 runs, best 100 (ms)", f"{ours['100,000: filter, best 100']:.1f}", "", ""],
        ["list all of 100,000 runs by metric (ms)", f"{ours['100,000: list all by metric']:.1f}", "", ""],
        ["open the store and read one run (ms)", f"{ours['open the store and read one run']:.2f}", "", ""],
    ]
    table(["50 metrics, 10 params, 2 tags a run", "trialbook", "MLflow", "ratio"], rows)
    if all(peaks.values()):
        print(f"\nMemory with 100,000 runs: {peaks['peak_mb_of_pages']:.0f} MB for pages, {peaks['peak_mb']:.0f} MB with all of them at once.")
    print("\nBoth sync to disk before they answer, SQLite in its default mode.")


def tracking(args):
    """The MLflow client's calls against our server and against MLflow's own."""
    try:
        # Its own figure: at least 30 times each, since a call takes milliseconds.
        rows, crowd, memory, sync_ms, version = tracked.compare(PROGRAM, max(30, args.runs), args.stored, args.requests)
    except tracked.Failed as error:
        fail(str(error), "start it by hand: its own messages say more")
    print(f"MLflow's Python client {version}, over HTTP, beside mlflow server {version} on SQLite in the same run")
    print(f"{machine()}; medians in ms; the client's own time, measured with a server that only repeats, is subtracted\n")
    table(["", "trialbook", "MLflow", "ratio", "client sees ours", "client sees MLflow", "client alone"], rows)
    print(f"\n{tracked.N_CLIENTS} clients at once, each logging metrics one by one:")
    for name, (per_second, p99_ms, lost) in crowd.items():
        print(f"  {name}: {per_second:.0f} requests/s, 99th percentile {p99_ms:.1f} ms, {lost} acknowledged writes lost")
    print(f"Memory of the servers afterwards: trialbook {memory[0]:.0f} MB, MLflow {memory[1]:.0f} MB")
    print("Ours syncs every write to disk before it answers; SQLite is in its default mode, and MLflow does not sync artifacts.")
    print(f"One sync of 4 kB takes this disk {sync_ms:.2f} ms, and a commit of ours is one.")


def duration(seconds):
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def cells(args):
    if not EVCXR.exists():
        fail(f"{EVCXR} does not exist", "install it with `just bench-setup-cells`")
    subprocess.run([PROGRAM, "prelude", "build"], check=True)
    try:
        ours = terminal.ours(PROGRAM, args.runs)
        # One session where each compiles polars anew.
        peer = terminal.stock(EVCXR, args.runs if args.quick else 1, has_frames=not args.quick)
    except terminal.Failed as error:
        fail(str(error), "the same session by hand shows more")
    version = subprocess.run([EVCXR, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"\nCells in a terminal, Enter to the next prompt, beside {version}")
    print(f"{machine()}; medians, {args.runs} sessions of trialbook, {args.runs if args.quick else 'one'} of evcxr\n")
    rows = []
    for what, s in ours.items():
        other = peer.get(what)
        rows.append([what, duration(s), *([duration(other), f"{other / s:.1f}x"] if other else ["", ""])])
    table(["", "trialbook", "evcxr", "ratio"], rows)


def cargo_bench(name, arguments):
    """The JSON that one of our own benchmarks prints."""
    features = ["--features", "cuda"] if "cuda" in " ".join(map(str, arguments)) else []
    return measure(["cargo", "bench", "--quiet", "--locked", *features, "--bench", name, "--", *arguments])[0]


def encoder_gflop(length):
    """Of the products in distilbert-base for a text of so many tokens; two operations a multiplication and addition."""
    width, inner, layers = 768, 3072, 6
    of_token = 2 * (4 * width * width + 2 * width * inner + 2 * length * width)
    return layers * length * of_token / 1e9


# Operations of the products of the LSTM for a token: two layers, two directions, four gates.
LSTM_GFLOP = 2 * 2 * 4 * 256 * ((100 + 256) + (2 * 256 + 256)) / 1e9


class Roofline:
    """The most that this machine multiplies, adds and reads, measured between the runs that it bounds."""

    def __init__(self):
        self.measured = []

    def measure(self):
        self.measured.append(cargo_bench("peak", []))

    def best(self, key):
        return max(peak[key] for peak in self.measured)

    def __str__(self):
        return (f"This machine's two threads multiply and add at most {self.best('gflop_per_s'):.0f} GFLOP/s "
                f"(one alone: {self.best('gflop_per_s_of_one'):.0f}), and read {self.best('read_gb_per_s'):.0f} GB/s.")

    def share(self, name, gflop_per_s):
        return f"{name}: {gflop_per_s:.0f} GFLOP/s, {100 * gflop_per_s / self.best('gflop_per_s'):.0f} % of it."


def distilbert(args):
    is_cuda = args.device.startswith("cuda")
    shapes, train = ("1x128,8x128,32x256", "32x256") if is_cuda else ("1x16,1x128,8x128", "8x128")
    same = ["--device", args.device, "--precision", args.precision, "--shapes", shapes, "--train", train]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([args.python, PEERS / "torch_distilbert.py", "make", folder], check=True)
        ours, peers, roofline = [], [], Roofline()
        for run in range(args.runs):
            # In turn, so that a machine whose speed drifts slows both.
            roofline.measure()
            ours.append(cargo_bench("distilbert", [folder, *same]))
            peers.append(measure([args.python, PEERS / "torch_distilbert.py", "bench", folder, *same])[0])
            print(f"run {run + 1} of {args.runs} done", flush=True)
    print(f"\nDistilBERT of distilbert-base's sizes on {ours[-1]['device']}, {args.precision}")
    print(f"{machine()}; median of {args.runs} runs each, taken in turn, 2 threads on a CPU\n")
    others = {"PyTorch": peers}
    if not is_cuda:
        others["ONNX Runtime"] = [peer["onnxruntime"] for peer in peers]
    step = ours[0]["train"]
    rows = predicted_rows(ours, others)
    for key, unit in UNITS:
        if step.get(key) is None:
            continue
        our = middle(run["train"][key] for run in ours)
        theirs = [middle(run["train"][key] for run in peers)] + [None] * (len(others) - 1)
        rows.append(rate_row(f"train {step['batch']} x {step['length']} tokens ({unit})", step["batch"], our, theirs))
    table(rate_heads("trialbook", others), rows)
    print(f"\nLogits differ from PyTorch's by at most {logit_difference(ours, peers):.1e}. Beside {peers[0]['peer']}"
          + ("." if is_cuda else f" and {peers[0]['onnxruntime']['peer']}."))
    if is_cuda:
        return
    print(roofline)
    longest = ours[0]["predict"][-1]
    predict_ms = middle(run["predict"][-1]["ms"] for run in ours)
    for name, what, ms, factor in [("Predicting", longest, predict_ms, 1), ("Training", step, middle(run["train"]["ms"] for run in ours), 3)]:
        gflop = factor * what["batch"] * encoder_gflop(what["length"])
        print(roofline.share(f"{name} {what['batch']} x {what['length']} tokens", gflop / ms * 1e3))
    own = [run["int8"] for run in ours]
    theirs = [peer["onnxruntime_int8"] for peer in peers]
    print("\nThe same in 8 bits, beside ONNX Runtime's dynamic quantisation of it, and our own f32\n")
    others = {"ONNX Runtime": theirs, "f32": ours}
    table(rate_heads("trialbook", others), predicted_rows(own, others))
    differences = [logit_difference(runs, peers) for runs in (own, theirs)]
    sizes = [own[0]["bytes"], own[0]["bytes_f32"], theirs[0]["bytes"]]
    print(f"\nWeights: {sizes[0] / 1e6:.0f} MB, {sizes[0] / sizes[1]:.2f} of those in f32 (ONNX Runtime's: {sizes[2] / 1e6:.0f} MB).")
    print(f"Logits of random weights differ from PyTorch's in f32 by at most {differences[0]:.1e}, ONNX Runtime's by {differences[1]:.1e}.")


# Texts of a second, and of a second of all processors together: these machines share theirs.
UNITS = (("ms", "texts/s"), ("cpu_ms", "texts/CPU s"))


def middle(values):
    return statistics.median(list(values))


def rate_heads(name, others):
    heads = ["", name]
    for other in others:
        heads += [other, "ratio"]
    return heads


def rate_row(name, n, our, theirs):
    """Texts a second of milliseconds, and by how much ours are more."""
    cells = [f"{n / our * 1e3:.1f}"]
    for ms in theirs:
        cells += [f"{n / ms * 1e3:.1f}", f"{ms / our:.2f}x"] if ms else ["", ""]
    return [name, *cells]


def predicted_rows(ours, others):
    """A row of texts a second for each shape and unit."""
    rows = []
    for key, unit in UNITS:
        for idx, what in enumerate(ours[0]["predict"]):
            if what.get(key) is None:
                continue
            name = f"predict {what['batch']} x {what['length']} tokens ({unit})"
            theirs = [middle(run["predict"][idx][key] for run in runs) for runs in others.values()]
            rows.append(rate_row(name, what["batch"], middle(run["predict"][idx][key] for run in ours), theirs))
    return rows


def logit_difference(ours, peers):
    difference = 0.0
    for own, theirs in zip(ours[0]["predict"], peers[0]["predict"]):
        difference = max(difference, *(abs(a - b) for a, b in zip(own["logits"], theirs["logits"])))
    return difference


# Reviews to learn (half as many to test), and epochs: seconds to minutes each.
NETS = {"avgnet": (10_000, 3), "cnn": (5_000, 2), "lstm": (2_000, 1)}


def nets(args):
    train, test = imdb()
    peer = [args.python, PEERS / "torch_nets.py"]
    rows, roofline = [], Roofline()
    with tempfile.TemporaryDirectory() as place:
        for net, (n_rows, n_epochs) in NETS.items():
            parts = [Path(place) / f"{net}-{split}.parquet" for split in ("train", "test")]
            for whole, n, part in zip((train, test), (n_rows, n_rows // 2), parts):
                subprocess.run([*peer, "part", whole, str(n), part], check=True)
            store = [PROGRAM, "--store", Path(place) / "store", "--json"]
            measure([*store, "data", "add", net, "--train", parts[0], "--test", parts[1]])
            ours, peers = [], []
            for run in range(args.runs):
                # In turn, so that a machine whose speed drifts slows both.
                settings = ["--epochs", str(n_epochs), "--device", "cpu"]
                roofline.measure()
                ours.append(measure([*store, "train", net, "--data", net, *settings]))
                peers.append(measure([*peer, "train", net, *parts, "--epochs", str(n_epochs)]))
                print(f"{net}: run {run + 1} of {args.runs} done", flush=True)
            our_s = statistics.median(wall for _, wall, _ in ours)
            peer_s = statistics.median(answer["total_s"] for answer, _, _ in peers)
            memory = [f"{statistics.median(mb for *_, mb in runs):.0f}" for runs in (ours, peers)]
            scores = [f"{ours[-1][0]['metrics']['accuracy']:.3f}", f"{peers[-1][0]['accuracy']:.3f}"]
            times = [f"{our_s:.1f}", f"{peer_s:.1f}", f"{peer_s / our_s:.1f}x"]
            rows.append([f"{net}, {n_rows:,} reviews x {n_epochs}", *times, *memory, *scores])
    print(f"\nNets of words on IMDB reviews beside {peers[-1][0]['peer']} on the CPU: vocabulary, training, evaluation")
    print(f"{machine()}; median of {args.runs} runs each, taken in turn, 2 threads\n")
    heads = ["trialbook (s)", "PyTorch (s)", "ratio", "peak MB", "PyTorch's", "accuracy", "PyTorch's"]
    table(["", *heads], rows)
    print("\nOur times are the whole process, the run and its model registered; the peer's leave out its imports")
    print("and save nothing. Both start from weights of their own, so that accuracies after so little differ.")
    print(roofline)
    # Three products where a token is learnt from: there, and back to what was read and to the weights.
    gflop = LSTM_GFLOP * (3 * peers[-1][0]["n_learnt"] + peers[-1][0]["n_measured"])
    print(roofline.share("The products of the LSTM for real tokens alone, over the whole process", gflop / our_s))


# One short review, as a client of the API sends it.
QUESTION = json.dumps({"text": "An utterly wonderful film: the music alone is worth the evening."})
WRK_SCRIPT = f"""wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [[{QUESTION}]]
"""
N_CONNECTIONS = 16


@contextlib.contextmanager
def server(command, port):
    """The process, once it answers; stopped at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    question = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", QUESTION.encode(), {"content-type": "application/json"}
    )
    try:
        end = time.monotonic() + 300
        while True:
            try:
                answer = json.load(urllib.request.urlopen(question, timeout=5))
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    fail(f"{' '.join(map(str, command))} does not serve", "run it by hand to see why")
                time.sleep(0.2)
        yield process, answer
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def load(port, script):
    """Requests per second, and milliseconds of the median and the slowest of a hundred."""
    command = ["wrk", "--threads", "1", "--connections", str(N_CONNECTIONS), "--duration", "8", "--latency"]
    command += ["--script", str(script), f"http://127.0.0.1:{port}/predict"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        fail(f"requests failed:\n{said}", "ask the server by hand")
    in_ms = {"us": 1e-3, "ms": 1.0, "s": 1e3}

    def percentile(name):
        value, unit = re.search(rf"{name}%\s+([\d.]+)(us|ms|s)", said).groups()
        return float(value) * in_ms[unit]

    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), percentile(50), percentile(99)


def resident_mb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def servable(place, settings):
    """The program on a store with a model of IMDB in Production, and the script with which wrk asks it."""
    if not shutil.which("wrk"):
        fail("wrk does not exist", "install it, on Debian with apt-get install wrk")
    train, test = imdb()
    ours = [PROGRAM, "--store", place / "store"]
    measure([*ours, "--json", "data", "add", "imdb", "--train", train, "--test", test])
    measure([*ours, "--json", "train", "tfidf", "--data", "imdb", "--sublinear", *settings, "--deploy"])
    script = place / "load.lua"
    script.write_text(WRK_SCRIPT)
    return ours, script


def serve(args):
    train, _ = imdb()
    settings = ["--ngram", str(args.ngram), "--c", str(args.c), "--min-df", str(args.min_df)]
    with tempfile.TemporaryDirectory() as place:
        ours, script = servable(Path(place), ["--keep-html", *settings])
        our_port, peer_port = free_port(), free_port()
        peer = [args.python, PEERS / "fastapi_server.py", train, str(peer_port), *settings]
        with (
            server([*ours, "serve", "--port", str(our_port)], our_port) as (our, answer),
            server(peer, peer_port) as (other, other_answer),
        ):
            difference = abs(answer["probability"] - other_answer["probability"])
            our_runs, peer_runs = [], []
            for run in range(args.runs):
                our_runs.append(load(our_port, script))
                peer_runs.append(load(peer_port, script))
                print(f"run {run + 1} of {args.runs} done", flush=True)
            memory = resident_mb(our), resident_mb(other)
    print(f"\nTF-IDF over HTTP, wrk with {N_CONNECTIONS} connections on the same machine, beside FastAPI + uvicorn (1 worker)")
    print(f"{machine()}; median of {args.runs} runs of 8 s each, taken in turn\n")
    rows = []
    for idx, (name, digits) in enumerate([("requests per second", 0), ("p50 (ms)", 2), ("p99 (ms)", 2)]):
        our, other = (statistics.median([run[idx] for run in runs]) for runs in (our_runs, peer_runs))
        ratio = our / other if idx == 0 else other / our
        rows.append([name, f"{our:.{digits}f}", f"{other:.{digits}f}", f"{ratio:.1f}x"])
    rows.append(["memory (MB)", *(f"{mb:.0f}" for mb in memory), f"{memory[1] / memory[0]:.1f}x"])
    table(["one short text a request", "trialbook", "FastAPI", "ratio"], rows)
    print(f"\nThe two probabilities of that text differ by {difference:.1e}.")


def drift(args):
    """Has no peer: what each signal finds of shifts that are known, and how often it finds what is not there."""
    command = ["cargo", "bench", "--locked", "--bench", "drift", "--", "--windows", str(args.windows)]
    command += ["--texts", str(args.texts)]
    command += ["--rows", str(args.rows)] if args.rows else []
    print(machine(), flush=True)
    subprocess.run(command, cwd=ROOT, env={**os.environ, "IMDB": str(imdb()[0].parent.resolve())}, check=True)
    counting(args)
    shadowing(args)


def in_turns(args, first, second):
    """What wrk says of two servers, which take turns: [runs of the first, runs of the second]."""
    (ours, script), (others, _) = first, second
    ports = free_port(), free_port()
    with server([*ours, "--port", str(ports[0])], ports[0]), server([*others, "--port", str(ports[1])], ports[1]):
        runs = [[], []]
        for run in range(args.runs):
            for idx in (0, 1) if run % 2 == 0 else (1, 0):
                runs[idx].append(load(ports[idx], script))
            print(f"run {run + 1}: {runs[0][-1]} / {runs[1][-1]} (requests/s, ms at 50 %, ms at 99 %)", flush=True)
    return runs


def counting(args):
    """What counting words costs a server: requests per second with and without."""
    with tempfile.TemporaryDirectory() as place:
        ours, script = servable(Path(place), [])
        with_counts, without = [*ours, "serve"], [*ours, "serve", "--no-word-counts"]
        runs = in_turns(args, (with_counts, script), (without, script))
    counted, plain = (statistics.median(run[0] for run in part) for part in runs)
    print(f"\nWords counted for drift, wrk with {N_CONNECTIONS} connections; median of {args.runs} runs of 8 s each, taken in turn\n")
    print(f"requests per second: {counted:.0f} with, {plain:.0f} without; {100 * (1 - counted / plain):.1f} % fewer with")


def shadowing(args):
    """What a shadow costs those who get Production's answers: the slowest of a hundred with and without."""
    with tempfile.TemporaryDirectory() as place:
        plain, shadowed = Path(place, "plain"), Path(place, "shadowed")
        plain.mkdir()
        ours, script = servable(plain, [])
        shutil.copytree(plain, shadowed)
        others = [PROGRAM, "--store", shadowed / "store"]
        measure([*others, "--json", "train", "tfidf", "--data", "imdb", "--sublinear", "--c", "20"])
        release = ["release", "start", "SentimentClassifier/2", "--shadow", "--force", "--reason", "measuring what it costs"]
        measure([*others, "--json", *release])
        runs = in_turns(args, ([*others, "serve"], script), ([*ours, "serve"], script))
        released = measure([*others, "--json", "release", "status", "SentimentClassifier"])[0]
    with_it, without = (statistics.median(run[2] for run in part) for part in runs)
    total = released["total"]
    print(f"\nA shadow beside Production, wrk with {N_CONNECTIONS} connections; median of {args.runs} runs of 8 s each, taken in turn\n")
    print(f"99th percentile: {with_it:.2f} ms with, {without:.2f} ms without; {100 * (with_it / without - 1):+.1f} %")
    print(f"compared: {total['n_compared']} texts, same label on {100 * (total['agreement'] or 0):.1f} %; {total['n_dropped']} requests left out")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["tfidf", "registry", "cells", "serve", "distilbert", "nets", "tracking", "sweep", "drift"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--stored", type=int, default=10_000)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--program", type=Path)
    parser.add_argument("--ngram", type=int, default=2)
    parser.add_argument("--c", type=float, default=10)
    parser.add_argument("--min-df", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="f32")
    venv = ROOT / "target" / "bench-venv" / "bin" / "python"
    parser.add_argument("--python", default=str(venv) if venv.exists() else sys.executable)
    args = parser.parse_args()
    if args.program:
        globals()["PROGRAM"] = args.program.resolve()
    if not PROGRAM.exists():
        fail(f"{PROGRAM} does not exist", "build it with `just build`")
    works = {"tfidf": tfidf, "registry": registry, "cells": cells, "serve": serve, "tracking": tracking}
    works |= {"distilbert": distilbert, "nets": nets, "sweep": sweep, "drift": drift}
    works[args.work](args)


if __name__ == "__main__":
    main()
