//! `models threshold|calibrate`: a new version, which is another one with another threshold or calibration.

use clap::Args;
use trialbook::{
    book::DeriveRequest,
    error::{Error, Result},
    model::{CalibrationMethod, DecisionRequest, ThresholdRule},
    output::{Align, Output, Table},
    registry::{ModelVersion, Tracker},
};

use super::super::{
    Session,
    named::{SplitFlag, reference, version_read_forms, version_word},
};

/// `models threshold SentimentClassifier/1 precision=0.95`
#[derive(Debug, Clone, Args)]
pub struct SetThreshold {
    #[arg(help = version_read_forms!(""))]
    reference: String,
    /// best-f1, precision=P, recall=R, cost=FP:FN, or the probability itself. The version goes before it,
    /// if NAME does not include it
    #[arg(
        value_name = "[VERSION] RULE|PROBABILITY",
        required = true,
        num_args = 1..=2,
        allow_negative_numbers = true
    )]
    rule: Vec<String>,
    /// Also calibrate it: temperature or isotonic
    #[arg(long, value_name = "HOW")]
    calibrate: Option<CalibrationMethod>,
    #[command(flatten)]
    rows: RowsOption,
}

/// `models calibrate SentimentClassifier/1 isotonic`
#[derive(Debug, Clone, Args)]
pub struct Calibrate {
    #[arg(help = version_read_forms!(""))]
    reference: String,
    /// temperature or isotonic. The version goes before it, if NAME does not include it
    #[arg(value_name = "[VERSION] HOW", required = true, num_args = 1..=2)]
    how: Vec<String>,
    #[command(flatten)]
    rows: RowsOption,
}

/// The rows to choose by.
#[derive(Debug, Clone, Args)]
struct RowsOption {
    /// Rows that the model has not learnt: a dataset, or one split of it; without a split NAME.test
    /// [default: those that its training held out; for a tfidf that held none out, 5 folds of its
    /// train split]
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    #[command(flatten)]
    split: SplitFlag,
}

impl SetThreshold {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let (version, rule) = last_of(&self.rule)?;
        let threshold: ThresholdRule = rule.parse()?;
        let decision = DecisionRequest { threshold: Some(threshold), calibrate: self.calibrate };
        derive(session, &self.reference, version, decision, &self.rows)
    }
}

impl Calibrate {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let (version, how) = last_of(&self.how)?;
        let decision =
            DecisionRequest { calibrate: Some(how.parse()?), ..DecisionRequest::default() };
        derive(session, &self.reference, version, decision, &self.rows)
    }
}

/// The version, if there are two words, and the last of them.
fn last_of(words: &[String]) -> Result<(Option<&str>, &str)> {
    match words {
        [version, last] => Ok((Some(version), last)),
        [last] => Ok((None, last)),
        _ => Err(Error::invalid("nothing to choose by")),
    }
}

fn derive(
    session: &Session,
    name: &str,
    version: Option<&str>,
    decision: DecisionRequest,
    rows: &RowsOption,
) -> Result<Output> {
    let version = version.map(version_word).transpose()?;
    let model = reference(session, name, version.as_ref())?;
    let rows = match &rows.data {
        None if rows.split.is_given() => {
            return Err(Error::invalid("--split names a split of --data, which is not given"));
        }
        None => None,
        Some(data) => {
            let named = rows.split.join(data)?;
            let (dataset, split) = named.split_once('.').unwrap_or((&named, "test"));
            Some((dataset.to_owned(), split.to_owned()))
        }
    };
    let request = DeriveRequest { model: model.to_string(), decision, rows };
    Ok(session.book.derive(&request, &session.monitor)?.to_output())
}

/// `output`, which shows `version`, with its threshold and calibration, as its run has them.
pub(super) fn shown(registry: &dyn Tracker, version: &ModelVersion, output: Output) -> Output {
    let Ok(run) = registry.run(&version.run_id) else { return output };
    let mut output = output;
    let mut table = Table::new([("decision", Align::Left), ("value", Align::Left)]);
    for key in [
        "threshold",
        "threshold_rule",
        "threshold_rows",
        "calibration",
        "calibration_rows",
        "temperature",
        "weights",
        "derived_from",
    ] {
        let Some(value) = run.params.get(key) else { continue };
        table.push([key.replace('_', " "), value.clone()]);
        output = match value.parse::<f64>() {
            Ok(number) if key != "threshold_rule" => output.field(key, number),
            _ => output.field(key, value),
        };
    }
    if table.rows().is_empty() { output } else { output.text("").table(table) }
}
