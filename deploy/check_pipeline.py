"""Gives the pipeline that the program compiles to Kubeflow's own SDK, which has to find in it what we mean."""

import json
import sys
import tempfile

import yaml
from google.protobuf import json_format
from kfp import compiler, components
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2 as kubeflow

STEPS = sys.argv[3:] or ["preprocess_data", "train_model", "evaluate_model", "deploy_model"]

text = open(sys.argv[1], encoding="utf-8").read()
answer = json.load(open(sys.argv[2], encoding="utf-8"))
documents = list(yaml.safe_load_all(text))
assert documents == [answer["pipeline_spec"], answer["platform_spec"]], "YAML and JSON tell different stories"

# Strict: an unknown field is an error.
ours = json_format.ParseDict(documents[0], kubeflow.PipelineSpec())
json_format.ParseDict(documents[1], kubeflow.PlatformSpec())
executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
for config in executors.values():
    json_format.ParseDict(config, kubernetes.KubernetesExecutorConfig())
assert [task["taskInfo"]["name"] for task in documents[0]["root"]["dag"]["tasks"].values()] == STEPS
assert set(executors) == set(documents[0]["deploymentSpec"]["executors"])

# The SDK loads it, and what it writes again is the same spec.
loaded = components.load_component_from_text(text)
required = [name for name, value in loaded.component_spec.inputs.items() if not value.optional]
assert required == ([] if sys.argv[3:] else ["data"]), required
with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
    compiler.Compiler().compile(loaded, file.name)
    again = list(yaml.safe_load_all(open(file.name, encoding="utf-8")))
theirs = json_format.ParseDict(again[0], kubeflow.PipelineSpec())
for spec in (ours, theirs):
    spec.sdk_version = ""
assert ours == theirs, "the SDK writes another spec than it has read"
assert again[1:] == documents[1:], "the SDK writes another platform spec than it has read"
print(f"{', '.join(STEPS)}: Kubeflow's SDK reads the pipeline, and writes the same again")
