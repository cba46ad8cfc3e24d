//! Rows of a file whose columns have types, a slice at a time: Parquet and Arrow IPC.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use polars::prelude::*;

use crate::{
    data::{
        columnar::strings,
        container::{Container, broken},
        guarded::guarded,
        types::{check_types, schema},
    },
    error::{Error, Result},
};

/// The state of reading one file.
#[derive(Debug)]
pub(super) struct TypedRows {
    /// Its name in messages.
    path: PathBuf,
    file: PathBuf,
    container: Container,
    /// Without rows.
    empty: DataFrame,
    n_rows: usize,
    at: usize,
}

impl TypedRows {
    /// Begins at the beginning of the file at `file`, which messages call `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged, or has a column of a type that is not read.
    pub(super) fn open(path: &Path, file: &Path, container: Container) -> Result<Self> {
        let schema = schema(path, file, container)?;
        check_types(path, container, &schema)?;
        let n_rows = match container {
            Container::Parquet => guarded(|| ParquetReader::new(open(file)?).num_rows()),
            Container::ArrowFile => guarded(|| count(file)),
        }
        .map_err(|source| broken(path, container, &source))?;
        let empty = slice(path, file, container, 0, 0)?;
        let (path, file) = (path.to_owned(), file.to_owned());
        Ok(Self { path, file, container, empty, n_rows, at: 0 })
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
        let frame = slice(&self.path, &self.file, self.container, self.at, n_rows)?;
        self.at += frame.height();
        let column =
            frame.column(text).map_err(|source| broken(&self.path, self.container, &source))?;
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

fn slice(
    path: &Path,
    file: &Path,
    container: Container,
    at: usize,
    n_rows: usize,
) -> Result<DataFrame> {
    guarded(|| match container {
        Container::Parquet => {
            ParquetReader::new(open(file)?).with_slice(Some((at, n_rows))).finish()
        }
        // No row is a row too many for polars' slice.
        Container::ArrowFile if n_rows == 0 => scan(file)?.limit(0).collect(),
        Container::ArrowFile => scan(file)?.slice(at as i64, n_rows as IdxSize).collect(),
    })
    .map_err(|source| broken(path, container, &source))
}

/// A plan over an Arrow file. Its reader has no slices, the plan's has.
fn scan(path: &Path) -> PolarsResult<LazyFrame> {
    let path = PlRefPath::try_from_path(path)?;
    // The path is literal: a `*` in it is no pattern.
    let args = UnifiedScanArgs { glob: false, ..UnifiedScanArgs::default() };
    LazyFrame::scan_ipc(path, IpcScanOptions::default(), args)
}

fn count(path: &Path) -> PolarsResult<usize> {
    let counted = scan(path)?.select([len()]).collect()?;
    let counted = counted.columns().first().and_then(|column| column.get(0).ok()?.extract::<u64>());
    Ok(counted.and_then(|n_rows| usize::try_from(n_rows).ok()).unwrap_or_default())
}
