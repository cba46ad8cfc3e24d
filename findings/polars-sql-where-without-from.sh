#!/usr/bin/env bash
# polars 2.1.0 (Python), pl.sql: `SELECT 1 AS one WHERE 1 = 2` answers one row.
#
# A query without FROM has one row, which WHERE may take away: SQLite, run beside it, answers no row.
# polars leaves WHERE out where there is no FROM, and says nothing, so that whoever guards a constant
# by a condition (`SELECT 'alert' AS a WHERE …`) gets it always. With FROM it works:
# `SELECT 1 AS one FROM t WHERE 1 = 2` answers no row.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$dir/venv/bin/python" - <<'PY'
import sqlite3

import polars as pl

t = pl.DataFrame({"x": [1, 2, 3]})
context = pl.SQLContext(t=t)
query = "SELECT 1 AS one WHERE 1 = 2"
without = context.execute(query, eager=True)["one"].to_list()
with_from = context.execute("SELECT 1 AS one FROM t WHERE 1 = 2", eager=True)["one"].to_list()
sqlite = sqlite3.connect(":memory:").execute(query).fetchall()
print(f"polars {pl.__version__}: {query} -> {without}; with FROM -> {with_from}; SQLite {sqlite3.sqlite_version} -> {sqlite}")
assert (without, with_from, sqlite) == ([1], [], []), "polars answers otherwise now"
PY
