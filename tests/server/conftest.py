"""One server for the whole run, with two models trained on the built-in sample."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server with both models in production."""
    store = tempfile.mkdtemp(prefix="server-test-")
    try:
        subprocess.run([PROGRAM, "--store", store, "data", "sample"], check=True, capture_output=True)
        for model in MODELS:
            train = ["train", "tfidf", "--data", "sample", "--model", model, "--deploy"]
            subprocess.run([PROGRAM, "--store", store, *train], check=True, capture_output=True)
        named = [f"--model={model}" for model in MODELS]
        process = subprocess.Popen(
            [PROGRAM, "--store", store, "serve", "--port", "0", "--json", *named],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait(timeout=20)
    finally:
        shutil.rmtree(store, ignore_errors=True)
