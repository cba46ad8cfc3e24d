//! `pipeline compile`: the lifecycle as a Kubeflow pipeline.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{data::check_new, error::Result, output::Output, store::write_atomically};

use super::Session;
use crate::pipeline::{PipelineSpec, WATCH_STEP, watch_pipeline};

/// The verbs on pipelines.
#[derive(Debug, Clone, Subcommand)]
pub enum Pipeline {
    /// Write the spec of four steps: preprocess_data, train_model, evaluate_model, deploy_model; with --watch of one
    /// for a recurring run
    Compile(Compile),
}

/// `pipeline compile --image ghcr.io/acme/trialbook:latest --out pipeline.yaml`
#[derive(Debug, Clone, Args)]
pub struct Compile {
    /// The image of this program that every step runs
    #[arg(long, default_value = "trialbook:latest", value_name = "IMAGE")]
    image: String,
    /// Write instead the pipeline of one look at this model by `watch`, for a recurring run
    #[arg(long, value_name = "MODEL")]
    watch: Option<String>,
    /// The file to write, ready for Kubeflow; without it the spec is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over the file if it is there
    #[arg(long, requires = "out")]
    force: bool,
}

impl Pipeline {
    pub(super) fn run(&self, _session: &Session) -> Result<Output> {
        match self {
            Self::Compile(compile) => compile.run(),
        }
    }
}

impl Compile {
    fn run(&self) -> Result<Output> {
        if let Some(file) = &self.out {
            check_new(file, self.force)?;
        }
        let (spec, steps) = match &self.watch {
            Some(model) => (watch_pipeline(&self.image, model)?, vec![WATCH_STEP]),
            None => (PipelineSpec::compile(&self.image)?, PipelineSpec::steps().to_vec()),
        };
        let yaml = spec.to_yaml();
        let said = match &self.out {
            Some(file) => {
                write_atomically(file, yaml.as_bytes())?;
                format!("wrote {}: {}, each in {}", file.display(), steps.join(" → "), self.image)
            }
            None => yaml.trim_end().to_owned(),
        };
        Ok(Output::new(json!({
            "image": self.image,
            "file": self.out,
            "steps": steps,
            "pipeline_spec": spec.pipeline,
            "platform_spec": spec.platform,
        }))
        .text(said))
    }
}
