//! The report of an exchange: how much was moved, how much was there before, and what was left and why.

use serde::Serialize;

/// Numbers of things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ExchangeCounts {
    /// Experiments.
    pub n_experiments: usize,
    /// Runs.
    pub n_runs: usize,
    /// Values of metrics.
    pub n_metrics: usize,
    /// Files of runs and logged models.
    pub n_artifacts: usize,
    /// Logged models.
    pub n_logged_models: usize,
    /// Registered models.
    pub n_models: usize,
    /// Versions of registered models.
    pub n_versions: usize,
}

/// A thing that was not moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The thing, such as `run 0123…`.
    pub what: String,
    /// The reason.
    pub why: String,
}

/// The outcome of an import or an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExchangeReport {
    /// The store that was read.
    pub from: String,
    /// The store that was written.
    pub to: String,
    /// The things that were moved.
    pub moved: ExchangeCounts,
    /// The things that were there already; metrics and artifacts are not counted.
    pub present: ExchangeCounts,
    /// The things that were left.
    pub left_out: Vec<LeftOut>,
}

impl ExchangeReport {
    pub(super) fn leave(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { what: what.into(), why: why.into() });
    }
}
