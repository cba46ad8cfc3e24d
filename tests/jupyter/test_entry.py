"""The kernel's entry in Jupyter's list."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest
from jupyter_client.kernelspec import KernelSpecManager


def call(program, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [program, *arguments], check=False, capture_output=True, text=True, **options
    )


def test_jupyter_finds_the_kernel_with_its_logos(program) -> None:
    spec = KernelSpecManager().get_kernel_spec("trialbook")
    assert spec.display_name == "Rust (trialbook)"
    assert spec.language == "rust"
    assert spec.interrupt_mode == "message"
    assert spec.argv[0] == str(program)
    names = {path.name for path in pathlib.Path(spec.resource_dir).iterdir()}
    assert names == {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"}


def test_an_entry_below_a_prefix_comes_and_goes(program, tmp_path) -> None:
    done = call(program, "kernel", "install", "--prefix", str(tmp_path), "--name", "other")
    entry = tmp_path / "share/jupyter/kernels/other"
    assert done.returncode == 0 and str(entry) in done.stdout
    assert json.loads((entry / "kernel.json").read_text())["argv"][1:3] == ["kernel", "run"]
    # Once more, as after an update.
    assert call(program, "kernel", "install", "--prefix", str(tmp_path), "--name", "other").returncode == 0
    done = call(program, "kernel", "uninstall", "--prefix", str(tmp_path), "--name", "other")
    assert done.returncode == 0 and not entry.exists()
    done = call(program, "kernel", "uninstall", "--prefix", str(tmp_path), "--name", "other")
    assert done.returncode == 1 and "kernelspec list" in done.stderr


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_is_found(program, tmp_path, variable) -> None:
    env = {variable: str(tmp_path), "PATH": "/nowhere"}
    done = call(program, "kernel", "install", "--sys-prefix", env=env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "share/jupyter/kernels/trialbook/kernel.json").exists()


def test_another_kernels_entry_is_left_alone(program, tmp_path) -> None:
    entry = tmp_path / "share/jupyter/kernels/python3"
    entry.mkdir(parents=True)
    (entry / "kernel.json").write_text('{"argv": ["python3"], "display_name": "Python 3"}')
    done = call(program, "kernel", "uninstall", "--prefix", str(tmp_path), "--name", "python3")
    assert done.returncode == 1 and "another kernel" in done.stderr
    assert (entry / "kernel.json").exists()
