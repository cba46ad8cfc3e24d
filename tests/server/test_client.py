"""A Python client that openapi-python-client generates from the OpenAPI document, and what it can do."""

from __future__ import annotations

import importlib
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from conftest import MODELS

GENERATOR = pathlib.Path(sys.executable).with_name("openapi-python-client")
# Without the formatter, which only takes time.
CONFIG = "post_hooks: []\n"
NAME = "generated_client"


@pytest.fixture(scope="module")
def package(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated package. It cannot send lines of JSON; apart from that the generator has nothing to complain of."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yaml").write_text(CONFIG)
    command = [GENERATOR, "generate", "--url", f"{server}/openapi.json", "--meta", "none"]
    command += ["--config", "config.yaml", "--output-path", NAME]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("WARNING") == said.count("Unsupported content type application/x-ndjson") == 4, said
    sys.path.insert(0, str(folder))
    yield importlib.import_module(NAME)
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def ask(package: ModuleType, server: str):
    """Calls an operation: the status, and what it answers as an object of the package."""
    client = package.Client(base_url=server, raise_on_unexpected_status=True)

    def call(operation: str, **arguments):
        module = importlib.import_module(f"{NAME}.api.default.{operation}")
        response = module.sync_detailed(client=client, **arguments)
        return response.status_code, response.parsed

    return call


@pytest.fixture(scope="module")
def models(package: ModuleType) -> ModuleType:
    return importlib.import_module(f"{NAME}.models")


def test_there_is_one_type_of_error(models) -> None:
    folder = pathlib.Path(models.__file__).parent
    assert [file.name for file in folder.glob("*error*.py")] == ["error.py"]
    # Of the others only a health report may have these fields.
    assert [file.name for file in folder.glob("*.py") if "\n    error_type: str\n" in file.read_text()] == ["error.py"]


@pytest.mark.parametrize("fields", [{}, {"model": None, "truncate": None}, {"model": MODELS[1], "truncate": False}])
def test_one_text(ask, models, fields) -> None:
    status, answer = ask("post_predict", body=models.Question("An utterly wonderful film.", **fields))
    assert status == 200
    assert isinstance(answer, models.Prediction)
    assert answer.label in answer.scores.additional_properties
    # MODELS know two classes, and are trained without a threshold of their own.
    assert answer.threshold == 0.5
    assert answer.model.name == (fields.get("model") or MODELS[0])


@pytest.mark.parametrize("fields", [{}, {"model": None, "truncate": None}])
def test_a_batch(ask, models, fields) -> None:
    texts = ["An utterly wonderful film.", "A waste of an evening."]
    status, answers = ask("post_predict_batch", body=models.BatchQuestion(texts, **fields))
    assert status == 200
    assert [type(answer) for answer in answers] == [models.Prediction] * 2


@pytest.mark.parametrize("fields", [{}, {"model": None, "truncate": None}])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_in_the_path(ask, models, model, fields) -> None:
    question = models.QuestionToModel("An utterly wonderful film.", **fields)
    assert ask("post_models_model_predict", model=model, body=question)[1].model.name == model
    batch = models.BatchQuestionToModel(["An utterly wonderful film."], **fields)
    assert ask("post_models_model_predict_batch", model=model, body=batch)[1][0].model.name == model


def test_errors(ask, models) -> None:
    good = models.Question("An utterly wonderful film.")
    answers = [
        ask("post_predict", body=models.Question("An utterly wonderful film.", model="nobody")),
        ask("post_models_model_predict", model="nobody", body=models.QuestionToModel(good.text)),
        ask("post_predict", body=models.Question(" ")),
        ask("post_predict_batch", body=models.BatchQuestion([])),
    ]
    assert [type(answer) for _, answer in answers] == [models.Error] * 4
    assert [(status, answer.error_type) for status, answer in answers] == [
        (404, "model_not_found"),
        (404, "model_not_found"),
        (422, "validation_error"),
        (422, "validation_error"),
    ]
    assert isinstance(answers[0][1].detail, str)
    assert answers[2][1].detail[0].loc == ["body", "text"]


def test_what_is_served(ask, models) -> None:
    status, health = ask("get_health")
    assert status == 200
    assert isinstance(health, models.Health)
    assert health.status == models.Status.OK
    assert [model.name for model in health.models] == list(MODELS)
    assert [entry.model.name for entry in ask("get_models")[1].models] == list(MODELS)
    assert ask("get_health_live")[1].status == "ok"
    assert ask("get_health_ready")[1].model.name == MODELS[0]
    assert ask("get_info")[1].models == list(MODELS)
