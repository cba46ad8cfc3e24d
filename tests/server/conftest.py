"""One server for the whole run, with two models trained on the built-in sample."""

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


# The default one, and one more whose name has to be escaped in a path.
MODELS = ("SentimentClassifier", "Second opinion")


def call(store: str, *args: str) -> dict:
    """What a command answers in JSON."""
    done = subprocess.run([PROGRAM, "--store", store, "--json", *args], check=True, capture_output=True)
    return json.loads(done.stdout)


@contextlib.contextmanager
def new_store() -> Iterator[str]:
    """A store with the sample in it."""
    store = tempfile.mkdtemp(prefix="server-test-")
    try:
        call(store, "data", "sample")
        yield store
    finally:
        shutil.rmtree(store, ignore_errors=True)


@contextlib.contextmanager
def serving(store: str, *args: str, verb: str = "serve") -> Iterator[str]:
    """The address of a server of `store`."""
    process = subprocess.Popen(
        [PROGRAM, "--store", store, verb, "--port", "0", "--json", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server with both models in production."""
    with new_store() as store:
        for model in MODELS:
            call(store, "train", "tfidf", "--data", "sample", "--model", model, "--deploy")
        with serving(store, *[f"--model={model}" for model in MODELS]) as url:
            yield url


TICKETS = {"printer": "paper toner", "network": "wifi cable", "billing": "invoice payment"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[str, str]]:
    """The address of a server that asks for a key for everything, and the key. Its second model tells
    no good from bad."""
    with new_store() as store:
        rows = [f"the {TICKETS[label]} {n},{label}" for n in range(40) for label in TICKETS]
        file = pathlib.Path(store, "tickets.csv")
        file.write_text("\n".join(["text,label", *rows]))
        call(store, "data", "add", "tickets", str(file))
        for model, data in [("Reviews", "sample"), ("Tickets", "tickets")]:
            call(store, "train", "tfidf", "--data", data, "--model", model, "--deploy")
        key = call(store, "keys", "add", "somebody")["key"]
        with serving(store, "--auth-health", "--model=Reviews", "--model=Tickets") as url:
            yield url, key
