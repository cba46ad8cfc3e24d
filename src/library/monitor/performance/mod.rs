//! How good the answers were that a server gave: measured where a true label came, beside what the
//! probabilities alone let one expect. The log is gone through once; what is held of it are counts, and the
//! rows that have a label. Which classes a version has, whoever asks has to say.

mod measured;
mod report;
mod tally;
mod window;

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    path::Path,
};

use serde::Serialize;

pub use measured::{MeasuredMetric, MeasuredPerformance};
pub use tally::{BesideEstimate, WindowPerformance};
pub use window::WindowSize;

use self::tally::PerformanceTally;
use super::{Arm, PredictionView, SampleBy, TrueLabels, reader::visit_predictions};
use crate::error::Result;

/// The windows of one version: so many, and what they count in so many bytes. Older ones make room.
const MAX_WINDOWS: usize = 10_000;
const MIN_WINDOWS: usize = 100;
const MAX_WINDOWS_BYTES: usize = 64 << 20;

/// Predictions to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformanceRequest {
    /// Those of this registered model; of all of them without it.
    pub model: Option<String>,
    /// Those from then on, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The newest bytes of the log alone, for what people watch; all of it without.
    pub latest_bytes: Option<u64>,
    /// The windows that are measured by themselves.
    pub window: WindowSize,
}

/// What was measured and expected.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PerformanceReport {
    /// Each version with the part that it had, by model, version and part.
    pub versions: Vec<VersionPerformance>,
    /// Texts with a true label in the store.
    pub n_labels: usize,
    /// Those of them that no prediction in the log is about.
    pub n_unmatched: usize,
    /// Labels that are no class of the version that predicted.
    pub n_no_class: usize,
    /// Labelled texts about which sources disagree; the latest label counts.
    pub n_disputed: usize,
    /// Versions that are left out, with the reason.
    pub left_out: BTreeMap<String, String>,
    /// Predictions of windows that are left out, because there are too many: those of the oldest ones.
    pub n_without_window: u64,
    /// Lines of both logs that are unreadable.
    pub n_unreadable: usize,
}

/// One version in one part of a release.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionPerformance {
    /// The registered model's name.
    pub model: String,
    /// The version.
    pub version: u32,
    /// The part that it had.
    pub arm: Arm,
    /// Its classes in label order.
    pub classes: Vec<String>,
    /// All of its predictions.
    pub overall: WindowPerformance,
    /// The same by windows, from the first on; one without a prediction is left out.
    pub windows: Vec<WindowPerformance>,
}

/// One version in one part.
struct MeasuredLine {
    classes: Vec<String>,
    overall: PerformanceTally,
    windows: BTreeMap<i64, PerformanceTally>,
    max_windows: usize,
    /// The newest window that made room for others.
    newest_dropped: Option<i64>,
    n_without_window: u64,
}

/// Measures the predictions of the log in the folder `dir` against `labels`. `classes` are those of a model's
/// version.
///
/// # Errors
/// When the log cannot be read.
pub fn measure_performance(
    dir: &Path,
    labels: &TrueLabels,
    request: &PerformanceRequest,
    classes: impl FnMut(&str, u32) -> Result<Vec<String>>,
) -> Result<PerformanceReport> {
    let mut meter = PerformanceMeter::new(labels, request, classes);
    let n_unreadable = visit_predictions(dir, request.latest_bytes, |record| {
        meter.add(record);
        Ok(())
    })?;
    let report = meter.finish()?;
    Ok(PerformanceReport { n_unreadable, ..report })
}

/// Measures predictions that are shown to it one after the other, for whoever goes through the log for several
/// reasons.
pub struct PerformanceMeter<'a, C> {
    labels: &'a TrueLabels,
    request: &'a PerformanceRequest,
    classes: C,
    report: PerformanceReport,
    models: BTreeMap<String, BTreeMap<(u32, u8), MeasuredLine>>,
    matched: HashSet<(String, u32)>,
}

impl<'a, C: FnMut(&str, u32) -> Result<Vec<String>>> PerformanceMeter<'a, C> {
    /// Nothing measured yet, by `labels`. `classes` are those of a model's version.
    pub fn new(labels: &'a TrueLabels, request: &'a PerformanceRequest, classes: C) -> Self {
        Self {
            labels,
            request,
            classes,
            report: PerformanceReport { n_labels: labels.n_texts(), ..Default::default() },
            models: BTreeMap::new(),
            matched: HashSet::new(),
        }
    }

    /// Takes the next prediction of the log, whether it is asked for or not.
    pub fn add(&mut self, record: &PredictionView<'_>) {
        let Self { labels, request, report, .. } = self;
        let truth = labels.truth(record.request_id, record.index);
        if truth.is_some() && self.matched.insert((record.request_id.to_owned(), record.index)) {
            report.n_disputed += usize::from(labels.is_disputed(record.request_id, record.index));
        }
        let is_asked = record.timestamp_ms >= request.from_ms
            && request.model.as_ref().is_none_or(|model| model == record.model);
        if !is_asked {
            return;
        }
        if !self.models.contains_key(record.model) {
            self.models.insert(record.model.to_owned(), BTreeMap::new());
        }
        let Some(lines) = self.models.get_mut(record.model) else { return };
        let line = match lines.entry((record.version, arm_rank(record.arm))) {
            Entry::Occupied(line) => line.into_mut(),
            Entry::Vacant(place) => {
                let reference = format!("{}/{}", record.model, record.version);
                if report.left_out.contains_key(&reference) {
                    return;
                }
                match (self.classes)(record.model, record.version) {
                    Ok(classes) => place.insert(MeasuredLine::new(classes)),
                    Err(error) => {
                        report.left_out.insert(reference, error.to_string());
                        return;
                    }
                }
            }
        };
        let truth_idx = truth.and_then(|truth| {
            let idx = line.class(truth.label.as_deref()?);
            report.n_no_class += usize::from(idx.is_none());
            idx
        });
        let is_random = truth.is_some_and(|truth| truth.sampled_by == Some(SampleBy::Random));
        line.add(record, truth_idx, is_random, request.window);
    }

    /// What was measured and expected of all that was added.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where counts do not fit each other.
    pub fn finish(self) -> Result<PerformanceReport> {
        let Self { mut report, models, matched, .. } = self;
        report.n_unmatched = report.n_labels.saturating_sub(matched.len());
        for (model, lines) in models {
            for ((version, arm), line) in lines {
                report.n_without_window += line.n_without_window;
                let MeasuredLine { classes, overall, windows, .. } = line;
                let windows = windows.into_values().map(|tally| tally.finish(&classes));
                report.versions.push(VersionPerformance {
                    model: model.clone(),
                    version,
                    arm: [Arm::Production, Arm::Candidate, Arm::Shadow][usize::from(arm)],
                    windows: windows.collect::<Result<_>>()?,
                    overall: overall.finish(&classes)?,
                    classes,
                });
            }
        }
        Ok(report)
    }
}

fn arm_rank(arm: Arm) -> u8 {
    match arm {
        Arm::Production => 0,
        Arm::Candidate => 1,
        Arm::Shadow => 2,
    }
}

impl MeasuredLine {
    fn new(classes: Vec<String>) -> Self {
        let overall = PerformanceTally::new(classes.len());
        // Each of two expected matrices has three squares of numbers.
        let n_bytes = size_of::<PerformanceTally>() + 2 * 3 * 8 * classes.len().pow(2);
        let max_windows = (MAX_WINDOWS_BYTES / n_bytes).clamp(MIN_WINDOWS, MAX_WINDOWS);
        Self {
            classes,
            overall,
            windows: BTreeMap::new(),
            max_windows,
            newest_dropped: None,
            n_without_window: 0,
        }
    }

    fn class(&self, label: &str) -> Option<u32> {
        let idx = self.classes.iter().position(|class| class == label)?;
        u32::try_from(idx).ok()
    }

    fn add(
        &mut self,
        record: &PredictionView<'_>,
        truth: Option<u32>,
        is_random: bool,
        window: WindowSize,
    ) {
        // Of a version whose name was given to another model: its log is not this one's.
        let Some(predicted) = self.class(record.label) else { return };
        let n_classes = self.classes.len();
        let of_two = record.probability.map(|positive| [1.0 - positive, positive]);
        let row: &[f64] = match &of_two {
            Some(row) if n_classes == 2 => row,
            _ if record.probabilities.len() == n_classes => record.probabilities,
            _ => &[],
        };
        let window = window.window(record.timestamp_ms, self.overall.n_predictions);
        self.overall.add(record.timestamp_ms, predicted, row, truth, is_random);
        if self.newest_dropped.is_some_and(|dropped| window <= dropped) {
            self.n_without_window += 1;
            return;
        }
        let of_window =
            self.windows.entry(window).or_insert_with(|| PerformanceTally::new(n_classes));
        of_window.add(record.timestamp_ms, predicted, row, truth, is_random);
        if self.windows.len() > self.max_windows
            && let Some((oldest, tally)) = self.windows.pop_first()
        {
            self.newest_dropped = Some(oldest);
            self.n_without_window += tally.n_predictions;
        }
    }
}

#[cfg(test)]
mod tests;
