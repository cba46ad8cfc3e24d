//! The results of checking, cleaning and backing up a store. Plain data.

use serde::Serialize;

/// The findings of `store verify`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Artifacts whose bytes are right.
    pub n_valid: usize,
    /// SHA-256 of artifacts whose bytes are not what was written.
    pub corrupt: Vec<String>,
    /// SHA-256 of artifacts that are named but not there.
    pub missing: Vec<String>,
    /// Names in `artifacts/` that nothing refers to, or not yet: `store gc` removes them safely.
    pub orphaned: Vec<String>,
    /// True if the database file itself passes its check: structure, page checksums, every record.
    pub database_valid: bool,
    /// The faults of the records, a sentence each.
    pub problems: Vec<String>,
}

impl Verification {
    /// True if everything that is named is there and is what was written. Orphans do no harm.
    pub fn is_valid(&self) -> bool {
        self.database_valid
            && self.corrupt.is_empty()
            && self.missing.is_empty()
            && self.problems.is_empty()
    }
}

/// The things that `store gc` removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Runs that had been deleted.
    pub n_runs: usize,
    /// Artifacts that nothing refers to any more.
    pub n_artifacts: usize,
    /// Their bytes together.
    pub n_bytes: u64,
}

/// The content of a backup, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupSummary {
    /// Runs.
    pub n_runs: usize,
    /// Model versions.
    pub n_versions: usize,
    /// Artifact files.
    pub n_artifacts: usize,
    /// Datasets.
    pub n_datasets: usize,
    /// Lines of the log of true labels.
    pub n_labels: usize,
    /// Length of the backup file.
    pub n_bytes: u64,
}
