//! Statistics of logged predictions.

use std::collections::BTreeMap;

use serde::Serialize;

use super::PredictionRecord;
use crate::evaluate::quantile;

/// Mean and percentiles; all 0 without a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nineteen of twenty are no larger.
    pub p95: f64,
    /// Ninety-nine of a hundred are no larger.
    pub p99: f64,
}

impl Summary {
    /// Sums `values` up.
    pub fn of(mut values: Vec<f64>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        values.sort_by(f64::total_cmp);
        let percentile = |share: f64| quantile(&values, share);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { mean, p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) }
    }
}

/// Statistics of predictions.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PredictionStats {
    /// The number of predictions.
    pub n_predictions: usize,
    /// The first one's time, in milliseconds since the Unix epoch.
    pub from_ms: Option<i64>,
    /// The last one's.
    pub to_ms: Option<i64>,
    /// The number of times each class was predicted.
    pub labels: BTreeMap<String, usize>,
    /// The number of answers of each `NAME/VERSION`.
    pub versions: BTreeMap<String, usize>,
    /// The predicted labels' probabilities.
    pub confidence: Summary,
    /// The time that requests took.
    pub latency_ms: Summary,
}

impl PredictionStats {
    /// Statistics of each model of `records`, by its name.
    pub fn by_model(records: &[PredictionRecord]) -> BTreeMap<String, Self> {
        let mut groups: BTreeMap<&str, Vec<PredictionRecord>> = BTreeMap::new();
        for record in records {
            groups.entry(&record.model).or_default().push(record.clone());
        }
        groups.into_iter().map(|(name, records)| (name.to_owned(), Self::of(&records))).collect()
    }

    /// Statistics of `records`.
    pub fn of(records: &[PredictionRecord]) -> Self {
        let times = || records.iter().map(|record| record.timestamp_ms);
        let mut stats = Self {
            n_predictions: records.len(),
            from_ms: times().min(),
            to_ms: times().max(),
            confidence: Summary::of(records.iter().map(|record| record.confidence).collect()),
            latency_ms: Summary::of(records.iter().map(|record| record.latency_ms).collect()),
            ..Self::default()
        };
        for record in records {
            *stats.labels.entry(record.label.clone()).or_default() += 1;
            let version = format!("{}/{}", record.model, record.version);
            *stats.versions.entry(version).or_default() += 1;
        }
        stats
    }
}
