//! Reading rows, whatever the format and however many the files, and finding the column that holds
//! the texts.

use std::{collections::HashSet, path::Path};

use polars::prelude::DataFrame;

use super::{
    chunk::{Cells, RowChunk, TextRow},
    csv::CsvRows,
    format::RowsFormat,
    kind::Kinds,
    typed::TypedRows,
};
use crate::{
    data::{
        Dialect,
        column::choose_text,
        datum::Datum,
        file::same_columns,
        input::{Input, InputFormat, KNOWN_FORMATS},
        jsonl::{text, wrong_kind},
        objects::{self, Objects},
        shards::files,
    },
    error::{Error, Result},
    progress::Interrupt,
};

/// Rows of a chunk. Enough to keep every core busy with predictions.
const CHUNK_N_ROWS: usize = 4_096;
/// Rows of a chunk of Parquet: reading a slice goes through what stands before it in its row group,
/// so that small slices of large groups are slow.
const TYPED_CHUNK_N_ROWS: usize = 32_768;
/// A chunk of long texts has fewer rows.
const CHUNK_BYTES: usize = 16 << 20;

/// What to do where the column of the texts cannot be named otherwise.
const NAME_IT_TEXT: &str = "call the column of the texts \"text\"";

/// Rows that are being read, of one file or of several, one behind the other.
#[derive(Debug)]
pub(crate) struct RowsReader {
    inputs: Vec<Input>,
    /// The index of the input that `source` reads.
    input_idx: usize,
    source: RowSource,
    columns: KnownColumns,
    names: Vec<String>,
    text_column: String,
    /// True if who reads can say which column holds the texts.
    has_options: bool,
    n_rows: Option<u64>,
    /// The line of each row of the last chunk, where the file has lines.
    lines: Vec<u32>,
    notes: Vec<String>,
}

#[derive(Debug)]
enum RowSource {
    Csv(CsvRows),
    Json(Objects),
    Typed(TypedRows),
}

/// The columns, as far as they are known before the first row is given out.
#[derive(Debug, Clone)]
pub(super) enum KnownColumns {
    Kinds(Kinds),
    Frame(DataFrame),
}

impl RowSource {
    fn open(input: &Input) -> Result<Self> {
        Ok(match input.format() {
            InputFormat::Delimited(delimiter) => Self::Csv(CsvRows::open(input, delimiter)?),
            InputFormat::Json => Self::Json(Objects::open(input)?),
            InputFormat::Columnar(container) => {
                Self::Typed(TypedRows::open(input.name(), input.file_path(), container)?)
            }
        })
    }

    /// The columns, where the file names them all at its beginning.
    fn columns(&self) -> KnownColumns {
        match self {
            Self::Csv(rows) => KnownColumns::Kinds(Kinds::texts(rows.columns().to_vec())),
            Self::Json(_) => KnownColumns::Kinds(Kinds::default()),
            Self::Typed(rows) => KnownColumns::Frame(rows.empty().clone()),
        }
    }

    fn n_rows(&self) -> Option<u64> {
        match self {
            Self::Csv(_) | Self::Json(_) => None,
            Self::Typed(rows) => Some(rows.n_rows() as u64),
        }
    }
}

impl RowsReader {
    /// Begins to read what is at `path`: a file, a folder of them, those that match a pattern, or
    /// standard input. The texts are in the column `text_column`, or else in the one that is obvious.
    ///
    /// # Errors
    /// A file that cannot be read or is empty, and a column that is not there.
    pub(crate) fn open(path: &Path, dialect: &Dialect, text_column: Option<&str>) -> Result<Self> {
        Self::open_with(path, dialect, |names, file| choose_text(text_column, names, file))
    }

    /// As [`RowsReader::open`], for whoever cannot say how a file is read: no hint names an option then.
    ///
    /// # Errors
    /// As [`RowsReader::open`].
    pub(crate) fn open_texts(path: &Path) -> Result<Self> {
        let choose = |names: &[String], file: &Path| choose_text(None, names, file);
        let opened = Self::open_with(path, &Dialect::default(), |names, file| {
            choose(names, file).map_err(|error| error.with_hint(NAME_IT_TEXT))
        });
        let mut reader = opened.map_err(|error| match error.hint().map(ToString::to_string) {
            Some(hint) if hint.contains("--format") => error.with_hint(KNOWN_FORMATS),
            _ => error,
        })?;
        reader.has_options = false;
        Ok(reader)
    }

    /// As [`RowsReader::open`], with the column of the texts at the place that `choose` says among the names of
    /// all.
    ///
    /// # Errors
    /// As [`RowsReader::open`], and those of `choose`.
    pub(crate) fn open_with(
        path: &Path,
        dialect: &Dialect,
        choose: impl Fn(&[String], &Path) -> Result<usize>,
    ) -> Result<Self> {
        let files = files(path, dialect)?;
        let inputs: Vec<Input> =
            files.paths.iter().map(|path| Input::open(path, dialect)).collect::<Result<_>>()?;
        let inputs = with_rows(inputs)?;
        let Some(first) = inputs.first() else {
            return Err(Error::invalid(format!("{path:?}: no files")));
        };
        let source = RowSource::open(first)?;
        let columns = source.columns();
        let names = match &source {
            RowSource::Json(_) => all_keys(&inputs)?,
            _ => columns.names(),
        };
        let text_column = names[choose(&names, first.name())?].clone();
        let mut notes = first.notes().to_vec();
        notes.splice(0..0, files.notes());
        if let RowSource::Csv(rows) = &source {
            notes.extend(rows.notes().iter().cloned());
        }
        let n_rows = source.n_rows().filter(|_| inputs.len() == 1);
        let lines = Vec::new();
        Ok(Self {
            inputs,
            input_idx: 0,
            source,
            columns,
            names,
            text_column,
            has_options: true,
            n_rows,
            lines,
            notes,
        })
    }

    /// The column that holds the texts.
    pub(crate) fn text_column(&self) -> &str {
        &self.text_column
    }

    /// The line of each row of the last chunk, where the file has lines.
    pub(crate) fn lines(&self) -> &[u32] {
        &self.lines
    }

    /// Number of rows, where the file says it.
    pub(crate) fn n_rows(&self) -> Option<u64> {
        self.n_rows
    }

    /// The guesses.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The format of files, for those that are written like them.
    pub(crate) fn extension(&self) -> &'static str {
        match self.source {
            RowSource::Csv(_) if self.inputs[0].format() == InputFormat::Delimited(b'\t') => "tsv",
            RowSource::Csv(_) => "csv",
            RowSource::Json(_) => "jsonl",
            RowSource::Typed(_) => "parquet",
        }
    }

    /// All columns, for a file of the format `format`. Files of JSON are read through for them when
    /// `format` wants to know them before the first row.
    pub(super) fn columns(
        &self,
        format: RowsFormat,
        interrupt: &Interrupt,
    ) -> Result<KnownColumns> {
        if !matches!(self.source, RowSource::Json(_)) || !format.has_header() {
            return Ok(self.columns.clone());
        }
        let mut kinds = Kinds::default();
        for input in &self.inputs {
            let mut objects = Objects::open(input)?;
            while let Some(object) = objects.next()? {
                interrupt.check()?;
                kinds.extend(&object.parse::<TextRow>(input.name())?);
            }
        }
        Ok(KnownColumns::Kinds(kinds))
    }

    /// The next rows.
    ///
    /// # Errors
    /// A fault of a row, with its place; another file with other columns.
    pub(crate) fn next(&mut self) -> Result<Option<RowChunk>> {
        loop {
            let found = self.next_of_file();
            let found = match self.has_options {
                true => found,
                false => found.map_err(|error| match error.hint().map(ToString::to_string) {
                    Some(hint) if hint.contains("--text-column") => error.with_hint(NAME_IT_TEXT),
                    _ => error,
                }),
            };
            if let Some(chunk) = found? {
                return Ok(Some(chunk));
            }
            if self.input_idx + 1 >= self.inputs.len() {
                return Ok(None);
            }
            self.input_idx += 1;
            self.source = RowSource::open(&self.inputs[self.input_idx])?;
            self.check_columns()?;
        }
    }

    /// The next rows of the file that is being read.
    fn next_of_file(&mut self) -> Result<Option<RowChunk>> {
        self.lines.clear();
        let frame = match &mut self.source {
            RowSource::Typed(rows) => rows.next(TYPED_CHUNK_N_ROWS, &self.text_column)?,
            RowSource::Csv(_) | RowSource::Json(_) => return self.next_values(),
        };
        let Some((frame, texts)) = frame else { return Ok(None) };
        // Another file may have the same columns in another order.
        let frame = frame.select(self.names.iter().map(String::as_str)).map_err(|source| {
            Error::invalid(format!("{:?}: other columns", self.inputs[self.input_idx].name()))
                .with_source(source.to_string())
        })?;
        Ok(Some(RowChunk { texts, cells: Cells::Frame(frame) }))
    }

    fn next_values(&mut self) -> Result<Option<RowChunk>> {
        let mut texts = Vec::new();
        let mut rows = Vec::new();
        let mut n_bytes = 0;
        while rows.len() < CHUNK_N_ROWS && n_bytes < CHUNK_BYTES {
            let Some((row, text, line)) = self.next_row()? else { break };
            self.lines.push(line);
            n_bytes += text.as_ref().map_or(0, String::len);
            texts.push(text);
            rows.push(row);
        }
        Ok((!rows.is_empty()).then_some(RowChunk { texts, cells: Cells::Values(rows) }))
    }

    /// The next row of a text file, with its text and its line.
    fn next_row(&mut self) -> Result<Option<(TextRow, Option<String>, u32)>> {
        let column = &self.text_column;
        Ok(match &mut self.source {
            RowSource::Csv(rows) => rows.next()?.map(|row| {
                let text = row.get(column).and_then(|cell| text(cell).ok()).flatten();
                (row, text, rows.line())
            }),
            RowSource::Json(objects) => {
                let path = self.inputs[self.input_idx].name();
                let Some(object) = objects.next()? else { return Ok(None) };
                let row: TextRow = object.parse(path)?;
                let text = text(row.get(column).unwrap_or(&Datum::Null)).map_err(|found| {
                    wrong_kind(path, object.line, column, found, "a string")
                        .with_hint("choose another one with --text-column COLUMN")
                })?;
                Some((row, text, object.line))
            }
            RowSource::Typed(_) => None,
        })
    }

    /// Checks that the file that is being read has the columns of the first one.
    fn check_columns(&self) -> Result<()> {
        let (first, other) = (&self.inputs[0], &self.inputs[self.input_idx]);
        let columns = self.source.columns();
        if let RowSource::Json(_) = self.source {
            return Ok(());
        }
        same_columns(first.name(), &self.names, other.name(), &columns.names())?;
        let (KnownColumns::Frame(expected), KnownColumns::Frame(found)) = (&self.columns, &columns)
        else {
            return Ok(());
        };
        for name in &self.names {
            let dtype = |frame: &DataFrame| frame.column(name).map(|column| column.dtype().clone());
            if let (Ok(expected), Ok(found)) = (dtype(expected), dtype(found))
                && expected != found
            {
                return Err(Error::invalid(format!(
                    "{:?}: column {name:?} is {found}, in {:?} it is {expected}",
                    other.name(),
                    first.name()
                ))
                .with_hint("files that are read as one table have the same types"));
            }
        }
        Ok(())
    }
}

impl KnownColumns {
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Kinds(kinds) => kinds.names(),
            Self::Frame(empty) => {
                empty.get_column_names().into_iter().map(ToString::to_string).collect()
            }
        }
    }
}

/// `inputs` without files of typed columns that have no rows: a column without values may have any type,
/// as pandas writes that of a number. The first one stays where all are such.
fn with_rows(mut inputs: Vec<Input>) -> Result<Vec<Input>> {
    if inputs.len() < 2 {
        return Ok(inputs);
    }
    let mut has_rows = Vec::with_capacity(inputs.len());
    for input in &inputs {
        has_rows.push(match input.format() {
            InputFormat::Columnar(_) => RowSource::open(input)?.n_rows() != Some(0),
            InputFormat::Delimited(_) | InputFormat::Json => true,
        });
    }
    if has_rows.contains(&true) {
        let mut has_rows = has_rows.into_iter();
        inputs.retain(|_| has_rows.next().unwrap_or(true));
    } else {
        inputs.truncate(1);
    }
    Ok(inputs)
}

/// Every key of the objects of `inputs`.
fn all_keys(inputs: &[Input]) -> Result<Vec<String>> {
    let mut keys: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    for input in inputs {
        for key in objects::columns(input)? {
            if known.insert(key.clone()) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}
