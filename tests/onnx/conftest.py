"""A store for each test, the program, and its answers to texts."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures"
PROGRAM = pathlib.Path(os.environ.get("PROGRAM", ROOT / "target/release/trialbook")).resolve()


def pytest_configure() -> None:
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is not there: `just build`, or name another in PROGRAM", returncode=2)


class Store:
    """A folder of the program's, and what is asked of it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def run(self, *args: object) -> subprocess.CompletedProcess[bytes]:
        command = [PROGRAM, "--store", self.folder / "store", "--json", *map(str, args)]
        return subprocess.run(command, capture_output=True, cwd=self.folder)

    def call(self, *args: object) -> dict:
        """What a command answers in JSON."""
        done = self.run(*args)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def dataset(self, name: str, rows: Iterable[tuple[str, str]]) -> None:
        """Adds texts with their labels, as train and as test split."""
        file = self.folder / f"{name}.jsonl"
        lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
        file.write_text("\n".join(lines) + "\n")
        self.call("data", "add", name, "--train", file, "--test", file)

    def answers(self, model: str, texts: list[str]) -> tuple[list[str], np.ndarray]:
        """The label and the probabilities of each text, by `predict`."""
        asked, answered = self.folder / "asked.jsonl", self.folder / "answered.jsonl"
        asked.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        self.call("predict", "--model", model, "--in", asked, "--out", answered, "--force")
        rows = [json.loads(line) for line in answered.read_text().splitlines()]
        assert [row["text"] for row in rows] == texts
        scores = [[value for key, value in row.items() if key.startswith("score_")] for row in rows]
        return [row["label"] for row in rows], np.array(scores, dtype=np.float64)

    def exported(self, model: str) -> pathlib.Path:
        """The folder with `model` as ONNX, which onnx's own checker takes."""
        folder = self.folder / f"exported-{model.replace('/', '-')}"
        written = self.call("models", "export", model, folder, "--format", "onnx")
        assert written["files"] == sorted(path.name for path in folder.iterdir())
        onnx.checker.check_model(folder / "model.onnx", full_check=True)
        return folder


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Store:
    return Store(tmp_path)


def session(folder: pathlib.Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
