#!/usr/bin/env bash
# skl2onnx 1.20.0 converts a TfidfVectorizer with `sublinear_tf=True` into a graph that counts a term n times
# where scikit-learn counts it 1 + ln(n) times: no error, no warning, other probabilities for every text in
# which a known word stands twice. Without `sublinear_tf` the same texts agree to the last digit of 32 bits.
#
# Its pairs of words are others too, unless the option `tokenexp` is given: scikit-learn leaves words of one
# character out before it makes pairs, so "good a film" has the pair "good film"; the graph has not.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0
cat > convert.py <<'PY'
import warnings

import numpy as np
import onnxruntime
import skl2onnx
import sklearn
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

texts = ["good film really good", "bad film", "nice good one", "awful bad film bad", "good good good", "bad bad bad a bad"]
asked = ["good film good", "not a good good film", "good film", "good a film"]
print(f"skl2onnx {skl2onnx.__version__}, scikit-learn {sklearn.__version__}, ONNX Runtime {onnxruntime.__version__}")


def difference(**settings):
    # The texts are in lower case: what becomes of others depends on the machine's locale.
    model = make_pipeline(TfidfVectorizer(lowercase=False, **settings), LogisticRegression(C=10)).fit(texts, [1, 0, 1, 0, 1, 0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        converted = skl2onnx.to_onnx(
            model, initial_types=[("x", StringTensorType([None, 1]))], options={id(model.steps[1][1]): {"zipmap": False}}
        )
    told = sum("sublinear" in str(warning.message) for warning in caught)
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    found = session.run(None, {"x": np.array(asked, dtype=object).reshape(-1, 1)})[1]
    rows = " ".join(f"{abs(row):.4f}" for row in (found - model.predict_proba(asked))[:, 1])
    return f"{rows} ({told} warnings)"


print("plain:", difference())
print("sublinear:", difference(sublinear_tf=True))
print("pairs:", difference(ngram_range=(1, 2)))
PY
venv/bin/python convert.py 2> convert.log | tee found
cat > expected <<'TXT'
skl2onnx 1.20.0, scikit-learn 1.9.1, ONNX Runtime 1.32.0
plain: 0.0000 0.0000 0.0000 0.0000 (0 warnings)
sublinear: 0.0066 0.0066 0.0000 0.0000 (0 warnings)
pairs: 0.0000 0.0000 0.0000 0.0168 (0 warnings)
TXT
diff expected found
echo "as described"
