//! `monitor drift`: whether what a version is asked, and what it answers, still looks like what it was judged
//! by.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trialbook::{
    book::{DriftRequest, DriftSource, now_ms},
    data::check_file,
    display,
    error::Result,
    monitor::drift::DriftOptions,
    output::Output,
    registry::VersionSelector,
    store::write_atomically,
};

use crate::command::{
    Session,
    moment::TimeArgument,
    named::{model_or_default, reference, version_forms, version_read_forms, version_word},
};

/// `monitor drift Reviews --last 7d`
#[derive(Debug, Clone, Args)]
pub struct Drift {
    #[arg(help = version_read_forms!("; without it the one model in production"))]
    model: Option<String>,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// Only predictions since then: so long ago (7d, 12h) or a date (2026-11-21)
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "7d",
        conflicts_with = "data",
        allow_hyphen_values = true
    )]
    last: TimeArgument,
    /// Compare with the version's answers to these texts instead of the log: a split such as imdb.test, or a
    /// file: .csv, .tsv, .jsonl, .json, .parquet or .arrow
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    data: Option<String>,
    /// Predictions below which nothing is said
    #[arg(long, value_name = "N", default_value_t = DriftOptions::default().min_n)]
    min: u64,
    /// Also write the report into this file, as one page of HTML that needs nothing else
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    /// Overwrite that file if it exists
    #[arg(long, requires = "html")]
    force: bool,
}

impl Drift {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        if let Some(path) = &self.html {
            check_file(path, self.force)?;
        }
        let model = match &self.model {
            Some(model) => reference(session, model, self.version.as_ref())?,
            None => model_or_default(session, None)?,
        };
        let source = match &self.data {
            Some(name) => DriftSource::Data(name.clone()),
            None => DriftSource::Log { from_ms: self.last.before(now_ms()) },
        };
        let options = DriftOptions { min_n: self.min.max(1), ..DriftOptions::default() };
        let request = DriftRequest { model, source, options };
        let report = session.book.drift(&request, &session.monitor)?;
        let output = report.to_output();
        let Some(path) = &self.html else { return Ok(output) };
        let title = format!("Drift of {}", report.model);
        write_atomically(path, display::page(&title, &output).as_bytes())?;
        Ok(output.text(format!("\nwritten to {}", path.display())))
    }
}
