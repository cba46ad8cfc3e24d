//! Datasets: where examples come from, how they lie in the store, and what they look like. The one
//! home of polars.

use std::path::PathBuf;

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
    /// What these examples are, as stored in the manifest.
    pub fingerprint: Fingerprint,
}

/// What a split contains, independent of the order of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// SHA-256 (lower-case hex) over the sorted normalised texts with their labels.
    pub sha256: String,
    /// Number of examples.
    pub n_rows: usize,
    /// Examples of each class, in class order.
    pub class_counts: Vec<usize>,
}

/// A dataset in the store, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Layout of this manifest; see [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The name that commands use.
    pub name: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Where the examples came from, for the reader.
    pub source: String,
    /// When it was added, milliseconds since the Unix epoch.
    pub added_ms: i64,
    /// The splits, `train` first.
    pub splits: Vec<SplitEntry>,
}

/// One split of a stored dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitEntry {
    /// `train` or `test`.
    pub name: String,
    /// What it contains.
    pub fingerprint: Fingerprint,
    /// The Parquet file, relative to the dataset's folder.
    pub file: PathBuf,
}

/// The newest manifest layout this build reads and the one it writes.
pub const SCHEMA_VERSION: u32 = 1;
