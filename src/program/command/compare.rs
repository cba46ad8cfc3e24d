//! `compare A B`: who is right where the other is wrong, in both directions.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trialbook::{book::CompareRequest, error::Result, output::Output};

use super::{
    Session,
    named::{SplitFlag, reference, version_word_forms},
};

/// `compare SentimentClassifier/1 SentimentClassifier/2`
#[derive(Debug, Clone, Args)]
pub struct CompareCommand {
    #[arg(value_name = "A", help = version_word_forms!(""))]
    first: String,
    /// The model to set beside it, named in the same way
    #[arg(value_name = "B")]
    second: String,
    /// The dataset, or one split of it: NAME.train; without a split NAME.test; without this option the
    /// dataset that A was trained on
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    #[command(flatten)]
    split: SplitFlag,
    /// The number of rows to list of each direction
    #[arg(short, value_name = "COUNT", default_value_t = 10)]
    n: usize,
    /// Write all rows that only one of them predicts right to this file: .csv, .tsv, .jsonl or .parquet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Overwrite the output file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

impl CompareCommand {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let first = reference(session, &self.first, None)?;
        let second = reference(session, &self.second, None)?;
        let (dataset, split) = self.split.apart(self.data.as_deref())?;
        let request = CompareRequest {
            dataset,
            split,
            n_rows: self.n,
            output: self.out.clone(),
            replace: self.force,
            ..CompareRequest::new(first.to_string(), second.to_string())
        };
        Ok(session.book.compare(&request)?.to_output())
    }
}
