//! The search language, MLflow's: `metrics.f1 > 0.85 and params.model = 'tfidf'`, and the order
//! `metrics.f1 desc`. Text in, values out; a displayed filter reads as the same filter. Errors say
//! where. What is searched is a [`Subject`]; which attributes it has is its vocabulary's business.
//!
//! Written by hand: the language is small, and neither a parser of SQL (sqlparser) nor a kit (winnow)
//! has its quoting, its words and errors that say the place and what was expected.

mod lexer;
mod like;
mod parse;
mod subject;

use std::{cmp::Ordering, fmt};

use self::like::is_like;
pub(super) use self::subject::{Attribute, DatasetField, Found, RUNS, RunSubject, Subject};
use super::codec::Malformed;

/// Conditions that must all hold; none of them always holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    entity: Entity,
    test: Test,
}

/// The part of a run that a condition or an order looks at.
#[derive(Debug, Clone, PartialEq)]
enum Entity {
    Metric(String),
    Param(String),
    Tag(String),
    Dataset(DatasetField),
    Attribute(&'static Attribute),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Number(NumberOp, f64),
    Text(TextOp, String),
    Member {
        negated: bool,
        values: Vec<String>,
    },
    /// Its presence: `IS NULL`, `IS NOT NULL`.
    Missing {
        negated: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextOp {
    Equal,
    NotEqual,
    Like,
    ILike,
}

/// One key to sort by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    entity: Entity,
    descending: bool,
}

/// The value of a run under an order's key. Sorts numbers and texts, then NaN, then nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SortKey {
    Number(f64),
    Text(String),
    NotANumber,
    Missing,
}

impl Filter {
    /// True if all conditions hold. A condition on something that the subject does not have is false,
    /// also `!=`, as in MLflow; only `IS NULL` asks for that.
    pub(super) fn matches(&self, subject: &impl Subject) -> Result<bool, Malformed> {
        for Condition { entity, test } in &self.conditions {
            if !entity.holds(subject, test)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Order {
    pub(super) fn key(&self, subject: &impl Subject) -> Result<SortKey, Malformed> {
        Ok(match self.entity.find(subject)? {
            Some(Found::Number(value)) if value.is_nan() => SortKey::NotANumber,
            Some(Found::Number(value)) => SortKey::Number(value),
            Some(Found::Text(text)) => SortKey::Text(text.into_owned()),
            None => SortKey::Missing,
        })
    }

    /// NaN and missing values come last in either direction.
    pub(super) fn compare(&self, a: &SortKey, b: &SortKey) -> Ordering {
        let rank = |key: &SortKey| match key {
            SortKey::Number(_) | SortKey::Text(_) => 0,
            SortKey::NotANumber => 1,
            SortKey::Missing => 2,
        };
        let ordering = match (a, b) {
            (SortKey::Number(a), SortKey::Number(b)) => a.total_cmp(b),
            (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
            _ => return rank(a).cmp(&rank(b)),
        };
        if self.descending { ordering.reverse() } else { ordering }
    }
}

impl Entity {
    fn holds(&self, subject: &impl Subject, test: &Test) -> Result<bool, Malformed> {
        if let Self::Dataset(field) = self {
            // A subject may have several: one of them has to fit.
            return Ok(subject.datasets(*field)?.iter().any(|text| test.holds_for_text(text)));
        }
        Ok(match (self.find(subject)?, test) {
            (found, Test::Missing { negated }) => found.is_some() == *negated,
            (Some(Found::Number(value)), _) => test.holds_for_number(value),
            (Some(Found::Text(text)), _) => test.holds_for_text(&text),
            (None, _) => false,
        })
    }

    fn find<'a>(&self, subject: &'a impl Subject) -> Result<Option<Found<'a>>, Malformed> {
        match self {
            Self::Metric(key) => Ok(subject.metric(key)?.map(Found::Number)),
            Self::Param(key) => Ok(subject.param(key)?.map(Found::Text)),
            Self::Tag(key) => Ok(subject.tag(key)?.map(Found::Text)),
            Self::Dataset(field) => Ok(subject
                .datasets(*field)?
                .into_iter()
                .next()
                .map(|text| Found::Text(text.into()))),
            Self::Attribute(attribute) => subject.attribute(attribute.name),
        }
    }

    fn is_number(&self) -> bool {
        match self {
            Self::Metric(_) => true,
            Self::Attribute(attribute) => attribute.is_number,
            Self::Param(_) | Self::Tag(_) | Self::Dataset(_) => false,
        }
    }
}

impl Test {
    fn holds_for_number(&self, value: f64) -> bool {
        let Self::Number(op, bound) = self else { return false };
        match op {
            NumberOp::Equal => value == *bound,
            NumberOp::NotEqual => value != *bound,
            NumberOp::Less => value < *bound,
            NumberOp::LessOrEqual => value <= *bound,
            NumberOp::Greater => value > *bound,
            NumberOp::GreaterOrEqual => value >= *bound,
        }
    }

    fn holds_for_text(&self, text: &str) -> bool {
        match self {
            Self::Number(..) | Self::Missing { .. } => false,
            Self::Text(TextOp::Equal, value) => text == value,
            Self::Text(TextOp::NotEqual, value) => text != value,
            Self::Text(TextOp::Like, pattern) => is_like(text, pattern),
            Self::Text(TextOp::ILike, pattern) => {
                is_like(&text.to_lowercase(), &pattern.to_lowercase())
            }
            Self::Member { negated, values } => {
                values.iter().any(|value| value == text) != *negated
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, Condition { entity, test }) in self.conditions.iter().enumerate() {
            if idx > 0 {
                f.write_str(" AND ")?;
            }
            write!(f, "{entity} {test}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.entity, if self.descending { "DESC" } else { "ASC" })
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, key) = match self {
            Self::Metric(key) => ("metrics", key),
            Self::Param(key) => ("params", key),
            Self::Tag(key) => ("tags", key),
            Self::Dataset(field) => return write!(f, "dataset.{}", field.as_str()),
            Self::Attribute(attribute) => return write!(f, "attributes.{}", attribute.name),
        };
        write!(f, "{kind}.`{}`", key.replace('`', "``"))
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        match self {
            Self::Number(op, value) => write!(f, "{} {value:?}", op.as_str()),
            Self::Text(op, value) => write!(f, "{} {}", op.as_str(), quoted(value)),
            Self::Member { negated, values } => {
                let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                write!(f, "{}IN ({})", if *negated { "NOT " } else { "" }, values.join(", "))
            }
            Self::Missing { negated } => {
                write!(f, "IS {}NULL", if *negated { "NOT " } else { "" })
            }
        }
    }
}

impl NumberOp {
    const ALL: [Self; 6] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl TextOp {
    const ALL: [Self; 4] = [Self::Equal, Self::NotEqual, Self::Like, Self::ILike];

    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
        }
    }
}

#[cfg(test)]
mod tests;
