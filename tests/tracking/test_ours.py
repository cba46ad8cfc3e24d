"""What `trialbook train` made, as MLflow's clients see it; and what they made, as trialbook sees it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
from collections.abc import Iterator

import mlflow
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

from conftest import PROGRAM, call, new_store, serving

TEXTS = ["An utterly wonderful film.", "A waste of<br />an evening", "the", "", "ÀÉÎ größe ΣΑΣ Ⅷ", "not good, not bad: not at all"]


@pytest.fixture(scope="module")
def trained() -> Iterator[tuple[str, str]]:
    """A store with versions of five shapes, and the address of its server."""
    with new_store() as store:
        call(store, "data", "sample")
        call(store, "train", "tfidf", "--data", "sample", "--deploy")
        call(store, "train", "tfidf", "--data", "sample", "--model", "Grams", "--ngram", "3", "--sublinear", "--stop-words", "english")
        rows = [f"the {words} {n},{label}" for n in range(40) for label, words in [("a", "paper toner"), ("b", "wifi cable"), ("c", "invoice")]]
        file = pathlib.Path(store, "tickets.csv")
        file.write_text("\n".join(["text,label", *rows]))
        call(store, "data", "add", "tickets", str(file))
        call(store, "train", "tfidf", "--data", "tickets", "--model", "Tickets")
        decided = ["train", "tfidf", "--data", "sample", "--c", "1000", "--threshold", "precision=0.97"]
        call(store, *decided, "--model", "Curved", "--calibrate", "isotonic")
        call(store, *decided, "--model", "Cooled", "--calibrate", "temperature")
        with serving(store) as url:
            yield store, url


@pytest.fixture(autouse=True)
def asked(trained: tuple[str, str], tracked: None) -> None:
    mlflow.set_tracking_uri(trained[1])
    mlflow.set_registry_uri(trained[1])
    # Another test's experiment is none of this server's.
    mlflow.set_experiment(experiment_id="0")


def test_our_runs_are_found_with_their_artifacts(trained: tuple[str, str]) -> None:
    store, _ = trained
    runs = mlflow.search_runs(search_all_experiments=True, filter_string="params.model = 'tfidf'")
    assert len(runs) == 5 and set(runs["status"]) == {"FINISHED"}
    told = {run["run_id"]: run for run in call(store, "runs", "list")}
    for _, run in runs.iterrows():
        assert run["metrics.f1"] == told[run["run_id"]]["metrics"]["f1"]
    version = MlflowClient().get_latest_versions("SentimentClassifier", ["Production"])[0]
    names = [one.path for one in MlflowClient().list_artifacts(version.run_id, "model")]
    assert {"model/MLmodel", "model/model.json", "model/requirements.txt"} <= set(names)


@pytest.mark.parametrize("model", ["SentimentClassifier/Production", "Grams/1", "Tickets/1", "Curved/1", "Cooled/1"])
def test_our_versions_answer_the_same_in_python(trained: tuple[str, str], model: str) -> None:
    store, _ = trained
    loaded = mlflow.pyfunc.load_model(f"models:/{model}")
    texts = [text for text in TEXTS if text.strip()]
    answered = [call(store, "predict", "--model", model, text) for text in texts]
    for asked in [texts, pd.DataFrame({"text": texts}), pd.Series(texts)]:
        frame = loaded.predict(asked)
        assert len(frame) == len(texts)
        for (_, row), answer in zip(frame.iterrows(), answered):
            answer = answer[0] if isinstance(answer, list) else answer
            assert row["label"] == answer["label"]
            for name, probability in answer["scores"].items():
                assert row[f"probability_{name}"] == pytest.approx(probability, abs=1e-6)
    assert loaded.metadata.signature is not None


@pytest.mark.parametrize("model", ["Curved/1", "Cooled/1"])
def test_labels_follow_the_threshold_in_python(trained: tuple[str, str], model: str, tmp_path: pathlib.Path) -> None:
    store, _ = trained
    asked, answered = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl"
    rows = call(store, "sql", "select text from sample.test limit 500")
    asked.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = call(store, "predict", "--in", str(asked), "--out", str(answered), "--model", model)
    expected = [json.loads(line) for line in answered.read_text().splitlines()]
    frame = mlflow.pyfunc.load_model(f"models:/{model}").predict([row["text"] for row in rows])
    assert list(frame["label"]) == [row["label"] for row in expected]
    between = [row for row in expected if 0.5 <= row["score_positive"] < told["threshold"]]
    assert between and {row["label"] for row in between} == {"negative"}
    for found, row in zip(frame["probability_positive"], expected):
        assert found == pytest.approx(row["score_positive"], abs=1e-6)


def test_mlflows_own_scoring_server_answers_every_text(trained: tuple[str, str], tmp_path: pathlib.Path) -> None:
    folder = mlflow.artifacts.download_artifacts("models:/SentimentClassifier/Production", dst_path=str(tmp_path))
    script = (
        "import json, sys, mlflow\n"
        "from mlflow.pyfunc.scoring_server import init\n"
        "from fastapi.testclient import TestClient\n"
        "client = TestClient(init(mlflow.pyfunc.load_model(sys.argv[1])))\n"
        "texts = ['good film', 'bad film', 'a film']\n"
        "bodies = [{'inputs': texts}, {'instances': texts}, {'dataframe_split': {'columns': ['text'], 'data': [[t] for t in texts]}},\n"
        "          {'dataframe_records': [{'text': t} for t in texts]}]\n"
        "for body in bodies:\n"
        "    answer = client.post('/invocations', json=body)\n"
        "    print(json.dumps([list(body), answer.status_code, len(answer.json().get('predictions', [])), answer.text[:200]]))\n"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        form, status, n_predictions, text = json.loads(line)
        assert (status, n_predictions) == (200, 3), (form, text)


def test_a_model_from_python_is_judged_by_its_stored_f1(trained: tuple[str, str]) -> None:
    store, url = trained
    client = MlflowClient()
    client.create_registered_model("Outside")
    for f1 in [0.93, 0.4]:
        run = client.create_run("0")
        client.log_text(run.info.run_id, "pickled", "model/model.pkl")
        version = client.create_model_version("Outside", f"{run.info.artifact_uri}/model", run.info.run_id)
        client.log_metric(run.info.run_id, "f1_score", f1)
    verdict = call(store, "gate", "Outside", "1")
    assert verdict["passed"] and verdict["candidate"]["metrics"]["f1"] == 0.93
    assert any("cannot be evaluated again" in reason for reason in verdict["reasons"])
    moved = client.transition_model_version_stage("Outside", "1", "Production")
    assert moved.current_stage == "Production"
    blocked = subprocess.run([PROGRAM, "--store", store, "--json", "gate", "Outside", "2"], capture_output=True, text=True)
    assert blocked.returncode == 3 and "log_input" in blocked.stdout
    call(store, "promote", "Outside", "2", "--force", "--reason", "a test")
    call(store, "rollback", "Outside")
    assert str(client.get_latest_versions("Outside", ["Production"])[0].version) == "1"


def test_the_same_test_dataset_makes_numbers_comparable(trained: tuple[str, str]) -> None:
    store, _ = trained
    client = MlflowClient()
    client.create_registered_model("Comparable")
    dataset = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0, 2.0]}), name="held out")
    for f1 in [0.9, 0.95, 0.5]:
        with mlflow.start_run() as run:
            mlflow.log_input(dataset, context="test")
            mlflow.log_metric("f1", f1)
            mlflow.log_text("w", "model/w")
        client.create_model_version("Comparable", f"{run.info.artifact_uri}/model", run.info.run_id)
    call(store, "gate", "Comparable", "1")
    call(store, "promote", "Comparable", "1")
    assert call(store, "gate", "Comparable", "2")["passed"]
    worse = subprocess.run([PROGRAM, "--store", store, "--json", "gate", "Comparable", "3"], capture_output=True)
    assert worse.returncode == 3


def test_what_a_client_tracked_is_in_our_lists_and_in_sql(trained: tuple[str, str]) -> None:
    store, _ = trained
    mlflow.set_experiment("from python")
    with mlflow.start_run(run_name="theirs") as run:
        mlflow.log_metric("f1", 0.75)
        mlflow.log_param("depth", 3)
    listed = call(store, "runs", "list", "--experiment", "from python")
    assert [(one["run_id"], one["name"], one["params"]) for one in listed] == [(run.info.run_id, "theirs", {"depth": "3"})]
    rows = call(store, "sql", "select name, status from runs where name = 'theirs'")
    assert "theirs" in json.dumps(rows) and "FINISHED" in json.dumps(rows)
    assert call(store, "store", "verify")["problems"] == []


def test_a_truncated_upload_leaves_nothing_and_a_damaged_artifact_is_an_error(trained: tuple[str, str]) -> None:
    import http.client
    from urllib.parse import urlparse

    store, url = trained
    client = MlflowClient()
    run = client.create_run("0")
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run.info.run_id}/artifacts"
    connection = http.client.HTTPConnection(urlparse(url).netloc, timeout=20)
    connection.putrequest("PUT", f"{path}/half.bin")
    connection.putheader("content-length", "1000000")
    connection.endheaders()
    connection.send(b"x" * 1000)
    connection.close()
    time.sleep(0.5)
    assert client.list_artifacts(run.info.run_id) == []
    for climbing in [f"{path}/../../x", f"{path}/%2e%2e/x", f"{path}/..%2fx", f"/api/2.0/mlflow-artifacts/artifacts/x.txt"]:
        connection = http.client.HTTPConnection(urlparse(url).netloc, timeout=20)
        connection.request("PUT", climbing, body=b"x")
        answer = connection.getresponse()
        assert answer.status == 400 and json.loads(answer.read())["error_code"] == "INVALID_PARAMETER_VALUE", climbing
    content = bytes(range(256)) * 8192
    assert requests.put(f"{url}{path}/a b+c%25.bin", data=content, timeout=20).status_code == 200
    assert requests.get(f"{url}{path}/a b+c%25.bin", timeout=20).content == content
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["a b+c%.bin"]
    stored = [file for file in pathlib.Path(store, "artifacts").rglob("*") if file.is_file() and file.stat().st_size == len(content)]
    stored[0].chmod(0o644)
    stored[0].write_bytes(content[:-1] + b"!")
    answer = requests.get(f"{url}{path}/a b+c%25.bin", timeout=20)
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DATA_LOSS")
    stored[0].write_bytes(content)


def test_what_was_acknowledged_survives_a_kill(trained: tuple[str, str]) -> None:
    import os
    import signal
    import threading

    with new_store() as store:
        process = subprocess.Popen(
            [PROGRAM, "--store", store, "--json", "ui", "--no-browser", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        url = json.loads(process.stdout.readline())["url"]
        told: list[tuple[str, int]] = []

        def track(name: str) -> None:
            session = requests.Session()
            api = f"{url}/api/2.0/mlflow"
            try:
                run_id = session.post(f"{api}/runs/create", json={"experiment_id": "0", "run_name": name}, timeout=5).json()["run"]["info"]["run_id"]
                for n in range(10_000):
                    point = {"run_id": run_id, "key": "m", "value": n, "timestamp": n, "step": n}
                    if session.post(f"{api}/runs/log-metric", json=point, timeout=5).status_code == 200:
                        told.append((run_id, n))
            except (requests.ConnectionError, ValueError, KeyError):
                pass

        threads = [threading.Thread(target=track, args=(f"t{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for thread in threads:
            thread.join()
        assert len(told) > 100
        with serving(store) as url:
            client = MlflowClient(url)
            for run_id in {run_id for run_id, _ in told}:
                kept = {int(point.value) for point in client.get_metric_history(run_id, "m")}
                assert {n for other, n in told if other == run_id} <= kept
        assert call(store, "store", "verify")["problems"] == []
