#!/usr/bin/env bash
# Runs everything here against a server of PROGRAM, in a Python of its own unless SERVER_VENV names one. The pages are
# tried in the Chromium that is installed, or the one that CHROMIUM names; root installs Debian's where there is none.
set -euo pipefail
cd "$(dirname "$0")/../.."

chromium="${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}"
if [ -z "$chromium" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium >/dev/null
fi

venv="${SERVER_VENV:-target/server-venv}"
if ! cmp --silent tests/server/requirements.txt "$venv/requirements.txt"; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet -r tests/server/requirements.txt
    cp tests/server/requirements.txt "$venv/requirements.txt"
fi
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -p no:cacheprovider "${@:-tests/server}"
