#!/usr/bin/env bash
# Draws the README's pictures with PROGRAM, in a Python of its own unless PICTURES_VENV names one. The page is looked
# at in the Chromium that is installed, or the one that CHROMIUM names.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv="${PICTURES_VENV:-target/pictures-venv}"
if ! [ -x "$venv/bin/playwright" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet playwright==1.65.2 pyte==0.8.2
fi
"$venv/bin/python" docs/pictures/draw.py
