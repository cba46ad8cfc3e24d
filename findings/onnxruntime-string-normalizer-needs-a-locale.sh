#!/usr/bin/env bash
# ONNX Runtime 1.32.0's StringNormalizer, ONNX's operator for lower case, takes the locale of the machine. A
# model that names none, as the standard allows and skl2onnx writes, asks for en_US.UTF-8 and is not even
# opened where that is not installed, as in Debian's and Python's own images.
#
# With a locale that every Linux has, C.UTF-8, it opens, and lower-cases character by character: İ is one
# character, where Unicode (and Python) make two of it, and a Σ at a word's end is σ, where they have ς.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.32.0
cat > lower.py <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

text = "İ ΟΔΟΣ"
for locale in [{}, {"locale": "C.UTF-8"}]:
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER", is_case_sensitive=1, **locale)
    values = [helper.make_tensor_value_info(name, TensorProto.STRING, [1]) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:]), opset_imports=[helper.make_opsetid("", 10)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString())
        found = session.run(None, {"x": np.array([text], dtype=object)})[0][0]
        outcome = f"{found!r}, {'as' if found == text.lower() else 'unlike'} Python"
    except Exception as error:
        outcome = "not opened: " + ("Failed to construct locale" if "Failed to construct locale" in str(error) else str(error))
    print(f"ONNX Runtime {onnxruntime.__version__}, {locale.get('locale', 'no locale')}: {outcome}")
PY
# No locale but those of the C library itself, as in an image without any.
LOCPATH="$dir/none" venv/bin/python lower.py 2> lower.log | tee found
cat > expected <<'TXT'
ONNX Runtime 1.32.0, no locale: not opened: Failed to construct locale
ONNX Runtime 1.32.0, C.UTF-8: 'i οδοσ', unlike Python
TXT
diff expected found
echo "as described"
