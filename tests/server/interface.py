"""A server with all that the web interface shows: 10,000 runs, curves, a hostile name, a run that goes on, a logged
model, versions and predictions."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import threading
import urllib.parse
from typing import Any

from conftest import call, serving

N_RUNS = int(os.environ.get("UI_RUNS", "10000"))
HOSTILE = "<script>alert(1)</script>"


class Client:
    """Tracks as MLflow's clients do, from many threads at once."""

    def __init__(self, url: str) -> None:
        self.host = urllib.parse.urlsplit(url).netloc
        self.local = threading.local()

    def post(self, endpoint: str, body: dict[str, Any], version: str = "2.0") -> dict[str, Any]:
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.host)
        connection = self.local.connection
        headers = {"content-type": "application/json"}
        try:
            connection.request("POST", f"/api/{version}/mlflow/{endpoint}", json.dumps(body), headers)
        except OSError:
            # The server closes connections that lie idle.
            connection.close()
            connection.request("POST", f"/api/{version}/mlflow/{endpoint}", json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content)

    def run(self, name: str, params: dict[str, Any], metrics: dict[str, float], **more: Any) -> str:
        idx = more.get("idx", 0)
        tags = {"mlflow.runName": name, **more.get("tags", {})}
        made = self.post(
            "runs/create",
            {
                "experiment_id": more.get("experiment", "0"),
                "start_time": 1_760_000_000_000 + idx * 60_000,
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
            },
        )
        run_id = made["run"]["info"]["run_id"]
        steps = more.get("steps", 1)
        points = [
            {"key": key, "value": value * (1 - 0.6 ** (step + 1) if steps > 1 else 1), "timestamp": 1_760_000_000_000 + step * 900, "step": step}
            for key, value in metrics.items()
            for step in range(steps)
        ]
        params_sent = [{"key": key, "value": str(value)} for key, value in params.items()]
        self.post("runs/log-batch", {"run_id": run_id, "metrics": points, "params": params_sent})
        if not more.get("goes_on"):
            end = 1_760_000_000_000 + idx * 60_000 + 48_000
            self.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": end})
        return run_id


def many(client: Client, n_runs: int) -> None:
    def make(idx: int) -> None:
        model = ("tfidf", "cnn", "lstm", "distilbert")[idx % 4]
        params = {"model": model, "lr": 10 ** -(2 + idx % 3), "epochs": 2 + idx % 5, "seed": idx}
        metrics = {"f1": 0.6 + (idx * 7919 % 300) / 1000, "accuracy": 0.62 + (idx * 104729 % 300) / 1000}
        client.run(f"{model}-{idx:05}", params, {**metrics, "loss": 1.3 - metrics["f1"]}, idx=idx)

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        list(pool.map(make, range(n_runs)))


class Shown:
    """A server with all that pages show."""

    def __init__(self, store: str, url: str) -> None:
        self.store, self.url, self.client = store, url, Client(url)
        many(self.client, N_RUNS)
        tags = {"mlflow.note.content": f"# Why\n\nA *try*, with {HOSTILE}.\n\n- one\n- two\n"}
        latest = {"experiment": "0", "tags": tags}
        self.curves = [
            self.client.run(name, {"model": name, "lr": lr, "same": 1}, {"f1": f1, "loss": 1.0}, steps=40, idx=N_RUNS + n, **latest)
            for n, (name, lr, f1) in enumerate([("calm-otter", 0.1, 0.83), ("swift-heron", 0.01, 0.88), ("late-finch", 0.001, 0.9)])
        ]
        self.hostile = self.client.run(HOSTILE, {"hostile": HOSTILE}, {"f1": 0.9}, idx=N_RUNS + 5, tags={"hostile": HOSTILE})
        self.live = self.client.run("goes-on", {"model": "cnn"}, {"f1": 0.4}, idx=N_RUNS + 6, goes_on=True)
        for seed in ("1", "2"):
            call(store, "train", "tfidf", "--data", "sample", "--model", "Reviews", "--seed", seed)
        call(store, "gate", "Reviews", "1", "--min", "0.1")
        call(store, "promote", "Reviews", "1")
        sweep = ("sweep", "tfidf", "--data", "sample", "--c", "0.1,1,10", "--ngram", "1,2", "--cv", "2")
        self.swept = call(store, *sweep)["run_id"]
        self.logged = self.logged_model(self.curves[0])
        self.gone = self.client.run("gone", {"model": "cnn"}, {"f1": 0.1}, idx=N_RUNS + 7)
        self.client.post("runs/delete", {"run_id": self.gone})
        self.trained = [version["run_id"] for version in call(store, "models", "show", "Reviews")["versions"]]
        with serving(store, "--model=Reviews") as predicting:
            texts = ["A wonderful film.", "A dull waste of time.", "It was long.", "A joy."]
            for text in texts * 20:
                body = json.dumps({"text": text})
                connection = http.client.HTTPConnection(urllib.parse.urlsplit(predicting).netloc)
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                connection.getresponse().read()

    def logged_model(self, run: str) -> str:
        """A logged model of a run, with a file and a metric."""
        params = [{"key": "C", "value": HOSTILE}]
        asked = {"experiment_id": "0", "name": "reviews", "model_type": "Classifier", "source_run_id": run, "params": params}
        made = self.client.post("logged-models", asked, version="3.0")["model"]["info"]["model_id"]
        metric = {"key": "f1", "value": 0.83, "timestamp": 1_760_000_000_000, "step": 1, "model_id": made}
        self.client.post("runs/log-batch", {"run_id": run, "metrics": [metric]})
        self.client.post("runs/outputs", {"run_id": run, "models": [{"model_id": made, "step": 1}]})
        return made

    def pages(self) -> dict[str, str]:
        runs = "&".join(f"run={run}" for run in self.curves)
        trained = "&".join(f"run={run}" for run in self.trained)
        return {
            "runs": "/ui/runs",
            "runs-grouped": "/ui/runs?group=params.model",
            "runs-mistake": "/ui/runs?filter=metrics.f1+%3E%3E+1",
            "runs-deleted": "/ui/runs?show=deleted",
            "delete": f"/ui/delete?{runs}",
            "restore": f"/ui/restore?run={self.gone}",
            "run-deleted": f"/ui/runs/{self.gone}",
            "experiments": "/ui/experiments",
            "experiments-deleted": "/ui/experiments?show=deleted",
            "experiment": "/ui/experiments/0",
            "experiment-delete": "/ui/experiments/0/delete",
            "logged-models": "/ui/logged-models",
            "logged-model": f"/ui/logged-models/{self.logged}",
            "run": f"/ui/runs/{self.curves[0]}",
            "run-trained": f"/ui/runs/{self.trained[0]}",
            "run-hostile": f"/ui/runs/{self.hostile}",
            "run-swept": f"/ui/runs/{self.swept}",
            "errors": "/ui/models/Reviews/1/errors?class=negative",
            "explain": "/ui/models/Reviews/1/explain?text=Not+a+good+film%2C+but+the+cast+is+wonderful.",
            "slices": "/ui/models/Reviews/1/slices",
            "compare-versions": "/ui/models/Reviews/1/compare?with=Reviews%2F2",
            "explain-terms": "/ui/models/Reviews/1/explain",
            "issues": "/ui/data/sample/issues",
            "issues-found": "/ui/data/sample/issues?ask=1",
            "file-json": f"/ui/runs/{self.trained[0]}/file?path=metrics.json",
            "file-svg": f"/ui/runs/{self.trained[0]}/file?path=confusion_matrix.svg",
            "compare": f"/ui/compare?{runs}",
            "compare-trained": f"/ui/compare?{trained}&changed=1",
            "models": "/ui/models",
            "model": "/ui/models/Reviews",
            "version": "/ui/models/Reviews/1",
            "promote": "/ui/models/Reviews/2/promote",
            "rollback": "/ui/models/Reviews/rollback",
            "diff": "/ui/models/Reviews/diff?a=1&b=2",
            "data": "/ui/data",
            "dataset": "/ui/data/sample",
            "rows": "/ui/data/sample?q=film&split=test",
            "predictions": "/ui/predictions",
            "audit": "/ui/audit",
            "nothing": "/ui/runs/ffffffffffffffffffffffffffffffff",
        }


def tracking(store: str) -> contextlib.AbstractContextManager[str]:
    """The address of `trialbook ui` on `store`."""
    return serving(store, "--no-browser", verb="ui")
