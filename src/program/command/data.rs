//! `data add|sample|list|show|head|counts|describe|issues|drop|from-feedback|behaviour|remove`: datasets.

mod behaviour;
mod feedback;
mod issues;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{
    data::{AddRequest, Dataset, DatasetSource, KeepColumns},
    error::{Error, Result},
    output::Output,
};

use super::{
    Session,
    dialect::DialectArgs,
    named::{SplitFlag, whole},
};

/// The verbs on datasets.
#[derive(Debug, Clone, Subcommand)]
pub enum Data {
    /// Add a dataset: an aclImdb folder, or a CSV, TSV, JSONL, Parquet or Arrow file
    Add(Box<AddDataset>),
    /// Make the built-in sample: 2,000 train and 1,000 test reviews
    Sample(AddSample),
    /// List datasets
    List,
    /// Show a dataset: splits, classes, fingerprints
    Show(DatasetName),
    /// Show the first examples of a dataset or of one split
    Head(HeadCommand),
    /// Count the values of a column, of a dataset or of one split
    Counts(Counts),
    /// Describe a dataset: balance, lengths, telling words, duplicates, overlap
    Describe(DatasetName),
    /// Find what may be wrong: labels, near-duplicates, flawed texts, leakage
    Issues(issues::FindIssues),
    /// Make a new dataset without the rows of listed issues
    Drop(issues::DropIssues),
    /// Make a dataset of predicted texts and their true labels
    FromFeedback(feedback::FromFeedback),
    /// Show, set and check the behaviour tests of a dataset
    #[command(subcommand)]
    Behaviour(behaviour::BehaviourCommand),
    /// Remove a dataset from the store; runs and models that used it stay
    Remove(DatasetName),
}

/// A new dataset.
#[derive(Debug, Clone, Args)]
pub struct AddDataset {
    /// The name to give it
    name: String,
    /// A file, which is split into train and test, or a folder with both. Several files: a folder,
    /// or a pattern in quotes, 'data/*.parquet'. - is standard input; s3://BUCKET/KEY is an object, with a
    /// slash at its end all below it. Files may be packed (.gz, .zst). Columns of CSV without a name are called "Unnamed: 2" (counted from 0), repeated ones
    /// text.1, text.2
    #[arg(required_unless_present_all = ["train", "test"], conflicts_with_all = ["train", "test"])]
    path: Option<PathBuf>,
    /// The file or files of the train split, also as s3://BUCKET/KEY
    #[arg(long, value_name = "FILE", requires = "test")]
    train: Option<PathBuf>,
    /// The file or files of the test split, also as s3://BUCKET/KEY
    #[arg(long, value_name = "FILE", requires = "train")]
    test: Option<PathBuf>,
    /// The column that holds the text; guessed when obvious
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    text: Option<String>,
    /// The column that holds the label; guessed when obvious
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    label: Option<String>,
    #[command(flatten)]
    dialect: DialectArgs,
    /// The part of a single file that becomes the test split; without it 0.2
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    test_size: Option<f64>,
    /// The seed of that split
    #[arg(long, default_value_t = AddRequest::DEFAULT_SEED, allow_negative_numbers = true)]
    seed: u64,
    /// The positive one of two classes: precision, recall, F1 and probabilities are those of this
    /// class; without it `positive`, or the last one
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true)]
    positive: Option<String>,
    /// Leave out rows whose label is null or empty, and say how many
    #[arg(long)]
    drop_unlabelled: bool,
    /// Leave out rows whose text is null or empty, and say how many
    #[arg(long)]
    drop_empty: bool,
    /// The other columns to keep for queries: `all`, `none` or names with commas. `all` keeps the
    /// first 64, up to 256 MiB, without bytes and without columns that have a text over 64 KiB
    #[arg(long, default_value = "all", value_name = "COLUMNS")]
    columns: KeepColumns,
}

/// The built-in sample.
#[derive(Debug, Clone, Args)]
pub struct AddSample {
    /// The name to give it
    #[arg(default_value = "sample")]
    name: String,
}

/// One dataset.
#[derive(Debug, Clone, Args)]
pub struct DatasetName {
    /// The dataset
    name: String,
}

/// The first examples.
#[derive(Debug, Clone, Args)]
pub struct HeadCommand {
    /// The dataset, or one split of it: NAME.train
    name: String,
    #[command(flatten)]
    split: SplitFlag,
    /// The number of rows to show
    #[arg(short, default_value_t = 5, value_name = "ROWS", allow_negative_numbers = true)]
    n: usize,
}

/// The values of a column.
#[derive(Debug, Clone, Args)]
pub struct Counts {
    /// The dataset, or one split of it: NAME.train
    name: String,
    /// The column: label, or one that was kept
    column: String,
    #[command(flatten)]
    split: SplitFlag,
    /// The number of values to show; all of them are in the JSON
    #[arg(short, default_value_t = 50, value_name = "ROWS")]
    n: usize,
}

impl Data {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let datasets = session.book.datasets();
        match self {
            Self::Add(add) => add.run(session),
            Self::Sample(sample) => {
                let request =
                    AddRequest::new(DatasetSource::Sample { seed: AddRequest::DEFAULT_SEED });
                Ok(datasets.add(&sample.name, &request, &session.monitor)?.to_output())
            }
            Self::List => Ok(Dataset::list_output(&datasets.list()?)),
            Self::Show(named) => Ok(datasets.get(whole(&named.name)?)?.to_output()),
            Self::Head(head) => {
                Ok(datasets.head(&head.split.join(&head.name)?, head.n)?.to_output())
            }
            Self::Counts(counts) => {
                let Counts { name, column, split, n } = counts;
                Ok(datasets.value_counts(&split.join(name)?, column)?.to_output(*n))
            }
            Self::Describe(named) => Ok(datasets.describe(whole(&named.name)?)?.to_output()),
            Self::Issues(find) => find.run(session),
            Self::Drop(drop) => drop.run(session),
            Self::FromFeedback(make) => make.run(session),
            Self::Behaviour(verb) => verb.run(session),
            Self::Remove(named) => {
                session.book.remove_dataset(whole(&named.name)?)?;
                Ok(Output::new(json!({"name": named.name, "removed": true}))
                    .text(format!("removed dataset {}", named.name)))
            }
        }
    }
}

impl AddDataset {
    fn run(&self, session: &Session) -> Result<Output> {
        let source = match (&self.path, &self.train, &self.test) {
            (Some(path), _, _) => DatasetSource::Path(path.clone()),
            (None, Some(train), Some(test)) => {
                DatasetSource::Pair { train: train.clone(), test: test.clone() }
            }
            _ => {
                return Err(Error::invalid("no data to add")
                    .with_hint("give a PATH, or both --train FILE and --test FILE"));
            }
        };
        let request = AddRequest {
            source,
            dialect: self.dialect.dialect(),
            text_column: self.text.clone(),
            label_column: self.label.clone(),
            test_size: self.test_size,
            seed: self.seed,
            positive: self.positive.clone(),
            positive_of: None,
            drop_unlabelled: self.drop_unlabelled,
            drop_empty: self.drop_empty,
            columns: self.columns.clone(),
        };
        let datasets = session.book.datasets();
        Ok(datasets.add(&self.name, &request, &session.monitor)?.to_output())
    }
}
