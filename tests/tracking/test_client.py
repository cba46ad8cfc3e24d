"""MlflowClient, call by call: what the fluent day does not touch."""

from __future__ import annotations

import time

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType


@pytest.fixture
def client() -> MlflowClient:
    return MlflowClient()


def refused(call: object, code: str) -> str:
    with pytest.raises(mlflow.MlflowException) as caught:
        call()
    assert caught.value.error_code == code, str(caught.value)
    return str(caught.value)


def test_experiments_live_and_come_back(client: MlflowClient) -> None:
    experiment_id = client.create_experiment("life", tags={"a": "1"})
    found = client.get_experiment(experiment_id)
    assert (found.name, found.lifecycle_stage, found.tags) == ("life", "active", {"a": "1"})
    assert found.artifact_location == f"mlflow-artifacts:/{experiment_id}"
    client.set_experiment_tag(experiment_id, "b", "x" * 10_000)
    client.delete_experiment_tag(experiment_id, "a")
    client.rename_experiment(experiment_id, "lives")
    run = client.create_run(experiment_id)
    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    refused(lambda: client.create_run(experiment_id), "INVALID_PARAMETER_VALUE")
    names = lambda view: {one.name for one in client.search_experiments(view_type=view)}
    assert "lives" not in names(ViewType.ACTIVE_ONLY) and "lives" in names(ViewType.DELETED_ONLY)
    client.restore_experiment(experiment_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"
    assert [one.name for one in client.search_experiments(filter_string="name LIKE 'liv%' AND tags.b ILIKE 'X%'")] == ["lives"]
    assert client.get_experiment_by_name("Default").experiment_id == "0"
    assert client.get_experiment_by_name("nobody's") is None
    elsewhere = client.create_experiment("elsewhere", artifact_location="s3://bucket/path")
    assert client.create_run(elsewhere).info.artifact_uri.startswith("s3://bucket/path/")


def test_a_batch_is_logged_whole_or_not_at_all(client: MlflowClient) -> None:
    run_id = client.create_run("0").info.run_id
    now = int(time.time() * 1000)
    metrics = [Metric(f"m{n % 7}", n / 3, now, n) for n in range(2500)]
    client.log_batch(run_id, metrics, [Param("p", "v")], [RunTag("t", "v")])
    run = client.get_run(run_id)
    assert run.data.metrics["m0"] == 2499 / 3 and run.data.params == {"p": "v"}
    assert len(client.get_metric_history(run_id, "m0")) == len(range(0, 2500, 7))
    refused(lambda: client.log_batch(run_id, [Metric("new", 1.0, now, 0)], [Param("p", "other")]), "INVALID_PARAMETER_VALUE")
    assert "new" not in client.get_run(run_id).data.metrics
    assert client.get_metric_history(run_id, "new") == []


def test_asynchronous_logging_loses_nothing(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        futures = [mlflow.log_metric("a", n, step=n, synchronous=False) for n in range(200)]
        for future in futures:
            future.wait()
    history = client.get_metric_history(run.info.run_id, "a")
    assert sorted(point.value for point in history) == list(range(200))
    assert mlflow.get_run(run.info.run_id).data.metrics["a"] == 199


def test_datasets_and_models_are_inputs_and_outputs(client: MlflowClient) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "label": [0, 1]})
    dataset = mlflow.data.from_pandas(frame, name="reviews", targets="label")
    mlflow.set_experiment("inputs")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
        mlflow.log_input(dataset, context="test", tags={"fold": "1"})
        model = mlflow.initialize_logged_model(name="own", params={"depth": "3"}, tags={"t": "1"})
        mlflow.log_metric("f1", 0.8, model_id=model.model_id, dataset=dataset)
        mlflow.finalize_logged_model(model.model_id, "READY")
        mlflow.log_outputs(models=[mlflow.entities.LoggedModelOutput(model.model_id, step=2)])
    found = client.get_run(run.info.run_id)
    contexts = [{tag.key: tag.value for tag in one.tags}["mlflow.data.context"] for one in found.inputs.dataset_inputs]
    assert contexts == ["training", "test"], "MLflow's own server loses the second context"
    kept = found.inputs.dataset_inputs[0].dataset
    assert (kept.name, kept.digest, kept.schema) == ("reviews", dataset.digest, dataset.to_dict()["schema"])
    assert [(one.model_id, one.step) for one in found.outputs.model_outputs] == [(model.model_id, 2)]
    logged = mlflow.get_logged_model(model.model_id)
    assert logged.status.value == "READY" and logged.params == {"depth": "3"}
    assert [(metric.key, metric.value, metric.dataset_name) for metric in logged.metrics] == [("f1", 0.8, "reviews")]
    runs = client.search_runs([run.info.experiment_id], "dataset.name = 'reviews' and dataset.context = 'test'")
    assert [one.info.run_id for one in runs] == [run.info.run_id]

    def names(**query: object) -> list[str]:
        models = mlflow.search_logged_models(experiment_ids=[run.info.experiment_id], output_format="list", **query)
        return [one.name for one in models]

    mlflow.create_external_model(name="second", source_run_id=run.info.run_id)
    assert names(order_by=[{"field_name": "name", "ascending": True}]) == ["own", "second"]
    assert names(filter_string="metrics.f1 > 0.7", datasets=[{"dataset_name": "reviews"}]) == ["own"]
    assert names(filter_string="metrics.f1 > 0.7", datasets=[{"dataset_name": "other"}]) == []
    assert names(filter_string=f"source_run_id = '{run.info.run_id}' and params.depth = '3'") == ["own"]
    client.set_logged_model_tags(model.model_id, {"t": "2", "u": "3"})
    client.delete_logged_model_tag(model.model_id, "u")
    assert mlflow.get_logged_model(model.model_id).tags["t"] == "2"
    client.delete_logged_model(model.model_id)
    refused(lambda: mlflow.get_logged_model(model.model_id), "RESOURCE_DOES_NOT_EXIST")


def test_registered_models_and_versions_change(client: MlflowClient) -> None:
    client.create_registered_model("Changing", {"a": "1"}, "first words")
    refused(lambda: client.create_registered_model("Changing"), "RESOURCE_ALREADY_EXISTS")
    for name in ["a:b", "a/b", ""]:
        refused(lambda name=name: client.create_registered_model(name), "INVALID_PARAMETER_VALUE")
    run = client.create_run("0")
    client.log_text(run.info.run_id, "weights", "model/w.txt")
    source = f"{run.info.artifact_uri}/model"
    first = client.create_model_version("Changing", source, run.info.run_id, description="one")
    second = client.create_model_version("Changing", source, run.info.run_id, tags={"k": "v"})
    assert (first.version, second.version, second.tags) in [("1", "2", {"k": "v"}), (1, 2, {"k": "v"})]
    for climbing in [f"{source}/../../x", f"{source}/%2e%2e/x", "file:///etc", "/etc/passwd"]:
        refused(lambda uri=climbing: client.create_model_version("Changing", uri, run.info.run_id), "INVALID_PARAMETER_VALUE")
    client.update_registered_model("Changing", "other words")
    client.rename_registered_model("Changing", "Changed")
    found = client.get_registered_model("Changed")
    assert (found.description, found.tags) == ("other words", {"a": "1"})
    assert client.get_model_version("Changed", "1").description == "one"
    client.set_registered_model_alias("Changed", "champion", "2")
    assert client.get_registered_model("Changed").aliases == {"champion": "2"}
    for alias in ["latest", "v3", "a b"]:
        refused(lambda alias=alias: client.set_registered_model_alias("Changed", alias, "1"), "INVALID_PARAMETER_VALUE")
    assert client.get_model_version_download_uri("Changed", "1") == "mlflow-artifacts:/registered/Changed/1"
    client.log_text(run.info.run_id, "other weights", "model/w.txt")
    assert mlflow.artifacts.load_text("models:/Changed/1/w.txt") == "weights", "a version does not change with its source"
    versions = client.search_model_versions("name = 'Changed'", order_by=["version_number ASC"])
    assert [str(one.version) for one in versions] == ["1", "2"]
    copied = client.copy_model_version("models:/Changed/1", "Copied")
    assert mlflow.artifacts.load_text(f"models:/Copied/{copied.version}/w.txt") == "weights"
    client.delete_model_version("Changed", "2")
    assert client.get_registered_model("Changed").aliases == {}
    assert client.create_model_version("Changed", source, run.info.run_id).version in ("3", 3)


def test_stages_go_through_the_gate(client: MlflowClient) -> None:
    client.create_registered_model("Staged")
    run = client.create_run("0")
    for _ in range(2):
        client.create_model_version("Staged", f"{run.info.artifact_uri}/model", run.info.run_id)
    client.transition_model_version_stage("Staged", "1", "Staging")
    client.transition_model_version_stage("Staged", "2", "Staging", archive_existing_versions=True)
    assert client.get_model_version("Staged", "1").current_stage == "Archived"
    message = refused(lambda: client.transition_model_version_stage("Staged", "2", "Production"), "RESOURCE_CONFLICT")
    assert "never gated" in message and "trialbook.override_reason" in message
    client.set_model_version_tag("Staged", "2", "trialbook.override_reason", "the old one is broken")
    moved = client.transition_model_version_stage("Staged", "2", "Production", archive_existing_versions=True)
    assert moved.current_stage == "Production"
    assert [str(one.version) for one in client.get_latest_versions("Staged", ["Production"])] == ["2"]
    for stage in ["None", "Archived"]:
        refused(
            lambda stage=stage: client.transition_model_version_stage("Staged", "1", stage, archive_existing_versions=True),
            "INVALID_PARAMETER_VALUE",
        )


def test_images_and_tables_keep_their_names(client: MlflowClient) -> None:
    import numpy as np

    with mlflow.start_run() as run:
        mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), key="k", step=3)
        mlflow.log_table({"a": [1, 2]}, "table.json")
        mlflow.log_table({"a": [3]}, "table.json")
    names = [one.path for one in client.list_artifacts(run.info.run_id, "images")]
    assert len(names) == 2 and all("+step+3+" in name or "%step%3%" in name for name in names), names
    assert list(mlflow.load_table("table.json", run_ids=[run.info.run_id])["a"]) == [1, 2, 3]
    for name in names:
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name)
