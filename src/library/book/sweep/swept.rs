//! The result of a sweep: every setting with what was measured of it. It measures and chooses nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::registry::Run;

/// A setting that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct SweptSetting {
    /// Its index among the settings, from 0.
    pub setting: usize,
    /// Every hyperparameter.
    pub params: BTreeMap<String, String>,
    /// Mean of each metric over the folds.
    pub mean: BTreeMap<String, f64>,
    /// Standard deviation over the folds (n - 1 in the denominator).
    pub std: BTreeMap<String, f64>,
    /// Terms learnt, the mean over the folds; none for a net.
    pub n_features: Option<f64>,
    /// The share of each fold's rows that was learnt: below 1 in an early round of halving.
    pub train_share: f64,
    /// Seconds of wall time; shared work is divided equally.
    pub seconds: f64,
    /// Its run.
    pub run_id: String,
}

/// The result of a sweep.
#[derive(Debug, Clone, Serialize)]
pub struct Swept {
    /// The run of the whole.
    #[serde(skip)]
    pub run: Run,
    /// The metric that settings were compared by.
    pub metric: String,
    /// The number of folds.
    pub n_folds: usize,
    /// All settings, the best first: those of a later round of halving before those of an earlier one.
    pub settings: Vec<SweptSetting>,
    /// The place among `settings` of the plainest one within one standard error of the best: the fewest
    /// terms, then the smallest `c`.
    pub plainest: usize,
    /// The number of settings that an earlier, stopped process had measured.
    pub n_continued: usize,
    /// The number of settings that the budget left unmeasured.
    pub n_left: usize,
}

impl SweptSetting {
    /// The mean of `metric`; of one that is not there, not a number.
    pub fn value(&self, metric: &str) -> f64 {
        self.mean.get(metric).copied().unwrap_or(f64::NAN)
    }

    /// The measure of its complexity: its terms, then the `c` of its penalty.
    pub(super) fn complexity(&self) -> [f64; 2] {
        let c = self.params.get("c").and_then(|c| c.parse().ok()).unwrap_or(0.0);
        [self.n_features.unwrap_or(0.0), c]
    }
}
