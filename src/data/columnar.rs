//! Reading Parquet and Arrow IPC files (Feather version 2) through polars: only the two columns
//! that matter are decoded.

use std::{
    fmt,
    fs::File,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

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

/// Reads both columns of the file at `path`.
///
/// # Errors
/// Broken files, columns that are not there, a text column that is no string, a label column that
/// is neither string nor whole number nor boolean.
pub(super) fn read(
    path: &Path,
    container: Container,
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    let broken = |source: PolarsError| broken(path, container, &source);
    let open = || File::open(path).map_err(|source| Error::io("read", path, source));
    let file = open()?;
    let schema = guarded(|| match container {
        Container::Parquet => ParquetReader::new(file).schema(),
        Container::ArrowFile => IpcReader::new(file).schema(),
    })
    .map_err(broken)?;
    let columns: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
    let chosen = choice.choose(&columns, path)?;
    let (text, label) = (&columns[chosen.text_idx], &columns[chosen.label_idx]);
    let wanted = Some(vec![text.clone(), label.clone()]);
    let file = open()?;
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
    // The types that the build of polars leaves out to stay small.
    if let Some(dtype) = reason.strip_prefix("cannot create series from ") {
        return Error::invalid(format!(
            "{path:?}: a column of the type {dtype}, which is not read"
        ))
        .with_hint("write labels as strings, booleans or signed whole numbers");
    }
    if matches!(source, PolarsError::Duplicate(_)) {
        let name = reason.split('\'').nth(1).unwrap_or_default();
        return Error::invalid(format!("{path:?}: two columns are called {name:?}"))
            .with_hint("give each column a name of its own");
    }
    let hint = match reason == GAVE_UP {
        true => "copy or download the file again, or write its columns with plainer types",
        false => "copy or download the file again",
    };
    Error::invalid(format!("{path:?}: broken {container} file")).with_source(reason).with_hint(hint)
}

/// What is known of a file at which polars panicked.
const GAVE_UP: &str = "the reader gave up: damaged content, or a type that it does not know";

/// Runs a polars reader; damaged bytes can make one panic, and a panic is an error here, which is said
/// once.
pub(super) fn guarded<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    static N_GUARDED: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    // Some of polars' work is done in threads of its own, where only a hook for all of them knows.
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_polars = info.location().is_some_and(|place| place.file().contains("polars-"));
            if !is_polars || N_GUARDED.load(Ordering::SeqCst) == 0 {
                told(info);
            }
        }));
    });
    N_GUARDED.fetch_add(1, Ordering::SeqCst);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    N_GUARDED.fetch_sub(1, Ordering::SeqCst);
    outcome.unwrap_or_else(|_| Err(PolarsError::ComputeError(GAVE_UP.into())))
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
