"""Gives the inference service to the models of KServe's own SDK, strictly, and its container to Kubernetes' schemas: writes
a pod of it for those to read. The SDK's models are read without the rest of it, which wants much that nothing here needs."""

import importlib
import pathlib
import sys
import types

import yaml

manifest, folder, pod = sys.argv[1:]
package = types.ModuleType("kserve")
package.__path__ = [str(pathlib.Path(folder, "kserve"))]
sys.modules["kserve"] = package
models = types.ModuleType("kserve.models")
models.__path__ = [str(pathlib.Path(folder, "kserve", "models"))]
sys.modules["kserve.models"] = models


def model_of(kind):
    """The class called so, out of its file: V1beta1PredictorSpec is in v1beta1_predictor_spec.py."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind).lstrip("_")
    return getattr(importlib.import_module(f"kserve.models.{name}"), kind)


def check(value, kind, place):
    """A value of one of the models' types; a field that they do not know is an error."""
    plain = {"str": str, "int": int, "bool": bool, "float": (int, float)}
    if kind.startswith("list["):
        assert isinstance(value, list), f"{place}: {value!r} is no list"
        for idx, item in enumerate(value):
            check(item, kind[5:-1], f"{place}[{idx}]")
    elif kind in plain:
        assert isinstance(value, plain[kind]), f"{place}: {value!r} is no {kind}"
    elif kind.startswith("V1beta1"):
        fields = {key: attribute for attribute, key in model_of(kind).attribute_map.items()}
        for key, item in value.items():
            assert key in fields, f"{place}.{key} is not known: expected one of {sorted(fields)}"
            check(item, model_of(kind).openapi_types[fields[key]], f"{place}.{key}")
    else:
        # Kubernetes' own, which its schemas read.
        assert kind.startswith(("V1", "object", "dict")), f"{place}: a {kind} is of neither KServe nor Kubernetes"


document = yaml.safe_load(open(manifest, encoding="utf-8"))
check(document, "V1beta1InferenceService", "service")
assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
try:
    check({**document, "spec": {"predictor": {"canaryPercent": 10}}}, "V1beta1InferenceService", "service")
except AssertionError:
    pass
else:
    sys.exit("error: a field that KServe does not know was not noticed")
predictor = document["spec"]["predictor"]
assert 0 <= predictor["canaryTrafficPercent"] <= 100
assert [container["name"] for container in predictor["containers"]] == ["kserve-container"], "the name KServe looks for"
with open(pod, "w", encoding="utf-8") as file:
    spec = {"containers": predictor["containers"]}
    yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trialbook"}, "spec": spec}, file)
print("the models of KServe's SDK know every field of the inference service")
