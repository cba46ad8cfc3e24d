//! The file formats of typed columns, and what is said of a file of one that polars does not read.

use std::{fmt, path::Path};

use polars::error::PolarsError;

use super::guarded::{GAVE_UP, first_line};
use crate::error::Error;

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
    // polars 0.55 says so of a scale below zero.
    if container == Container::ArrowFile && reason.ends_with("NegativeFooterLength") {
        return Error::invalid(format!(
            "{path:?}: a column of a type that is not read, such as decimals of a negative scale"
        ))
        .with_hint(
            "cast it to another type, such as decimal128(38, 2) or string, or leave it out",
        );
    }
    let hint = match reason == GAVE_UP {
        true => "copy or download the file again, or write its columns with plainer types",
        false => "copy or download the file again",
    };
    Error::invalid(format!("{path:?}: broken {container} file")).with_source(reason).with_hint(hint)
}
