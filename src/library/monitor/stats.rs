//! Statistics of logged predictions.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Arm, PredictionRecord, line::PredictionView, reader::LogSink, tally::WordsLine};
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

/// Statistics of a log of any length: of each prediction two numbers are kept, for the percentiles.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogStats {
    from_ms: Option<i64>,
    model: Option<String>,
    models: BTreeMap<String, ModelLog>,
    /// Predictions that were read, wanted or not.
    pub n_read: usize,
    /// Lines that are damaged.
    pub n_unreadable: usize,
}

/// What is known of one model's predictions.
#[derive(Debug, Clone, Default, PartialEq)]
struct ModelLog {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    labels: BTreeMap<String, usize>,
    versions: BTreeMap<u32, usize>,
    confidences: Vec<f64>,
    latencies: Vec<f64>,
}

impl LogStats {
    /// Of the predictions since `from_ms` and of `model`, where these are named. Those of the shadow are
    /// left out: nobody got the answer.
    pub fn new(from_ms: Option<i64>, model: Option<String>) -> Self {
        Self { from_ms, model, ..Self::default() }
    }

    /// The statistics of all that was wanted, and those of each model by its name.
    pub fn finish(self) -> (PredictionStats, BTreeMap<String, PredictionStats>) {
        let mut all = ModelLog::default();
        let mut versions = BTreeMap::new();
        let mut models = BTreeMap::new();
        for (name, log) in self.models {
            let stats = log.stats(&name);
            versions.extend(stats.versions.clone());
            models.insert(name, stats);
            all.merge(log);
        }
        all.versions.clear();
        (PredictionStats { versions, ..all.stats("") }, models)
    }
}

impl ModelLog {
    fn stats(&self, name: &str) -> PredictionStats {
        let versions = self.versions.iter();
        PredictionStats {
            n_predictions: self.confidences.len(),
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            labels: self.labels.clone(),
            versions: versions.map(|(version, n)| (format!("{name}/{version}"), *n)).collect(),
            confidence: Summary::of(self.confidences.clone()),
            latency_ms: Summary::of(self.latencies.clone()),
        }
    }

    fn merge(&mut self, later: Self) {
        self.from_ms = self.from_ms.into_iter().chain(later.from_ms).min();
        self.to_ms = self.to_ms.max(later.to_ms);
        for (label, n) in later.labels {
            *self.labels.entry(label).or_default() += n;
        }
        for (version, n) in later.versions {
            *self.versions.entry(version).or_default() += n;
        }
        self.confidences.extend(later.confidences);
        self.latencies.extend(later.latencies);
    }
}

impl LogSink for LogStats {
    fn prediction(&mut self, record: &PredictionView<'_>) {
        self.n_read += 1;
        let is_wanted = self.from_ms.is_none_or(|from_ms| record.timestamp_ms >= from_ms)
            && self.model.as_ref().is_none_or(|model| model == record.model);
        if !is_wanted || record.arm == Arm::Shadow {
            return;
        }
        if !self.models.contains_key(record.model) {
            self.models.insert(record.model.to_owned(), ModelLog::default());
        }
        let Some(log) = self.models.get_mut(record.model) else { return };
        let at_ms = Some(record.timestamp_ms);
        log.from_ms = log.from_ms.into_iter().chain(at_ms).min();
        log.to_ms = log.to_ms.max(at_ms);
        match log.labels.get_mut(record.label) {
            Some(n) => *n += 1,
            None => {
                log.labels.insert(record.label.to_owned(), 1);
            }
        }
        *log.versions.entry(record.version).or_default() += 1;
        log.confidences.push(record.confidence);
        log.latencies.push(record.latency_ms);
    }

    fn words(&mut self, _line: &WordsLine) {}

    fn unreadable(&mut self) {
        self.n_unreadable += 1;
    }

    fn merge(&mut self, later: Self) {
        self.n_read += later.n_read;
        self.n_unreadable += later.n_unreadable;
        for (name, log) in later.models {
            self.models.entry(name).or_default().merge(log);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::monitor::read_log;

    #[test]
    fn a_log_that_is_folded_says_what_its_records_say() {
        let record = |n: u32| PredictionRecord {
            timestamp_ms: i64::from(n),
            model: format!("M{}", n % 3),
            version: 1 + n % 2,
            label: format!("label{}", n % 5),
            confidence: f64::from(n % 97) / 97.0,
            latency_ms: f64::from(n * n % 1_009),
            arm: if n.is_multiple_of(11) { Arm::Shadow } else { Arm::Production },
            ..PredictionRecord::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let records: Vec<PredictionRecord> = (0..3_000).map(record).collect();
        for (idx, part) in records.chunks(1_300).enumerate() {
            let line = |record| serde_json::to_string(record).unwrap() + "\n";
            let lines: String = part.iter().map(line).collect();
            fs::write(folder.path().join(format!("predictions-99999{idx}-1.jsonl")), lines)
                .unwrap();
        }
        let folded = read_log(folder.path(), 500, || LogStats::new(Some(500), None)).unwrap();
        assert_eq!((folded.n_read, folded.n_unreadable), (3_000, 0));
        let wanted: Vec<PredictionRecord> = records
            .into_iter()
            .filter(|record| record.timestamp_ms >= 500 && record.arm != Arm::Shadow)
            .collect();
        let expected = (PredictionStats::of(&wanted), PredictionStats::by_model(&wanted));
        assert_eq!(folded.finish(), expected);
        let one =
            read_log(folder.path(), 0, || LogStats::new(None, Some("M1".to_owned()))).unwrap();
        assert_eq!(one.finish().1.into_keys().collect::<Vec<_>>(), ["M1"]);
    }
}
