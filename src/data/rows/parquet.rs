//! Rows of a Parquet file, a slice at a time.

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
pub(super) struct ParquetRows {
    path: PathBuf,
    file: PathBuf,
    /// Without rows.
    empty: DataFrame,
    n_rows: usize,
    at: usize,
}

impl ParquetRows {
    /// Begins at the beginning of the file at `file`, which messages call `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is no Parquet, or has a column of a type that is not read.
    pub(super) fn open(path: &Path, file: &Path) -> Result<Self> {
        let n_rows = guarded(|| ParquetReader::new(open(file)?).num_rows())
            .map_err(|source| broken(path, Container::Parquet, &source))?;
        let empty = slice(path, file, 0, 0)?;
        Ok(Self { path: path.to_owned(), file: file.to_owned(), empty, n_rows, at: 0 })
    }

    pub(super) fn empty(&self) -> &DataFrame {
        &self.empty
    }

    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The next rows, at most `n_rows` of them, and the texts in the column `text`.
    ///
    /// # Errors
    /// Damaged content, or a text column that holds no strings.
    pub(super) fn next(
        &mut self,
        n_rows: usize,
        text: &str,
    ) -> Result<Option<(DataFrame, Vec<Option<String>>)>> {
        if self.at >= self.n_rows {
            return Ok(None);
        }
        let frame = slice(&self.path, &self.file, self.at, n_rows)?;
        self.at += frame.height();
        let column =
            frame.column(text).map_err(|source| broken(&self.path, Container::Parquet, &source))?;
        let texts = strings(column).map_err(|found| {
            Error::invalid(format!(
                "{:?}: text column {text:?} holds {found}, not strings",
                self.path
            ))
            .with_hint("choose another one with --text-column COLUMN")
        })?;
        if frame.height() == 0 {
            return Err(Error::invalid(format!("{:?}: fewer rows than it says", self.path))
                .with_hint("copy or download the file again"));
        }
        Ok(Some((frame, texts)))
    }
}

fn open(path: &Path) -> PolarsResult<File> {
    File::open(path).map_err(PolarsError::from)
}

fn slice(path: &Path, file: &Path, at: usize, n_rows: usize) -> Result<DataFrame> {
    guarded(|| ParquetReader::new(open(file)?).with_slice(Some((at, n_rows))).finish())
        .map_err(|source| broken(path, Container::Parquet, &source))
}
