//! `evaluate MODEL`: a version measured on a split of its dataset or of any other; `evaluate MODEL --behaviour`: asked
//! behaviour tests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use serde_json::json;
use trialbook::{
    book::{BehaviourSource, trained_on},
    error::{Error, ErrorKind, Result},
    hint::{CommandLine, Hint},
    output::Output,
    registry::{ModelReference, VersionSelector},
    store::write_atomically,
};

use super::{
    Session,
    named::{
        SplitFlag, model_or_default, reference, version_forms, version_read_forms, version_word,
        whole,
    },
};

/// `evaluate SentimentClassifier/2 --data imdb --split test`
#[derive(Debug, Clone, Args)]
pub struct Evaluate {
    #[arg(help = version_read_forms!("; without it the one model in production"))]
    model: Option<String>,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// The dataset, or one split of it: NAME.train; without a split NAME.test; without this option the
    /// dataset that the version was trained on
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    #[command(flatten)]
    split: SplitFlag,
    /// Ask the behaviour tests of a file (TOML) and measure nothing else; without a file those of the
    /// dataset that --data names or that the version was trained on, or the built-in ones for sentiment
    #[arg(long, value_name = "FILE", num_args = 0..=1, value_hint = ValueHint::FilePath)]
    behaviour: Option<Option<PathBuf>>,
    /// Also write metrics.json, curves and pictures into this folder, or behaviour.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Evaluate {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        if self.model.is_none()
            && let Some(Some(file)) = &self.behaviour
        {
            check_is_no_model(file)?;
        }
        let reference = match &self.model {
            Some(model) => reference(session, model, self.version.as_ref())?,
            None => model_or_default(session, None)?,
        };
        if let Some(file) = &self.behaviour {
            return self.ask_behaviour(session, &reference, file.clone());
        }
        let version = session.book.tracker()?.resolve(&reference)?;
        let (data, split) = self.split.apart(self.data.as_deref())?;
        let data = data.as_deref().map_or_else(|| trained_on(&version), Ok)?;
        let evaluation = session.book.evaluate(&version, data, &split)?;
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

    fn ask_behaviour(
        &self,
        session: &Session,
        reference: &ModelReference,
        file: Option<PathBuf>,
    ) -> Result<Output> {
        if let Some(split) = self.split.named() {
            return Err(Error::invalid(format!(
                "--split {split} does not go with --behaviour: its tests are texts of their own, of no split"
            ))
            .with_hint("leave one of them out"));
        }
        let source = match (file, whole(self.data.as_deref().unwrap_or_default())?) {
            (None, "") => BehaviourSource::TrainedOn,
            (None, data) => BehaviourSource::Dataset(data.to_owned()),
            (Some(file), "") => BehaviourSource::File(file),
            (Some(_), data) => {
                return Err(Error::invalid(format!(
                    "a file of behaviour tests is named, and --data {data} beside it"
                ))
                .with_hint("leave one of them out"));
            }
        };
        let output = session.book.behaviour(&reference.to_string(), &source)?.to_output();
        if let Some(dir) = &self.out {
            std::fs::create_dir_all(dir)
                .map_err(|source| Error::io("create the folder", dir, source))?;
            let json =
                serde_json::to_vec_pretty(output.json()).expect("texts and numbers serialise");
            write_atomically(&dir.join("behaviour.json"), &json)?;
        }
        Ok(output)
    }
}

/// `--behaviour` takes the word behind it as its file, also where that is the model.
///
/// # Errors
/// When `file` is not there and names a version of a model.
fn check_is_no_model(file: &Path) -> Result<()> {
    let reference: Option<ModelReference> = file.to_str().and_then(|word| word.parse().ok());
    match reference {
        Some(reference) if file.extension().is_none() && !file.exists() => Err(Error::new(
            ErrorKind::NotFound,
            format!("--behaviour {file:?}: there is no such file"),
        )
        .with_hint(
            Hint::from("if it is the model, it comes first: ")
                .run(CommandLine::new("evaluate").arg(reference).written("--behaviour"))
                .say("; a file may also be written --behaviour=FILE"),
        )),
        _ => Ok(()),
    }
}
