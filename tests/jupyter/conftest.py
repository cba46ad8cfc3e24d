"""One temporary Jupyter for the whole run: its own data, runtime and configuration folders, the
kernel installed there, and a store that holds the built-in sample."""

from __future__ import annotations

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
    # Before anything of Jupyter is imported: it reads these only once.
    home = tempfile.mkdtemp(prefix="jupyter-test-")
    os.environ.update(
        JUPYTER_CONFIG_DIR=f"{home}/config",
        JUPYTER_DATA_DIR=f"{home}/data",
        JUPYTER_RUNTIME_DIR=f"{home}/runtime",
        TMPDIR=f"{home}/tmp",
        TRIALBOOK_STORE=f"{home}/store",
    )
    os.makedirs(f"{home}/tmp")
    tempfile.tempdir = None
    pytest.jupyter_home = pathlib.Path(home)
    call("kernel", "install", "--user")
    call("data", "sample")
    if has_rust():
        # Minutes the first time, nothing after that.
        call("prelude", "build")


def pytest_unconfigure() -> None:
    shutil.rmtree(pytest.jupyter_home, ignore_errors=True)


def call(*arguments: str) -> str:
    done = subprocess.run([PROGRAM, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.exit(f"{PROGRAM} {' '.join(arguments)}: {done.stderr}", returncode=2)
    return done.stdout


def has_rust() -> bool:
    return shutil.which("rustc") is not None


@pytest.fixture(scope="session")
def rust() -> None:
    """For tests that compile: skipped where no toolchain is."""
    if not has_rust():
        pytest.skip("no Rust toolchain")


@pytest.fixture(scope="module")
def shared() -> Iterator:
    """A kernel for tests that leave it as they found it."""
    from kernel import Kernel

    kernel = Kernel()
    yield kernel
    kernel.close()


@pytest.fixture
def own() -> Iterator:
    """A kernel for one test."""
    from kernel import Kernel

    kernel = Kernel()
    yield kernel
    kernel.close()


@pytest.fixture
def program() -> pathlib.Path:
    return PROGRAM
