"""Gives the experiment that the program compiles to the models of Katib's own SDK, strictly, and holds it to what
Katib's admission webhook asks of an experiment. Writes the job of a first trial, for Kubernetes' schemas to read.

The SDK wants older packages than Kubeflow Pipelines' does, so its models are read without the rest of it: they need
nothing but what is here anyway. The schema in Katib's CRD says only that an experiment is an object."""

import importlib
import json
import pathlib
import re
import sys
import types

import yaml

for name in ("kubeflow", "kubeflow.katib"):
    package = types.ModuleType(name)
    package.__path__ = [str(pathlib.Path(sys.argv[4], *name.split(".")))]
    sys.modules[name] = package
models = importlib.import_module("kubeflow.katib.models")


def check(value, kind, place):
    """A value of one of the models' types; a field that they do not know is an error."""
    plain = {"str": str, "int": int, "bool": bool, "object": object, "dict": dict}
    if kind.startswith("list["):
        assert isinstance(value, list), f"{place}: {value!r} is no list"
        for idx, item in enumerate(value):
            check(item, kind[5:-1], f"{place}[{idx}]")
    elif kind in plain:
        assert isinstance(value, plain[kind]), f"{place}: {value!r} is no {kind}"
    elif kind.startswith("V1beta1"):
        model = getattr(models, kind)
        fields = {key: attribute for attribute, key in model.attribute_map.items()}
        for key, item in value.items():
            assert key in fields, f"{place}.{key} is not known: expected one of {sorted(fields)}"
            check(item, model.openapi_types[fields[key]], f"{place}.{key}")
        # Its constructor refuses what lacks a field that has to be there.
        model(**{fields[key]: item for key, item in value.items()})
    else:
        assert kind.startswith("V1"), f"{place}: a {kind} is of neither Katib nor Kubernetes"


document = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
answer = json.load(open(sys.argv[2], encoding="utf-8"))
assert document == answer["experiment"], "YAML and JSON tell different stories"
check(document, "V1beta1Experiment", "experiment")
assert (document["apiVersion"], document["kind"]) == ("kubeflow.org/v1beta1", "Experiment")

spec = document["spec"]
# pkg/webhook/v1beta1/experiment/validator/validator.go
assert spec["objective"]["type"] in ("minimize", "maximize")
assert 1 <= spec["parallelTrialCount"] <= spec["maxTrialCount"]
assert 0 <= spec["maxFailedTrialCount"] <= spec["maxTrialCount"]
names = [parameter["name"] for parameter in spec["parameters"]]
assert names and len(set(names)) == len(names), names
first = {}
for parameter in spec["parameters"]:
    kind, space = parameter["parameterType"], parameter["feasibleSpace"]
    if kind in ("int", "double"):
        assert "list" not in space and float(space["min"]) < float(space["max"]), space
        assert space.get("distribution", "uniform") in ("uniform", "logUniform", "normal", "logNormal"), space
        first[parameter["name"]] = space["min"]
    else:
        assert kind in ("categorical", "discrete") and space["list"] and len(space) == 1, parameter
        assert kind == "categorical" or [float(value) for value in space["list"]]
        first[parameter["name"]] = space["list"][0]
for form in spec["metricsCollectorSpec"]["source"]["filter"]["metricsFormat"]:
    assert re.compile(form).groups >= 2, form
# pkg/metricscollector/v1beta1/file-metricscollector: what a trial printed, line by line.
log = open(sys.argv[5], encoding="utf-8").read().splitlines()
found = [match for line in log for match in re.findall(form, line) if match[0] == spec["objective"]["objectiveMetricName"]]
assert len(found) == 1 and 0 < float(found[0][1]) <= 1, found

template = spec["trialTemplate"]
text = json.dumps(template["trialSpec"])
declared = {parameter["name"]: parameter["reference"] for parameter in template["trialParameters"]}
assert set(re.findall(r"\$\{trialParameters\.(.+?)\}", text)) == set(declared), "each is used, and each is declared"
for name, reference in declared.items():
    assert reference in names or reference.startswith("${trialSpec."), reference
    value = first.get(reference, "trial-1")
    text = text.replace("${trialParameters.%s}" % name, value)
assert "metadata" not in json.loads(text), "Katib names the job"
job = json.loads(text) | {"metadata": {"name": "trial-1"}}
containers = job["spec"]["template"]["spec"]["containers"]
assert template["primaryContainerName"] in [container["name"] for container in containers]
with open(sys.argv[3], "w", encoding="utf-8") as file:
    yaml.safe_dump(job, file)
print(f"{len(names)} parameters: the models of Katib's SDK know every field of the experiment")
