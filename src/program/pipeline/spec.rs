//! The spec as Kubeflow Pipelines 2 compiles it: schema 2.1.0 of its PipelineSpec, and beside it the
//! volume that only Kubernetes knows.
//! <https://www.kubeflow.org/docs/components/pipelines/concepts/ir-yaml/>

use serde_json::{Map, Value, json};
use trialbook::error::{Error, Result};

use super::{
    step::{self, ArgumentPart, CLAIM, MOUNT, ParameterType, PipelineStep, STEPS, StepOutput},
    yaml,
};

/// The pipeline's name.
const NAME: &str = "trialbook";

/// The text that Kubeflow shows beside it.
const ABOUT: &str =
    "Preprocess, train, evaluate and deploy a text classifier; a blocked version fails the run";

/// The version of Kubeflow's schema.
pub(super) const SCHEMA_VERSION: &str = "2.1.0";

/// The name of this compiler in a spec.
pub(super) const SDK_VERSION: &str = concat!("trialbook-", env!("CARGO_PKG_VERSION"));

/// The program's path in the image.
pub(super) const PROGRAM: &str = "/usr/local/bin/trialbook";

/// A compiled pipeline.
#[derive(Debug)]
pub(crate) struct PipelineSpec {
    /// The part that every platform reads.
    pub(crate) pipeline: Value,
    /// The part that Kubernetes reads besides.
    pub(crate) platform: Value,
}

impl PipelineSpec {
    /// The pipeline whose steps run `image`. The same image gives the same spec, to the byte.
    ///
    /// # Errors
    /// When `image` cannot be the name of an image.
    pub(crate) fn compile(image: &str) -> Result<Self> {
        check_image(image)?;
        let pipeline = json!({
            "pipelineInfo": {"name": NAME, "description": ABOUT},
            "components": each(|step| (component(step), definition(step))),
            "deploymentSpec": {"executors": each(|step| (executor(step), container(step, image)))},
            "root": {
                "inputDefinitions": {"parameters": inputs()},
                "dag": {"tasks": tasks()},
            },
            "schemaVersion": SCHEMA_VERSION,
            "sdkVersion": SDK_VERSION,
        });
        let mount = json!({"pvcMount": [Self::mount()]});
        let platform = json!({
            "platforms": {"kubernetes": {"deploymentSpec": {
                "executors": each(|step| (executor(step), mount.clone())),
            }}},
        });
        Ok(Self { pipeline, platform })
    }

    /// The volume of a step, whose claim is an input of what the step is in.
    pub(super) fn mount() -> Value {
        json!({
            "mountPath": MOUNT,
            "pvcNameParameter": {"componentInputParameter": CLAIM},
            // What older releases of Kubeflow know alone.
            "componentInputParameter": CLAIM,
        })
    }

    /// The names of its steps, in their order.
    pub(crate) fn steps() -> [&'static str; 4] {
        STEPS.each_ref().map(|step| step.name)
    }

    /// Both documents in one file, as Kubeflow's own compiler writes them.
    pub(crate) fn to_yaml(&self) -> String {
        format!("{}---\n{}", yaml::document(&self.pipeline), yaml::document(&self.platform))
    }
}

/// A reference such as `ghcr.io/acme/trialbook:latest` has no other characters than these.
pub(super) fn check_image(image: &str) -> Result<()> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "._-/:@".contains(char);
    if image.starts_with(|first: char| first.is_ascii_alphanumeric()) && image.chars().all(allowed)
    {
        return Ok(());
    }
    Err(Error::invalid(format!("{image:?} is not the name of an image"))
        .with_hint("name one that the cluster can pull, such as ghcr.io/acme/trialbook:latest"))
}

/// One entry for each step.
fn each(entry: impl Fn(&PipelineStep) -> (String, Value)) -> Map<String, Value> {
    STEPS.iter().map(entry).collect()
}

/// Kubeflow's form of a step's name.
fn task(step: &PipelineStep) -> String {
    step.name.replace('_', "-")
}

fn component(step: &PipelineStep) -> String {
    format!("comp-{}", task(step))
}

fn executor(step: &PipelineStep) -> String {
    format!("exec-{}", task(step))
}

/// The inputs and outputs of a step.
fn definition(step: &PipelineStep) -> Value {
    let takes: Map<String, Value> = step
        .takes()
        .into_iter()
        .map(|name| (name.to_owned(), json!({"parameterType": type_name(kind(name))})))
        .collect();
    let mut definition = json!({
        "executorLabel": executor(step),
        "inputDefinitions": {"parameters": takes},
    });
    if let Some(made) = step.makes {
        let outputs = &mut definition["outputDefinitions"];
        match made {
            StepOutput::Parameter(name, kind) => {
                outputs["parameters"][name] = json!({"parameterType": type_name(kind)});
            }
            StepOutput::Artifact(name) => {
                let artifact = json!({"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"});
                outputs["artifacts"][name] = json!({"artifactType": artifact});
            }
        }
    }
    definition
}

/// The container of a step: no shell, so no value is ever read as anything but one argument.
fn container(step: &PipelineStep, image: &str) -> Value {
    let args: Vec<String> = step
        .words()
        .map(|word| {
            let piece = |piece: ArgumentPart| match piece {
                ArgumentPart::Text(text) => text.to_owned(),
                ArgumentPart::Name(name) => placeholder(step, name),
            };
            word.into_iter().map(piece).collect()
        })
        .collect();
    json!({"container": {"image": image, "command": [PROGRAM], "args": args}})
}

/// The text that Kubeflow replaces when the step runs.
fn placeholder(step: &PipelineStep, name: &str) -> String {
    match step.made(name) {
        Some(StepOutput::Parameter(..)) => {
            format!("{{{{$.outputs.parameters['{name}'].output_file}}}}")
        }
        Some(StepOutput::Artifact(_)) => format!("{{{{$.outputs.artifacts['{name}'].path}}}}"),
        None => format!("{{{{$.inputs.parameters['{name}']}}}}"),
    }
}

/// The pipeline's own parameters.
fn inputs() -> Map<String, Value> {
    step::parameters()
        .into_iter()
        .map(|parameter| {
            let mut input = json!({
                "parameterType": type_name(parameter.kind),
                "description": parameter.about,
            });
            if let Some(default) = parameter.default {
                input["defaultValue"] = default;
                input["isOptional"] = true.into();
            }
            (parameter.name.to_owned(), input)
        })
        .collect()
}

/// The steps and what flows between them.
fn tasks() -> Map<String, Value> {
    let mut before: Vec<&PipelineStep> = Vec::new();
    STEPS
        .iter()
        .map(|step| {
            let mut waits_for: Vec<String> =
                before.last().map(|step| task(step)).into_iter().collect();
            let mut takes = Map::new();
            for name in step.takes() {
                let maker =
                    before.iter().find(|step| step.made(name).is_some()).map(|step| task(step));
                let source = match &maker {
                    Some(maker) => json!({
                        "taskOutputParameter": {"producerTask": maker, "outputParameterKey": name},
                    }),
                    None => json!({"componentInputParameter": name}),
                };
                takes.insert(name.to_owned(), source);
                waits_for.extend(maker.filter(|maker| !waits_for.contains(maker)));
            }
            before.push(step);
            let mut entry = json!({
                "taskInfo": {"name": step.name},
                "componentRef": {"name": component(step)},
                "inputs": {"parameters": takes},
                // Empty is off: a step changes the store, whatever it changed the last time.
                "cachingOptions": {},
            });
            if !waits_for.is_empty() {
                entry["dependentTasks"] = waits_for.into();
            }
            (task(step), entry)
        })
        .collect()
}

/// The kind of the value called `name`, wherever it comes from.
fn kind(name: &str) -> ParameterType {
    let made = STEPS.iter().find_map(|step| match step.made(name) {
        Some(StepOutput::Parameter(_, kind)) => Some(kind),
        _ => None,
    });
    made.or_else(|| {
        step::parameters()
            .into_iter()
            .find(|parameter| parameter.name == name)
            .map(|parameter| parameter.kind)
    })
    .expect("a step takes parameters and what steps make: a test holds the table to it")
}

fn type_name(kind: ParameterType) -> &'static str {
    match kind {
        ParameterType::Text => "STRING",
        ParameterType::Integer => "NUMBER_INTEGER",
        ParameterType::Number => "NUMBER_DOUBLE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_wait_for_the_one_before_and_for_what_they_take() {
        let spec = PipelineSpec::compile("trialbook:latest").unwrap();
        let tasks = &spec.pipeline["root"]["dag"]["tasks"];
        for (task, expected) in [
            ("preprocess-data", Value::Null),
            ("train-model", json!(["preprocess-data"])),
            ("evaluate-model", json!(["train-model"])),
            ("deploy-model", json!(["evaluate-model", "train-model"])),
        ] {
            assert_eq!(tasks[task]["dependentTasks"], expected, "{task}");
            assert_eq!(tasks[task]["cachingOptions"], json!({}), "{task}");
        }
        assert_eq!(
            tasks["deploy-model"]["inputs"]["parameters"]["version"],
            json!({"taskOutputParameter": {
                "producerTask": "train-model", "outputParameterKey": "version",
            }})
        );
    }

    #[test]
    fn every_container_is_the_image_with_the_volume() {
        let spec = PipelineSpec::compile("ghcr.io/acme/trialbook@sha256:0f").unwrap();
        let executors = &spec.pipeline["deploymentSpec"]["executors"];
        let mounts = &spec.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"];
        for step in &STEPS {
            let container = &executors[executor(step)]["container"];
            assert_eq!(container["image"], "ghcr.io/acme/trialbook@sha256:0f");
            assert_eq!(mounts[executor(step)]["pvcMount"][0]["mountPath"], MOUNT);
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for image in ["", " ", "a b", "-x", "a\nb: c", "a\"", "ünï", "a'b", "{{$.x}}"] {
            let error = PipelineSpec::compile(image).unwrap_err();
            assert!(error.to_string().contains("not the name of an image"), "{image:?}: {error}");
        }
    }
}
