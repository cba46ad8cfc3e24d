//! Writing a file of rows beside its name, which it gets when it is whole.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use polars::{
    io::parquet::write::BatchedWriter,
    prelude::{DataFrame, DataType, ParquetCompression, ParquetWriter, PolarsError, PolarsResult},
};
use tempfile::NamedTempFile;

use super::{
    chunk::{AddedColumn, AddedValues, Cells, RowChunk, Taken, TextRow, widened},
    format::RowsFormat,
    reader::{KnownColumns, RowsReader},
};
use crate::{
    data::{datum::Datum, guarded::first_line},
    error::{Error, ErrorKind, Result},
    progress::Interrupt,
    store::{sync_dir, temporary_file},
};

/// Rows of a frame that are spelt out together.
const FRAME_N_ROWS: usize = 32_768;

/// A file that is being written. Unless it is finished nothing of it is left.
pub(crate) struct RowsWriter {
    path: PathBuf,
    temporary: NamedTempFile,
    sink: Sink,
    /// Rows written.
    n_rows: usize,
}

enum Sink {
    Delimited { file: BufWriter<File>, delimiter: u8, columns: Vec<String> },
    JsonLines(BufWriter<File>),
    Parquet { writer: Box<BatchedWriter<BufWriter<File>>>, columns: KnownColumns },
}

impl RowsWriter {
    /// Begins to write, for `path`, the rows of `input` with the columns `added` behind them.
    ///
    /// # Errors
    /// When the folder cannot be written, or the format has no form for a column of the input, and
    /// [`ErrorKind::Conflict`] when the input has a column of the name of an added one.
    pub(crate) fn create(
        path: &Path,
        input: &RowsReader,
        added: &[AddedColumn],
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let columns = input.columns(RowsFormat::of_output(path)?, interrupt)?;
        Self::with_columns(path, columns, added)
    }

    /// Writes the rows of `frame` into a file, spelt as everywhere; over another one of that name only if
    /// `replace` says so.
    ///
    /// # Errors
    /// When the folder cannot be written, the format has no form for a column, and
    /// [`ErrorKind::Conflict`] when the file is there already.
    pub(crate) fn write_frame(path: &Path, frame: DataFrame, replace: bool) -> Result<()> {
        let mut writer = Self::with_columns(path, KnownColumns::Frame(frame.clear()), &[])?;
        for begin in (0..frame.height()).step_by(FRAME_N_ROWS) {
            let cells = frame.slice(begin as i64, FRAME_N_ROWS);
            // No column of it is a text more than the others.
            let texts = vec![None; cells.height()];
            writer.write(RowChunk { texts, cells: Cells::Frame(cells) }, &[])?;
        }
        writer.finish(replace)
    }

    /// # Errors
    /// As [`RowsWriter::create`].
    fn with_columns(path: &Path, columns: KnownColumns, added: &[AddedColumn]) -> Result<Self> {
        let format = RowsFormat::of_output(path)?;
        columns.check(format)?;
        let mut names = columns.names();
        if let Some(taken) = added.iter().find(|column| names.contains(&column.name)) {
            return Err(taken_name(&taken.name, "the input"));
        }
        names.extend(added.iter().map(|column| column.name.clone()));
        let fail = |source| unwritten(path, source);
        // The system's own complaint would name the temporary file.
        if !folder(path).is_dir() {
            return Err(Error::invalid(format!(
                "cannot write {path:?}: there is no folder {:?}",
                folder(path)
            ))
            .with_hint("make it first, or write to another one"));
        }
        let temporary = temporary_file(folder(path)).map_err(fail)?;
        let file = temporary.as_file().try_clone().map_err(fail)?;
        let file = BufWriter::with_capacity(256 << 10, file);
        let sink = match format {
            RowsFormat::Delimited(delimiter) => {
                let mut sink = Sink::Delimited { file, delimiter, columns: names };
                sink.write_header().map_err(fail)?;
                sink
            }
            RowsFormat::JsonLines => Sink::JsonLines(file),
            RowsFormat::Parquet | RowsFormat::Arrow => {
                let writer = columns
                    .frame(&[])
                    .and_then(|frame| {
                        widened(frame, &added.iter().map(emptied).collect::<Vec<_>>())
                    })
                    .and_then(|frame| {
                        ParquetWriter::new(file)
                            .with_compression(ParquetCompression::Zstd(None))
                            .batched(frame.schema())
                    })
                    .map_err(|source| not_parquet(path, &source))?;
                Sink::Parquet { writer: Box::new(writer), columns }
            }
        };
        Ok(Self { path: path.to_owned(), temporary, sink, n_rows: 0 })
    }

    /// Writes `chunk` with the values `added` to its rows.
    ///
    /// # Errors
    /// When the system refuses, or a row of JSON has a field of the name of an added column.
    pub(crate) fn write(&mut self, chunk: RowChunk, added: &[AddedColumn]) -> Result<()> {
        let n_rows = chunk.n_rows();
        match &mut self.sink {
            Sink::Parquet { writer, columns } => {
                let frame = match chunk.cells {
                    Cells::Frame(frame) => Ok(frame),
                    Cells::Values(rows) => columns.frame(&rows),
                };
                frame
                    .and_then(|frame| widened(frame, added))
                    .and_then(|mut frame| {
                        frame.rechunk_mut_par();
                        writer.write_batch(&frame)
                    })
                    .map_err(|source| not_parquet(&self.path, &source))?;
            }
            sink => {
                for (row_idx, mut row) in values(chunk.cells).into_iter().enumerate() {
                    for column in added {
                        row.add(&column.name, column.value(row_idx)).map_err(|Taken| {
                            let row = self.n_rows + row_idx + 1;
                            taken_name(&column.name, &format!("row {row}"))
                        })?;
                    }
                    sink.write_row(&row).map_err(|source| unwritten(&self.path, source))?;
                }
            }
        }
        self.n_rows += n_rows;
        Ok(())
    }

    /// Gives the file its name, over another one of that name only if `replace` says so.
    ///
    /// # Errors
    /// When the system refuses, and [`ErrorKind::Conflict`] when the name is taken by now.
    pub(crate) fn finish(self, replace: bool) -> Result<()> {
        let Self { path, temporary, sink, .. } = self;
        let fail = |source| unwritten(&path, source);
        match sink {
            Sink::Delimited { mut file, .. } | Sink::JsonLines(mut file) => {
                file.flush().map_err(fail)?;
            }
            // It flushes what it wrote.
            Sink::Parquet { writer, .. } => {
                writer.finish().map_err(|source| not_parquet(&path, &source))?;
            }
        }
        temporary.as_file().sync_all().map_err(fail)?;
        let named = match replace {
            true => temporary.persist(&path),
            false => temporary.persist_noclobber(&path),
        };
        named.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => fail(error.error),
        })?;
        sync_dir(folder(&path))
    }
}

impl Sink {
    fn write_header(&mut self) -> io::Result<()> {
        let Self::Delimited { file, delimiter, columns } = self else { return Ok(()) };
        let names = columns.iter().map(|name| Some(name.as_str().into()));
        write_record(file, *delimiter, names)
    }

    fn write_row(&mut self, row: &TextRow) -> io::Result<()> {
        match self {
            Self::Delimited { file, delimiter, columns } => {
                let cells = columns
                    .iter()
                    .enumerate()
                    .map(|(idx, name)| row.get_near(idx, name).and_then(Datum::to_cell));
                write_record(file, *delimiter, cells)
            }
            Self::JsonLines(file) => {
                file.write_all(row.to_json().as_bytes())?;
                file.write_all(b"\n")
            }
            // Its rows are written as columns.
            Self::Parquet { .. } => Ok(()),
        }
    }
}

impl KnownColumns {
    /// That every column has a form in `format`.
    fn check(&self, format: RowsFormat) -> Result<()> {
        let Self::Frame(empty) = self else { return Ok(()) };
        let binary = empty.columns().iter().find(|column| holds_binary(column.dtype()));
        match binary {
            Some(column) if format != RowsFormat::Parquet => Err(Error::invalid(format!(
                "column {:?} ({}) holds binary data, which text files have no form for",
                column.name().as_str(),
                column.dtype()
            ))
            .with_hint("write a .parquet file, which keeps it, or leave the column out")),
            _ => Ok(()),
        }
    }

    /// `rows` of a text file as a frame; without rows an empty one.
    fn frame(&self, rows: &[TextRow]) -> PolarsResult<DataFrame> {
        match self {
            Self::Kinds(kinds) => DataFrame::new(rows.len(), kinds.columns(rows)),
            Self::Frame(empty) => Ok(empty.clone()),
        }
    }
}

fn values(cells: Cells) -> Vec<TextRow> {
    let frame = match cells {
        Cells::Values(rows) => return rows,
        Cells::Frame(frame) => frame,
    };
    let mut columns: Vec<(String, std::vec::IntoIter<Datum>)> = frame
        .columns()
        .iter()
        .map(|column| {
            let values = Datum::all(column.as_materialized_series());
            (column.name().to_string(), values.into_iter())
        })
        .collect();
    let row = |_| {
        let fields = columns.iter_mut();
        fields.map(|(name, values)| (name.clone(), values.next().unwrap_or(Datum::Null))).collect()
    };
    (0..frame.height()).map(row).collect()
}

fn holds_binary(dtype: &DataType) -> bool {
    match dtype {
        DataType::Binary | DataType::BinaryOffset => true,
        DataType::List(inner) | DataType::Array(inner, _) => holds_binary(inner),
        DataType::Struct(fields) => fields.iter().any(|field| holds_binary(field.dtype())),
        _ => false,
    }
}

/// Writes one record as RFC 4180 says, with LF. A null is nothing at all, an empty text stands in
/// quotes.
fn write_record<'a>(
    file: &mut BufWriter<File>,
    delimiter: u8,
    cells: impl Iterator<Item = Option<Cow<'a, str>>>,
) -> io::Result<()> {
    for (idx, cell) in cells.enumerate() {
        if idx > 0 {
            file.write_all(&[delimiter])?;
        }
        let Some(cell) = cell else { continue };
        let is_special = |byte| byte == delimiter || b"\"\n\r".contains(&byte);
        // A reader takes a byte order mark at the beginning of a file for none of its own.
        if cell.is_empty() || cell.starts_with('\u{feff}') || cell.bytes().any(is_special) {
            write!(file, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            file.write_all(cell.as_bytes())?;
        }
    }
    file.write_all(b"\n")
}

fn emptied(column: &AddedColumn) -> AddedColumn {
    let values = match column.values {
        AddedValues::Text(_) => AddedValues::Text(Vec::new()),
        AddedValues::Number(_) => AddedValues::Number(Vec::new()),
    };
    AddedColumn { name: column.name.clone(), values }
}

/// The folder that `path` lies in. A bare name has the empty path for a parent.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// That an output may be written: nothing is there, or it may be replaced.
///
/// # Errors
/// [`exists`].
pub fn check_new(path: &Path, replace: bool) -> Result<()> {
    if !replace && path.exists() { Err(exists(path)) } else { Ok(()) }
}

/// As [`check_new`], of an output that has to be one file, before any work is done for it.
///
/// # Errors
/// [`exists`]; a folder, and a file in a folder that is not there.
pub fn check_file(path: &Path, replace: bool) -> Result<()> {
    if path.is_dir() {
        return Err(Error::invalid(format!("{path:?} is a folder: expected the name of a file")));
    }
    if !folder(path).is_dir() {
        let error = format!("cannot write {path:?}: there is no folder {:?}", folder(path));
        return Err(Error::new(ErrorKind::NotFound, error));
    }
    check_new(path, replace)
}

/// The error for an output that is there already.
pub fn exists(path: &Path) -> Error {
    Error::new(ErrorKind::Conflict, format!("{path:?} exists already"))
        .with_hint("write to another file, or over this one with --force")
}

fn unwritten(path: &Path, source: io::Error) -> Error {
    Error::io("write", path, source)
}

fn not_parquet(path: &Path, source: &PolarsError) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write {path:?}")).with_source(first_line(source))
}

fn taken_name(name: &str, place: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{place} has a column {name:?} already"))
        .with_hint("choose other names for what is added, such as with --prefix predicted_")
}
