//! The first examples of a split, as `data head` shows them.

use serde::Serialize;

use crate::output::{Align, Output, Table};

/// The first examples of one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetHead {
    /// The dataset.
    pub dataset: String,
    /// `train` or `test`.
    pub split: String,
    /// The examples, whole.
    pub rows: Vec<HeadRow>,
}

/// One example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeadRow {
    /// The class name.
    pub label: String,
    /// The text as it was added.
    pub text: String,
}

impl DatasetHead {
    /// A row each, texts cut to the beginning; the JSON has them whole.
    pub fn to_output(&self) -> Output {
        let mut table = Table::new([("label", Align::Left), ("text", Align::Left)])
            .with_title(format!("{}.{}", self.dataset, self.split));
        for row in &self.rows {
            table.push([row.label.clone(), on_one_line(&row.text, 160)]);
        }
        Output::new(self).table(table)
    }
}

/// `text` with its white space collapsed, cut to `max_chars` with an ellipsis.
pub(crate) fn on_one_line(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    let words = text.split_whitespace().enumerate();
    let chars =
        words.flat_map(|(idx, word)| (idx > 0).then_some(' ').into_iter().chain(word.chars()));
    for (n_chars, c) in chars.enumerate() {
        if n_chars == max_chars {
            line.pop();
            line.push('…');
            break;
        }
        // A terminal must not obey what a review says.
        line.push(if c.is_control() { '·' } else { c });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_line_breaks_become_spaces() {
        assert_eq!(on_one_line("a\n\n b\tc", 10), "a b c");
        assert_eq!(on_one_line("abcdef", 6), "abcdef");
        assert_eq!(on_one_line("abcdefg", 6), "abcde…");
        assert_eq!(on_one_line("abc def", 3), "ab…");
        assert_eq!(on_one_line("abc def", 4), "abc…");
        assert_eq!(on_one_line("äöü äöü", 4), "äöü…");
        assert_eq!(on_one_line("\u{1b}[31mred", 20), "·[31mred");
    }
}
