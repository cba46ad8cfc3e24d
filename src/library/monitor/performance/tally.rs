//! The predictions of a stretch of time, counted until they are measured: what the probabilities let one expect of all
//! of them, and the rows that have a label. It knows neither windows nor logs.

use serde::Serialize;

use super::measured::{MeasuredPerformance, measure};
use crate::{
    error::Result,
    evaluate::{EstimatedMetric, ExpectedConfusion, PerformanceEstimate},
};

/// A version with more classes is not estimated in windows: what is counted grows with their third power.
const MAX_ESTIMATED_CLASSES: usize = 64;

/// The predictions of one version in a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowPerformance {
    /// The time of the first one, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The time of the last one.
    pub to_ms: i64,
    /// Number of predictions.
    pub n_predictions: u64,
    /// Those with a true label.
    pub n_labelled: u64,
    /// Those with one that were picked at random to be labelled.
    pub n_random: u64,
    /// What the labels say; none without any.
    pub measured: Option<MeasuredPerformance>,
    /// What the probabilities of all predictions let one expect, labelled or not; none where the log has none.
    pub estimated: Option<PerformanceEstimate>,
    /// The measured metrics beside what the probabilities of the same rows let one expect.
    pub beside: Option<BesideEstimate>,
}

/// Measured minus expected on the labelled rows, and whether the interval of what was expected held it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BesideEstimate {
    /// What was expected of F1.
    pub f1: EstimatedMetric,
    /// How far the measured F1 is above that.
    pub f1_apart: f64,
    /// Whether it lies in the interval.
    pub f1_held: bool,
    /// What was expected of the accuracy.
    pub accuracy: EstimatedMetric,
    /// How far the measured accuracy is above that.
    pub accuracy_apart: f64,
    /// Whether it lies in the interval.
    pub accuracy_held: bool,
}

/// The predictions of a stretch of time, counted.
pub(super) struct PerformanceTally {
    from_ms: i64,
    to_ms: i64,
    pub(super) n_predictions: u64,
    n_random: u64,
    expected: Option<ExpectedConfusion>,
    /// Of the labelled rows alone.
    expected_labelled: Option<ExpectedConfusion>,
    labels: Vec<u32>,
    predicted: Vec<u32>,
    probabilities: Vec<f64>,
}

impl PerformanceTally {
    pub(super) fn new(n_classes: usize) -> Self {
        let expected = (n_classes <= MAX_ESTIMATED_CLASSES)
            .then(|| ExpectedConfusion::new(n_classes).ok())
            .flatten();
        Self {
            from_ms: i64::MAX,
            to_ms: i64::MIN,
            n_predictions: 0,
            n_random: 0,
            expected_labelled: expected.clone(),
            expected,
            labels: Vec::new(),
            predicted: Vec::new(),
            probabilities: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        at_ms: i64,
        predicted: u32,
        row: &[f64],
        truth: Option<u32>,
        is_random: bool,
    ) {
        self.from_ms = self.from_ms.min(at_ms);
        self.to_ms = self.to_ms.max(at_ms);
        self.n_predictions += 1;
        // An estimate of a part of the rows would be taken for one of all.
        let add = |expected: &mut Option<ExpectedConfusion>| {
            let is_added = expected.as_mut().is_some_and(|all| all.add(row, predicted).is_ok());
            if !is_added {
                *expected = None;
            }
        };
        add(&mut self.expected);
        let Some(truth) = truth else { return };
        add(&mut self.expected_labelled);
        self.n_random += u64::from(is_random);
        self.labels.push(truth);
        self.predicted.push(predicted);
        self.probabilities.extend_from_slice(row);
    }

    pub(super) fn finish(self, classes: &[String]) -> Result<WindowPerformance> {
        let Self { labels, predicted, probabilities, .. } = &self;
        let has_all = self.expected_labelled.is_some();
        let probabilities = if has_all { &probabilities[..] } else { &[] };
        let measured = (!labels.is_empty())
            .then(|| measure(labels, predicted, probabilities, classes))
            .transpose()?;
        let estimate = |expected: &Option<ExpectedConfusion>| {
            expected.as_ref().and_then(|expected| expected.estimate().ok())
        };
        let on_labelled = estimate(&self.expected_labelled);
        Ok(WindowPerformance {
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            n_predictions: self.n_predictions,
            n_labelled: labels.len() as u64,
            n_random: self.n_random,
            estimated: estimate(&self.expected),
            beside: measured
                .as_ref()
                .zip(on_labelled)
                .map(|(measured, estimate)| BesideEstimate::of(measured, estimate)),
            measured,
        })
    }
}

impl BesideEstimate {
    fn of(measured: &MeasuredPerformance, estimate: PerformanceEstimate) -> Self {
        /// What rounding may move a metric by.
        const ROUNDING: f64 = 1e-9;
        let holds = |expected: EstimatedMetric, value: f64| {
            (expected.lower - ROUNDING..=expected.upper + ROUNDING).contains(&value)
        };
        let (f1, accuracy) = (measured.f1.value, measured.accuracy.value);
        Self {
            f1: estimate.f1,
            f1_apart: f1 - estimate.f1.estimate,
            f1_held: holds(estimate.f1, f1),
            accuracy: estimate.accuracy,
            accuracy_apart: accuracy - estimate.accuracy.estimate,
            accuracy_held: holds(estimate.accuracy, accuracy),
        }
    }
}
