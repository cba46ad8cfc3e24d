//! Reading JSON lines, and JSON arrays of objects: the text a string, the label a string, a number or
//! a boolean. Objects are parsed in parallel.

use std::path::Path;

use polars::prelude::{Column, PolarsError};
use rayon::prelude::*;

use super::{
    KeepColumns,
    column::ColumnChoice,
    datum::Datum,
    excerpt::excerpt,
    guarded::first_line,
    input::Input,
    kept::{KeptColumns, WantedColumn},
    objects::{self, Objects, RawObject},
    raw::{Places, RawRows},
    rows::{Kinds, TextRow},
};
use crate::error::{Error, ErrorKind, Result};

/// Objects that are parsed together.
const BATCH_N_OBJECTS: usize = 16_384;

/// Reads text, label and the kept fields of `input`. The keys of all its objects are the columns; a key that an object
/// lacks is a null.
///
/// # Errors
/// Bytes that are not the file's encoding, what is no object, a text that is no string (each with its
/// line), and keys that are not there.
pub(super) fn read(input: &Input, choice: ColumnChoice<'_>) -> Result<(RawRows, Vec<String>)> {
    let columns = objects::columns(input)?;
    let path = input.name();
    let chosen = choice.choose(&columns, path)?;
    let (text_key, label_key) = (&columns[chosen.text_idx], &columns[chosen.label_idx]);
    let taken = [text_key, label_key];
    let (kinds, wanted, mut kept) = kept(input, taken, choice)?;
    let mut kept_columns: Vec<Option<Column>> = vec![None; wanted.len()];
    let (mut texts, mut labels, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let mut objects = Objects::open(input)?;
    while let Some(batch) = batch(&mut objects, path)? {
        let mut rows = Vec::with_capacity(batch.len());
        for (line, mut row) in batch {
            let cell = |key: &String| row.get(key).unwrap_or(&Datum::Null);
            let wrong = |key: &str, found, expected| wrong_kind(path, line, key, found, expected);
            texts.push(text(cell(text_key)).map_err(|kind| wrong(text_key, kind, "a string"))?);
            labels.push(
                label(cell(label_key))
                    .map_err(|kind| wrong(label_key, kind, "a string, a number or a boolean"))?,
            );
            lines.push(line);
            if !wanted.is_empty() {
                taken.into_iter().for_each(|key| row.remove(key));
                rows.push(row);
            }
        }
        if wanted.is_empty() {
            continue;
        }
        let mut columns: Vec<Option<Column>> = kinds.columns(&rows).into_iter().map(Some).collect();
        for (column, wanted) in kept_columns.iter_mut().zip(&wanted) {
            // The keys of text and label are the first two.
            match (column.as_mut(), columns[wanted.idx - 2].take()) {
                (Some(column), Some(part)) => {
                    column.append_owned(part).map_err(|source| unlike(path, &source))?;
                }
                (_, part) => *column = part,
            }
        }
    }
    for (wanted, column) in wanted.iter().zip(kept_columns) {
        if let Some(column) = column {
            kept.push(wanted, column);
        }
    }
    let places = Places::Lines { path: path.to_owned(), lines };
    Ok((RawRows { kept, ..RawRows::new(texts, labels, places) }, chosen.notes))
}

/// The next objects, each with its line, parsed in parallel; none at the end.
///
/// # Errors
/// The first object that is none: which of several is named does not depend on threads.
fn batch(objects: &mut Objects, path: &Path) -> Result<Option<Vec<(u32, TextRow)>>> {
    let mut batch: Vec<(u32, String)> = Vec::new();
    while batch.len() < BATCH_N_OBJECTS
        && let Some(object) = objects.next()?
    {
        batch.push((object.line, object.json.to_owned()));
    }
    if batch.is_empty() {
        return Ok(None);
    }
    let parse = |(line, json): &(u32, String)| {
        Ok((*line, RawObject { line: *line, json }.parse::<TextRow>(path)?))
    };
    let rows: Vec<Result<(u32, TextRow)>> = batch.par_iter().map(parse).collect();
    rows.into_iter().collect::<Result<_>>().map(Some)
}

/// The types that the values of the fields besides those of the keys `taken` have in common, and which
/// of them are kept. The file is read through for them, but only where some are kept.
fn kept(
    input: &Input,
    taken: [&String; 2],
    choice: ColumnChoice<'_>,
) -> Result<(Kinds, Vec<WantedColumn>, KeptColumns)> {
    let mut kinds = Kinds::default();
    if *choice.keep == KeepColumns::None {
        return Ok((kinds, Vec::new(), KeptColumns::default()));
    }
    let mut objects = Objects::open(input)?;
    while let Some(batch) = batch(&mut objects, input.name())? {
        for (_, mut row) in batch {
            taken.into_iter().for_each(|key| row.remove(key));
            kinds.extend(&row);
        }
    }
    // The keys of text and label are the first two, so that no field may have their names.
    let found: Vec<String> = taken.into_iter().cloned().chain(kinds.names()).collect();
    let (wanted, kept) = choice.kept(&found, &[0, 1])?;
    Ok((kinds, wanted, kept))
}

fn unlike(path: &Path, source: &PolarsError) -> Error {
    Error::new(ErrorKind::Internal, format!("{path:?}: chunks of a column differ"))
        .with_source(first_line(source))
}

/// The text that `value` is, or what it is instead.
pub(super) fn text(value: &Datum) -> Result<Option<String>, &'static str> {
    match value {
        Datum::Null => Ok(None),
        Datum::Text(text) => Ok(Some(text.clone())),
        other => Err(other.kind()),
    }
}

fn label(value: &Datum) -> Result<Option<String>, &'static str> {
    match value {
        Datum::Null => Ok(None),
        Datum::Text(text) => Ok(Some(text.clone())),
        Datum::Bool(value) => Ok(Some(value.to_string())),
        // `1.50` and `15e-1` are one label; whole numbers keep every digit.
        Datum::Number(number) => Ok(Some(match number.parse::<f64>() {
            Ok(value) if number.contains(['.', 'e', 'E']) => value.to_string(),
            _ => number.clone(),
        })),
        other => Err(other.kind()),
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
    Error::invalid(format!("{path:?} line {number}: {} is {found}, not {expected}", excerpt(key)))
        .with_hint("choose the columns with --text COLUMN --label COLUMN")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dialect;

    fn read_json(name: &str, content: &str) -> Result<RawRows> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let input = Input::open(&path, &Dialect::default())?;
        read(&input, ColumnChoice::default()).map(|(rows, _)| rows)
    }

    fn read_jsonl(content: &str) -> Result<RawRows> {
        read_json("a.jsonl", content)
    }

    fn pairs(rows: &RawRows) -> Vec<(&str, &str)> {
        let cells = rows.texts.iter().zip(&rows.labels);
        cells.map(|(text, label)| (text.as_deref().unwrap(), label.as_deref().unwrap())).collect()
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
        assert!(rows.places.of(1).ends_with("a.jsonl\" row 2 (line 3)"), "{}", rows.places.of(1));
    }

    #[test]
    fn a_column_may_appear_late_and_an_array_is_read_like_lines() {
        let expected = [("a", "x"), ("b\n{", "y")];
        for (name, content) in [
            (
                "a.jsonl",
                "\u{feff}{\"text\":\"a\",\"label\":\"x\"}\n{\"label\":\"y\",\"text\":\"b\\n{\"}",
            ),
            ("a.json", "[{\"text\":\"a\",\"label\":\"x\"},{\"label\":\"y\",\"text\":\"b\\n{\"}]"),
            (
                "a.json",
                "\u{feff} [\n {\"text\": \"a\",\n  \"more\": {\"x\": [1, \"]}\\\"\"]},\n \
                 \"label\": \"x\"}\n,\n{\"label\":\"y\",\"text\":\"b\\n{\"}\n]\n",
            ),
            ("a.jsonl", "{\"text\":\"a\",\"label\":\"x\"}\r{\"label\":\"y\",\"text\":\"b\\n{\"}\r"),
        ] {
            assert_eq!(pairs(&read_json(name, content).unwrap()), expected, "{content}");
        }
        let late = "{\"id\": 1}\n{\"id\": 2, \"text\": \"b\"}\n{\"label\": 1}\n";
        let rows = read_jsonl(late).unwrap();
        assert_eq!(rows.texts, [None, Some("b".to_owned()), None]);
        assert_eq!(rows.labels, [None, None, Some("1".to_owned())]);
    }

    #[test]
    fn arrays_that_lie_across_windows_are_read_whole() {
        let items: Vec<String> = (0..9_000)
            .map(|n| {
                format!(
                    "{{\"text\": \"ü}}]\\\"\\\\ {}\",\n\"label\": {}}}",
                    "é".repeat(n % 97),
                    n % 2
                )
            })
            .collect();
        for padding in 0..3 {
            let content = format!("[{}{}\n]", " ".repeat(padding), items.join(",\n"));
            assert!(content.len() > 1 << 20);
            let rows = read_json("a.json", &content).unwrap();
            assert_eq!(rows.texts.len(), 9_000);
            assert_eq!(rows.texts[96].as_deref(), Some(&*format!("ü}}]\"\\ {}", "é".repeat(96))));
            assert!(rows.places.of(8_999).ends_with("row 9000 (line 17999)"));
        }
    }

    #[test]
    fn complaints_name_the_line_once() {
        for (content, expected) in [
            ("", ": the file is empty"),
            ("\n[ ]\n", ": the file is empty"),
            ("[{\"text\": \"a\", \"label\": 1}", " line 1: the array is not closed"),
            ("[1, 2]", " line 1: \"1, 2]\" stands where an object was expected"),
            (
                "[{\"a\": 1}\n{\"a\": 2}]",
                " line 2: \"{\\\"a\\\": 2}]\" stands where a comma or the end of the array was expected",
            ),
            (
                "{\"text\": \"a\"}\n{\"text\": \"a\", \"label\": 1, \"text\": \"b\"}",
                " line 2: two values of the key \"text\" in one object",
            ),
            (
                "{\"text\": [\"a\", \"b\"], \"label\": {\"0\": 1}}",
                ": one object of columns, not an object for each row",
            ),
            (
                "{\"version\": 1, \"data\": [{\"text\": \"a\", \"label\": 1}]}",
                ": one object, whose rows stand in \"data\"",
            ),
            ("[{\"a\": 1}] x", " line 1: \"x\" stands where the end of the file was expected"),
            (
                "{\"text\": \"a\", \"label\": 1}\n{\"text\": ",
                " line 2, column 8: not a JSON object: EOF while parsing a value",
            ),
            (
                "3\n",
                " line 1, column 1: not a JSON object: invalid type: integer `3`, expected a map",
            ),
            ("{\"text\": \"a\", \"label\": NaN}", " line 1, column 24: NaN is no JSON"),
            ("{\"label\": -Infinity}", " line 1, column 12: -Infinity is no JSON"),
            ("[{\"a\": 1,\n\"label\": Infinity}]", " line 2, column 10: Infinity is no JSON"),
            ("{\"text\": 3, \"label\": 1}", " line 1: \"text\" is a number, not a string"),
            (
                "{\"text\": \"a\", \"label\": [1]}",
                " line 1: \"label\" is an array, not a string, a number or a boolean",
            ),
        ] {
            let error = read_jsonl(content).unwrap_err();
            assert!(error.chain().ends_with(&format!("a.jsonl\"{expected}")), "{}", error.chain());
        }
    }
}
