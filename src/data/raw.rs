//! Examples as a source holds them, each with the place it came from, and the checks that turn
//! them into texts and labels. It refuses zero rows, missing or empty texts and missing labels.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// Rows of one file or folder, before anything is known about their classes.
#[derive(Debug)]
pub(super) struct RawRows {
    /// One an example; `None` where the source has a null.
    pub(super) texts: Vec<Option<String>>,
    /// One an example; `None` where the source has a null.
    pub(super) labels: Vec<Option<String>>,
    pub(super) places: Places,
}

/// Rows whose text and label are both there.
#[derive(Debug)]
pub(super) struct Rows {
    /// One an example, as the source spells it.
    pub(super) texts: Vec<String>,
    /// One an example, trimmed.
    pub(super) labels: Vec<String>,
    pub(super) places: Places,
}

/// Where rows lie, so that an error can point at one.
#[derive(Debug)]
pub(super) enum Places {
    /// A text file whose row `i` begins in line `lines[i]`.
    Lines { path: PathBuf, lines: Vec<u32> },
    /// A binary file with numbered rows.
    Rows { path: PathBuf },
    /// A folder with one file an example.
    Files { dir: PathBuf, files: Vec<PathBuf> },
    /// Several files that are read as one.
    Parts(Parts),
    /// Made by this program.
    Generated,
}

/// Where the rows of several files lie, one file behind the other.
#[derive(Debug)]
pub(super) struct Parts {
    /// What they are together: a folder or a pattern.
    whole: PathBuf,
    /// The index of each one's first row, and the places in it.
    parts: Vec<(usize, Places)>,
}

impl Places {
    /// The row with the index `row_idx`, as a reader finds it: rows and lines count from 1.
    pub(super) fn of(&self, row_idx: usize) -> String {
        let row = row_idx + 1;
        match self {
            Self::Lines { path, lines } => {
                format!("{path:?} row {row} (line {})", lines[row_idx])
            }
            Self::Rows { path } => format!("{path:?} row {row}"),
            Self::Files { files, .. } => format!("{:?}", files[row_idx]),
            Self::Parts(Parts { parts, .. }) => {
                let next = parts.partition_point(|(first, _)| *first <= row_idx);
                let (first, places) = &parts[next - 1];
                places.of(row_idx - first)
            }
            Self::Generated => format!("generated row {row}"),
        }
    }

    /// The file or folder as a whole.
    pub(super) fn whole(&self) -> String {
        match self {
            Self::Lines { path, .. } | Self::Rows { path } => format!("{path:?}"),
            Self::Files { dir, .. } => format!("{dir:?}"),
            Self::Parts(Parts { whole, .. }) => format!("{whole:?}"),
            Self::Generated => "the generated sample".into(),
        }
    }
}

impl RawRows {
    /// The rows of `files`, one behind the other, which together are called `whole`.
    pub(super) fn joined(whole: PathBuf, files: impl IntoIterator<Item = Self>) -> Self {
        let (mut texts, mut labels, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for file in files {
            // A file without rows has no places to look for.
            if !file.texts.is_empty() {
                parts.push((texts.len(), file.places));
            }
            texts.extend(file.texts);
            labels.extend(file.labels);
        }
        Self { texts, labels, places: Places::Parts(Parts { whole, parts }) }
    }

    /// The rows, when there are any and each has a text and a label.
    pub(super) fn check(self) -> Result<Rows> {
        let Self { texts, labels, places } = self;
        if texts.is_empty() {
            return Err(Error::invalid(format!("{}: no rows", places.whole()))
                .with_hint("a dataset needs examples of at least two classes"));
        }
        refuse(&texts, &places, |text| text.is_none(), "the text is null")?;
        refuse(&texts, &places, |text| is_blank(text.as_deref()), "the text is empty")?;
        refuse(&labels, &places, |label| label.is_none(), "the label is null")?;
        refuse(&labels, &places, |label| is_blank(label.as_deref()), "the label is empty")?;
        let texts = texts.into_iter().flatten().collect();
        let labels = labels.into_iter().flatten().map(trimmed).collect();
        Ok(Rows { texts, labels, places })
    }
}

/// An error that points at the first row that is `bad` and counts the others.
fn refuse<T>(rows: &[T], places: &Places, bad: impl Fn(&T) -> bool, reason: &str) -> Result<()> {
    let Some(first) = rows.iter().position(&bad) else { return Ok(()) };
    let n_more = rows[first + 1..].iter().filter(|row| bad(row)).count();
    let more = match n_more {
        0 => String::new(),
        1 => ", and so it is in 1 more row".into(),
        n => format!(", and so it is in {n} more rows"),
    };
    Err(Error::invalid(format!("{}: {reason}{more}", places.of(first)))
        .with_hint("every row needs a text and a label: fill it in or remove the row"))
}

fn is_blank(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.trim().is_empty())
}

fn trimmed(label: String) -> String {
    match label.trim() {
        same if same.len() == label.len() => label,
        shorter => shorter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(texts: &[Option<&str>], labels: &[Option<&str>]) -> RawRows {
        let owned =
            |cells: &[Option<&str>]| cells.iter().map(|cell| cell.map(Into::into)).collect();
        let lines = (2..).take(texts.len()).collect();
        RawRows {
            texts: owned(texts),
            labels: owned(labels),
            places: Places::Lines { path: "reviews.csv".into(), lines },
        }
    }

    #[test]
    fn a_bad_row_is_pointed_at_and_the_others_are_counted() {
        let all = [Some("pos"); 3];
        for (texts, labels, expected) in [
            (vec![], vec![], "\"reviews.csv\": no rows"),
            (vec![Some("a"), None, Some("b")], all.to_vec(), "row 2 (line 3): the text is null"),
            (
                vec![Some(" \n"), Some("a"), Some("")],
                all.to_vec(),
                "row 1 (line 2): the text is empty, and so it is in 1 more row",
            ),
            (
                vec![Some("a"); 3],
                vec![Some("x"), Some("y"), None],
                "row 3 (line 4): the label is null",
            ),
            (
                vec![Some("a"); 3],
                vec![Some("\t"); 3],
                "row 1 (line 2): the label is empty, and so it is in 2 more rows",
            ),
        ] {
            let error = rows(&texts, &labels).check().unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }

    #[test]
    fn a_row_of_several_files_is_pointed_at_in_its_own() {
        let file = |n_rows: usize, path: &str| RawRows {
            texts: vec![Some("a".into()); n_rows],
            labels: vec![Some("x".into()); n_rows],
            places: Places::Rows { path: path.into() },
        };
        let files = [file(2, "a.parquet"), file(0, "b.parquet"), file(3, "c.parquet")];
        let rows = RawRows::joined("all".into(), files);
        for (row_idx, expected) in [
            (0, "\"a.parquet\" row 1"),
            (1, "\"a.parquet\" row 2"),
            (2, "\"c.parquet\" row 1"),
            (4, "\"c.parquet\" row 3"),
        ] {
            assert_eq!(rows.places.of(row_idx), expected);
        }
        assert_eq!(rows.places.whole(), "\"all\"");
    }

    #[test]
    fn labels_are_trimmed_and_texts_are_kept() {
        let rows = rows(&[Some(" a ")], &[Some(" pos ")]).check().unwrap();
        assert_eq!((rows.texts, rows.labels), (vec![" a ".to_owned()], vec!["pos".to_owned()]));
    }
}
