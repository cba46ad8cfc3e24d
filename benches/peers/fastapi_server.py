"""The model of sklearn_tfidf.py behind FastAPI and uvicorn, one worker.

usage: fastapi_server.py TRAIN.parquet PORT [--ngram 2] [--min-df 2] [--c 10]

Trains first; then answers `POST /predict {"text"}` and `POST /batch_predict {"texts"}` until SIGTERM. Needs Python
with fastapi, uvicorn, scikit-learn and pyarrow; says so, and exits with 2, where they are missing.
"""
import argparse
import sys

try:
    import pyarrow.parquet
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
except ImportError as missing:
    print(f"{sys.executable} lacks {missing.name}: pip install fastapi uvicorn scikit-learn pyarrow", file=sys.stderr)
    sys.exit(2)

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("train")
parser.add_argument("port", type=int)
parser.add_argument("--ngram", type=int, default=2)
parser.add_argument("--min-df", type=int, default=2)
parser.add_argument("--c", type=float, default=10.0)
options = parser.parse_args()

table = pyarrow.parquet.read_table(options.train, columns=["text", "label"])
vectorizer = TfidfVectorizer(ngram_range=(1, options.ngram), min_df=options.min_df, sublinear_tf=True)
rows = vectorizer.fit_transform(table["text"].to_pylist())
model = LogisticRegression(C=options.c, max_iter=1000).fit(rows, table["label"].to_pylist())
del table, rows
app = FastAPI()


class One(BaseModel):
    text: str


class Many(BaseModel):
    texts: list[str]


def answers(texts):
    positive = model.predict_proba(vectorizer.transform(texts))[:, 1]
    return [
        {"sentiment": "positive" if p >= 0.5 else "negative", "confidence": float(max(p, 1 - p)), "probability": float(p)}
        for p in positive
    ]


@app.post("/predict")
def predict(one: One):
    return answers([one.text])[0]


@app.post("/batch_predict")
def batch_predict(many: Many):
    return answers(many.texts)


uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")
