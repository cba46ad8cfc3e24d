"""What Schemathesis, which asks whatever the OpenAPI document allows and much that it does not, finds."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

SCHEMATHESIS = pathlib.Path(sys.executable).with_name("schemathesis")
# It knows lines of JSON, and the names of the models.
HOOKS = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(pathlib.Path(__file__).parent)}


@pytest.mark.parametrize("hooks", [HOOKS, {}], ids=["with hooks", "as it comes"])
def test_the_server_does_what_its_document_says(server: str, tmp_path: pathlib.Path, hooks: dict[str, str]) -> None:
    done = subprocess.run(
        [
            SCHEMATHESIS,
            "run",
            f"{server}/openapi.json",
            "--url",
            server,
            "--checks",
            "all",
            "--max-examples",
            "200",
            "--seed",
            "1",
            "--generation-database",
            "none",
            "--no-color",
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **hooks},
    )
    assert done.returncode == 0, done.stdout + done.stderr
