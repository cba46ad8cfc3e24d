//! Reading Parquet and Arrow IPC files (Feather version 2) through polars: only the two columns
//! that matter are decoded.

use std::{fmt, fs::File, path::Path};

use polars::prelude::*;

use super::{
    column::ColumnChoice,
    raw::{Places, RawRows},
};
use crate::error::{Error, Result};

/// A file format of typed columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Parquet,
    ArrowFile,
}

impl Container {
    pub(super) const ALL: [Self; 2] = [Self::Parquet, Self::ArrowFile];

    /// The bytes that such a file begins and ends with.
    pub(super) fn magic(self) -> &'static [u8] {
        match self {
            Self::Parquet => b"PAR1",
            Self::ArrowFile => b"ARROW1",
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parquet => "Parquet",
            Self::ArrowFile => "Arrow IPC",
        })
    }
}

/// The columns of the file at `file`, which messages call `path`.
///
/// # Errors
/// Broken files.
pub(super) fn columns(path: &Path, file: &Path, container: Container) -> Result<Vec<String>> {
    let file = File::open(file).map_err(|source| Error::io("read", path, source))?;
    let schema = guarded(|| match container {
        Container::Parquet => ParquetReader::new(file).schema(),
        Container::ArrowFile => IpcReader::new(file).schema(),
    })
    .map_err(|source| broken(path, container, &source))?;
    Ok(schema.iter_names().map(ToString::to_string).collect())
}

/// Reads both columns of the file at `file`, which messages call `path`.
///
/// # Errors
/// Broken files, columns that are not there, a text column that is no string, a label column that
/// is neither string nor whole number nor boolean.
pub(super) fn read(
    path: &Path,
    file: &Path,
    container: Container,
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    let broken = |source: PolarsError| broken(path, container, &source);
    let columns = columns(path, file, container)?;
    let chosen = choice.choose(&columns, path)?;
    let (text, label) = (&columns[chosen.text_idx], &columns[chosen.label_idx]);
    let wanted = Some(vec![text.clone(), label.clone()]);
    let file = File::open(file).map_err(|source| Error::io("read", path, source))?;
    let frame = guarded(|| match container {
        Container::Parquet => ParquetReader::new(file).with_columns(wanted).finish(),
        Container::ArrowFile => IpcReader::new(file).with_columns(wanted).finish(),
    })
    .map_err(broken)?;
    let texts = strings(frame.column(text).map_err(broken)?).map_err(|found| {
        Error::invalid(format!("{path:?}: text column {text:?} holds {found}, not strings"))
            .with_hint("choose another one with --text COLUMN")
    })?;
    let labels = labels(frame.column(label).map_err(broken)?).map_err(|found| {
        Error::invalid(format!(
            "{path:?}: label column {label:?} holds {found}, not strings, whole numbers or booleans"
        ))
        .with_hint("choose another one with --label COLUMN")
    })?;
    let places = Places::Rows { path: path.to_owned() };
    Ok((RawRows { texts, labels, places }, chosen.notes))
}

/// The error for a file that polars does not read.
pub(super) fn broken(path: &Path, container: Container, source: &PolarsError) -> Error {
    let reason = first_line(source);
    let error = Error::invalid(format!("{path:?}: broken {container} file"));
    match reason.strip_prefix("cannot create series from ") {
        // The types that the build of polars leaves out to stay small.
        Some(dtype) => {
            Error::invalid(format!("{path:?}: a column of the type {dtype}, which is not read"))
                .with_hint("write labels as strings, booleans or signed whole numbers")
        }
        None => error.with_source(reason).with_hint("copy or download the file again"),
    }
}

/// Runs a polars reader; damaged bytes can make one panic, and a panic is an error here.
pub(super) fn guarded<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(PolarsError::ComputeError("the reader gave up on damaged content".into()))
    })
}

/// A polars message without the query plan and stack that may follow it.
pub(super) fn first_line(error: &PolarsError) -> String {
    error.to_string().lines().next().unwrap_or_default().trim().to_owned()
}

/// The strings of a column, or the type that it has instead.
pub(super) fn strings(column: &polars::prelude::Column) -> Result<Vec<Option<String>>, DataType> {
    match column.dtype() {
        DataType::String => {
            let strings = column.as_materialized_series().str().map_err(|_| DataType::String)?;
            Ok(strings.iter().map(|text| text.map(str::to_owned)).collect())
        }
        DataType::Categorical(..) | DataType::Enum(..) | DataType::Null => labels(column),
        other => Err(other.clone()),
    }
}

fn labels(column: &polars::prelude::Column) -> Result<Vec<Option<String>>, DataType> {
    let series = column.as_materialized_series().rechunk();
    series.iter().map(|value| label(&value).map_err(|()| series.dtype().clone())).collect()
}

fn label(value: &AnyValue<'_>) -> Result<Option<String>, ()> {
    Ok(Some(match value {
        AnyValue::Null => return Ok(None),
        AnyValue::Boolean(value) => value.to_string(),
        AnyValue::String(value) => (*value).to_owned(),
        AnyValue::StringOwned(value) => value.to_string(),
        AnyValue::Categorical(..)
        | AnyValue::CategoricalOwned(..)
        | AnyValue::Enum(..)
        | AnyValue::EnumOwned(..) => value.get_str().ok_or(())?.to_owned(),
        AnyValue::Float32(value) if value.fract() == 0.0 => value.to_string(),
        AnyValue::Float64(value) if value.fract() == 0.0 => value.to_string(),
        AnyValue::Int8(_)
        | AnyValue::Int16(_)
        | AnyValue::Int32(_)
        | AnyValue::Int64(_)
        | AnyValue::Int128(_)
        | AnyValue::UInt8(_)
        | AnyValue::UInt16(_)
        | AnyValue::UInt32(_)
        | AnyValue::UInt64(_) => value.extract::<i128>().ok_or(())?.to_string(),
        _ => return Err(()),
    }))
}
