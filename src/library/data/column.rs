//! The choice of the columns with texts and labels: as asked for, or guessed by name when that is
//! obvious.

use std::path::Path;

use super::{
    KeepColumns,
    excerpt::{excerpt, excerpts},
    kept::{Kept, Wanted, wanted},
};
use crate::error::{Error, Result};

/// Names that say "text", the likeliest first.
const TEXT_NAMES: [&str; 11] = [
    "text",
    "review",
    "sentence",
    "content",
    "comment",
    "body",
    "message",
    "document",
    "tweet",
    "review_text",
    "reviewtext",
];

/// Names that say "label", the likeliest first.
const LABEL_NAMES: [&str; 7] =
    ["label", "sentiment", "class", "target", "category", "polarity", "labels"];

/// The columns asked for; `None` is guessed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnChoice<'a> {
    pub(super) text: Option<&'a str>,
    pub(super) label: Option<&'a str>,
    /// The others that are kept.
    pub(super) keep: &'a KeepColumns,
}

impl Default for ColumnChoice<'_> {
    fn default() -> Self {
        Self { text: None, label: None, keep: &KeepColumns::All }
    }
}

/// The indices of the chosen columns, and a remark for each one that was guessed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChosenColumns {
    pub(super) text_idx: usize,
    pub(super) label_idx: usize,
    pub(super) notes: Vec<String>,
}

impl ColumnChoice<'_> {
    /// The columns of `found` that are kept, besides those at `taken`, and what is known of the
    /// others.
    ///
    /// # Errors
    /// As [`wanted`].
    pub(super) fn kept(self, found: &[String], taken: &[usize]) -> Result<(Vec<Wanted>, Kept)> {
        wanted(found, taken, self.keep)
    }

    /// Finds both columns among the `found` ones of the file `path`.
    ///
    /// # Errors
    /// When a named column is not there, or nothing can be guessed: lists the columns found.
    pub(super) fn choose(self, found: &[String], path: &Path) -> Result<ChosenColumns> {
        let mut notes = Vec::new();
        let label = match self.label {
            Some(asked) => Some(named(asked, "label", found, path)?),
            None => guess(&LABEL_NAMES, found, self.text),
        };
        let text_idx = match self.text {
            Some(asked) => named(asked, "text", found, path)?,
            None => {
                let taken = label.map(|idx| found[idx].as_str());
                // Of two columns of which one is the label, the other is the text.
                let other = || (found.len() == 2).then(|| label.map(|idx| 1 - idx)).flatten();
                let guessed = guess(&TEXT_NAMES, found, taken)
                    .or_else(other)
                    .ok_or_else(|| none_obvious("text", found, path))?;
                notes.push(guess_note("text", &found[guessed]));
                guessed
            }
        };
        let label_idx = label
            .or_else(|| {
                // With the text asked for by name, the other of two columns is the label.
                (found.len() == 2 && self.text.is_some()).then_some(1 - text_idx.min(1))
            })
            .ok_or_else(|| none_obvious("label", found, path))?;
        if self.label.is_none() {
            notes.push(guess_note("label", &found[label_idx]));
        }
        if text_idx == label_idx {
            return Err(Error::invalid(format!(
                "{path:?}: column {} cannot be both text and label",
                excerpt(&found[text_idx])
            ))
            .with_hint("name two columns with --text COLUMN --label COLUMN"));
        }
        Ok(ChosenColumns { text_idx, label_idx, notes })
    }
}

/// That the column `found` was taken for `what`, which it is called from then on.
fn guess_note(what: &str, found: &str) -> String {
    let kept = if found == what { String::new() } else { format!(", kept as {what:?}") };
    format!("{what} column {} (guessed){kept}", excerpt(found))
}

/// The index of the column that holds the texts, for a file whose labels do not matter: the one
/// `asked` for, the obvious one, or the only one.
///
/// # Errors
/// When the named column is not there, or nothing can be guessed: lists the columns found.
pub(super) fn choose_text(asked: Option<&str>, found: &[String], path: &Path) -> Result<usize> {
    let chosen = match asked {
        Some(asked) => named(asked, "text", found, path),
        None => guess(&TEXT_NAMES, found, None)
            .or_else(|| (found.len() == 1).then_some(0))
            .ok_or_else(|| none_obvious("text", found, path)),
    };
    chosen.map_err(|error| error.with_hint("name it with --text-column COLUMN"))
}

fn named(asked: &str, role: &str, found: &[String], path: &Path) -> Result<usize> {
    found.iter().position(|column| column == asked).ok_or_else(|| {
        Error::invalid(format!("{path:?}: no {role} column {asked:?}: found {}", quoted(found)))
            .with_hint(format!("choose one of these with --{role} COLUMN"))
    })
}

/// The likeliest column, whatever its case, that is not the one `taken` for the other role.
fn guess(names: &[&str], found: &[String], taken: Option<&str>) -> Option<usize> {
    names.iter().find_map(|name| {
        found.iter().position(|column| {
            column.trim().eq_ignore_ascii_case(name) && Some(column.as_str()) != taken
        })
    })
}

fn none_obvious(role: &str, found: &[String], path: &Path) -> Error {
    Error::invalid(format!("{path:?}: no column is obviously the {role}: found {}", quoted(found)))
        .with_hint(format!("name it with --{role} COLUMN"))
}

fn quoted(columns: &[String]) -> String {
    match columns.is_empty() {
        true => "no columns".into(),
        false => excerpts(columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(
        found: &[&str],
        text: Option<&str>,
        label: Option<&str>,
    ) -> Result<(usize, usize, usize)> {
        let found: Vec<String> = found.iter().map(|column| (*column).to_owned()).collect();
        let chosen = ColumnChoice { text, label, ..ColumnChoice::default() }
            .choose(&found, Path::new("a.csv"))?;
        Ok((chosen.text_idx, chosen.label_idx, chosen.notes.len()))
    }

    #[test]
    fn obvious_columns_are_guessed_and_the_guess_is_noted() {
        for (found, expected) in [
            (&["review", "sentiment"][..], (0, 1)),
            (&["id", "label", "text", "rating"], (2, 1)),
            (&["Label", "Sentence"], (1, 0)),
            (&["text", "label", "target"], (0, 1)),
            (&["phrase", "sentiment"], (0, 1)),
            (&["class", "utterance"], (1, 0)),
        ] {
            let (text, label, n_notes) = choose(found, None, None).unwrap();
            assert_eq!(((text, label), n_notes), (expected, 2), "{found:?}");
        }
    }

    #[test]
    fn a_text_column_alone_is_found_without_a_label() {
        let choose = |found: &[&str], asked| {
            let found: Vec<String> = found.iter().map(|column| (*column).to_owned()).collect();
            choose_text(asked, &found, Path::new("a.csv"))
        };
        assert_eq!(choose(&["id", "Review", "stars"], None).unwrap(), 1);
        assert_eq!(choose(&["phrase"], None).unwrap(), 0);
        assert_eq!(choose(&["text", "body"], Some("body")).unwrap(), 1);
        for (found, asked) in [(&["a", "b"][..], None), (&["text"], Some("body")), (&[], None)] {
            let error = choose(found, asked).unwrap_err();
            assert!(error.hint().unwrap().to_string().contains("--text-column"), "{error:?}");
        }
    }

    #[test]
    fn named_columns_win_and_need_no_note() {
        assert_eq!(choose(&["text", "label", "a", "b"], Some("b"), Some("a")).unwrap(), (3, 2, 0));
        assert_eq!(choose(&["text", "stars"], None, Some("stars")).unwrap(), (0, 1, 1));
        assert_eq!(choose(&["stars", "words"], Some("words"), None).unwrap(), (1, 0, 1));
    }

    #[test]
    fn what_is_not_obvious_lists_the_columns() {
        for (found, text, label, expected) in [
            (&["a", "b"][..], None, None, "no column is obviously the text: found \"a\", \"b\""),
            (&["text", "x", "y"], None, None, "no column is obviously the label: found"),
            (&["text", "label"], Some("body"), None, "no text column \"body\": found \"text\""),
            (&["text", "label"], None, Some("y"), "no label column \"y\": found \"text\""),
            (&["text", "label"], Some("text"), Some("text"), "cannot be both text and label"),
            (&["text"], None, None, "no column is obviously the label"),
            (&[], None, None, "found no columns"),
        ] {
            let error = choose(found, text, label).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
