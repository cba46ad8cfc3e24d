"""Writes what a store of MLflow's can hold into the URI that is given, with whatever MLflow runs this."""

from __future__ import annotations

import math
import pathlib
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")

import mlflow
import pandas as pd
from mlflow import MlflowClient

ODD = ("nan", "inf", "-inf")


def run_of(client: MlflowClient, n: int) -> None:
    """One run with metrics, params, tags, artifacts, a dataset and, from 3.x on, a logged model."""
    with mlflow.start_run(run_name=f"run {n}") as run:
        mlflow.log_params({"lr": str(n / 3), "lines": "one\ntwo: 'three' #four\n", "empty": "", "folder/p": "ü"})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + n + 1), step=step)
        for word in ODD:
            mlflow.log_metric("odd", float(word), step=len(word))
        mlflow.log_metric("train/f1", 0.1 + 0.2)
        mlflow.log_metric("below", -1e-300, step=-3)
        mlflow.set_tags({"free": "text ü\n\n- 'quoted' \"twice\"", "mlflow.note.content": "# Note"})
        mlflow.log_text("hello ü", "notes/deep/hello + ü.txt")
        mlflow.log_text("", "empty.txt")
        mlflow.log_text("flavors: {}", "model/MLmodel")
        mlflow.log_text("weights " * n, "model/data/w.bin")
        dataset = mlflow.data.from_pandas(pd.DataFrame({"t": ["a", "b"], "y": [0, n]}), name="reviews", targets="y")
        mlflow.log_input(dataset, context="training", tags={"fold": "1"})
        if mlflow.__version__ >= "3":
            model = mlflow.initialize_logged_model(
                name=f"own{n}", params={"depth": "3"}, tags={"t": "1\n2"}, model_type="clf"
            )
            with tempfile.TemporaryDirectory() as folder:
                (pathlib.Path(folder) / "MLmodel").write_text("flavors: {}\n")
                client.log_model_artifacts(model.model_id, folder)
            mlflow.finalize_logged_model(model.model_id, "READY")
            mlflow.log_metric("f1", 0.9, step=2, model_id=model.model_id, dataset=dataset)
            mlflow.log_metric("f1", 0.95, step=3, model_id=model.model_id)
            mlflow.log_metric("hole", math.nan, step=3, model_id=model.model_id)
            client.log_outputs(run.info.run_id, [mlflow.entities.LoggedModelOutput(model.model_id, 7)])
    source = f"{run.info.artifact_uri}/model"
    version = client.create_model_version("A model", source, run.info.run_id, tags={"a": "b"}, description=f"v {n}")
    client.transition_model_version_stage("A model", version.version, ["Staging", "Production", "Archived"][n % 3])
    if mlflow.__version__ >= "3":
        client.create_model_version("A model", f"models:/{model.model_id}", run.info.run_id, model_id=model.model_id)
    gone = client.create_model_version("A model", source, run.info.run_id)
    client.delete_model_version("A model", gone.version)
    client.set_registered_model_alias("A model", f"alias{n}", version.version)


def main(uri: str, n_runs: int) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient()
    client.create_experiment("one: ünï #1", tags={"team": "a\nb: c"})
    mlflow.set_experiment("one: ünï #1")
    client.create_registered_model("A model", tags={"k": "v ü"}, description="what\nit is: 'for'")
    for n in range(n_runs):
        run_of(client, n)
    deleted = client.create_run("0", run_name="deleted")
    client.set_terminated(deleted.info.run_id, "FAILED")
    client.delete_run(deleted.info.run_id)
    client.create_run("0", run_name="still going", start_time=1_700_000_000_000)
    trashed = client.create_experiment("in the bin")
    killed = client.create_run(trashed, tags={"x": "y"})
    client.set_terminated(killed.info.run_id, "KILLED")
    client.delete_experiment(trashed)
    client.create_registered_model("no versions")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
