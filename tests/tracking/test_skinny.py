"""What the skinny client can do, which has neither numpy nor pandas."""

from __future__ import annotations

import math
import pathlib

import mlflow
import pytest
from mlflow import MlflowClient


def test_a_run_is_tracked_and_read(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ImportError):
        import numpy  # noqa: F401
    experiment = mlflow.set_experiment("skinny")
    with mlflow.start_run(run_name="thin") as run:
        mlflow.log_params({"a": 1, "b": "two"})
        mlflow.log_metrics({"f1": 0.5, "top": math.inf}, step=3)
        mlflow.set_tag("k", "v")
        file = tmp_path / "f.bin"
        file.write_bytes(bytes(range(256)) * 1000)
        mlflow.log_artifact(str(file), "raw")
    client = MlflowClient()
    found = client.search_runs([experiment.experiment_id], "metrics.f1 = 0.5 and params.b = 'two'")
    assert [one.info.run_id for one in found] == [run.info.run_id]
    assert found[0].data.metrics == {"f1": 0.5, "top": math.inf}
    fetched = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/raw/f.bin", dst_path=str(tmp_path / "x"))
    assert pathlib.Path(fetched).read_bytes() == file.read_bytes()


def test_a_version_is_registered_without_a_flavour() -> None:
    client = MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_text("weights", "model/weights.txt")
    client.create_registered_model("Thin", tags={"team": "mail"}, description="thin")
    version = client.create_model_version("Thin", f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias("Thin", "best", version.version)
    client.set_model_version_tag("Thin", version.version, "checked", "yes")
    client.update_model_version("Thin", version.version, description="the first")
    found = client.get_model_version_by_alias("Thin", "best")
    assert (found.description, found.tags) == ("the first", {"checked": "yes"})
    assert mlflow.artifacts.load_text("models:/Thin@best/weights.txt") == "weights"
    client.delete_registered_model_alias("Thin", "best")
    client.delete_model_version("Thin", version.version)
    client.delete_registered_model("Thin")
    assert [model.name for model in client.search_registered_models()] == []
