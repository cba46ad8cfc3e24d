//! What is asked of `data add`, and what it answers.

use std::path::PathBuf;

use serde::Serialize;

use super::{Dataset, Dialect};
use crate::{figure, output::Output};

/// A dataset to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct AddRequest {
    /// Where the examples are.
    pub source: Source,
    /// How its text is spelled, as far as it is said; the rest is guessed.
    pub dialect: Dialect,
    /// The column of texts; `None` is guessed when obvious.
    pub text_column: Option<String>,
    /// The column of labels; `None` is guessed when obvious.
    pub label_column: Option<String>,
    /// The share of each class that becomes the test split, above 0 and below 1. Only for a source
    /// with one split; `None` there means [`AddRequest::DEFAULT_TEST_SIZE`].
    pub test_size: Option<f64>,
    /// Decides which examples become the test split.
    pub seed: u64,
}

/// Where examples come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The aclImdb folder, one file, or several: a folder of them, or a pattern such as
    /// `data/*.parquet`. On the command line `-` is standard input.
    Path(PathBuf),
    /// A file (or several, or a folder of `pos` and `neg`) for each split.
    Pair {
        /// The training examples.
        train: PathBuf,
        /// The test examples.
        test: PathBuf,
    },
    /// The built-in sample: 2,000 training and 1,000 test reviews that a grammar writes.
    Sample {
        /// Decides every review.
        seed: u64,
    },
}

/// What came of adding a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    /// The dataset as it is in the store now.
    pub dataset: Dataset,
    /// Whether it was new.
    pub outcome: AddOutcome,
    /// What was guessed on the way, such as `label column "sentiment" (guessed)`.
    pub notes: Vec<String>,
}

/// Whether adding changed the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AddOutcome {
    /// The dataset is new.
    Created,
    /// The same examples were there already under this name.
    Unchanged,
}

impl AddRequest {
    /// A fifth: the usual share, and small enough to leave the training examples alone.
    pub const DEFAULT_TEST_SIZE: f64 = 0.2;

    /// The seed of the split and of the built-in sample where none is given.
    pub const DEFAULT_SEED: u64 = 42;

    /// Asks for `source` with everything else guessed or at its default.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            dialect: Dialect::default(),
            text_column: None,
            label_column: None,
            test_size: None,
            seed: Self::DEFAULT_SEED,
        }
    }
}

impl Added {
    /// What `data add` shows.
    pub fn to_output(&self) -> Output {
        let Self { dataset, outcome, notes } = self;
        let counts: Vec<String> = dataset
            .splits
            .iter()
            .map(|split| format!("{} {}", figure::count(split.fingerprint.n_rows), split.name))
            .collect();
        let counts = counts.join(" + ");
        let mut lines: Vec<String> = notes.iter().map(|note| format!("note: {note}")).collect();
        lines.push(match outcome {
            AddOutcome::Created => format!(
                "added {}: {counts} rows, classes {}",
                dataset.name,
                dataset.classes.join(", ")
            ),
            AddOutcome::Unchanged => format!(
                "{} is unchanged: the store has exactly these examples already ({counts} rows)",
                dataset.name
            ),
        });
        Output::new(self).text(lines.join("\n"))
    }
}
