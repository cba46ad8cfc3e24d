//! `evaluate MODEL --data NAME`: a version measured on any split.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;
use trialbook::{
    error::{Error, Result},
    output::Output,
    registry::VersionSelector,
    store::write_atomically,
};

use super::{
    Session,
    named::{
        SplitFlag, model_or_default, reference, version_forms, version_read_forms, version_word,
    },
};

/// `evaluate SentimentClassifier/2 --data imdb --split test`
#[derive(Debug, Clone, Args)]
pub struct Evaluate {
    #[arg(help = version_read_forms!("; without it the one model in production"))]
    model: Option<String>,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// The dataset, or one split of it: NAME.train; without a split NAME.test
    #[arg(long, value_name = "NAME")]
    data: String,
    #[command(flatten)]
    split: SplitFlag,
    /// Also write metrics.json, curves and pictures into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
}

impl Evaluate {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let reference = match &self.model {
            Some(model) => reference(session, model, self.version.as_ref())?,
            None => model_or_default(session, None)?,
        };
        let version = session.book.tracker()?.resolve(&reference)?;
        let named = self.split.join(&self.data)?;
        let (data, split) = named.split_once('.').unwrap_or((&named, "test"));
        let evaluation = session.book.evaluate(&version, data, split)?;
        if let Some(dir) = &self.out {
            std::fs::create_dir_all(dir)
                .map_err(|source| Error::io("create the folder", dir, source))?;
            for (name, bytes) in trialbook::evaluate::artifacts(&evaluation) {
                write_atomically(&dir.join(name), &bytes)?;
            }
        }
        let metrics: BTreeMap<String, f64> = evaluation.metrics().into_iter().collect();
        let labels = evaluation.own_threshold().map(|said| format!(", {said}")).unwrap_or_default();
        Ok(Output::new(json!({
            "model": version.model,
            "version": version.version,
            "dataset": data,
            "split": split,
            "threshold": evaluation.threshold(),
            "metrics": metrics,
            "report": evaluation.report_json(),
        }))
        .text(format!("{} on {data}.{split}{labels}\n", version.reference()))
        .table(evaluation.table())
        .text("")
        .table(evaluation.report()))
    }
}
