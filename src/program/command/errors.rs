//! `errors MODEL`: the rows that a version predicts wrong, and the words that decided.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trialbook::{
    book::ErrorsRequest, error::Result, evaluate::Slice, output::Output, registry::VersionSelector,
};

use super::{
    Session,
    named::{SplitFlag, reference, version_forms, version_read_forms, version_word},
};

/// `errors SentimentClassifier/1 -n 5`
#[derive(Debug, Clone, Args)]
pub struct ErrorsCommand {
    #[arg(help = version_read_forms!(""))]
    model: String,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// The dataset, or one split of it: NAME.train; without a split NAME.test; without this option the
    /// dataset that the version was trained on
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    #[command(flatten)]
    split: SplitFlag,
    /// Only rows that are labelled with this class
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Only rows of this slice, such as length:q4, "unknown>0.2", negation, genre=drama, "/regex/" or
    /// several joined by " and "
    #[arg(long, value_name = "SLICE")]
    slice: Option<Slice>,
    /// The number of errors to list
    #[arg(short, value_name = "COUNT", default_value_t = 20)]
    n: usize,
    /// The number of listed errors whose deciding words are looked for; without it all of them. A net
    /// takes as long for one as for a hundred answers
    #[arg(long, value_name = "COUNT")]
    explain: Option<usize>,
    /// Write all of them, however many are listed, to this file: .csv, .tsv, .jsonl or .parquet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Overwrite the output file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

impl ErrorsCommand {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let model = reference(session, &self.model, self.version.as_ref())?;
        let (dataset, split) = self.split.apart(self.data.as_deref())?;
        let request = ErrorsRequest {
            dataset,
            split,
            class: self.class.clone(),
            slice: self.slice.clone(),
            n_errors: self.n,
            n_explained: self.explain,
            output: self.out.clone(),
            replace: self.force,
            ..ErrorsRequest::new(model.to_string())
        };
        Ok(session.book.errors(&request)?.to_output())
    }
}
