"""Gives the sweep that the program compiles for Kubeflow Pipelines to Kubeflow's own SDK, which has to find a loop over
our settings in it."""

import json
import sys
import tempfile

import yaml
from google.protobuf import json_format
from kfp import compiler, components
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2 as kubeflow

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
assert set(executors) == set(documents[0]["deploymentSpec"]["executors"])

loop = ours.root.dag.tasks["settings"]
items = json.loads(loop.parameter_iterator.items.raw)
assert len(items) == answer["n_settings"], items
inner = ours.components[loop.component_ref.name]
assert loop.parameter_iterator.item_input in inner.input_definitions.parameters
(task,) = inner.dag.tasks.values()
for name, source in task.inputs.parameters.items():
    assert source.component_input_parameter in inner.input_definitions.parameters, name
    if source.parameter_expression_selector:
        assert source.parameter_expression_selector == f'parseJson(string_value)["{name}"]'
        assert all(isinstance(item[name], str) for item in items), name

# The SDK loads it, and what it writes again is the same spec.
loaded = components.load_component_from_text(text)
with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
    compiler.Compiler().compile(loaded, file.name)
    again = list(yaml.safe_load_all(open(file.name, encoding="utf-8")))
theirs = json_format.ParseDict(again[0], kubeflow.PipelineSpec())
for spec in (ours, theirs):
    spec.sdk_version = ""
assert ours == theirs, "the SDK writes another spec than it has read"
assert again[1:] == documents[1:], "the SDK writes another platform spec than it has read"
print(f"{len(items)} settings: Kubeflow's SDK reads the loop, and writes the same again")
