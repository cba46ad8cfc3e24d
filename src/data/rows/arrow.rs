//! Rows of an Arrow IPC file, which polars reads as a whole.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use polars::prelude::*;

use crate::{
    data::columnar::{Container, broken, guarded, strings},
    error::{Error, Result},
};

/// Where the reading of one file stands.
#[derive(Debug)]
pub(super) struct ArrowRows {
    path: PathBuf,
    frame: DataFrame,
    at: usize,
}

impl ArrowRows {
    /// Reads the file at `file`, which messages call `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is no Arrow IPC file.
    pub(super) fn open(path: &Path, file: &Path) -> Result<Self> {
        let frame = guarded(|| IpcReader::new(File::open(file)?).finish())
            .map_err(|source| broken(path, Container::ArrowFile, &source))?;
        Ok(Self { path: path.to_owned(), frame, at: 0 })
    }

    /// The columns, without rows.
    pub(super) fn empty(&self) -> DataFrame {
        self.frame.clear()
    }

    pub(super) fn n_rows(&self) -> usize {
        self.frame.height()
    }

    /// The next rows, at most `n_rows` of them, and the texts in the column `text`.
    ///
    /// # Errors
    /// A text column that holds no strings.
    pub(super) fn next(
        &mut self,
        n_rows: usize,
        text: &str,
    ) -> Result<Option<(DataFrame, Vec<Option<String>>)>> {
        if self.at >= self.frame.height() {
            return Ok(None);
        }
        let frame = self.frame.slice(self.at as i64, n_rows);
        self.at += frame.height();
        let column = frame
            .column(text)
            .map_err(|source| broken(&self.path, Container::ArrowFile, &source))?;
        let texts = strings(column).map_err(|found| {
            Error::invalid(format!(
                "{:?}: text column {text:?} holds {found}, not strings",
                self.path
            ))
            .with_hint("choose another one with --text-column COLUMN")
        })?;
        Ok(Some((frame, texts)))
    }
}
