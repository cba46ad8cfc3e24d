//! `monitor performance`: how good the answers were, by true labels and by the probabilities alone.

use clap::Args;
use trialbook::{
    book::now_ms,
    error::Result,
    monitor::{PerformanceRequest, WindowSize},
    output::Output,
};

use crate::command::{Session, moment::TimeArgument, named::model_and_version};

/// `monitor performance Reviews --last 7d --window 1d`
#[derive(Debug, Clone, Args)]
pub struct Performance {
    /// The registered model, or one version of it (NAME/2); without it, all models
    model: Option<String>,
    /// Only predictions since then: so long ago (7d, 12h) or a date (2026-11-21)
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    last: Option<TimeArgument>,
    /// The windows that are measured by themselves: a duration (1d, 12h) or a number of predictions (1000)
    #[arg(long, value_name = "SIZE", default_value = "1d")]
    window: WindowSize,
}

impl Performance {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let (model, version) = model_and_version(session, self.model.as_ref())?;
        let request = PerformanceRequest {
            model,
            from_ms: self.last.map_or(i64::MIN, |moment| moment.before(now_ms())),
            latest_bytes: None,
            window: self.window,
        };
        let report = session.book.performance(&request)?;
        Ok(match version {
            Some(version) => report.only(version).to_output(),
            None => report.to_output(),
        })
    }
}
