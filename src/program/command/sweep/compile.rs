//! `sweep … --compile ENGINE`: a sweep as an engine of a cluster runs it, shown or written. What the engine reads is
//! [`crate::pipeline`]'s.

use std::path::Path;

use clap::ValueEnum;
use serde_json::json;
use trialbook::{
    error::Result,
    figure::{counted, shell_word},
    output::Output,
    store::write_atomically,
};

use crate::pipeline::{KatibExperiment, SweepPlan, sweep_pipeline};

/// An engine that runs sweeps on a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ClusterEngine {
    /// Katib: an Experiment, for kubectl
    Katib,
    /// Kubeflow Pipelines 2: a pipeline with a loop over the settings
    Kubeflow,
}

impl ClusterEngine {
    /// The sweep called `name` as this engine reads it, in `file` where there is one.
    ///
    /// # Errors
    /// A plan that the engine cannot run, and a file that cannot be written.
    pub(super) fn compile(
        self,
        plan: &SweepPlan,
        name: &str,
        file: Option<&Path>,
    ) -> Result<Output> {
        plan.check()?;
        let (mut json, yaml) = match self {
            Self::Katib => {
                let experiment = KatibExperiment::compile(plan, name)?;
                (json!({"engine": "katib", "experiment": experiment.0}), experiment.to_yaml())
            }
            Self::Kubeflow => {
                let spec = sweep_pipeline(plan, name)?;
                let yaml = spec.to_yaml();
                let json = json!({
                    "engine": "kubeflow",
                    "pipeline_spec": spec.pipeline,
                    "platform_spec": spec.platform,
                });
                (json, yaml)
            }
        };
        json["name"] = name.into();
        json["n_settings"] = plan.settings.len().into();
        json["file"] = json!(file);
        let Some(file) = file else { return Ok(Output::new(json).text(yaml.trim_end())) };
        write_atomically(file, yaml.as_bytes())?;
        let next = match self {
            Self::Katib => {
                format!("start it with `kubectl create -f {}`", shell_word(&file.to_string_lossy()))
            }
            Self::Kubeflow => "upload it to Kubeflow Pipelines, or hand it to its SDK".to_owned(),
        };
        let n_settings = counted(plan.settings.len() as u64, "setting");
        Ok(Output::new(json).text(format!(
            "wrote {}: {name}, {n_settings}, each in {}; {next}",
            file.display(),
            plan.image
        )))
    }
}
