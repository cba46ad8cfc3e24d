//! Reading a file of rows, whatever its format, and finding the column that holds the texts.

use std::path::{Path, PathBuf};

use super::{
    chunk::{Cells, Chunk, Row},
    csv::CsvRows,
    format::RowsFormat,
    jsonl::JsonLineRows,
    kind::Kinds,
    typed::TypedRows,
};
use crate::{
    data::{column::choose_text, columnar::Container, datum::Datum, jsonl::wrong_kind},
    error::{Error, Result},
    progress::Interrupt,
};

/// Rows of a chunk. Enough to keep every core busy with predictions.
const CHUNK_N_ROWS: usize = 4_096;
/// Rows of a chunk of a typed file: reading a slice goes through what stands before it in its row
/// group, so that small slices of large groups are slow.
const TYPED_CHUNK_N_ROWS: usize = 32_768;
/// A chunk of long texts has fewer rows.
const CHUNK_BYTES: usize = 16 << 20;

/// A file of rows that is being read.
#[derive(Debug)]
pub(crate) struct RowsReader {
    path: PathBuf,
    source: Source,
    text_column: String,
}

#[derive(Debug)]
enum Source {
    Csv(CsvRows),
    JsonLines(JsonLineRows),
    Typed(TypedRows),
}

/// What is known of the columns before the first row is given out.
#[derive(Debug, Clone)]
pub(super) enum Columns {
    Kinds(Kinds),
    Frame(polars::prelude::DataFrame),
}

impl RowsReader {
    /// Begins to read the file at `path`, whose texts are in the column `text_column`, or else in the
    /// one that is obvious.
    ///
    /// # Errors
    /// A file that cannot be read or is empty, and a column that is not there.
    pub(crate) fn open(path: &Path, text_column: Option<&str>) -> Result<Self> {
        let (source, columns) = match RowsFormat::of(path)? {
            RowsFormat::Delimited(delimiter) => {
                let rows = CsvRows::open(path, delimiter)?;
                let columns = rows.columns().to_vec();
                (Source::Csv(rows), columns)
            }
            RowsFormat::JsonLines => {
                let first = JsonLineRows::open(path)?.next()?.ok_or_else(|| {
                    Error::invalid(format!("{path:?}: the file is empty"))
                        .with_hint("every line is one object, such as {\"text\": \"…\"}")
                })?;
                let columns = first.fields().iter().map(|(name, _)| name.clone()).collect();
                (Source::JsonLines(JsonLineRows::open(path)?), columns)
            }
            format @ (RowsFormat::Parquet | RowsFormat::Arrow) => {
                let container = match format {
                    RowsFormat::Arrow => Container::ArrowFile,
                    _ => Container::Parquet,
                };
                let rows = TypedRows::open(path, container)?;
                let columns = rows.columns();
                (Source::Typed(rows), columns)
            }
        };
        let text_column = columns[choose_text(text_column, &columns, path)?].clone();
        Ok(Self { path: path.to_owned(), source, text_column })
    }

    /// The column that holds the texts.
    pub(crate) fn text_column(&self) -> &str {
        &self.text_column
    }

    /// Number of rows, where the file says it.
    pub(crate) fn n_rows(&self) -> Option<u64> {
        match &self.source {
            Source::Typed(rows) => Some(rows.n_rows() as u64),
            Source::Csv(_) | Source::JsonLines(_) => None,
        }
    }

    /// All columns, for a file of the format `format`. A file of JSON lines is read through for them
    /// when `format` wants to know them before the first row.
    pub(super) fn columns(&self, format: RowsFormat, interrupt: &Interrupt) -> Result<Columns> {
        Ok(match &self.source {
            Source::Csv(rows) => Columns::Kinds(Kinds::texts(rows.columns().to_vec())),
            Source::Typed(rows) => Columns::Frame(rows.empty().clone()),
            Source::JsonLines(_) => {
                let mut kinds = Kinds::default();
                if format.has_header() {
                    let mut rows = JsonLineRows::open(&self.path)?;
                    while let Some(row) = rows.next()? {
                        interrupt.check()?;
                        kinds.extend(&row);
                    }
                }
                Columns::Kinds(kinds)
            }
        })
    }

    /// The next rows.
    ///
    /// # Errors
    /// What is wrong with a row, with its place.
    pub(crate) fn next(&mut self) -> Result<Option<Chunk>> {
        if let Source::Typed(rows) = &mut self.source {
            let next = rows.next(TYPED_CHUNK_N_ROWS, &self.text_column)?;
            return Ok(next.map(|(frame, texts)| Chunk { texts, cells: Cells::Frame(frame) }));
        }
        let mut texts = Vec::new();
        let mut rows = Vec::new();
        let mut n_bytes = 0;
        while rows.len() < CHUNK_N_ROWS && n_bytes < CHUNK_BYTES {
            let Some((row, text)) = self.next_row()? else { break };
            n_bytes += text.as_ref().map_or(0, String::len);
            texts.push(text);
            rows.push(row);
        }
        Ok((!rows.is_empty()).then_some(Chunk { texts, cells: Cells::Values(rows) }))
    }

    /// The next row of a text file, with its text.
    fn next_row(&mut self) -> Result<Option<(Row, Option<String>)>> {
        let column = &self.text_column;
        let (row, text) = match &mut self.source {
            Source::Csv(rows) => {
                let Some(row) = rows.next()? else { return Ok(None) };
                let text = row.get(column).and_then(|cell| text(cell).ok()).flatten();
                (row, text)
            }
            Source::JsonLines(rows) => {
                let Some(row) = rows.next()? else { return Ok(None) };
                let cell = row.get(column).unwrap_or(&Datum::Null);
                let text = text(cell).map_err(|found| {
                    wrong_kind(&self.path, rows.line(), column, found, "a string")
                        .with_hint("choose another one with --text-column COLUMN")
                })?;
                (row, text)
            }
            Source::Typed(_) => return Ok(None),
        };
        Ok(Some((row, text)))
    }
}

/// The text that `value` is, or what it is instead.
fn text(value: &Datum) -> Result<Option<String>, &'static str> {
    match value {
        Datum::Null => Ok(None),
        Datum::Text(text) => Ok(Some(text.clone())),
        other => Err(other.kind()),
    }
}
