#!/usr/bin/env bash
# onnx 1.23.2: `shape_inference.infer_shapes`, and so `checker.check_model(full_check=True)`, ends with a
# segmentation fault for a valid model in which a LabelEncoder reads a value of unknown type, such as the
# output of an operator of another domain (ONNX Runtime's com.microsoft.Tokenizer). The plain checker takes
# the model, and with the value's type in `value_info` both do.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2
cat > infer.py <<'PY'
import sys

import onnx
from onnx import TensorProto, helper

nodes = [
    helper.make_node("Tokenizer", ["x"], ["y"], domain="com.microsoft", mark=0, pad_value="", mincharnum=1, tokenexp="[a-z]+"),
    helper.make_node("LabelEncoder", ["y"], ["z"], domain="ai.onnx.ml", keys_strings=["a"], values_strings=["b"]),
]
texts = [helper.make_tensor_value_info(name, TensorProto.STRING, sizes) for name, sizes in [("x", [1]), ("z", [1, "n"])]]
graph = helper.make_graph(nodes, "g", texts[:1], texts[1:])
if sys.argv[1] == "typed":
    graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.STRING, [1, "n"]))
opsets = [helper.make_opsetid(domain, version) for domain, version in [("", 20), ("com.microsoft", 1), ("ai.onnx.ml", 3)]]
model = helper.make_model(graph, opset_imports=opsets)
onnx.checker.check_model(model)
print(f"onnx {onnx.__version__}: valid", flush=True)
onnx.shape_inference.infer_shapes(model)
print("inferred", flush=True)
PY
status=0
venv/bin/python infer.py untyped > untyped 2> untyped.log || status=$?
typed=$(venv/bin/python infer.py typed | tail -1)
printf '%s, then status %s\nwith its type: %s\n' "$(cat untyped)" "$status" "$typed"
[ "$(cat untyped)" = "onnx 1.23.2: valid" ]
[ "$status" -eq 139 ]
[ "$typed" = "inferred" ]
echo "as described"
