//! Reading JSON Lines: one object a line, the text a string, the label a string, a number or a
//! boolean. Lines are parsed in parallel.

use std::path::Path;

use polars::prelude::{Column, PolarsError};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    KeepColumns,
    column::ColumnChoice,
    columnar::first_line,
    kept::Kept,
    raw::{Places, RawRows, not_utf8},
    rows::{Kinds, Row},
};
use crate::error::{Error, ErrorKind, Result};

/// Reads both fields of the file at `path` whose content is `bytes`. The first object's keys are
/// the columns; a key that a later object lacks is a null.
///
/// # Errors
/// Invalid UTF-8, a line that is no object, a text that is no string (each with its line), and keys
/// that are not there.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let content = std::str::from_utf8(bytes).map_err(|error| not_utf8(path, bytes, &error))?;
    let numbered: Vec<(u32, &str)> =
        (1..).zip(content.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    let Some(&(number, first)) = numbered.first() else {
        return Err(Error::invalid(format!("{path:?}: the file is empty"))
            .with_hint("every line is one object, such as {\"text\": \"…\", \"label\": \"…\"}"));
    };
    let first: Map<String, Value> = object(path, number, first.as_bytes())?;
    let columns: Vec<String> = first.keys().cloned().collect();
    let chosen = choice.choose(&columns, path)?;
    let (text_key, label_key) = (&columns[chosen.text_idx], &columns[chosen.label_idx]);
    let cells: Vec<(Option<String>, Option<String>)> = numbered
        .par_iter()
        .map(|&(number, line)| {
            let mut object: Map<String, Value> = object(path, number, line.as_bytes())?;
            let text = text(object.remove(text_key))
                .map_err(|kind| wrong_kind(path, number, text_key, kind, "a string"))?;
            let label = label(object.remove(label_key)).map_err(|kind| {
                wrong_kind(path, number, label_key, kind, "a string, a number or a boolean")
            })?;
            Ok((text, label))
        })
        // All results first: which of several bad lines is named must not depend on threads.
        .collect::<Vec<Result<_>>>()
        .into_iter()
        .collect::<Result<_>>()?;
    let (texts, labels) = cells.into_iter().unzip();
    let kept = kept(path, &numbered, [text_key, label_key], choice)?;
    let lines = numbered.into_iter().map(|(number, _)| number).collect();
    let places = Places::Lines { path: path.to_owned(), lines };
    Ok((RawRows { kept, ..RawRows::new(texts, labels, places) }, chosen.notes))
}

/// Lines that are made into columns at once: all objects together would fill the memory.
const KEPT_CHUNK_N_LINES: usize = 4_096;

/// The fields besides those of the keys `taken`, with the types that their values have in common.
/// The lines are parsed twice more, for the types and for the values, but only if there are any.
fn kept(
    path: &Path,
    numbered: &[(u32, &str)],
    taken: [&String; 2],
    choice: ColumnChoice<'_>,
) -> Result<Kept> {
    let rest = |&(number, line): &(u32, &str)| {
        let mut row: Row = object(path, number, line.as_bytes())?;
        taken.into_iter().for_each(|key| row.remove(key));
        Ok(row)
    };
    if *choice.keep == KeepColumns::None {
        return Ok(Kept::default());
    }
    let kinds_of = |lines: &[(u32, &str)]| {
        let mut kinds = Kinds::default();
        for line in lines {
            kinds.extend(&rest(line)?);
        }
        Ok(kinds)
    };
    let kinds = numbered
        .par_chunks(KEPT_CHUNK_N_LINES)
        .map(kinds_of)
        .collect::<Result<Vec<Kinds>>>()?
        .into_iter()
        .fold(Kinds::default(), Kinds::or);
    // The keys of text and label are the first two, so that no field may have their names.
    let found: Vec<String> = taken.into_iter().cloned().chain(kinds.names()).collect();
    let (wanted, mut kept) = choice.kept(&found, &[0, 1])?;
    if wanted.is_empty() {
        return Ok(kept);
    }
    let columns_of = |lines: &[(u32, &str)]| {
        let rows: Vec<Row> = lines.iter().map(rest).collect::<Result<_>>()?;
        let mut columns: Vec<Option<Column>> = kinds.columns(&rows).into_iter().map(Some).collect();
        Ok(wanted.iter().map(|wanted| columns[wanted.idx - 2].take()).collect())
    };
    let chunks: Vec<Vec<Option<Column>>> =
        numbered.par_chunks(KEPT_CHUNK_N_LINES).map(columns_of).collect::<Result<_>>()?;
    let mut columns: Vec<Option<Column>> = vec![None; wanted.len()];
    for chunk in chunks {
        for (column, part) in columns.iter_mut().zip(chunk) {
            match (column.as_mut(), part) {
                (Some(column), Some(part)) => {
                    column.append_owned(part).map_err(|source| unlike(path, &source))?;
                }
                (_, part) => *column = part,
            }
        }
    }
    for (wanted, column) in wanted.iter().zip(columns) {
        if let Some(column) = column {
            kept.push(wanted, column);
        }
    }
    Ok(kept)
}

fn unlike(path: &Path, source: &PolarsError) -> Error {
    Error::new(ErrorKind::Internal, format!("{path:?}: chunks of a column differ"))
        .with_source(first_line(source))
}

/// The object that is the line `number` of the file `path`.
pub(super) fn object<'a, T: Deserialize<'a>>(
    path: &Path,
    number: u32,
    line: &'a [u8],
) -> Result<T> {
    serde_json::from_slice(line).map_err(|source| {
        Error::invalid(format!("{path:?} line {number}: not a JSON object"))
            .with_source(source)
            .with_hint("every line is one object, such as {\"text\": \"…\", \"label\": \"…\"}")
    })
}

/// The text that `value` is, or what it is instead.
fn text(value: Option<Value>) -> Result<Option<String>, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(kind(&other)),
    }
}

fn label(value: Option<Value>) -> Result<Option<String>, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(value)) => Ok(Some(value.to_string())),
        Some(Value::Number(number)) => Ok(Some(match number.as_f64() {
            // 1.0 and 1 are the same label.
            Some(value) if !number.is_i64() && !number.is_u64() => value.to_string(),
            _ => number.to_string(),
        })),
        Some(other) => Err(kind(&other)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The error for a value that has to be something else.
pub(super) fn wrong_kind(
    path: &Path,
    number: u32,
    key: &str,
    found: &str,
    expected: &str,
) -> Error {
    Error::invalid(format!("{path:?} line {number}: {key:?} is {found}, not {expected}"))
        .with_hint("choose the columns with --text COLUMN --label COLUMN")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_jsonl(content: &str) -> Result<RawRows> {
        read(Path::new("a.jsonl"), content.as_bytes(), ColumnChoice::default())
            .map(|(rows, _)| rows)
    }

    #[test]
    fn strings_numbers_and_booleans_are_labels() {
        let rows = read_jsonl(
            "{\"text\": \"a\\nb\", \"label\": 1}\n\n{\"label\": 1.0, \"text\": \"c\"}\r\n\
             {\"text\": \"d\", \"label\": true}\n{\"text\": \"e\", \"label\": \"neg\"}\n\
             {\"text\": null}",
        )
        .unwrap();
        let labels: Vec<Option<&str>> = rows.labels.iter().map(Option::as_deref).collect();
        assert_eq!(labels, [Some("1"), Some("1"), Some("true"), Some("neg"), None]);
        assert_eq!(rows.texts[0].as_deref(), Some("a\nb"));
        assert_eq!(rows.texts[4], None);
        assert_eq!(rows.places.of(1), "\"a.jsonl\" row 2 (line 3)");
    }

    #[test]
    fn complaints_name_the_line() {
        for (content, expected) in [
            ("", "\"a.jsonl\": the file is empty"),
            ("[{\"text\": \"a\", \"label\": 1}]", "line 1: not a JSON object"),
            ("{\"text\": \"a\", \"label\": 1}\n{\"text\": ", "line 2: not a JSON object"),
            ("{\"text\": 3, \"label\": 1}", "line 1: \"text\" is a number, not a string"),
            ("{\"text\": \"a\", \"label\": [1]}", "\"label\" is an array, not a string, a number"),
        ] {
            let error = read_jsonl(content).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
