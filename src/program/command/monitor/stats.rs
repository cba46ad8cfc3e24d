//! `monitor stats`: what servers predicted, from the log they keep in the store.

use clap::Args;
use serde_json::json;
use trialbook::{
    book::now_ms,
    error::{Error, Result},
    figure,
    hint::Hint,
    monitor::{LogStats, PredictionStats, Summary, read_log},
    output::{Align, Output, Table},
};

use crate::command::{Session, moment::TimeArgument};

/// A choice of predictions.
#[derive(Debug, Clone, Args)]
pub struct Stats {
    /// Only those since then: so long ago (7d, 12h) or a date (2026-11-21)
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    last: Option<TimeArgument>,
    /// Only those of this registered model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl Stats {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let dir = session.book.store().logs_dir();
        let from_ms = self.last.map(|moment| moment.before(now_ms()));
        let read = |from_ms: Option<i64>| {
            let new = || LogStats::new(from_ms, self.model.clone());
            read_log(&dir, from_ms.unwrap_or(i64::MIN), new)
        };
        let logged = read(from_ms)?;
        // Files from before the window are not read.
        if logged.n_read == 0 && read(None)?.n_read == 0 {
            return Err(Error::invalid(format!("no predictions are logged in {}", dir.display()))
                .with_hint(Hint::new().run("serve").say(" logs each one")));
        }
        let n_unreadable = logged.n_unreadable;
        let (stats, models) = logged.finish();
        let mut json = json!(stats);
        json["models"] = json!(models);
        json["n_unreadable"] = json!(n_unreadable);
        let mut output = Output::new(json);
        // Labels and confidences of different models have nothing to do with each other.
        for (idx, (name, stats)) in models.iter().enumerate() {
            if models.len() > 1 {
                let gap = if idx > 0 { "\n" } else { "" };
                output = output.text(format!("{gap}model {name}\n"));
            }
            output = output.table(table(stats));
        }
        if models.is_empty() {
            // What was logged of a model that is gone is told above.
            if let Some(model) = &self.model {
                session.book.tracker()?.model(model)?;
            }
            output = output.text("no prediction fits");
        }
        if n_unreadable > 0 {
            let n_unreadable = figure::count(n_unreadable);
            output = output.text(format!("\nunreadable lines in the log: {n_unreadable}"));
        }
        Ok(output)
    }
}

fn table(stats: &PredictionStats) -> Table {
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
    table
}
