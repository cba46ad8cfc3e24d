"""Every notebook runs from top to bottom, as a reader's "restart and run all" does."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def is_ours(notebook: pathlib.Path) -> bool:
    """One of them is written for stock evcxr, which is another kernel."""
    return json.loads(notebook.read_text())["metadata"]["kernelspec"]["name"] == "trialbook"


NOTEBOOKS = sorted(filter(is_ours, (ROOT / "notebooks").glob("*.ipynb")))


def test_there_are_notebooks_to_run() -> None:
    assert len(NOTEBOOKS) >= 4


@pytest.mark.usefixtures("rust")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_notebook_runs(notebook, tmp_path) -> None:
    done = run(notebook, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("rust")
@pytest.mark.parametrize("name", ["01_explore", "04_registry_and_gate"])
def test_outputs_are_what_the_notebook_was_saved_with(name, tmp_path) -> None:
    """But for ids, moments and durations. The others show measurements that differ from machine to machine."""
    shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", tmp_path)
    here = pathlib.Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "without_progress"]
    command += ["--nbval", "--nbval-sanitize-with", str(here / "sanitize.cfg"), f"{name}.ipynb"]
    env = {**os.environ, "PYTHONPATH": str(here), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"TRIALBOOK_STORE": str(tmp_path / "store"), "TRIALBOOK_USER": "analyst"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failing_cell_fails_the_conversion(tmp_path) -> None:
    notebook = tmp_path / "fails.ipynb"
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    document = {
        "cells": [{**cell, "source": ":no-such-command"}],
        "metadata": {"kernelspec": {"name": "trialbook", "display_name": "", "language": "rust"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    notebook.write_text(json.dumps(document))
    done = run(notebook, tmp_path)
    assert done.returncode != 0
    assert "no-such-command" in done.stderr


def run(notebook: pathlib.Path, folder: pathlib.Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute"]
    command += ["--output-dir", str(folder), "--output", "executed", str(notebook)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
