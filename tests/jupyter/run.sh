#!/usr/bin/env bash
# Runs everything here against PROGRAM, in a Python of its own unless JUPYTER_VENV names one.
# `--stock KERNEL` runs the notebook for stock evcxr in evcxr's kernel instead.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv="${JUPYTER_VENV:-target/jupyter-venv}"
if ! "$venv/bin/python" -c 'import nbconvert, nbval' 2>/dev/null; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet -r tests/jupyter/requirements.txt
fi
if [ "${1:-}" = --stock ]; then
    exec "$venv/bin/python" tests/jupyter/stock.py "$2"
fi
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -p no:cacheprovider "${@:-tests/jupyter}"
