//! `monitor label`: true labels of predictions from a file.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trialbook::{book::LabelFileRequest, error::Result, monitor::GivenLabel, output::Output};

use crate::command::{Session, dialect::DialectArgs};

/// `monitor label answers.csv`
#[derive(Debug, Clone, Args)]
pub struct LabelFile {
    /// A file of CSV, TSV, JSON lines, Parquet or Arrow with the columns request_id (or id) and label, and where they
    /// are there index (the place of a text in its batch, from 0) or line (of a stream, from 1), source, sampled_by
    /// and timestamp_ms. A label that is null in JSON takes back what the source said; an empty one is passed over.
    /// - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    path: PathBuf,
    /// Who says so, for rows that do not name it: user, annotator:ann
    #[arg(long, default_value = GivenLabel::DEFAULT_SOURCE)]
    source: String,
    #[command(flatten)]
    dialect: DialectArgs,
}

impl LabelFile {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let request = LabelFileRequest {
            path: self.path.clone(),
            dialect: self.dialect.dialect(),
            source: self.source.clone(),
        };
        Ok(session.book.label_file(&request, &session.monitor)?.to_output())
    }
}
