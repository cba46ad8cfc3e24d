//! One look of `watch` as a Kubeflow pipeline, for a recurring run: Kubeflow starts it by its own clock. Its spec is of
//! the same schema as [`super::spec`]'s.

use serde_json::json;
use trialbook::{error::Result, registry::check_known_model_name};

use super::{
    spec::{PROGRAM, PipelineSpec, SCHEMA_VERSION, SDK_VERSION, check_image},
    step::{CLAIM, CLAIM_DEFAULT, MOUNT},
};

/// The step's name.
pub(crate) const STEP: &str = "watch";
/// The pipeline's parameter with the model's name.
const MODEL: &str = "model";

/// The pipeline whose one step looks once whether `model` is to be trained again, in the image `image`.
///
/// # Errors
/// When `image` cannot be the name of one, or `model` that of a model.
pub(crate) fn watch_pipeline(image: &str, model: &str) -> Result<PipelineSpec> {
    check_image(image)?;
    check_known_model_name(model)?;
    let handed = |name: &str| json!({"componentInputParameter": name});
    let input = |about: &str, default: &str| json!({"parameterType": "STRING", "description": about, "defaultValue": default, "isOptional": true});
    let args = ["--store", MOUNT, "watch", "{{$.inputs.parameters['model']}}", "--once"];
    let pipeline = json!({
        "pipelineInfo": {
            "name": "trialbook-watch",
            "description": "Train a model again where the policy's [retrain] says so, gate it and release it",
        },
        "components": {
            "comp-watch": {
                "executorLabel": "exec-watch",
                "inputDefinitions": {"parameters": {
                    MODEL: {"parameterType": "STRING"},
                    CLAIM: {"parameterType": "STRING"},
                }},
            },
        },
        "deploymentSpec": {"executors": {
            "exec-watch": {"container": {"image": image, "command": [PROGRAM], "args": args}},
        }},
        "root": {
            "inputDefinitions": {"parameters": {
                MODEL: input("The registered model to look after", model),
                CLAIM: input("The volume claim that the servers' store is on", CLAIM_DEFAULT),
            }},
            "dag": {"tasks": {STEP: {
                "taskInfo": {"name": STEP},
                "componentRef": {"name": "comp-watch"},
                "inputs": {"parameters": {MODEL: handed(MODEL), CLAIM: handed(CLAIM)}},
                // Empty is off: each look is at other predictions.
                "cachingOptions": {},
            }}},
        },
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": SDK_VERSION,
    });
    let platform = json!({
        "platforms": {"kubernetes": {"deploymentSpec": {
            "executors": {"exec-watch": {"pvcMount": [PipelineSpec::mount()]}},
        }}},
    });
    Ok(PipelineSpec { pipeline, platform })
}
