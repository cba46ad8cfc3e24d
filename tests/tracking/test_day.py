"""A user's usual day, with the present client and with the last 2.x."""

from __future__ import annotations

import math
import pathlib

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

X = np.array([[0.0], [1.0], [2.0], [3.0]])
Y = np.array([0, 0, 1, 1])
IS_3 = int(mlflow.__version__.split(".")[0]) >= 3


def fitted() -> LogisticRegression:
    return LogisticRegression().fit(X, Y)


def log_model(name: str, **options: object) -> object:
    """In 2.x a model's folder is an artifact of the run; its name is the folder's."""
    place = {"name": name} if IS_3 else {"artifact_path": name}
    return mlflow.sklearn.log_model(fitted(), **place, **options)


def test_what_is_logged_is_found_again(tmp_path: pathlib.Path) -> None:
    mlflow.set_experiment("the day")
    with mlflow.start_run(run_name="first", tags={"team": "mail"}, description="a note") as run:
        mlflow.log_param("C", 1.0)
        mlflow.log_params({"solver": "lbfgs", "größe": "ä" * 100})
        for step, loss in enumerate([0.9, 0.5, 0.25]):
            mlflow.log_metric("loss", loss, step=step)
        mlflow.log_metrics({"f1": 0.91, "worst": math.inf, "none": math.nan, "low": -math.inf})
        mlflow.set_tags({"stage": "try", "mlflow.note.content": "# Markdown"})
        file = tmp_path / "notes.txt"
        file.write_text("some notes")
        mlflow.log_artifact(str(file))
        mlflow.log_artifact(str(file), "deep/er")
        mlflow.log_text("ein Text", "texts/läuft+ok.txt")
        mlflow.log_dict({"a": [1, 2]}, "d.json")
    found = mlflow.get_run(run.info.run_id)
    assert found.info.status == "FINISHED" and found.info.run_name == "first"
    assert found.info.end_time >= found.info.start_time > 0
    assert found.data.params == {"C": "1.0", "solver": "lbfgs", "größe": "ä" * 100}
    assert found.data.metrics["f1"] == 0.91 and found.data.metrics["loss"] == 0.25
    assert found.data.metrics["worst"] == math.inf and found.data.metrics["low"] == -math.inf
    assert math.isnan(found.data.metrics["none"])
    assert found.data.tags["team"] == "mail" and found.data.tags["mlflow.runName"] == "first"
    history = MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 0.9), (1, 0.5), (2, 0.25)]

    client = MlflowClient()
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == [
        "d.json", "deep", "notes.txt", "texts",
    ]
    assert [one.path for one in client.list_artifacts(run.info.run_id, "deep/er")] == ["deep/er/notes.txt"]
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/texts/läuft+ok.txt") == "ein Text"
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/d.json") == {"a": [1, 2]}
    folder = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="", dst_path=str(tmp_path / "all"))
    assert (pathlib.Path(folder) / "deep/er/notes.txt").read_text() == "some notes"


def test_runs_are_searched_sorted_and_paged() -> None:
    experiment_id = mlflow.create_experiment("searched", tags={"purpose": "search"})
    client = MlflowClient()
    for n in range(12):
        run = client.create_run(experiment_id, run_name=f"run-{n}", tags={"even": str(n % 2 == 0)})
        client.log_metric(run.info.run_id, "f1", n / 10)
        client.log_param(run.info.run_id, "n", n)
        client.set_terminated(run.info.run_id, "FINISHED" if n else "FAILED")

    def names(**query: object) -> list[str]:
        return [run.info.run_name for run in client.search_runs([experiment_id], **query)]

    assert names(filter_string="metrics.f1 > 0.85 and tags.even = 'True'") == ["run-10"]
    assert names(filter_string="attributes.status = 'FAILED'") == ["run-0"]
    assert names(filter_string="params.n LIKE '1%'", order_by=["metrics.f1 DESC"]) == [
        "run-11", "run-10", "run-1",
    ]
    assert names(filter_string="run_name ILIKE 'RUN-7'") == ["run-7"]
    assert names(filter_string="tags.`even` != 'True'", order_by=["metrics.f1 ASC"], max_results=2) == ["run-1", "run-3"]
    pages, token = [], None
    while True:
        page = client.search_runs([experiment_id], max_results=5, order_by=["metrics.f1 ASC"], page_token=token)
        pages.append([run.info.run_name for run in page])
        token = page.token
        if not token:
            break
    assert [len(page) for page in pages] == [5, 5, 2]
    assert sum(pages, []) == [f"run-{n}" for n in range(12)]
    frame = mlflow.search_runs([experiment_id], filter_string="metrics.f1 < 0.15", order_by=["start_time ASC"])
    assert list(frame["metrics.f1"]) == [0.0, 0.1] and list(frame["params.n"]) == ["0", "1"]
    with pytest.raises(mlflow.MlflowException, match="AND") as caught:
        names(filter_string="metrics.f1 > 1 or metrics.f1 < 0")
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_model_is_logged_registered_aliased_and_loaded() -> None:
    mlflow.set_experiment("models")
    signature = mlflow.models.infer_signature(X, Y)
    with mlflow.start_run() as run:
        mlflow.log_metric("f1", 0.93)
        logged = log_model("model", registered_model_name="Iris", signature=signature)
    client = MlflowClient()
    version = client.get_model_version("Iris", "1")
    assert version.run_id == run.info.run_id and version.status == "READY"
    client.set_registered_model_alias("Iris", "champion", "1")
    found = client.get_model_version_by_alias("Iris", "champion")
    assert (str(found.version), list(found.aliases)) == ("1", ["champion"])
    for uri in [logged.model_uri, "models:/Iris/1", "models:/Iris@champion", f"runs:/{run.info.run_id}/model"]:
        loaded = mlflow.pyfunc.load_model(uri)
        assert list(loaded.predict(X)) == list(fitted().predict(X)), uri
    assert isinstance(mlflow.sklearn.load_model("models:/Iris@champion"), LogisticRegression)
    assert client.get_registered_model("Iris").latest_versions[0].current_stage == "None"
    again = mlflow.register_model(f"runs:/{run.info.run_id}/model", "Iris", tags={"again": "yes"})
    assert str(again.version) == "2"
    assert client.get_model_version("Iris", "2").tags == {"again": "yes"}
    assert [str(one.version) for one in client.search_model_versions("name = 'Iris'")] == ["2", "1"]
    assert [one.name for one in client.search_registered_models("name LIKE 'Ir%'")] == ["Iris"]


def test_errors_have_mlflows_codes_and_write_nothing() -> None:
    mlflow.set_experiment("errors")
    client = MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_param("p", "1")
        with pytest.raises(mlflow.MlflowException, match="Changing param values is not allowed"):
            client.log_param(run.info.run_id, "p", "2")
        with pytest.raises(mlflow.MlflowException, match="at most 6000"):
            client.log_param(run.info.run_id, "long", "x" * 6001)
    assert mlflow.get_run(run.info.run_id).data.params == {"p": "1"}
    client.delete_run(run.info.run_id)
    with pytest.raises(mlflow.MlflowException, match="must be in the 'active' state"):
        client.log_metric(run.info.run_id, "m", 1.0)
    client.restore_run(run.info.run_id)
    client.log_metric(run.info.run_id, "m", 1.0)
    for ask, code in [
        (lambda: client.get_run("0" * 32), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.create_registered_model("a/b"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.create_experiment("errors"), "RESOURCE_ALREADY_EXISTS"),
        (lambda: client.get_registered_model("nobody"), "RESOURCE_DOES_NOT_EXIST"),
    ]:
        with pytest.raises(mlflow.MlflowException) as caught:
            ask()
        assert caught.value.error_code == code, str(caught.value)
