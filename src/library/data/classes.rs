//! From the labels a source holds to the dataset's classes and one class index an example.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    excerpt::excerpt,
    head::on_one_line,
    label::{by_number, canonical, is_number},
    raw::LabelledRows,
};
use crate::error::{Error, Result};

const NEGATIVE: [&str; 4] = ["0", "neg", "negative", "false"];
const POSITIVE: [&str; 4] = ["1", "pos", "positive", "true"];
/// The texts that pandas takes for a missing value.
const MISSING: [&str; 12] =
    ["nan", "NaN", "-nan", "-NaN", "NA", "<NA>", "N/A", "n/a", "#N/A", "null", "NULL", "None"];

/// The classes of a dataset and how its labels spell them.
#[derive(Debug)]
pub(super) struct Classes {
    names: Vec<String>,
    /// True if labels are spellings of negative and positive.
    is_binary: bool,
    /// True if the source itself named the classes.
    is_declared: bool,
    /// True if the positive class was chosen.
    is_chosen: bool,
}

impl Classes {
    /// The classes of the labels of `rows`, in this order: `negative` and `positive` when every
    /// label is one of 0/1, neg/pos, negative/positive and false/true in any case; otherwise the
    /// labels themselves, as the source orders its class names, or by number when all are numbers,
    /// or alphabetically (by Unicode code points). Of two classes `positive` comes last.
    ///
    /// # Errors
    /// For fewer than two classes; for more than half as many classes as examples: such a column is
    /// an identifier, not a label; for a `positive` that is no class, or one of more than two.
    pub(super) fn of(rows: &LabelledRows, positive: Option<&str>) -> Result<Self> {
        let distinct: BTreeSet<&str> = rows.labels.iter().map(String::as_str).collect();
        let is_binary = distinct.iter().all(|label| binary_class(label).is_some());
        let declared = rows
            .class_names
            .as_ref()
            .filter(|names| distinct.iter().all(|&label| names.iter().any(|name| name == label)));
        let mut names: Vec<String> = if is_binary {
            let found: BTreeSet<&str> =
                distinct.iter().filter_map(|label| binary_class(label)).collect();
            // "negative" comes before "positive" in the alphabet too.
            found.into_iter().map(str::to_owned).collect()
        } else if let Some(declared) = declared {
            declared.iter().filter(|name| distinct.contains(name.as_str())).cloned().collect()
        } else {
            distinct.iter().map(|&label| label.to_owned()).collect()
        };
        if declared.is_none() && names.iter().all(|name| is_number(name)) {
            names.sort_by(|left, right| by_number(left, right));
        }
        check_enough(&names, rows)?;
        let is_declared = declared.is_some();
        let mut classes = Self { names, is_binary, is_declared, is_chosen: positive.is_some() };
        if let Some(positive) = positive {
            classes.choose_positive(positive)?;
        }
        Ok(classes)
    }

    /// Puts the class `positive`, as the source spells it or as it is called now, last of two.
    fn choose_positive(&mut self, positive: &str) -> Result<()> {
        if self.names.len() != 2 {
            return Err(Error::invalid(format!(
                "positive class {positive:?} of {} classes ({}): only one of two can be positive",
                self.names.len(),
                listed(&self.names)
            ))
            .with_hint(
                "leave --positive out: of more classes precision, recall and F1 are averages over \
                 all, and each class has its own beside them, such as f1_CLASS",
            ));
        }
        let asked = canonical(positive.to_owned());
        let spelt = binary_class(&asked).filter(|_| self.is_binary).unwrap_or(&asked);
        let same_letters = |name: &&String| name.to_lowercase() == spelt.to_lowercase();
        let found = self
            .names
            .iter()
            .position(|name| name == spelt)
            // Where case alone tells the classes apart, it counts.
            .or_else(|| match self.names.iter().filter(same_letters).count() {
                1 => self.names.iter().position(|name| same_letters(&name)),
                _ => None,
            });
        match found {
            Some(0) => self.names.swap(0, 1),
            Some(_) => {}
            None => {
                return Err(Error::invalid(format!(
                    "positive class {positive:?} is none of the classes {}",
                    self.names.join(", ")
                ))
                .with_hint(format!(
                    "choose --positive {:?} or {:?}",
                    self.names[0], self.names[1]
                )));
            }
        }
        Ok(())
    }

    /// Class names in label order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Notes on the names' origin and the source's spelling of the classes, when that is not how
    /// they are called now; of two classes also which one is positive, where their names do not say
    /// it. `positive_of` is the model whose positive class was chosen, where no person chose it.
    pub(super) fn notes(&self, rows: &LabelledRows, positive_of: Option<&str>) -> Vec<String> {
        let mut notes = Vec::new();
        let spelt: BTreeSet<&str> = rows.labels.iter().map(String::as_str).collect();
        if let (true, Some(declared)) = (self.is_declared, &rows.class_names) {
            notes.push(format!("class names {} from the file's metadata", listed(declared)));
            let unused: Vec<String> =
                declared.iter().filter(|name| !spelt.contains(name.as_str())).cloned().collect();
            if !unused.is_empty() {
                notes.push(format!("left out, for no example has it: {}", listed(&unused)));
            }
        }
        notes.extend(alike(&self.names));
        notes.extend(missing(&self.names));
        let is_renamed = self.is_binary && spelt.iter().any(|label| !self.has(label));
        if is_renamed {
            let mut canonical: Vec<&str> = self.names.iter().map(String::as_str).collect();
            canonical.sort_unstable();
            let spelt: Vec<&str> = spelt.into_iter().collect();
            notes.push(format!("labels {} read as {}", spelt.join(", "), canonical.join(", ")));
        }
        if let [other, positive] = self.names.as_slice() {
            let of = format!("F1, precision and recall will be of {positive}");
            if self.is_chosen {
                let why = positive_of.map_or("chosen".to_owned(), |model| format!("for {model}"));
                notes.push(format!("{positive} is the positive class, as {why}: {of}"));
            } else if !self.is_binary {
                notes.push(format!(
                    "classes {other}, {positive}; {of} (for the other: --positive {other:?})"
                ));
            }
        }
        notes
    }

    fn has(&self, label: &str) -> bool {
        self.names.iter().any(|name| name == label)
    }

    /// One class index an example.
    ///
    /// # Errors
    /// For a label that is none of the classes, with its place.
    pub(super) fn encode(&self, rows: &LabelledRows) -> Result<Vec<u32>> {
        let index: BTreeMap<&str, u32> = self.names.iter().map(String::as_str).zip(0..).collect();
        let encoded = rows.labels.iter().enumerate().map(|(row_idx, label)| {
            let name = binary_class(label).filter(|_| self.is_binary).unwrap_or(label);
            index.get(name).copied().ok_or_else(|| {
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

/// That some of the classes `names` differ in case alone.
fn alike(names: &[String]) -> Option<String> {
    let mut by_letters: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in names {
        by_letters.entry(name.to_lowercase()).or_default().push(name);
    }
    let alike: Vec<String> =
        by_letters.into_values().filter(|same| same.len() > 1).map(|same| same.join("/")).collect();
    (!alike.is_empty())
        .then(|| format!("classes that differ in case alone are classes each: {}", listed(&alike)))
}

/// That some of the classes `names` are what programs write where a value is missing.
fn missing(names: &[String]) -> Option<String> {
    let found: Vec<String> = names
        .iter()
        .filter(|name| MISSING.contains(&name.as_str()))
        .map(|name| format!("{name:?}"))
        .collect();
    (!found.is_empty()).then(|| {
        format!(
            "{} is a class here: where it stands for a missing label, leave the cell empty and pass \
             --drop-unlabelled",
            found.join(", ")
        )
    })
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

fn check_enough(names: &[String], rows: &LabelledRows) -> Result<()> {
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

/// The class that `label` is a spelling of.
fn binary_class(label: &str) -> Option<&'static str> {
    let is = |spelling: &&str| label.eq_ignore_ascii_case(spelling);
    if NEGATIVE.iter().any(is) {
        return Some("negative");
    }
    POSITIVE.iter().any(is).then_some("positive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::raw::{Dropping, Places, RawRows};

    fn rows(labels: &[&str]) -> LabelledRows {
        let texts = labels.iter().map(|_| Some("text".to_owned())).collect();
        let labels = labels.iter().map(|label| Some((*label).to_owned())).collect();
        let places = Places::Rows { path: "a.parquet".into() };
        RawRows::new(texts, labels, places).check(Dropping::default()).unwrap()
    }

    #[track_caller]
    fn check(labels: &[&str], names: &[&str], encoded: &[u32]) {
        let rows = rows(labels);
        let classes = Classes::of(&rows, None).unwrap();
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
        check(&["0.0", "1.0", "1", "0"], &names, &[0, 1, 1, 0]);
    }

    #[test]
    fn other_labels_are_sorted_and_kept() {
        check(&["spam", "ham", "spam", "ham"], &["ham", "spam"], &[1, 0, 1, 0]);
        check(&["b", "a", "C", "a", "b", "C"], &["C", "a", "b"], &[2, 1, 0, 1, 2, 0]);
        check(&["10", "9", "2", "2", "9", "10"], &["2", "9", "10"], &[2, 1, 0, 0, 1, 2]);
        check(&["1", "-1.0", "-1", "1.0"], &["-1", "1"], &[1, 0, 0, 1]);
        check(
            &["1.5", "0.5", "10", "1.5", "0.5", "10.0"],
            &["0.5", "1.5", "10"],
            &[1, 0, 2, 1, 0, 2],
        );
        // With one name among them they are names.
        check(&["10", "9", "x", "x", "9", "10"], &["10", "9", "x"], &[0, 1, 2, 2, 1, 0]);
        // One label outside the binary spellings makes all of them plain names.
        check(&["0", "1", "2", "2", "1", "0"], &["0", "1", "2"], &[0, 1, 2, 2, 1, 0]);
    }

    #[test]
    fn a_single_class_and_too_few_rows_are_refused() {
        let message = |labels| Classes::of(&rows(labels), None).unwrap_err().to_string();
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
        let classes = Classes::of(&rows(&["a", "b", "a", "b"]), None).unwrap();
        let error = classes.encode(&rows(&["a", "A"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"a.parquet\" row 2: unknown label \"A\", the training split has a, b"
        );
    }

    #[test]
    fn names_of_the_source_give_the_order() {
        let declared = |labels: &[&str], names: &[&str]| {
            let names = Some(names.iter().map(|name| (*name).to_owned()).collect());
            LabelledRows { class_names: names, ..rows(labels) }
        };
        for (labels, names, expected, note) in [
            (
                &["spam", "ham", "ham", "spam"][..],
                &["spam", "ham"][..],
                &["spam", "ham"][..],
                "class names spam, ham from the file's metadata; classes spam, ham; F1, precision \
                 and recall will be of ham (for the other: --positive \"spam\")",
            ),
            // What the names say counts for more than their order.
            (
                &["positive", "negative", "positive", "negative"],
                &["positive", "negative"],
                &["negative", "positive"],
                "class names positive, negative from the file's metadata",
            ),
            (
                &["World", "Business", "World", "Business"],
                &["World", "Sports", "Business"],
                &["World", "Business"],
                "class names World, Sports, Business from the file's metadata; left out, for no \
                 example has it: Sports; classes World, Business; F1, precision and recall will be \
                 of Business (for the other: --positive \"World\")",
            ),
            // A column of other strings is not what the names are of.
            (
                &["b", "a", "b", "a"],
                &["x", "y"],
                &["a", "b"],
                "classes a, b; F1, precision and recall will be of b (for the other: --positive \
                 \"a\")",
            ),
        ] {
            let rows = declared(labels, names);
            let classes = Classes::of(&rows, None).unwrap();
            assert_eq!(classes.names(), expected);
            assert_eq!(classes.notes(&rows, None).join("; "), note);
        }
    }

    #[test]
    fn classes_that_may_be_one_or_none_are_told() {
        for (labels, note) in [
            (
                &["spam", "Spam", "ham", "HAM", "eggs"][..],
                "classes that differ in case alone are classes each: HAM/ham, Spam/spam",
            ),
            (
                &["NA", "0", "1"],
                "\"NA\" is a class here: where it stands for a missing label, leave the cell empty \
                 and pass --drop-unlabelled",
            ),
            (&["a", "b", "c"], ""),
            (&["Positive", "positive", "NEGATIVE"], "labels NEGATIVE, Positive, positive read as"),
        ] {
            let rows = rows(&[labels, labels].concat());
            let notes = Classes::of(&rows, None).unwrap().notes(&rows, None).join("; ");
            assert!(notes.starts_with(note), "{notes}");
            assert_eq!(notes.is_empty(), note.is_empty(), "{notes}");
        }
    }

    #[test]
    fn the_positive_class_can_be_chosen_of_two() {
        for (labels, positive, names) in [
            (["ham", "spam"], "ham", ["spam", "ham"]),
            (["ham", "spam"], "Ham", ["spam", "ham"]),
            (["ham", "spam"], "spam", ["ham", "spam"]),
            (["0", "1"], "0", ["positive", "negative"]),
            (["0.0", "1.0"], "0.0", ["positive", "negative"]),
            (["0", "1"], "negative", ["positive", "negative"]),
            (["2", "10"], "2.0", ["10", "2"]),
            (["A", "a"], "A", ["a", "A"]),
        ] {
            let rows = rows(&[labels[0], labels[1], labels[1], labels[0]]);
            let classes = Classes::of(&rows, Some(positive)).unwrap();
            assert_eq!(classes.names(), names, "{labels:?} {positive}");
            for (positive_of, why) in [(None, "as chosen"), (Some("M"), "as for M")] {
                let last = classes.notes(&rows, positive_of).pop().unwrap();
                let expected = format!("{} is the positive class, {why}: ", names[1]);
                assert!(last.starts_with(&expected), "{last}");
            }
            let decoded: Vec<&str> = classes
                .encode(&rows)
                .unwrap()
                .into_iter()
                .map(|label| classes.names()[label as usize].as_str())
                .collect();
            let plain = Classes::of(&rows, None).unwrap();
            let expected: Vec<&str> = plain
                .encode(&rows)
                .unwrap()
                .into_iter()
                .map(|label| plain.names()[label as usize].as_str())
                .collect();
            assert_eq!(decoded, expected, "a choice changes no row's class");
        }
        let refused = |labels: &[&str], positive| {
            Classes::of(&rows(labels), Some(positive)).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&["ham", "spam", "ham", "spam"], "eggs"),
            "positive class \"eggs\" is none of the classes ham, spam"
        );
        assert_eq!(
            refused(&["a", "b", "c", "a", "b", "c"], "a"),
            "positive class \"a\" of 3 classes (a, b, c): only one of two can be positive"
        );
    }
}
