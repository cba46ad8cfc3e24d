//! Examples as a source holds them, each with the place it came from, and the checks that turn
//! them into texts and labels. It refuses zero rows; missing or empty texts and missing labels it
//! refuses or drops, as asked.

use std::path::{Path, PathBuf};

use super::{add::Dropped, kept::KeptColumns, label::canonical};
use crate::error::{Error, Result};

/// Rows of one file or folder, before anything is known about their classes.
#[derive(Debug)]
pub(super) struct RawRows {
    /// One an example; `None` where the source has a null.
    pub(super) texts: Vec<Option<String>>,
    /// One an example; `None` where the source has a null.
    pub(super) labels: Vec<Option<String>>,
    pub(super) places: Places,
    /// The other columns of the source.
    pub(super) kept: KeptColumns,
    /// The classes in their order, where the source itself names them; labels are such names then.
    pub(super) class_names: Option<Vec<String>>,
}

/// Rows whose text and label are both there.
#[derive(Debug)]
pub(super) struct LabelledRows {
    /// One an example, as the source spells it.
    pub(super) texts: Vec<String>,
    /// One an example, in the one spelling that [`canonical`] gives it.
    pub(super) labels: Vec<String>,
    pub(super) places: Places,
    /// The other columns of the source.
    pub(super) kept: KeptColumns,
    /// As in [`RawRows`].
    pub(super) class_names: Option<Vec<String>>,
    /// The rows of the source that are not here.
    pub(super) dropped: Dropped,
}

/// The rows that are dropped where they would else be refused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dropping {
    /// Rows whose label is null or empty.
    pub(super) unlabelled: bool,
    /// Rows whose text is null or empty.
    pub(super) empty: bool,
}

/// The places of rows, so that an error can point at one.
#[derive(Debug)]
pub(super) enum Places {
    /// A text file whose row `i` begins in line `lines[i]`.
    Lines { path: PathBuf, lines: Vec<u32> },
    /// A binary file with numbered rows.
    Rows { path: PathBuf },
    /// A folder with one file an example.
    Files { dir: PathBuf, files: Vec<PathBuf> },
    /// Several files that are read as one.
    Parts(FileRows),
    /// Handed over under this name.
    Handed(String),
    /// Made by this program.
    Generated,
    /// Some rows of another source: row `i` is its row `rows[i]`.
    Picked { all: Box<Places>, rows: Vec<usize> },
}

/// The places of the rows of several files, one file behind the other.
#[derive(Debug)]
pub(super) struct FileRows {
    /// Their common source: a folder or a pattern.
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
            Self::Parts(FileRows { parts, .. }) => {
                let next = parts.partition_point(|(first, _)| *first <= row_idx);
                let (first, places) = &parts[next - 1];
                places.of(row_idx - first)
            }
            Self::Handed(name) => format!("{name} row {row}"),
            Self::Generated => format!("generated row {row}"),
            Self::Picked { all, rows } => all.of(rows[row_idx]),
        }
    }

    /// The file or folder as a whole.
    pub(super) fn whole(&self) -> String {
        match self {
            Self::Lines { path, .. } | Self::Rows { path } => format!("{path:?}"),
            Self::Files { dir, .. } => format!("{dir:?}"),
            Self::Parts(FileRows { whole, .. }) => format!("{whole:?}"),
            Self::Handed(name) => name.clone(),
            Self::Generated => "the generated sample".into(),
            Self::Picked { all, .. } => all.whole(),
        }
    }
}

impl RawRows {
    /// Rows of a source that has nothing besides texts and labels.
    pub(super) fn new(
        texts: Vec<Option<String>>,
        labels: Vec<Option<String>>,
        places: Places,
    ) -> Self {
        Self { texts, labels, places, kept: KeptColumns::default(), class_names: None }
    }

    /// No rows, of the file of typed columns at `path`.
    pub(super) fn none(path: &Path) -> Self {
        Self::new(Vec::new(), Vec::new(), Places::Rows { path: path.to_owned() })
    }

    /// The rows of `files`, one behind the other, which together are called `whole`.
    ///
    /// # Errors
    /// When the files name other classes, or have columns of one name that do not go together.
    pub(super) fn joined(whole: PathBuf, files: impl IntoIterator<Item = Self>) -> Result<Self> {
        let (mut texts, mut labels, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        let mut kept: Option<KeptColumns> = None;
        let mut class_names: Option<Option<Vec<String>>> = None;
        for file in files {
            // One without rows names no classes either.
            if file.texts.is_empty() {
                continue;
            }
            if class_names.get_or_insert_with(|| file.class_names.clone()) != &file.class_names {
                return Err(Error::invalid(format!(
                    "{}: other class names than in the files before it",
                    file.places.whole()
                ))
                .with_hint("files that are read as one table name the same classes in one order"));
            }
            let n_rows = texts.len();
            kept = Some(match kept {
                Some(kept) => kept.append(n_rows, file.kept, file.texts.len())?,
                None => file.kept,
            });
            parts.push((n_rows, file.places));
            texts.extend(file.texts);
            labels.extend(file.labels);
        }
        let places = Places::Parts(FileRows { whole, parts });
        let class_names = class_names.flatten();
        Ok(Self { kept: kept.unwrap_or_default(), class_names, ..Self::new(texts, labels, places) })
    }

    /// The rows that `dropping` leaves, when there are any and each has a text and a label.
    pub(super) fn check(self, dropping: Dropping) -> Result<LabelledRows> {
        let (raw, dropped) = self.drop_rows(dropping)?;
        let Self { texts, labels, places, kept, class_names } = raw;
        if texts.is_empty() {
            let all_dropped =
                dropped.note("").map_or_else(String::new, |note| format!(" left: {note}"));
            return Err(Error::invalid(format!("{}: no rows{all_dropped}", places.whole()))
                .with_hint("a dataset needs examples of at least two classes"));
        }
        let no_label = match class_names {
            Some(_) => "the label is null or -1, which stands for none",
            None => "the label is null",
        };
        refuse(&texts, &places, |text| text.is_none(), "the text is null", "--drop-empty")?;
        refuse(
            &texts,
            &places,
            |text| is_blank(text.as_deref()),
            "the text is empty",
            "--drop-empty",
        )?;
        refuse(&labels, &places, |label| label.is_none(), no_label, "--drop-unlabelled")?;
        refuse(
            &labels,
            &places,
            |label| is_blank(label.as_deref()),
            "the label is empty",
            "--drop-unlabelled",
        )?;
        let texts = texts.into_iter().flatten().collect();
        let labels = labels.into_iter().flatten().map(canonical).collect();
        Ok(LabelledRows { texts, labels, places, kept, class_names, dropped })
    }

    /// The rows that `dropping` leaves; a row that lacks both counts as unlabelled.
    fn drop_rows(mut self, dropping: Dropping) -> Result<(Self, Dropped)> {
        let lacks = |value: &Option<String>| value.as_deref().is_none_or(|v| v.trim().is_empty());
        let mut dropped = Dropped::default();
        let mut rows = Vec::with_capacity(self.texts.len());
        for (row_idx, (text, label)) in self.texts.iter().zip(&self.labels).enumerate() {
            if dropping.unlabelled && lacks(label) {
                dropped.n_unlabelled += 1;
            } else if dropping.empty && lacks(text) {
                dropped.n_empty += 1;
            } else {
                rows.push(row_idx);
            }
        }
        if rows.len() == self.texts.len() {
            return Ok((self, dropped));
        }
        let pick = |cells: &mut Vec<Option<String>>| {
            rows.iter().map(|&row_idx| cells[row_idx].take()).collect()
        };
        self.texts = pick(&mut self.texts);
        self.labels = pick(&mut self.labels);
        self.kept = self.kept.take(&rows)?;
        self.places = Places::Picked { all: Box::new(self.places), rows };
        Ok((self, dropped))
    }
}

/// An error that points at the first row that is `bad` and counts the others.
fn refuse<T>(
    rows: &[T],
    places: &Places,
    bad: impl Fn(&T) -> bool,
    reason: &str,
    option: &str,
) -> Result<()> {
    let Some(first) = rows.iter().position(&bad) else { return Ok(()) };
    let n_more = rows[first + 1..].iter().filter(|row| bad(row)).count();
    let more = match n_more {
        0 => String::new(),
        1 => ", and so it is in 1 more row".into(),
        n => format!(", and so it is in {n} more rows"),
    };
    Err(Error::invalid(format!("{}: {reason}{more}", places.of(first))).with_hint(format!(
        "every row needs a text and a label: fill it in or remove the row, or leave all such rows \
         out with {option}"
    )))
}

fn is_blank(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(texts: &[Option<&str>], labels: &[Option<&str>]) -> RawRows {
        let owned =
            |cells: &[Option<&str>]| cells.iter().map(|cell| cell.map(Into::into)).collect();
        let lines = (2..).take(texts.len()).collect();
        let places = Places::Lines { path: "reviews.csv".into(), lines };
        RawRows::new(owned(texts), owned(labels), places)
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
            let error = rows(&texts, &labels).check(Dropping::default()).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }

    #[test]
    fn a_row_of_several_files_is_pointed_at_in_its_own() {
        let file = |n_rows: usize, path: &str| {
            let cells = |cell: &str| vec![Some(cell.to_owned()); n_rows];
            RawRows::new(cells("a"), cells("x"), Places::Rows { path: path.into() })
        };
        let files = [file(2, "a.parquet"), file(0, "b.parquet"), file(3, "c.parquet")];
        let rows = RawRows::joined("all".into(), files).unwrap();
        for (row_idx, expected) in [
            (0, "\"a.parquet\" row 1"),
            (1, "\"a.parquet\" row 2"),
            (2, "\"c.parquet\" row 1"),
            (4, "\"c.parquet\" row 3"),
        ] {
            assert_eq!(rows.places.of(row_idx), expected);
        }
        assert_eq!(rows.places.whole(), "\"all\"");
        let named = |name: &str| RawRows {
            class_names: Some(vec![name.to_owned(), "b".to_owned()]),
            ..file(1, name)
        };
        let joined = |first, second| RawRows::joined("all".into(), [named(first), named(second)]);
        assert_eq!(joined("a", "a").unwrap().class_names.unwrap(), ["a", "b"]);
        let error = joined("a", "c").unwrap_err();
        assert!(error.to_string().contains("\"c\": other class names"), "{error}");
    }

    #[test]
    fn labels_are_trimmed_and_texts_are_kept() {
        let rows = rows(&[Some(" a ")], &[Some(" pos ")]).check(Dropping::default()).unwrap();
        assert_eq!((rows.texts, rows.labels), (vec![" a ".to_owned()], vec!["pos".to_owned()]));
    }

    #[test]
    fn rows_that_lack_something_are_dropped_when_asked_and_places_stay_true() {
        let raw = || {
            rows(
                &[Some("a"), None, Some("c"), Some(" "), Some("e"), Some("f")],
                &[Some("x"), Some("y"), None, Some(" "), Some("1.0"), Some("")],
            )
        };
        let check = |unlabelled, empty| raw().check(Dropping { unlabelled, empty });
        let left = check(true, true).unwrap();
        assert_eq!(
            (left.texts, left.labels),
            (vec!["a".into(), "e".into()], vec!["x".to_owned(), "1".to_owned()])
        );
        assert_eq!(left.dropped, Dropped { n_unlabelled: 3, n_empty: 1 });
        assert_eq!(left.places.of(1), "\"reviews.csv\" row 5 (line 6)");
        let error = check(false, true).unwrap_err();
        assert!(error.to_string().contains("row 3 (line 4): the label is null"), "{error}");
        assert!(error.hint().unwrap().to_string().contains("--drop-unlabelled"));
        let error = check(true, false).unwrap_err();
        assert!(error.to_string().contains("row 2 (line 3): the text is null"), "{error}");
        assert!(error.hint().unwrap().to_string().contains("--drop-empty"));
        let error = rows(&[Some("a"), None], &[None, Some("x")])
            .check(Dropping { unlabelled: true, empty: true })
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("no rows left: 1 row without a label and 1 row without a text dropped"),
            "{error}"
        );
        let error = rows(&[Some("a"); 2], &[None; 2])
            .check(Dropping { unlabelled: true, empty: false })
            .unwrap_err();
        assert!(error.to_string().ends_with("no rows left: 2 rows without a label dropped"));
    }
}
