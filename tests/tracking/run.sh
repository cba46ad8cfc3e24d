#!/usr/bin/env bash
# MLflow's own clients track into, register in and read from servers of PROGRAM: the present one, the last
# 2.x and the skinny one, each in a Python of its own below target/ unless TRACKING_VENVS names another folder.
# The present one's also has moto, the S3 server that keeps artifacts and data; and PROGRAM keeps its registry in
# MLflow's own server, on SQLite and on PostgreSQL.
set -euo pipefail
cd "$(dirname "$0")/../.."

venvs="${TRACKING_VENVS:-target}"
# What a client would otherwise send home or ask of a network that tests do without.
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true GIT_PYTHON_REFRESH=quiet PYTHONDONTWRITEBYTECODE=1
# Tests of refusals must not wait for a client that tries again for minutes.
export MLFLOW_HTTP_REQUEST_MAX_RETRIES=1 MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR=0

python_of() {
    local venv="$venvs/$1" requirements="$2"
    if ! [ -x "$venv/bin/mlflow" ]; then
        "${PYTHON:-python3}" -m venv "$venv"
        "$venv/bin/pip" install --quiet -r "tests/tracking/$requirements"
    fi
    # Whatever was added since the folder was made.
    "$venv/bin/pip" install --quiet -r "tests/tracking/$requirements"
}

# A registry on PostgreSQL is tested with Debian's package; its test says so where it is missing.
if ! compgen -G "/usr/lib/postgresql/*/bin/initdb" > /dev/null && command -v apt-get > /dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    "${as_root[@]}" apt-get update -qq \
        && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qq --yes --no-install-recommends postgresql > /dev/null \
        || echo "PostgreSQL could not be installed" >&2
fi

python_of tracking-venv requirements.txt
python_of tracking2-venv requirements-2.txt
python_of tracking-skinny-venv requirements-skinny.txt

pytest_with() {
    local venv="$1"
    shift
    "$venvs/$venv/bin/python" -m pytest -p no:cacheprovider -q "$@"
}

if [ $# -gt 0 ]; then
    pytest_with tracking-venv "$@"
    exit
fi
pytest_with tracking-venv tests/tracking --ignore tests/tracking/test_skinny.py
pytest_with tracking2-venv tests/tracking/test_day.py
pytest_with tracking-skinny-venv tests/tracking/test_skinny.py
