#!/usr/bin/env bash
# Evidently 0.7.23, ValueDrift(method="psi"): one more reference row of a value that is there already takes the same
# current data from PSI 0.313 to 1.004.
#
# A value that one side lacks gets a small share, since PSI divides by it. Evidently takes 0.0001, but only while the
# smallest share of that side is above 0.0001; from then on a millionth of the smallest share, which is 1e-10 here. A
# reference of 9,999 rows with one rare value and one of 10,000 rows differ in nothing else. So PSI of a column with
# rare values grows with the size of the reference, and thresholds such as 0.1 and 0.25 do not carry over.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$dir/venv/bin/python" -W ignore - <<'PY'
import evidently
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

CURRENT = pd.DataFrame({"word": ["film"] * 950 + ["phone"] * 50})
DEFINITION = DataDefinition(categorical_columns=["word"])


def psi(n_reference):
    reference = pd.DataFrame({"word": ["film"] * (n_reference - 1) + ["plot"]})
    sides = (Dataset.from_pandas(frame, DEFINITION) for frame in (CURRENT, reference))
    return Report([ValueDrift(column="word", method="psi")]).run(*sides).dict()["metrics"][0]["value"]


fewer, more = psi(9_999), psi(10_000)
print(f"evidently {evidently.__version__}: 9,999 reference rows -> PSI {fewer:.3f}; 10,000 -> {more:.3f}")
assert (round(fewer, 3), round(more, 3)) == (0.313, 1.004), "Evidently fills empty bins otherwise now"
PY
