"""The same work as `trialbook train tfidf` and an evaluation, done by scikit-learn.

usage: sklearn_tfidf.py TRAIN.parquet TEST.parquet [--ngram 2] [--min-df 2] [--c 10] [--no-sublinear]

Reads two Parquet files with the columns `text` and `label` (0 or 1), fits TF-IDF and logistic
regression, predicts the test texts, and prints one line of JSON: seconds, scores, peak memory.
Needs Python with scikit-learn and pyarrow; says so, and exits with 2, where they are missing.
"""
import argparse
import json
import resource
import sys
import time

try:
    import pyarrow.parquet
    import sklearn
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
except ImportError as missing:
    print(f"{sys.executable} lacks {missing.name}: pip install scikit-learn pyarrow", file=sys.stderr)
    sys.exit(2)


def read(path):
    table = pyarrow.parquet.read_table(path, columns=["text", "label"])
    return table["text"].to_pylist(), table["label"].to_pylist()


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("train")
parser.add_argument("test")
parser.add_argument("--ngram", type=int, default=2)
parser.add_argument("--min-df", type=int, default=2)
parser.add_argument("--c", type=float, default=10.0)
parser.add_argument("--no-sublinear", dest="sublinear", action="store_false")
options = parser.parse_args()

marks = [time.perf_counter()]


def lap():
    marks.append(time.perf_counter())
    return round(marks[-1] - marks[-2], 3)


train_texts, train_labels = read(options.train)
test_texts, test_labels = read(options.test)
read_s = lap()
vectorizer = TfidfVectorizer(
    ngram_range=(1, options.ngram), min_df=options.min_df, sublinear_tf=options.sublinear
)
train_rows = vectorizer.fit_transform(train_texts)
vectorise_s = lap()
model = LogisticRegression(C=options.c, max_iter=1000).fit(train_rows, train_labels)
fit_s = lap()
predicted = model.predict(vectorizer.transform(test_texts))
predict_s = lap()
accuracy, f1 = accuracy_score(test_labels, predicted), f1_score(test_labels, predicted)
evaluate_s = lap()
print(json.dumps({
    "peer": f"scikit-learn {sklearn.__version__}",
    "n_features": train_rows.shape[1],
    "n_iter": int(model.n_iter_[0]),
    "accuracy": accuracy,
    "f1": f1,
    "read_s": read_s,
    "vectorise_s": vectorise_s,
    "fit_s": fit_s,
    "predict_s": predict_s,
    "evaluate_s": evaluate_s,
    "total_s": round(marks[-1] - marks[0], 3),
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
