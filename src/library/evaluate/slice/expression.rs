//! A slice as a person writes it and as it is written back: conditions that all hold, such as
//! `genre=drama and length:q4 and not negation`. It holds no rows.

use std::fmt;

use regex::Regex;
use serde::{Serialize, Serializer};

/// The words that stand for something of their own; a column of such a name is written in quotes.
pub(super) const OWN_WORDS: [&str; 5] = ["length", "unknown", "negation", "not", "and"];

/// Rows for which every condition holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// At least one.
    pub(super) conditions: Vec<SliceCondition>,
}

/// One condition of a slice.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SliceCondition {
    /// True if it holds where `test` does not.
    pub(super) is_negated: bool,
    pub(super) test: SliceTest,
}

/// A condition on a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SliceTest {
    /// The text says no to something.
    Negation,
    /// The text has a match.
    Matches(TextPattern),
    /// A number lies in a quarter of the split's numbers, from 1.
    Quarter(RowValue, u8),
    /// A number compares so with another one.
    Compares(RowValue, Relation, f64),
    /// A value is this one; none where there is no value.
    Equals(RowValue, Option<String>),
}

/// The feature of a row that a condition compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowValue {
    /// The number of words of its text.
    Length,
    /// The share of tokens of its text that the model does not know.
    Unknown,
    /// The value of a column of the dataset.
    Column(String),
}

/// A comparison of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// A regular expression with its spelling.
#[derive(Debug, Clone)]
pub(super) struct TextPattern {
    pub(super) source: String,
    pub(super) ignores_case: bool,
    pub(super) regex: Regex,
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.ignores_case) == (&other.source, other.ignores_case)
    }
}

impl Slice {
    /// Rows for which `condition` holds.
    pub(super) fn of(condition: SliceCondition) -> Self {
        Self { conditions: vec![condition] }
    }

    /// The columns that it names, each once.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = Vec::new();
        for condition in &self.conditions {
            if let Some(RowValue::Column(name)) = condition.test.subject()
                && !columns.contains(&name.as_str())
            {
                columns.push(name);
            }
        }
        columns
    }

    /// True if it asks for the share of unknown tokens, which takes a model with a vocabulary.
    pub fn needs_vocabulary(&self) -> bool {
        self.conditions.iter().any(|condition| condition.test.subject() == Some(&RowValue::Unknown))
    }
}

impl SliceTest {
    pub(super) fn subject(&self) -> Option<&RowValue> {
        match self {
            Self::Negation | Self::Matches(_) => None,
            Self::Quarter(subject, _) | Self::Compares(subject, ..) | Self::Equals(subject, _) => {
                Some(subject)
            }
        }
    }

    /// The condition that it holds.
    pub(super) fn holds(self) -> SliceCondition {
        SliceCondition { is_negated: false, test: self }
    }

    /// The condition that it does not hold.
    pub(super) fn fails(self) -> SliceCondition {
        SliceCondition { is_negated: true, test: self }
    }
}

impl Relation {
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl Serialize for Slice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, condition) in self.conditions.iter().enumerate() {
            let and = if idx > 0 { " and " } else { "" };
            write!(f, "{and}{condition}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SliceCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_negated, test } = self;
        if let SliceTest::Equals(subject, value) = test {
            let relation = if *is_negated { "!=" } else { "=" };
            let value = value.as_deref().map_or_else(|| "null".to_owned(), quoted_value);
            return write!(f, "{subject}{relation}{value}");
        }
        if *is_negated {
            f.write_str("not ")?;
        }
        match test {
            SliceTest::Negation => f.write_str("negation"),
            SliceTest::Matches(TextPattern { source, ignores_case, .. }) => {
                write!(f, "/{source}/{}", if *ignores_case { "i" } else { "" })
            }
            SliceTest::Quarter(subject, quarter) => write!(f, "{subject}:q{quarter}"),
            SliceTest::Compares(subject, relation, number) => {
                write!(f, "{subject}{}{number}", relation.as_str())
            }
            SliceTest::Equals(..) => Ok(()),
        }
    }
}

impl fmt::Display for RowValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("length"),
            Self::Unknown => f.write_str("unknown"),
            Self::Column(name) => f.write_str(&quoted_name(name)),
        }
    }
}

/// True for a character of a name or a value without quotes.
pub(super) fn is_bare(letter: char) -> bool {
    !letter.is_whitespace() && !r#""/:<>=!"#.contains(letter)
}

/// A column's name, in quotes where it would be taken for something else.
pub(super) fn quoted_name(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(is_bare) && !OWN_WORDS.contains(&name);
    if is_plain { name.to_owned() } else { quoted(name) }
}

fn quoted_value(value: &str) -> String {
    let is_plain = !value.is_empty()
        && value != "null"
        && !value.starts_with('"')
        && !value.contains(char::is_whitespace);
    if is_plain { value.to_owned() } else { quoted(value) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#))
}
