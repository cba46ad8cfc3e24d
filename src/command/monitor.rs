//! `monitor stats`: what servers predicted, from the log they keep in the store.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Session;
use crate::{
    error::{Error, Result},
    figure,
    monitor::{PredictionStats, Summary, read_predictions},
    output::{Align, Output, Table},
};

/// The verbs on what was served.
#[derive(Debug, Clone, Subcommand)]
pub enum Monitor {
    /// Count the logged predictions, by label and version, with confidence and latency
    Stats(Stats),
}

/// Which predictions.
#[derive(Debug, Clone, Args)]
pub struct Stats {
    /// Only those of the last so many hours
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    last: Option<f64>,
    /// Only those of this registered model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl Monitor {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let Self::Stats(stats) = self;
        stats.run(session)
    }
}

impl Stats {
    fn run(&self, session: &Session) -> Result<Output> {
        let dir = session.book.store().logs_dir();
        let mut logged = read_predictions(&dir)?;
        if logged.records.is_empty() {
            return Err(Error::invalid(format!("no predictions are logged in {}", dir.display()))
                .with_hint("`trialbook serve` logs each one"));
        }
        if let Some(hours) = self.last {
            let now_ms = chrono::Utc::now().timestamp_millis();
            let from_ms = now_ms - (hours * 3.6e6) as i64;
            logged.records.retain(|record| record.timestamp_ms >= from_ms);
        }
        if let Some(model) = &self.model {
            logged.records.retain(|record| record.model == *model);
        }
        let stats = PredictionStats::of(&logged.records);
        let share = |n: usize| {
            let share = 100.0 * n as f64 / stats.n_predictions.max(1) as f64;
            format!("{} ({share:.1} %)", figure::count(n))
        };
        let summary = |summary: &Summary| {
            let Summary { mean, p50, p95, p99 } = summary;
            format!("mean {mean:.3}, p50 {p50:.3}, p95 {p95:.3}, p99 {p99:.3}")
        };
        let mut table = Table::new([("fact", Align::Left), ("value", Align::Left)]);
        table.push(["predictions", &figure::count(stats.n_predictions)]);
        for (name, at_ms) in [("from (UTC)", stats.from_ms), ("to (UTC)", stats.to_ms)] {
            if let Some(at_ms) = at_ms {
                table.push([name, &figure::time(at_ms)]);
            }
        }
        for (name, n) in stats.labels.iter().chain(&stats.versions) {
            table.push([name, &share(*n)]);
        }
        table.push(["confidence", &summary(&stats.confidence)]);
        table.push(["latency (ms)", &summary(&stats.latency_ms)]);
        if logged.n_unreadable > 0 {
            table.push(["unreadable lines", &figure::count(logged.n_unreadable)]);
        }
        let mut json = json!(stats);
        json["n_unreadable"] = json!(logged.n_unreadable);
        Ok(Output::new(json).table(table))
    }
}

fn hours(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(hours) if hours > 0.0 && hours < 1e6 => Ok(hours),
        _ => Err("expected a number of hours above 0".to_owned()),
    }
}
