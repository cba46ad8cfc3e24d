//! The format of a file of rows: its extension says so, for a file to write as for one in SQL.

use std::path::Path;

use crate::error::{Error, Result};

/// The formats of rows. All are read, and all but Arrow written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsFormat {
    /// Lines of fields that this byte separates.
    Delimited(u8),
    /// One JSON object a line.
    JsonLines,
    Parquet,
    /// The Arrow IPC file, which is Feather of version 2.
    Arrow,
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
            "tsv" | "tab" => Ok(Self::Delimited(b'\t')),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "parquet" | "pq" => Ok(Self::Parquet),
            "arrow" | "feather" | "ipc" => Ok(Self::Arrow),
            other => {
                let what = match other.is_empty() {
                    true => "a file without an extension".to_owned(),
                    false => format!("unknown extension {other:?}"),
                };
                Err(Error::invalid(format!("{path:?}: {what}")).with_hint(
                    "the extension says the format: .csv, .tsv, .jsonl, .ndjson or .parquet, and \
                     .arrow or .feather to read",
                ))
            }
        }
    }

    /// The format of the file at `path` that is to be written.
    ///
    /// # Errors
    /// An extension that is none of the known ones, or of a format that is only read.
    pub(crate) fn of_output(path: &Path) -> Result<Self> {
        match Self::of(path)? {
            Self::Arrow => {
                Err(Error::invalid(format!("{path:?}: Arrow files are read, not written"))
                    .with_hint("write a .parquet file, which has the same types"))
            }
            format => Ok(format),
        }
    }

    /// True if the file begins with the columns that all its rows have.
    pub(super) fn has_header(self) -> bool {
        self != Self::JsonLines
    }
}
