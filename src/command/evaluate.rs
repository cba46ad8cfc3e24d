//! `evaluate MODEL --data NAME`: a version measured on any split.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::{Session, model_or_default};
use crate::{
    error::{Error, Result},
    output::Output,
    store::write_atomically,
};

/// `evaluate SentimentClassifier/2 --data imdb --split test`
#[derive(Debug, Clone, Args)]
pub struct Evaluate {
    /// The model: NAME, NAME/3, NAME/Production or NAME@alias; without it the one model in production
    model: Option<String>,
    /// The dataset
    #[arg(long, value_name = "NAME")]
    data: String,
    /// The split
    #[arg(long, default_value = "test")]
    split: String,
    /// Also write metrics.json, curves and pictures into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
}

impl Evaluate {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let model = model_or_default(session, self.model.as_ref())?;
        let version = session.book.registry()?.resolve(&model)?;
        let evaluation = session.book.evaluate(&version, &self.data, &self.split)?;
        if let Some(dir) = &self.out {
            std::fs::create_dir_all(dir)
                .map_err(|source| Error::io("create the folder", dir, source))?;
            for (name, bytes) in crate::evaluate::artifacts(&evaluation) {
                write_atomically(&dir.join(name), &bytes)?;
            }
        }
        let metrics: BTreeMap<String, f64> = evaluation.metrics().into_iter().collect();
        Ok(Output::new(json!({
            "model": version.model,
            "version": version.version,
            "dataset": self.data,
            "split": self.split,
            "metrics": metrics,
        }))
        .text(format!("{}/{} on {}.{}\n", version.model, version.version, self.data, self.split))
        .table(evaluation.table())
        .text("")
        .table(evaluation.report()))
    }
}
