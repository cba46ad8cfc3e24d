#!/usr/bin/env bash
# Runs everything here against PROGRAM, in a Python of its own unless JUPYTER_VENV names one.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv="${JUPYTER_VENV:-target/jupyter-venv}"
if ! [ -x "$venv/bin/jupyter-nbconvert" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet -r tests/jupyter/requirements.txt
fi
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -p no:cacheprovider "${@:-tests/jupyter}"
