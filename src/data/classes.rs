//! From the labels a source holds to the dataset's classes and one class index an example.

use std::collections::{BTreeMap, BTreeSet};

use super::{excerpt::excerpt, head::on_one_line, raw::Rows};
use crate::error::{Error, Result};

const NEGATIVE: [&str; 4] = ["0", "neg", "negative", "false"];
const POSITIVE: [&str; 4] = ["1", "pos", "positive", "true"];

/// The classes of a dataset and how its labels spell them.
#[derive(Debug)]
pub(super) struct Classes {
    names: Vec<String>,
    /// Whether labels are spellings of negative and positive.
    binary: bool,
}

impl Classes {
    /// The classes of `labels`: `negative` and `positive` when every label is one of
    /// 0/1, neg/pos, negative/positive and false/true in any case; otherwise the labels
    /// themselves, sorted alphabetically (by Unicode code points).
    ///
    /// # Errors
    /// For fewer than two classes, or for more than half as many classes as examples: such a
    /// column is an identifier, not a label.
    pub(super) fn of(rows: &Rows) -> Result<Self> {
        let distinct: BTreeSet<&str> = rows.labels.iter().map(String::as_str).collect();
        let binary = distinct.iter().all(|label| binary_class(label).is_some());
        let names: Vec<String> = if binary {
            let found: BTreeSet<usize> =
                distinct.iter().filter_map(|label| binary_class(label)).collect();
            found.iter().map(|&class| ["negative", "positive"][class].to_owned()).collect()
        } else {
            distinct.iter().map(|&label| label.to_owned()).collect()
        };
        check_enough(&names, rows)?;
        Ok(Self { names, binary })
    }

    /// Class names in label order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// How the source spelt the classes, when that is not how they are called now; of two others,
    /// which one is the positive class: their names do not say it.
    pub(super) fn note(&self, rows: &Rows) -> Option<String> {
        let spelt: BTreeSet<&str> = rows.labels.iter().map(String::as_str).collect();
        if let (false, [_, positive]) = (self.binary, self.names.as_slice()) {
            return Some(format!(
                "classes {}; F1, precision and recall will be of {positive}",
                self.names.join(", ")
            ));
        }
        if !self.binary || spelt.iter().copied().eq(self.names.iter().map(String::as_str)) {
            return None;
        }
        let spelt: Vec<&str> = spelt.into_iter().collect();
        Some(format!("labels {} read as {}", spelt.join(", "), self.names.join(", ")))
    }

    /// One class index an example.
    ///
    /// # Errors
    /// For a label that is none of the classes, with its place.
    pub(super) fn encode(&self, rows: &Rows) -> Result<Vec<u32>> {
        let index: BTreeMap<&str, u32> = self.names.iter().map(String::as_str).zip(0..).collect();
        let encoded = rows.labels.iter().enumerate().map(|(row_idx, label)| {
            let class = if self.binary {
                binary_class(label).map(|class| class as u32)
            } else {
                index.get(label.as_str()).copied()
            };
            class.ok_or_else(|| {
                Error::invalid(format!(
                    "{}: unknown label {}, the training split has {}",
                    rows.places.of(row_idx),
                    excerpt(label),
                    listed(&self.names)
                ))
                .with_hint("both splits must use the same class names: correct or remove the row")
            })
        });
        encoded.collect()
    }
}

/// A split with examples of one class alone can neither train nor measure anything.
pub(super) fn check_not_single(labels: &[u32], classes: &[String], place: &str) -> Result<()> {
    match labels.split_first() {
        Some((first, rest)) if rest.iter().all(|label| label == first) => {
            Err(single_class(place, &classes[*first as usize], labels.len()))
        }
        _ => Ok(()),
    }
}

fn check_enough(names: &[String], rows: &Rows) -> Result<()> {
    let n_rows = rows.labels.len();
    let place = rows.places.whole();
    if let [only] = names {
        return Err(single_class(&place, only, n_rows));
    }
    if n_rows < names.len() + names.len() {
        return Err(Error::invalid(format!(
            "{place}: {n_rows} rows for {} classes ({}), each class needs at least 2",
            names.len(),
            listed(names)
        ))
        .with_hint("choose the right label column with --label COLUMN, or add examples"));
    }
    Ok(())
}

fn single_class(place: &str, class: &str, n_rows: usize) -> Error {
    let class = excerpt(class);
    Error::invalid(format!("{place}: all {n_rows} rows have the single class {class}"))
        .with_hint("a classifier needs examples of at least two classes")
}

/// The first few names, for a message that stays readable.
pub(super) fn listed(names: &[String]) -> String {
    const MAX_SHOWN: usize = 10;
    let shown: Vec<String> =
        names.iter().take(MAX_SHOWN).map(|name| on_one_line(name, 60)).collect();
    match names.len().saturating_sub(MAX_SHOWN) {
        0 => shown.join(", "),
        n_more => format!("{} and {n_more} more", shown.join(", ")),
    }
}

fn binary_class(label: &str) -> Option<usize> {
    let is = |spelling: &&str| label.eq_ignore_ascii_case(spelling);
    if NEGATIVE.iter().any(is) {
        return Some(0);
    }
    POSITIVE.iter().any(is).then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::raw::Places;

    fn rows(labels: &[&str]) -> Rows {
        Rows {
            texts: labels.iter().map(|_| "text".to_owned()).collect(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            places: Places::Rows { path: "a.parquet".into() },
        }
    }

    #[track_caller]
    fn check(labels: &[&str], names: &[&str], encoded: &[u32]) {
        let rows = rows(labels);
        let classes = Classes::of(&rows).unwrap();
        assert_eq!(classes.names(), names);
        assert_eq!(classes.encode(&rows).unwrap(), encoded);
    }

    #[test]
    fn binary_spellings_become_negative_and_positive() {
        let names = ["negative", "positive"];
        check(&["0", "1", "1", "0"], &names, &[0, 1, 1, 0]);
        check(&["pos", "neg", "NEG", "Pos"], &names, &[1, 0, 0, 1]);
        check(&["Positive", "Negative", "negative", "POSITIVE"], &names, &[1, 0, 0, 1]);
        check(&["True", "false", "true", "FALSE"], &names, &[1, 0, 1, 0]);
    }

    #[test]
    fn other_labels_are_sorted_and_kept() {
        check(&["spam", "ham", "spam", "ham"], &["ham", "spam"], &[1, 0, 1, 0]);
        check(&["b", "a", "C", "a", "b", "C"], &["C", "a", "b"], &[2, 1, 0, 1, 2, 0]);
        // One label outside the binary spellings makes all of them plain names.
        check(&["0", "1", "2", "2", "1", "0"], &["0", "1", "2"], &[0, 1, 2, 2, 1, 0]);
    }

    #[test]
    fn a_single_class_and_too_few_rows_are_refused() {
        let message = |labels| Classes::of(&rows(labels)).unwrap_err().to_string();
        assert_eq!(
            message(&["pos", "1", "true"]),
            "\"a.parquet\": all 3 rows have the single class \"positive\""
        );
        assert_eq!(
            message(&["x", "y", "z", "x"]),
            "\"a.parquet\": 4 rows for 3 classes (x, y, z), each class needs at least 2"
        );
    }

    #[test]
    fn a_label_that_training_does_not_know_is_refused_with_its_row() {
        let classes = Classes::of(&rows(&["a", "b", "a", "b"])).unwrap();
        let error = classes.encode(&rows(&["a", "A"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"a.parquet\" row 2: unknown label \"A\", the training split has a, b"
        );
    }
}
