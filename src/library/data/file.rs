//! Reading texts, labels and the kept columns of one file, or of several that are one table.

use std::{collections::BTreeSet, path::Path};

use super::{
    column::ColumnChoice,
    columnar, csv,
    dialect::Dialect,
    excerpt::{excerpt, excerpts},
    folder,
    input::{Format, Input},
    jsonl, objects,
    raw::RawRows,
    shards::{Files, files},
};
use crate::error::{Error, Result};

/// Reads one split from the file, the folder of `pos` and `neg`, or the files of rows at `path`; also
/// returns remarks on what was guessed.
///
/// # Errors
/// A missing file, an unknown or broken format, and whatever its reader refuses.
pub(super) fn read(
    path: &Path,
    dialect: &Dialect,
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    if folder::is_one(path) {
        return folder::read_split(path, dialect.encoding).map(|rows| (rows, Vec::new()));
    }
    read_files(&files(path, dialect)?, dialect, choice)
}

/// Reads `files` as one table.
///
/// # Errors
/// Those of a reader, and files with different columns.
pub(super) fn read_files(
    files: &Files,
    dialect: &Dialect,
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    if let [path] = files.paths.as_slice() {
        let (rows, mut notes) = read_one(&Input::open(path, dialect)?, choice)?;
        notes.splice(0..0, files.notes());
        return Ok((rows, notes));
    }
    let inputs: Vec<Input> =
        files.paths.iter().map(|path| Input::open(path, dialect)).collect::<Result<_>>()?;
    let Some(first) = inputs.first() else {
        return Err(Error::invalid(format!("{:?}: no files", files.whole)));
    };
    let columns = columns(first)?;
    let chosen = choice.choose(&columns, first.name())?;
    let named = ColumnChoice {
        text: Some(&columns[chosen.text_idx]),
        label: Some(&columns[chosen.label_idx]),
        keep: choice.keep,
    };
    let mut notes = files.notes();
    notes.extend(chosen.notes);
    let mut read = Vec::new();
    for input in &inputs {
        check_columns(first, &columns, input)?;
        let (rows, said) = read_one(input, named)?;
        for note in said {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        read.push(rows);
    }
    Ok((RawRows::joined(files.whole.clone(), read)?, notes))
}

fn read_one(input: &Input, choice: ColumnChoice<'_>) -> Result<(RawRows, Vec<String>)> {
    let (rows, mut notes) = match input.format() {
        Format::Delimited(delimiter) => csv::read(input, delimiter, choice),
        Format::Json => jsonl::read(input, choice),
        Format::Columnar(container) => {
            columnar::read(input.name(), input.file_path(), container, choice)
        }
    }?;
    notes.splice(0..0, input.notes().iter().cloned());
    Ok((rows, notes))
}

/// The columns of `input`.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn columns(input: &Input) -> Result<Vec<String>> {
    match input.format() {
        Format::Delimited(delimiter) => csv::columns(input, delimiter),
        Format::Json => objects::columns(input),
        Format::Columnar(container) => {
            columnar::columns(input.name(), input.file_path(), container)
        }
    }
}

/// Checks that `other` has the `columns` of `first`, in whatever order. An object of JSON may lack any.
///
/// # Errors
/// When it has others.
pub(super) fn check_columns(first: &Input, columns: &[String], other: &Input) -> Result<()> {
    if other.format() == Format::Json || other.name() == first.name() {
        return Ok(());
    }
    let found = self::columns(other)?;
    same_columns(first.name(), columns, other.name(), &found)
}

/// # Errors
/// When `found`, of the file `other`, are not the `columns` of the file `first`.
pub(super) fn same_columns(
    first: &Path,
    columns: &[String],
    other: &Path,
    found: &[String],
) -> Result<()> {
    let (expected, found): (BTreeSet<&String>, BTreeSet<&String>) =
        (columns.iter().collect(), found.iter().collect());
    let difference = match (expected.difference(&found).next(), found.difference(&expected).next())
    {
        (None, None) => return Ok(()),
        (Some(missing), _) => format!("no column {}, which {first:?} has", excerpt(missing)),
        (None, Some(more)) => format!("a column {}, which {first:?} lacks", excerpt(more)),
    };
    Err(Error::invalid(format!("{other:?}: {difference}")).with_hint(format!(
        "files that are read as one table have the same columns, here {}; choose files by a \
         pattern in quotes, such as 'folder/train-*.parquet'",
        excerpts(columns)
    )))
}
