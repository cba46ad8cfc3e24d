"""One server without a model for the whole run, on a store of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("PROGRAM", ROOT / "target/release/trialbook")).resolve()


def pytest_configure() -> None:
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is not there: `just build`, or name another in PROGRAM", returncode=2)


def call(store: str, *args: str) -> object:
    """What a command answers in JSON."""
    done = subprocess.run([PROGRAM, "--store", store, "--json", *args], check=True, capture_output=True)
    return json.loads(done.stdout)


@contextlib.contextmanager
def serving(store: str, *args: str) -> Iterator[str]:
    """The address of a server of `store`: `ui` with `args`, unless they name another command."""
    command = args if args and args[0] in ("ui", "serve") else ("ui", "--no-browser", *args)
    process = subprocess.Popen(
        [PROGRAM, "--store", store, "--json", *command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextlib.contextmanager
def new_store() -> Iterator[str]:
    store = tempfile.mkdtemp(prefix="tracking-test-")
    try:
        yield store
    finally:
        shutil.rmtree(store, ignore_errors=True)


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    with new_store() as store:
        yield store


@pytest.fixture(scope="session")
def server(store: str) -> Iterator[str]:
    """The address of the run's server."""
    with serving(store) as url:
        yield url


@pytest.fixture(autouse=True)
def tracked(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The client of each test tracks to the server, and has no run left open."""
    import mlflow

    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    mlflow.set_tracking_uri(server)
    mlflow.set_registry_uri(server)
    yield
    while mlflow.active_run() is not None:
        mlflow.end_run()
