//! `monitor …`: what became of a model after its release, from what servers wrote down in the store.
//! A verb a file.

mod drift;
mod label;
mod performance;
mod sample;
mod stats;

use clap::Subcommand;
use trialbook::{error::Result, output::Output};

use super::Session;

/// The verbs on what was served.
#[derive(Debug, Clone, Subcommand)]
pub enum MonitorCommand {
    /// Compare what a version is asked and answers now with what it was judged by; exits with 3 on an alert
    Drift(drift::Drift),
    /// Count the logged predictions of each model, by label and version, with confidence and latency
    Stats(stats::Stats),
    /// Take true labels of predictions from a file: late, in any order, as often as you like
    Label(label::LabelFile),
    /// Measure versions by true labels, beside what their probabilities let one expect without any
    Performance(performance::Performance),
    /// Pick the predictions to label next
    Sample(Box<sample::Sample>),
}

impl MonitorCommand {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        match self {
            Self::Drift(drift) => drift.run(session),
            Self::Stats(stats) => stats.run(session),
            Self::Label(label) => label.run(session),
            Self::Performance(performance) => performance.run(session),
            Self::Sample(sample) => sample.run(session),
        }
    }
}
