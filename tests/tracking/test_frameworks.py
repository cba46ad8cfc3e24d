"""Clients inside other people's frameworks: autologging of scikit-learn, callbacks of Optuna and Transformers."""

from __future__ import annotations

import types

import mlflow
import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from optuna_integration.mlflow import MLflowCallback as OptunaCallback
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV


def test_autologging_of_scikit_learn_tracks_a_search_and_its_model() -> None:
    experiment = mlflow.set_experiment("autolog")
    mlflow.sklearn.autolog(max_tuning_runs=3)
    try:
        x = np.arange(40, dtype=float).reshape(-1, 1)
        search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2)
        with mlflow.start_run() as run:
            search.fit(x, (x[:, 0] > 20).astype(int))
    finally:
        mlflow.sklearn.autolog(disable=True)
    found = mlflow.get_run(run.info.run_id)
    assert found.data.params["best_C"] and "training_f1_score" in found.data.metrics
    children = MlflowClient().search_runs(
        [experiment.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'", order_by=["metrics.mean_test_score DESC"]
    )
    assert len(children) == 3
    assert [one.path for one in MlflowClient().list_artifacts(run.info.run_id)].count("cv_results.csv") == 1
    models = mlflow.search_logged_models(experiment_ids=[experiment.experiment_id], output_format="list")
    best = [model for model in models if model.source_run_id == run.info.run_id]
    assert best and len(mlflow.pyfunc.load_model(f"models:/{best[0].model_id}").predict(x)) == 40


def test_optunas_callback_tracks_every_trial(server: str) -> None:
    callback = OptunaCallback(tracking_uri=server, metric_name="loss", mlflow_kwargs={"nested": True})
    study = optuna.create_study(study_name="optuna study")
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5, callbacks=[callback])
    runs = mlflow.search_runs(experiment_names=["optuna study"], order_by=["metrics.loss ASC"])
    assert len(runs) == 5
    assert runs["metrics.loss"][0] == pytest.approx(study.best_value)
    assert float(runs["params.x"][0]) == pytest.approx(study.best_params["x"])


def test_transformers_callback_tracks_a_training(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """The callback itself, called as a Trainer calls it: a Trainer would need PyTorch."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "transformers")
    monkeypatch.setenv("HF_MLFLOW_LOG_ARTIFACTS", "0")
    from transformers.integrations import MLflowCallback

    nested = {"a": {"b": [1, 2]}, "lr": 5e-5}
    arguments = types.SimpleNamespace(
        run_name="tuned", output_dir=str(tmp_path), to_dict=lambda: {"learning_rate": 5e-5, "nested": nested, "long": "x" * 9000}
    )
    state = types.SimpleNamespace(is_world_process_zero=True, global_step=0)
    model = types.SimpleNamespace(config=types.SimpleNamespace(to_dict=lambda: {"hidden": 8, "id2label": {0: "neg", 1: "pos"}}))
    callback = MLflowCallback()
    callback.setup(arguments, state, model)
    run_id = mlflow.active_run().info.run_id
    for step in range(1, 4):
        state.global_step = step
        callback.on_log(arguments, state, None, {"loss": 1 / step}, model=model)
    callback.on_train_end(arguments, state, None)
    mlflow.end_run()
    found = mlflow.get_run(run_id)
    assert found.data.metrics["loss"] == pytest.approx(1 / 3)
    assert found.data.params["hidden"] == "8" and found.data.params["nested"] == str(nested)
    assert found.info.run_name == "tuned"
