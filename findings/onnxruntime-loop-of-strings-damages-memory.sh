#!/usr/bin/env bash
# ONNX Runtime up to 1.27.0 collects the strings that a Loop computes, one in each round, by copying their
# bytes: the standard allows it, the checker takes the model, and the process ends with "free(): invalid
# pointer" when the result is given back. 1.28.0 answers.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.27.0
cat > loop.py <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper


def value(name, of, sizes):
    return helper.make_tensor_value_info(name, of, sizes)


body = helper.make_graph(
    [helper.make_node("Identity", ["on"], ["still_on"]), helper.make_node("Gather", ["x", "round"], ["text"])],
    "body",
    [value("round", TensorProto.INT64, []), value("on", TensorProto.BOOL, [])],
    [value("still_on", TensorProto.BOOL, []), value("text", TensorProto.STRING, [])],
)
nodes = [helper.make_node("Size", ["x"], ["n_texts"]), helper.make_node("Loop", ["n_texts", "yes"], ["y"], body=body)]
constants = [helper.make_tensor("yes", TensorProto.BOOL, [], [True])]
texts = [value(name, TensorProto.STRING, ["n"]) for name in "xy"]
graph = helper.make_graph(nodes, "g", texts[:1], texts[1:], initializer=constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)])
model.ir_version = 8
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model.SerializeToString())
asked = np.array(["a", "b", "a text of more than sixteen bytes"], dtype=object)
for _ in range(10):
    found = session.run(None, {"x": asked})[0]
print(f"ONNX Runtime {onnxruntime.__version__}: {'the same strings' if list(found) == list(asked) else found}")
PY
status=0
older=$(venv/bin/python loop.py 2> loop.log) || status=$?
venv/bin/pip install --quiet onnxruntime==1.28.0
newer=$(venv/bin/python loop.py)
printf '1.27.0: %s, then status %s: %s\n%s\n' "${older:-nothing}" "$status" "$(grep -o 'free.*' loop.log)" "$newer"
[ "$status" -eq 134 ]
[ "$newer" = "ONNX Runtime 1.28.0: the same strings" ]
echo "as described"
