//! Datasets: where examples come from, how they lie in the store, and what they look like. The one
//! home of polars.

mod add;
mod cells;
mod checked_splits;
mod class_names;
mod classes;
mod codes;
mod column;
mod columnar;
mod conflicts;
mod container;
mod csv;
mod datasets;
mod datum;
mod delimited;
mod dialect;
mod encoding;
mod excerpt;
mod explore;
mod extending;
mod file;
mod fingerprint;
mod folder;
mod guarded;
mod head;
mod input;
mod issues;
mod jsonl;
mod kept;
mod label;
mod leaving_out;
mod manifest;
mod name;
mod number;
mod objects;
mod profile;
mod query;
mod raw;
mod rows;
mod sample;
mod sample_patterns;
mod sample_words;
mod shards;
mod sql;
mod sql_word;
mod stored;
mod stratify;
mod types;
mod words;

pub use add::{AddOutcome, AddRequest, Added, DatasetSource, Dropped, KeepColumns, LabelledTexts};
pub use cells::{CellValues, ColumnCells};
pub use conflicts::{ConflictCount, ConflictExample, LabelConflicts};
pub use datasets::Datasets;
pub(crate) use datum::{Datum, float_cell};
pub use dialect::{Dialect, FileFormat, Mark, parse_delimiter};
pub use encoding::TextEncoding;
pub use explore::Explore;
pub(crate) use head::on_one_line;
pub use head::{DatasetHead, HeadRow};
pub(crate) use input::check_standard_streams;
pub use input::{STANDARD, own_standard_streams};
pub(crate) use issues::{ColumnCodes, Leak, RowFlaw, column_leak, row_flaws, token_leaks};
pub use issues::{DataIssues, Issue, IssueKind, NearDuplicate, OtherRow, near_duplicates};
pub use leaving_out::DropRequest;
pub use manifest::{
    Dataset, DatasetLineage, FeedbackLineage, KeptColumn, LeftOutRows, SCHEMA_VERSION, SplitEntry,
};
pub use name::RESERVED_NAMES;
pub use profile::{ClassWords, DatasetProfile, Distribution, Overlap, SplitProfile, TellingWord};
pub use query::QueryResult;
pub(crate) use rows::{AddedColumn, AddedValues, RowChunk, RowsFormat, RowsReader, RowsWriter};
pub use rows::{check_file, check_new, exists};
#[cfg(test)]
pub(crate) use sample::contradicted;
pub use sql::{Column, Columns, ExtraTables};
pub(crate) use stratify::{Partition, stratify};
pub(crate) use words::n_words;

use serde::{Deserialize, Serialize};

/// Examples ready for training or evaluating: texts and the index of each one's class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// `train` or `test`.
    pub name: String,
    /// One text an example.
    pub texts: Vec<String>,
    /// One class index an example, below `classes.len()`; as long as `texts`.
    pub labels: Vec<u32>,
    /// The dataset's class names in label order. With two classes, index 1 is the positive one.
    pub classes: Vec<String>,
    /// The fingerprint of these examples, as stored in the manifest.
    pub fingerprint: Fingerprint,
}

impl Split {
    /// The examples at `rows`, in their order.
    pub(crate) fn subset(&self, rows: &[usize]) -> Self {
        let labels: Vec<u32> = rows.iter().map(|row| self.labels[*row]).collect();
        let mut class_counts = vec![0; self.classes.len()];
        labels.iter().for_each(|label| class_counts[*label as usize] += 1);
        Self {
            name: self.name.clone(),
            texts: rows.iter().map(|row| self.texts[*row].clone()).collect(),
            labels,
            classes: self.classes.clone(),
            // Of the whole: a part is never stored.
            fingerprint: Fingerprint {
                sha256: self.fingerprint.sha256.clone(),
                n_rows: rows.len(),
                class_counts,
            },
        }
    }
}

/// The content of a split, independent of the order of its rows.
///
/// A row is its text, trimmed and with every run of Unicode white space made one space, a line
/// feed, and its class name: `SHA-256(text ‖ "\n" ‖ class)`. The fingerprint is the SHA-256 of
/// those 32-byte digests, sorted and concatenated; a row that occurs twice counts twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// SHA-256 (lower-case hex) over the sorted normalised texts with their labels.
    pub sha256: String,
    /// Number of examples.
    pub n_rows: usize,
    /// Examples of each class, in class order.
    pub class_counts: Vec<usize>,
}
