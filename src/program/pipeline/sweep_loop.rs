//! A sweep as a Kubeflow pipeline: a loop over the settings that were drawn here (Kubeflow's ParallelFor), and a step
//! that lists what was measured. Its spec is of the same schema as [`super::spec`]'s.

use serde_json::{Map, Value, json};
use trialbook::error::Result;

use super::{
    plan::{SECRET, SweepPlan, TOKEN_ENV},
    spec::{PROGRAM, PipelineSpec, SCHEMA_VERSION, SDK_VERSION, check_image},
    step::{CLAIM, CLAIM_DEFAULT, MOUNT},
};

/// The pipeline's parameter with the registry's address.
const REGISTRY: &str = "registry";
/// The loop's input that is one setting.
const ITEM: &str = "setting-loop-item";

/// The pipeline called `name` of a plan that was checked.
///
/// # Errors
/// When the image cannot be the name of one.
pub(crate) fn sweep_pipeline(plan: &SweepPlan, name: &str) -> Result<PipelineSpec> {
    check_image(&plan.image)?;
    let text = || json!({"parameterType": "STRING"});
    let handed = |names: &[&str]| -> Map<String, Value> {
        let handed =
            names.iter().map(|name| ((*name).to_owned(), json!({"componentInputParameter": name})));
        handed.collect()
    };
    let mut takes = Map::from_iter([(REGISTRY.to_owned(), text())]);
    let mut values = handed(&[REGISTRY]);
    for parameter in &plan.parameters {
        let name = parameter.name();
        takes.insert(name.clone(), text());
        let selector = format!("parseJson(string_value)[\"{name}\"]");
        let value =
            json!({"componentInputParameter": ITEM, "parameterExpressionSelector": selector});
        values.insert(name, value);
    }
    let input = |about: &str, default: &str| json!({"parameterType": "STRING", "description": about, "defaultValue": default, "isOptional": true});
    let pipeline = json!({
        "pipelineInfo": {
            "name": name,
            "description": "Cross-validate each setting of a sweep, and list them, the best first",
        },
        "components": {
            "comp-rank-settings": {
                "executorLabel": "exec-rank-settings",
                "inputDefinitions": {"parameters": {REGISTRY: text()}},
            },
            "comp-settings": {
                "dag": {"tasks": {"train-setting": {
                    "taskInfo": {"name": "train_setting"},
                    "componentRef": {"name": "comp-train-setting"},
                    "inputs": {"parameters": values},
                    "cachingOptions": {},
                }}},
                "inputDefinitions": {"parameters": {
                    ITEM: {"parameterType": "STRUCT"},
                    REGISTRY: text(),
                    CLAIM: text(),
                }},
            },
            "comp-train-setting": {
                "executorLabel": "exec-train-setting",
                "inputDefinitions": {"parameters": takes},
            },
        },
        "deploymentSpec": {"executors": {
            "exec-rank-settings": container(plan, plan.ranking(name)),
            "exec-train-setting": container(plan, training(plan, name)),
        }},
        "root": {
            "inputDefinitions": {"parameters": {
                REGISTRY: input("The registry that every training tracks to", &plan.registry),
                CLAIM: input("The volume claim with the dataset that is mounted at /store", CLAIM_DEFAULT),
            }},
            "dag": {"tasks": {
                "rank-settings": {
                    "taskInfo": {"name": "rank_settings"},
                    "componentRef": {"name": "comp-rank-settings"},
                    "inputs": {"parameters": handed(&[REGISTRY])},
                    "dependentTasks": ["settings"],
                    "cachingOptions": {},
                },
                "settings": {
                    "taskInfo": {"name": "settings"},
                    "componentRef": {"name": "comp-settings"},
                    "inputs": {"parameters": handed(&[REGISTRY, CLAIM])},
                    "iteratorPolicy": {"parallelismLimit": plan.n_parallel},
                    "parameterIterator": {"itemInput": ITEM, "items": {"raw": items(plan)}},
                },
            }},
        },
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": SDK_VERSION,
    });
    let secret = json!({
        "secretName": SECRET,
        "secretNameParameter": {"runtimeValue": {"constant": SECRET}},
        "keyToEnv": [{"secretKey": "token", "envVar": TOKEN_ENV}],
        "optional": true,
    });
    let platform = json!({
        "platforms": {"kubernetes": {"deploymentSpec": {"executors": {
            "exec-rank-settings": {"secretAsEnv": [secret]},
            "exec-train-setting": {"secretAsEnv": [secret], "pvcMount": [PipelineSpec::mount()]},
        }}}},
    });
    Ok(PipelineSpec { pipeline, platform })
}

/// The settings, as the text that the loop goes over.
fn items(plan: &SweepPlan) -> String {
    let names: Vec<String> = plan.parameters.iter().map(|parameter| parameter.name()).collect();
    let item = |setting: &Vec<String>| -> Value {
        let values = names.iter().cloned().zip(setting.iter().map(|value| json!(value)));
        Value::Object(values.collect())
    };
    Value::Array(plan.settings.iter().map(item).collect()).to_string()
}

/// The arguments of the training of a setting.
fn training(plan: &SweepPlan, name: &str) -> Vec<String> {
    let varied = plan.parameters.iter().map(|parameter| {
        format!("{}={{{{$.inputs.parameters['{}']}}}}", parameter.flag, parameter.name())
    });
    plan.tagged(name).into_iter().chain(varied).collect()
}

/// The container that runs these arguments, in the store on the volume where there is one.
fn container(plan: &SweepPlan, args: Vec<String>) -> Value {
    let place =
        ["--registry", &format!("{{{{$.inputs.parameters['{REGISTRY}']}}}}"), "--store", MOUNT]
            .map(str::to_owned);
    let args: Vec<String> = place.into_iter().chain(args).collect();
    json!({"container": {"image": plan.image, "command": [PROGRAM], "args": args}})
}
