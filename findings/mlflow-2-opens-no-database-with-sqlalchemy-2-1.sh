#!/usr/bin/env bash
# MLflow 2.22.5, the last of 2.x, allows any SQLAlchemy below 3. A new installation gets 2.1, whose
# `sqlalchemy.pool` has no FallbackAsyncAdaptedQueuePool any more; MLflow imports that name by itself.
#
# The package installs, imports and tracks into a folder (`mlruns`). The first run in a SQLite database ends
# with an ImportError. With SQLAlchemy 2.0 the same lines work. Who wants to read an old `mlflow.db` by the
# version that wrote it has to pin SQLAlchemy below 2.1.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true GIT_PYTHON_REFRESH=quiet
python3 -m venv venv
venv/bin/pip install --quiet mlflow==2.22.5 SQLAlchemy==2.1.9
cat > track.py <<'PY'
import sys

import mlflow
import sqlalchemy

mlflow.set_tracking_uri(sys.argv[1])
try:
    with mlflow.start_run():
        mlflow.log_metric("f1", 0.9)
    outcome = "one run"
except ImportError as error:
    outcome = f"ImportError: {str(error).split(' (')[0]}"
print(f"mlflow {mlflow.__version__}, SQLAlchemy {sqlalchemy.__version__}: {outcome}")
PY
folder=$(venv/bin/python track.py "file://$dir/mlruns" 2> folder.log | tail -1)
newer=$(venv/bin/python track.py "sqlite:///$dir/newer.db" 2> newer.log | tail -1)
venv/bin/pip install --quiet SQLAlchemy==2.0.44
older=$(venv/bin/python track.py "sqlite:///$dir/older.db" 2> older.log | tail -1)
printf 'folder:   %s\ndatabase: %s\ndatabase: %s\n' "$folder" "$newer" "$older"
[ "$folder" = "mlflow 2.22.5, SQLAlchemy 2.1.9: one run" ]
[ "$newer" = "mlflow 2.22.5, SQLAlchemy 2.1.9: ImportError: cannot import name 'FallbackAsyncAdaptedQueuePool' from 'sqlalchemy.pool'" ]
[ "$older" = "mlflow 2.22.5, SQLAlchemy 2.0.44: one run" ]
echo "as described"
