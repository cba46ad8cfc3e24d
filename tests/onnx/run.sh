#!/usr/bin/env bash
# What PROGRAM writes as ONNX is opened by ONNX Runtime and answers as PROGRAM does, and what Optimum wrote is
# imported, in a Python of its own unless ONNX_VENV names one.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv="${ONNX_VENV:-target/onnx-venv}"
if ! "$venv/bin/python" -c 'import onnxruntime, pytest' 2>/dev/null; then
    "${PYTHON:-python3}" -m venv "$venv"
fi
# Whatever was added since the folder was made.
"$venv/bin/pip" install --quiet -r tests/onnx/requirements.txt
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -p no:cacheprovider -q "${@:-tests/onnx}"
