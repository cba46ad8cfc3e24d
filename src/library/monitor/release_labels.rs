//! The true labels of what a release's two versions predicted: what an A/B test is decided by, and what the
//! candidate's F1 is measured by. What follows from them is the gate's.

use std::path::Path;

use super::{
    SampleBy,
    label::TrueLabels,
    label_log::read_labels,
    line::PredictionView,
    reader::{LogSink, read_latest_log},
    record::Arm,
    tally::WordsLine,
};
use crate::{
    error::Result,
    evaluate::{ConfusionMatrix, RightAnswers},
    gate::ReleaseLabels,
    registry::{Release, ReleaseKind},
};

/// What the logs in the folder `logs_dir` say of the predictions since `release` began whose true label is known;
/// of the newest `max_bytes` of the log of predictions. `classes` are the candidate's, in label order: what it
/// predicted or should have that is none of them is left out of its confusions, as everywhere.
///
/// # Errors
/// When a log cannot be read.
pub fn read_release_labels(
    logs_dir: &Path,
    release: &Release,
    classes: &[String],
    max_bytes: u64,
) -> Result<ReleaseLabels> {
    let (labels, _) = read_labels(logs_dir)?;
    let new = || LabelledAnswers::new(release, classes, &labels);
    let found = match labels.is_empty() {
        // The log of predictions, which may be long, has nothing to say.
        true => new(),
        false => read_latest_log(logs_dir, release.started_ms, max_bytes, new)?,
    };
    Ok(ReleaseLabels {
        production: found.production,
        candidate: found.candidate,
        confusion: ConfusionMatrix::count(&found.labels, &found.predicted, classes)?,
    })
}

/// The labelled predictions of a release, of one file or of several.
struct LabelledAnswers<'a> {
    release: &'a Release,
    classes: &'a [String],
    known: &'a TrueLabels,
    production: RightAnswers,
    candidate: RightAnswers,
    /// Of the candidate's predictions.
    labels: Vec<u32>,
    predicted: Vec<u32>,
}

impl<'a> LabelledAnswers<'a> {
    fn new(release: &'a Release, classes: &'a [String], known: &'a TrueLabels) -> Self {
        let none = RightAnswers { n_right: 0, n_rows: 0 };
        let (labels, predicted) = (Vec::new(), Vec::new());
        Self { release, classes, known, production: none, candidate: none, labels, predicted }
    }

    fn class(&self, label: &str) -> Option<u32> {
        let idx = self.classes.iter().position(|class| class == label)?;
        u32::try_from(idx).ok()
    }

    /// Adds one of the candidate's predictions to its confusions.
    fn confuse(&mut self, label: &str, predicted: &str) {
        if let (Some(label), Some(predicted)) = (self.class(label), self.class(predicted)) {
            self.labels.push(label);
            self.predicted.push(predicted);
        }
    }
}

impl LogSink for LabelledAnswers<'_> {
    fn prediction(&mut self, record: &PredictionView<'_>) {
        let Release { model, production, candidate, kind, started_ms, ended_ms, .. } = self.release;
        let at_ms = record.timestamp_ms;
        let is_of_it = record.model == model
            && at_ms >= *started_ms
            && ended_ms.is_none_or(|ended_ms| at_ms <= ended_ms);
        let is_candidate = record.version == *candidate;
        let is_shadow = is_candidate && record.arm == Arm::Shadow && *kind == ReleaseKind::Shadow;
        let side = match record.arm {
            Arm::Production if record.version == *production => Some(&mut self.production),
            Arm::Candidate if is_candidate => Some(&mut self.candidate),
            _ => None,
        };
        if !is_of_it || (side.is_none() && !is_shadow) {
            return;
        }
        let Some(truth) = self.known.truth(record.request_id, record.index) else { return };
        let Some(label) = &truth.label else { return };
        if let Some(side) = side {
            side.n_rows += 1;
            side.n_right += usize::from(label == record.label);
        }
        let is_hard =
            matches!(truth.sampled_by, Some(SampleBy::Uncertainty | SampleBy::Disagreement));
        if is_candidate && !is_hard {
            self.confuse(label, record.label);
        }
    }

    fn words(&mut self, _: &WordsLine) {}

    fn unreadable(&mut self) {}

    fn merge(&mut self, later: Self) {
        for (side, more) in
            [(&mut self.production, later.production), (&mut self.candidate, later.candidate)]
        {
            side.n_rows += more.n_rows;
            side.n_right += more.n_right;
        }
        self.labels.extend(later.labels);
        self.predicted.extend(later.predicted);
    }
}

#[cfg(test)]
mod tests;
