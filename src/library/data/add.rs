//! The request and the answer of `data add`.

use std::{path::PathBuf, str::FromStr};

use serde::Serialize;

use super::{Dataset, Dialect};
use crate::{
    error::{Error, Result},
    figure,
    hint::Hint,
    output::Output,
};

/// A dataset to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct AddRequest {
    /// The place of the examples.
    pub source: DatasetSource,
    /// The dialect of its text, as far as it is given; the rest is guessed.
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
    /// The positive one of two classes: precision, recall, F1, curves and the `probability` of a
    /// prediction are of it. `None` means `positive` where the labels are spellings of negative
    /// and positive, else the last class in label order.
    pub positive: Option<String>,
    /// The model whose positive class `positive` is; none where a person chose it.
    pub positive_of: Option<String>,
    /// Leave rows out whose label is null or empty, instead of refusing them.
    pub drop_unlabelled: bool,
    /// Leave rows out whose text is null or empty, instead of refusing them.
    pub drop_empty: bool,
    /// The columns besides text and label that are kept for queries.
    pub columns: KeepColumns,
}

/// The columns of a source besides text and label that a dataset keeps. Queries see them; training
/// does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeepColumns {
    /// The first 64, without those of bytes and those with a text of more than 64 KiB, as long as
    /// they take at most 256 MiB together.
    #[default]
    All,
    /// None of them.
    None,
    /// Those with these names.
    Only(Vec<String>),
}

/// Rows of the source that were left out, as asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Rows whose label is null or empty.
    pub n_unlabelled: usize,
    /// Rows with a label whose text is null or empty.
    pub n_empty: usize,
}

/// The place of examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetSource {
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
    /// Texts with their labels, in memory.
    Labelled(LabelledTexts),
    /// The built-in sample: 2,000 training and 1,000 test reviews that a grammar writes.
    Sample {
        /// Decides every review.
        seed: u64,
    },
}

/// Texts with their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledTexts {
    /// What they are called, for the reader.
    pub origin: String,
    /// One a row.
    pub texts: Vec<String>,
    /// The class of each.
    pub labels: Vec<String>,
    /// Other columns by their names, a value a row.
    pub columns: Vec<(String, Vec<String>)>,
}

/// The result of adding a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    /// The dataset as it is in the store now.
    pub dataset: Dataset,
    /// The change to the store.
    pub outcome: AddOutcome,
    /// The rows left out of all splits together.
    pub dropped: Dropped,
    /// The guesses made on the way, such as `label column "sentiment" (guessed)`.
    pub notes: Vec<Hint>,
}

/// The change that adding made to the store.
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
    pub fn new(source: DatasetSource) -> Self {
        Self {
            source,
            dialect: Dialect::default(),
            text_column: None,
            label_column: None,
            test_size: None,
            seed: Self::DEFAULT_SEED,
            positive: None,
            positive_of: None,
            drop_unlabelled: false,
            drop_empty: false,
            columns: KeepColumns::All,
        }
    }
}

impl FromStr for KeepColumns {
    type Err = Error;

    /// `all`, `none`, or names with commas between them.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "all" => return Ok(Self::All),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name.is_empty() {
                return Err(Error::invalid(format!("columns {text:?}: a name is empty"))
                    .with_hint("write `all`, `none`, or names with commas between them"));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(Self::Only(names))
    }
}

impl Dropped {
    /// Both counts of two splits.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            n_unlabelled: self.n_unlabelled + other.n_unlabelled,
            n_empty: self.n_empty + other.n_empty,
        }
    }

    /// Rows left out for either reason.
    pub fn n_rows(self) -> usize {
        self.n_unlabelled + self.n_empty
    }

    /// The note on rows that are not in the split `place`; nothing where all are.
    pub(super) fn note(self, place: &str) -> Option<String> {
        let rows = |n: usize, what: &str| {
            (n > 0).then(|| format!("{} without {what}", figure::counted(n, "row")))
        };
        let parts = [rows(self.n_unlabelled, "a label"), rows(self.n_empty, "a text")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("{place}{} dropped", parts.join(" and ")))
    }
}

impl Added {
    /// The answer of `data add`.
    pub fn to_output(&self) -> Output {
        let Self { dataset, outcome, notes, .. } = self;
        let counts: Vec<String> = dataset
            .splits
            .iter()
            .map(|split| format!("{} {}", figure::count(split.fingerprint.n_rows), split.name))
            .collect();
        let counts = counts.join(" + ");
        let told = notes
            .iter()
            .fold(Hint::new(), |told, note| told.say("note: ").and(note.clone()).say("\n"));
        let said = match outcome {
            AddOutcome::Created => format!(
                "added {}: {counts} rows, classes {}",
                dataset.name,
                dataset.classes.join(", ")
            ),
            AddOutcome::Unchanged => format!(
                "{} is unchanged: the store has exactly these examples already ({counts} rows)",
                dataset.name
            ),
        };
        Output::new(self).hint(told.say(said))
    }
}
