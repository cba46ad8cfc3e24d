"""Runs the notebook for stock evcxr in evcxr's own kernel, and looks at what its cells show.

usage: stock.py EVCXR_JUPYTER   evcxr's kernel program; `just test-stock-evcxr` installs one

evcxr compiles polars for it, so it takes minutes and is no part of the ordinary tests."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks/06_stock_evcxr.ipynb"


def main() -> None:
    program = pathlib.Path(sys.argv[1]).resolve()
    check_dependencies()
    with tempfile.TemporaryDirectory(prefix="stock-evcxr-") as home:
        kernel = pathlib.Path(home, "data/kernels/rust")
        kernel.mkdir(parents=True)
        argv = [str(program), "--control_file", "{connection_file}"]
        spec = {"argv": argv, "display_name": "Rust", "language": "rust"}
        kernel.joinpath("kernel.json").write_text(json.dumps(spec))
        # Neither settings nor a store of the person's.
        os.environ.update(
            EVCXR_CONFIG_DIR=f"{home}/config",
            JUPYTER_DATA_DIR=f"{home}/data",
            JUPYTER_RUNTIME_DIR=f"{home}/runtime",
            TRIALBOOK_STORE=f"{home}/store",
        )
        document = nbformat.read(NOTEBOOK, as_version=4)
        started = time.perf_counter()
        # The `:dep` is a path beside the notebook.
        client = NotebookClient(
            document, timeout=3000, kernel_name="rust", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
        )
        client.execute()
        print(f"{NOTEBOOK.name}: every cell ran, in {time.perf_counter() - started:.0f} s")
    look_at(document)


def check_dependencies() -> None:
    """Nothing of evcxr may be in what evcxr has to compile."""
    command = ["cargo", "tree", "--locked", "--package", "trialbook", "--no-default-features"]
    command += ["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    crates = {line.split()[0] for line in tree.splitlines() if line.strip()}
    ours = sorted(name for name in crates if name.startswith(("evcxr", "ra_ap", "salsa")))
    assert "polars" in crates and not ours, f"a notebook compiles {ours}"
    print(f"a notebook compiles {len(crates)} crates, none of them evcxr's")


def look_at(document) -> None:
    """A table, a plot and a sentence have to be there, each as a notebook shows it."""
    shown = [output for cell in document.cells for output in cell.get("outputs", [])]
    data = [output["data"] for output in shown if "data" in output]
    html = [bundle["text/html"] for bundle in data if "text/html" in bundle]
    images = [bundle["image/svg+xml"] for bundle in data if "image/svg+xml" in bundle]
    streams = "".join(output["text"] for output in shown if output["output_type"] == "stream")
    assert any("<table" in page and "text" in page for page in html), "no DataFrame is shown as a table"
    assert any("reviews" in page and "mean words" in page for page in html), "no grouped table is shown"
    assert any("<svg" in image and "How long the reviews are" in image for image in images), "no plot is shown"
    assert "%)" in streams, f"no prediction is printed: {streams!r}"
    print(f"shown: {len(html)} tables, {len(images)} plots")


if __name__ == "__main__":
    main()
