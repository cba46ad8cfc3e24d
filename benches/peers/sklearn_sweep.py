"""The same grid as `trialbook sweep tfidf`, by scikit-learn's `GridSearchCV` over a `Pipeline` that caches the
vectoriser.

usage: sklearn_sweep.py TRAIN.parquet FOLDS.txt --ngram 1,2 --min-df 1,2,5 --c 0.1,1,10,100 [--jobs 2] [--tol 1e-6]
       sklearn_sweep.py TRAIN.parquet FOLDS.txt --only-folds 5

Reads a Parquet file with the columns `text` and `label` (0 or 1). With `--only-folds` it writes the fold of each row
as `StratifiedKFold` draws it and ends. Else it searches the grid on these folds by F1, without a last fit, and prints
one line of JSON: seconds, the mean score of each setting, peak memory.
Needs Python with scikit-learn and pyarrow; says so, and exits with 2, where they are missing.
"""
import argparse
import json
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

try:
    import pyarrow.parquet
    import sklearn
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold
    from sklearn.pipeline import Pipeline
except ImportError as missing:
    print(f"{sys.executable} lacks {missing.name}: pip install scikit-learn pyarrow", file=sys.stderr)
    sys.exit(2)


def numbers(text):
    return [float(part) if "." in part else int(part) for part in text.split(",")]


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("train")
parser.add_argument("folds", type=Path)
parser.add_argument("--only-folds", type=int)
parser.add_argument("--ngram", type=numbers, default=[1, 2])
parser.add_argument("--min-df", type=numbers, default=[1, 2, 5])
parser.add_argument("--c", type=numbers, default=[0.1, 1, 10, 100])
parser.add_argument("--jobs", type=int, default=2)
# At its default, 1e-4, scikit-learn's scores are up to 3e-3 from those of its own optimum: too far to name a best setting.
parser.add_argument("--tol", type=float, default=1e-6)
options = parser.parse_args()

table = pyarrow.parquet.read_table(options.train, columns=["text", "label"])
texts, labels = table["text"].to_pylist(), table["label"].to_pylist()

if options.only_folds:
    fold_of = [0] * len(labels)
    drawn = StratifiedKFold(options.only_folds, shuffle=True, random_state=42).split(texts, labels)
    for fold, (_, rows) in enumerate(drawn):
        for row in rows:
            fold_of[row] = fold
    options.folds.write_text("".join(f"{fold}\n" for fold in fold_of))
    sys.exit(0)


def processes(pid):
    """A process and all that it started."""
    found, pids = [], [pid]
    while pids:
        one = pids.pop()
        found.append(one)
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            pass
    return found


def resident_kb():
    total = 0
    for pid in processes(os.getpid()):
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                # What several processes share counts once.
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


peak, is_over = [0], threading.Event()


def watch():
    while not is_over.wait(2):
        peak[0] = max(peak[0], resident_kb())


threading.Thread(target=watch, daemon=True).start()
with tempfile.TemporaryDirectory() as cache:
    pipeline = Pipeline(
        [
            ("tfidf", TfidfVectorizer(sublinear_tf=True)),
            ("logistic", LogisticRegression(max_iter=1000, tol=options.tol)),
        ],
        memory=cache,
    )
    grid = {
        "tfidf__ngram_range": [(1, longest) for longest in options.ngram],
        "tfidf__min_df": options.min_df,
        "logistic__C": options.c,
    }
    fold_of = [int(line) for line in options.folds.read_text().split()]
    start = time.perf_counter()
    search = GridSearchCV(
        pipeline, grid, scoring="f1", cv=PredefinedSplit(fold_of), n_jobs=options.jobs, refit=False
    ).fit(texts, labels)
    total_s = time.perf_counter() - start
is_over.set()
settings = [
    {"ngram": given["tfidf__ngram_range"][1], "min-df": given["tfidf__min_df"], "c": given["logistic__C"], "f1": float(score)}
    for given, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"])
]
print(json.dumps({
    "peer": f"scikit-learn {sklearn.__version__}",
    "settings": settings,
    "total_s": round(total_s, 3),
    "peak_mb": max(peak[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024,
}))
