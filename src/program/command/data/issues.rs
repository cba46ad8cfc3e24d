//! `data issues` and `data drop`: what may be wrong with a dataset, and a new one without it.

use std::path::PathBuf;

use clap::{
    Args, ValueHint,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use trialbook::{
    book::IssuesRequest,
    data::{DropRequest, IssueKind, check_new},
    error::Result,
    output::Output,
};

use super::super::{
    Session,
    named::{SplitFlag, whole},
};

/// `data issues imdb.train -n 10 --out issues.json`
#[derive(Debug, Clone, Args)]
pub struct FindIssues {
    /// The dataset, or one split of it: NAME.train
    name: String,
    #[command(flatten)]
    split: SplitFlag,
    /// The number of issues of each kind to show; all of them are in the JSON and in the file
    #[arg(short, default_value_t = 20, value_name = "ROWS")]
    n: usize,
    /// The kinds to look for, with commas between them; without it all of them
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kinds())]
    kinds: Vec<IssueKind>,
    /// The folds by which labels are doubted
    #[arg(long, value_name = "K", default_value_t = IssuesRequest::default().n_folds)]
    folds: usize,
    /// The seed of the folds, and of the hashes by which near-duplicates are found
    #[arg(long, default_value_t = IssuesRequest::default().seed)]
    seed: u64,
    /// Also write the list into this JSON file, for `data drop`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Overwrite the output file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

/// `data drop imdb --issues issues.json --as imdb_clean`
#[derive(Debug, Clone, Args)]
pub struct DropIssues {
    /// The dataset to leave rows out of; it stays as it is
    name: String,
    /// The list of issues: what `data issues` wrote, or a part of it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    issues: PathBuf,
    /// The name of the new dataset
    #[arg(long = "as", value_name = "NAME")]
    new_name: String,
    /// The kinds of issues that count, with commas between them; without it all but leakage, which
    /// no row is to blame for
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kinds())]
    kinds: Vec<IssueKind>,
}

impl FindIssues {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let Self { name, split, n, kinds, folds, seed, out, force } = self;
        if let Some(path) = out {
            check_new(path, *force)?;
        }
        let request = IssuesRequest { kinds: kinds.clone(), n_folds: *folds, seed: *seed };
        let found = session.book.data_issues(&split.join(name)?, &request, &session.monitor)?;
        let output = found.to_output(*n);
        let Some(path) = out else { return Ok(output) };
        found.write(path)?;
        Ok(output.text(format!("\nwrote {path:?}")))
    }
}

impl DropIssues {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let request = DropRequest {
            dataset: whole(&self.name)?.to_owned(),
            issues: self.issues.clone(),
            kinds: self.kinds.clone(),
            name: self.new_name.clone(),
        };
        Ok(session.book.datasets().drop_issues(&request, &session.monitor)?.to_output())
    }
}

/// Kinds by their names, which completion offers with what they mean.
fn kinds() -> impl TypedValueParser<Value = IssueKind> {
    let names = IssueKind::ALL.map(|kind| PossibleValue::new(kind.name()).help(kind.meaning()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<IssueKind>())
}
