//! Which format a file of rows is written in: its extension says so.

use std::path::Path;

use crate::error::{Error, Result};

/// The formats that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsFormat {
    /// Lines of fields that this byte separates.
    Delimited(u8),
    /// One JSON object a line.
    JsonLines,
    Parquet,
}

impl RowsFormat {
    /// The format of the file at `path`.
    ///
    /// # Errors
    /// An extension that is none of the known ones.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Ok(Self::Delimited(b',')),
            "tsv" => Ok(Self::Delimited(b'\t')),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "parquet" => Ok(Self::Parquet),
            other => Err(Error::invalid(format!("{path:?}: unknown extension {other:?}"))
                .with_hint(
                    "the extension says the format: .csv, .tsv, .jsonl, .ndjson or .parquet",
                )),
        }
    }

    /// Whether the file begins by saying which columns all its rows have.
    pub(super) fn has_header(self) -> bool {
        self != Self::JsonLines
    }
}
