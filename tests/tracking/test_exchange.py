"""Stores that MLflow itself wrote, taken over and handed back: every item as MlflowClient says it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from conftest import PROGRAM, call, new_store, serving
from mlflow import MlflowClient
from mlflow.entities import ViewType

HERE = pathlib.Path(__file__).resolve().parent
VENVS = pathlib.Path(os.environ.get("TRACKING_VENVS", HERE.parents[1] / "target"))
N_RUNS = 3
OWN = "trialbook."
# Greatest finite number: a database of MLflow's holds it in the place of infinity.
HUGE = sys.float_info.max


@pytest.fixture(autouse=True)
def file_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def write_store(python: pathlib.Path | str, uri: str, folder: pathlib.Path) -> None:
    environment = dict(os.environ, MLFLOW_ALLOW_FILE_STORE="true")
    done = subprocess.run(
        [python, HERE / "write_store.py", uri, str(N_RUNS)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@contextlib.contextmanager
def mlflow_server(folder: pathlib.Path) -> Iterator[str]:
    """MLflow's own server on SQLite, with its artifacts behind the proxy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/mlartifacts"]
    log = open(folder / "server.log", "w")
    process = subprocess.Popen([*command, *places], cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
                break
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
        log.close()


def number(value: float) -> object:
    if math.isnan(value):
        return "nan"
    return math.copysign(HUGE, value) if math.isinf(value) else value


def own_left_out(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith(OWN)}


def files_of(client: MlflowClient, run_id: str, folder: str) -> dict[str, bytes]:
    path = client.download_artifacts(run_id, "", folder)
    files = [file for file in pathlib.Path(path).rglob("*") if file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def run_as_told(client: MlflowClient, run: object, keeps_ids: bool) -> dict:
    info = run.info
    history = {
        key: sorted(
            # MLflow's file store reads the step of a value that was measured on a dataset as 0.
            (point.timestamp, 0 if key == "f1" else point.step, str(number(point.value)))
            for point in client.get_metric_history(info.run_id, key)
        )
        for key in run.data.metrics
    }
    with tempfile.TemporaryDirectory() as folder:
        artifacts = files_of(client, info.run_id, folder)
    datasets = [
        (one.dataset.name, one.dataset.digest, one.dataset.source, one.dataset.schema, one.dataset.profile,
         sorted((tag.key, tag.value) for tag in one.tags))
        for one in run.inputs.dataset_inputs
    ]
    told = {
        "name": info.run_name, "status": info.status, "start": info.start_time, "end": info.end_time,
        "user": info.user_id, "lifecycle": info.lifecycle_stage, "params": run.data.params,
        "tags": own_left_out(run.data.tags), "history": history, "artifacts": artifacts, "datasets": sorted(datasets),
    }
    outputs = getattr(run, "outputs", None)
    outputs = outputs.model_outputs if outputs else []
    models = []
    for output in outputs:
        model = client.get_logged_model(output.model_id)
        metrics = {
            # Each client tells the newest of them or all.
            (metric.key, str(number(metric.value)), metric.step, metric.dataset_name)
            for metric in model.metrics or []
            # MLflow's database says 0 where the run has NaN.
            if metric.key != "hole" and metric.step == 3
        }
        tags = own_left_out(dict(model.tags))
        # MLflow's server adds it, its file store does not.
        tags.pop("mlflow.modelVersions", None)
        models.append((model.name, str(model.status), model.model_type, dict(model.params), tags, sorted(metrics), output.step))
    told["models"] = models
    if keeps_ids:
        told["id"] = info.run_id
        told["model ids"] = [output.model_id for output in outputs]
    return told


def as_told(uri: str, keeps_ids: bool = True) -> dict:
    """Everything that MlflowClient says of the store at `uri`."""
    client = MlflowClient(uri, uri)
    told: dict = {"experiments": {}, "models": {}}
    for experiment in client.search_experiments(view_type=ViewType.ALL):
        runs = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
        told["experiments"][experiment.name] = {
            "lifecycle": experiment.lifecycle_stage,
            "tags": dict(experiment.tags),
            "runs": sorted((run_as_told(client, run, keeps_ids) for run in runs), key=lambda told: str(told["start"])),
        }
    for model in client.search_registered_models():
        versions = {}
        for version in client.search_model_versions(f"name = '{model.name}'"):
            versions[int(version.version)] = {
                "stage": version.current_stage, "description": version.description or "",
                "tags": own_left_out(dict(version.tags)),
                "of a logged model": (version.source or "").startswith("models:/m-"),
                **({"run": version.run_id, "created": version.creation_timestamp} if keeps_ids else {}),
            }
        told["models"][model.name] = {
            "description": model.description or "", "tags": dict(model.tags),
            "aliases": {alias: int(version) for alias, version in model.aliases.items()},
            "versions": versions,
        }
    return told


def same(left: dict, right: dict) -> None:
    """Compares item by item: a difference in a large answer is hard to see."""
    assert left["models"] == right["models"]
    assert set(left["experiments"]) == set(right["experiments"])
    for name, experiment in left["experiments"].items():
        other = right["experiments"][name]
        assert [run["name"] for run in experiment["runs"]] == [run["name"] for run in other["runs"]]
        for one, two in zip(experiment["runs"], other["runs"]):
            for key in one:
                assert one[key] == two[key], (name, one["name"], key)
        assert {**experiment, "runs": 0} == {**other, "runs": 0}


def exported_and_read(store: str, folder: pathlib.Path, expected: dict) -> None:
    target = folder / "handed back" / "mlruns"
    target.parent.mkdir()
    report = call(store, "export", "mlflow", str(target))
    assert report["left_out"] == [] and report["moved"]["n_runs"] == N_RUNS + 3, report
    same(as_told(f"file://{target}"), expected)
    assert [path.name for path in target.parent.iterdir()] == ["mlruns"], "nothing is left beside it"
    again = call(store, "export", "mlflow", str(target))
    assert not any(again["moved"].values()) and again["present"]["n_runs"] == N_RUNS + 3, again
    # And back into an empty store: what went out comes in.
    with new_store() as second:
        report = call(second, "import", "mlflow", str(target))
        assert report["left_out"] == [] and report["moved"]["n_runs"] == N_RUNS + 3, report
        with serving(second) as url:
            same(as_told(url), expected)


def taken_over(source: str, folder: pathlib.Path, expected: dict) -> None:
    with new_store() as store:
        report = call(store, "import", "mlflow", source)
        assert report["left_out"] == [] and report["moved"]["n_runs"] == N_RUNS + 3, report
        again = call(store, "import", "mlflow", source)
        assert not any(again["moved"].values()) and again["present"]["n_runs"] == N_RUNS + 3, again
        with serving(store) as url:
            same(as_told(url), expected)
        call(store, "store", "verify")
        exported_and_read(store, folder, expected)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    # A blank and a sign in the path: URIs of files escape them.
    path = tmp_path / "a store+ü"
    path.mkdir()
    return path


@pytest.mark.parametrize("venv", ["tracking-venv", "tracking2-venv"])
def test_a_file_store_is_taken_over_and_handed_back(venv: str, folder: pathlib.Path) -> None:
    write_store(VENVS / venv / "bin/python", (folder / "mlruns").as_uri(), folder)
    taken_over(str(folder / "mlruns"), folder, as_told((folder / "mlruns").as_uri()))


def test_a_file_store_that_was_moved_brings_its_artifacts(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    write_store(sys.executable, (folder / "mlruns").as_uri(), folder)
    expected = as_told((folder / "mlruns").as_uri())
    shutil.move(folder, tmp_path / "elsewhere")
    with new_store() as store:
        report = call(store, "import", "mlflow", str(tmp_path / "elsewhere/mlruns"))
        assert report["left_out"] == [], report
        with serving(store) as url:
            same(as_told(url), expected)


def test_a_database_is_taken_over_and_handed_back(folder: pathlib.Path) -> None:
    uri = f"sqlite:///{folder}/mlflow.db"
    write_store(sys.executable, uri, folder)
    database = folder / "mlflow.db"
    expected, before = as_told(uri), database.read_bytes()
    taken_over(str(database), folder, expected)
    assert database.read_bytes() == before, "it is only read"


def test_a_database_of_mlflow_2_is_taken_over_as_it_is(folder: pathlib.Path) -> None:
    uri = f"sqlite:///{folder}/mlflow.db"
    write_store(VENVS / "tracking2-venv/bin/python", uri, folder)
    as_it_was = folder / "as it was.db"
    shutil.copy(folder / "mlflow.db", as_it_was)
    # The present client reads it once its schema is the present one.
    subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", uri], check=True, capture_output=True)
    taken_over(str(as_it_was), folder, as_told(uri))


def test_a_server_is_taken_over_and_its_database_too(folder: pathlib.Path) -> None:
    with mlflow_server(folder) as url:
        write_store(sys.executable, url, folder)
        expected = as_told(url)
        taken_over(url, folder, expected)
    with new_store() as store:
        report = call(store, "import", "mlflow", f"sqlite:///{folder}/mlflow.db")
        assert report["left_out"] == [], report
        with serving(store) as url:
            same(as_told(url), expected)


def test_a_store_is_handed_over_to_mlflow_s_server(folder: pathlib.Path) -> None:
    write_store(sys.executable, (folder / "mlruns").as_uri(), folder)
    expected = as_told((folder / "mlruns").as_uri(), keeps_ids=False)
    with new_store() as store, mlflow_server(folder) as url:
        call(store, "import", "mlflow", str(folder / "mlruns"))
        report = call(store, "export", "mlflow", url)
        assert report["left_out"] == [] and report["moved"]["n_runs"] == N_RUNS + 3, report
        again = call(store, "export", "mlflow", url)
        assert not any(again["moved"].values()) and again["present"]["n_runs"] == N_RUNS + 3, again
        same(as_told(url, keeps_ids=False), expected)


def test_one_of_our_servers_is_taken_over(folder: pathlib.Path) -> None:
    write_store(sys.executable, (folder / "mlruns").as_uri(), folder)
    with new_store() as first, new_store() as second:
        call(first, "import", "mlflow", str(folder / "mlruns"))
        with serving(first) as url:
            expected = as_told(url)
            report = call(second, "import", "mlflow", url)
        assert report["left_out"] == [], report
        with serving(second) as url:
            same(as_told(url), expected)


def killed_and_resumed(command: list[str], check: Callable[[], None], done: Callable[[], dict]) -> None:
    """Kills the command at growing delays until it gets through; what is there is complete each time."""
    # From before it has begun: how long it takes depends on the machine.
    delay, n_killed = 0.002, 0
    for _ in range(200):
        process = subprocess.Popen([PROGRAM, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert process.wait(timeout=delay) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_killed += 1
            delay *= 1.15
            check()
    assert n_killed > 2
    report = done()
    assert report["left_out"] == [] and not any(report["moved"].values()), report


def test_what_is_killed_leaves_complete_runs_and_goes_on(folder: pathlib.Path) -> None:
    write_store(sys.executable, (folder / "mlruns").as_uri(), folder)
    expected = as_told((folder / "mlruns").as_uri())
    complete = {run["id"]: run for one in expected["experiments"].values() for run in one["runs"]}
    with new_store() as store:
        source = ["--store", store, "import", "mlflow", str(folder / "mlruns")]

        def check() -> None:
            if not (pathlib.Path(store) / "registry-v3.redb").exists():
                return
            for run in call(store, "runs", "list"):
                whole = complete[run["run_id"]]
                shown = call(store, "runs", "show", run["run_id"])
                assert len(shown["artifacts"]) == len(whole["artifacts"]), shown
                assert set(shown["params"]) == set(whole["params"])

        killed_and_resumed(source, check, lambda: call(store, "import", "mlflow", str(folder / "mlruns")))
        call(store, "store", "verify")
        with serving(store) as url:
            same(as_told(url), expected)
        target = folder / "out" / "mlruns"
        target.parent.mkdir()

        def check_folder() -> None:
            for meta in target.glob("*/*/meta.yaml"):
                run = meta.parent
                if len(run.name) == 32 and run.parent.name != "models":
                    assert (run / "artifacts").is_dir() and (run / "tags" / "mlflow.runName").is_file()

        command = ["--store", store, "export", "mlflow", str(target)]
        killed_and_resumed(command, check_folder, lambda: call(store, "export", "mlflow", str(target)))
        same(as_told(f"file://{target}"), expected)


def refused(store: str, *args: str) -> dict:
    done = subprocess.run([PROGRAM, "--store", store, "--json", *args], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return json.loads(done.stderr or done.stdout)


def test_what_cannot_be_taken_is_told(folder: pathlib.Path) -> None:
    write_store(sys.executable, f"sqlite:///{folder}/mlflow.db", folder)
    with sqlite3.connect(folder / "mlflow.db") as database:
        first = database.execute("SELECT run_uuid FROM runs WHERE name = 'run 0'").fetchone()[0]
        database.execute("UPDATE runs SET run_uuid = 'short' WHERE name = 'still going'")
        database.execute("UPDATE runs SET artifact_uri = 's3://bucket/1' WHERE run_uuid = ?", [first])
        database.execute("UPDATE registered_models SET name = 'A,B' WHERE name = 'no versions'")
    with new_store() as store:
        report = call(store, "import", "mlflow", str(folder / "mlflow.db"))
        left = {one["what"]: one["why"] for one in report["left_out"]}
        assert "32 lower-case hexadecimal digits" in left["run short"]
        assert "s3://bucket/1" in left[f"artifacts of run {first}"]
        assert "','" in left["model A,B"]
        assert report["moved"]["n_runs"] == N_RUNS + 2
