"""Who may do what, under which names, and what is told of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from conftest import call, new_store, serving


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[str, str, dict[str, str]]]:
    """A store, the address of its server, and a key of each scope."""
    with new_store() as store:
        keys = {scope: call(store, "keys", "add", f"{scope}er", "--scope", scope)["key"] for scope in ("predict", "read", "write", "admin")}
        with serving(store) as url:
            yield store, url, keys


def client_of(url: str, key: str | None, monkeypatch: pytest.MonkeyPatch, user: str | None = None) -> MlflowClient:
    for name in ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"]:
        monkeypatch.delenv(name, raising=False)
    if user is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", key or "")
    elif key is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    mlflow.set_tracking_uri(url)
    return MlflowClient(url, url)


def code_of(call: object) -> str | None:
    try:
        call()
    except mlflow.MlflowException as error:
        return error.error_code
    return None


def test_each_scope_opens_what_it_says(guarded: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    store, url, keys = guarded
    writer = client_of(url, keys["write"], monkeypatch)
    run = writer.create_run("0", run_name="theirs")
    writer.log_text(run.info.run_id, "x", "a.txt")
    writer.create_registered_model("Guarded")
    version = writer.create_model_version("Guarded", f"{run.info.artifact_uri}", run.info.run_id)
    assert code_of(lambda: writer.transition_model_version_stage("Guarded", version.version, "Staging")) == "PERMISSION_DENIED"
    for key, expected in [(None, "UNAUTHENTICATED"), ("tbk_wrong", "UNAUTHENTICATED"), (keys["predict"], "PERMISSION_DENIED")]:
        stranger = client_of(url, key, monkeypatch)
        assert code_of(lambda: stranger.get_run(run.info.run_id)) == expected
    reader = client_of(url, keys["read"], monkeypatch)
    assert reader.get_run(run.info.run_id).info.run_name == "theirs"
    assert code_of(lambda: reader.log_metric(run.info.run_id, "m", 1.0)) == "PERMISSION_DENIED"
    assert code_of(lambda: reader.create_experiment("no")) == "PERMISSION_DENIED"
    admin = client_of(url, keys["admin"], monkeypatch, user="adminer")
    admin.transition_model_version_stage("Guarded", version.version, "Staging")
    assert code_of(lambda: client_of(url, keys["admin"], monkeypatch, user="writer").get_run(run.info.run_id)) == "UNAUTHENTICATED"
    told = {(event["who"], event["action"], event["subject"]) for event in call(store, "audit", "--limit", "100")}
    assert ("writeer", "create", run.info.run_id) in told
    assert ("writeer", "create", "Guarded") in told and ("writeer", "register", "Guarded/1") in told
    assert ("adminer", "promote", "Guarded/1") in told


def test_basic_and_bearer_are_the_same_key(guarded: tuple) -> None:
    _, url, keys = guarded
    ask = f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0"
    basic = base64.b64encode(f"reader:{keys['read']}".encode()).decode()
    for authorization, expected in [(f"Bearer {keys['read']}", 200), (f"Basic {basic}", 200), ("Basic eA==", 401), (None, 401)]:
        headers = {"authorization": authorization} if authorization else {}
        answer = requests.get(ask, headers=headers, timeout=10)
        assert answer.status_code == expected, authorization
        assert answer.headers["content-type"] == "application/json"
        if expected == 401:
            assert answer.json()["error_code"] == "UNAUTHENTICATED"


def test_other_hosts_and_other_sites_change_nothing(server: str) -> None:
    post = f"{server}/api/2.0/mlflow/experiments/create"
    for headers, expected in [
        ({"host": "evil.test"}, 403),
        ({"origin": "https://evil.test"}, 403),
        ({"origin": server}, 200),
        ({"origin": "http://localhost:3000"}, 200),
    ]:
        name = f"from {headers}"
        answer = requests.post(post, json={"name": name}, headers=headers, timeout=10)
        assert answer.status_code == expected, headers
        assert (mlflow.get_experiment_by_name(name) is not None) == (expected == 200)
    assert "DNS rebinding" in requests.get(f"{server}/api/2.0/mlflow/runs/get", headers={"host": "evil.test"}, timeout=10).text
    form = requests.post(post, data="name=x", headers={"content-type": "application/x-www-form-urlencoded"}, timeout=10)
    assert form.status_code == 400


def test_a_server_can_leave_the_api_out_and_be_known_by_other_names() -> None:
    with new_store() as store:
        with serving(store, "serve", "--no-tracking") as url:
            answer = requests.get(f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=10)
            assert answer.status_code == 404 and "error_type" in answer.json()
        with serving(store, "--allowed-hosts", "*.lab.test") as url:
            for host, expected in [("a.lab.test", 200), ("a.lab.test:80", 200), ("lab.test", 403)]:
                answer = requests.get(f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"host": host}, timeout=10)
                assert answer.status_code == expected, host
