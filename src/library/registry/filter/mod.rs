//! The search language, MLflow's: `metrics.f1 > 0.85 and params.model = 'tfidf'`, and the order
//! `metrics.f1 desc`. Text in, values out; a displayed filter reads as the same filter. Errors say
//! where. Knows runs only through [`RunView`].
//!
//! Written by hand: the language is small, and neither a parser of SQL (sqlparser) nor a kit (winnow)
//! has its quoting, its words and errors that say the place and what was expected.

mod lexer;
mod parse;

use std::{cmp::Ordering, fmt};

use super::{codec::Malformed, run_view::RunView};

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
    Attribute(Attribute),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    RunId,
    RunName,
    Status,
    ExperimentId,
    StartTime,
    EndTime,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Number(NumberOp, f64),
    Text(TextOp, String),
    Member { negated: bool, values: Vec<String> },
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

/// The value of an entity in a run.
enum Found<'a> {
    Number(f64),
    Text(std::borrow::Cow<'a, str>),
}

impl Filter {
    /// True if all conditions hold. A condition on something that the run does not have is false,
    /// also `!=`, as in MLflow.
    pub(super) fn matches(&self, run_id: &str, run: &RunView) -> Result<bool, Malformed> {
        for Condition { entity, test } in &self.conditions {
            let holds = match entity.find(run_id, run)? {
                Some(Found::Number(value)) => test.holds_for_number(value),
                Some(Found::Text(text)) => test.holds_for_text(&text),
                None => false,
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Order {
    pub(super) fn key(&self, run_id: &str, run: &RunView) -> Result<SortKey, Malformed> {
        Ok(match self.entity.find(run_id, run)? {
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
    fn find<'a>(&self, run_id: &str, run: &RunView<'a>) -> Result<Option<Found<'a>>, Malformed> {
        let owned = |text: String| Some(Found::Text(text.into()));
        // Milliseconds since 1970 are exact in a double until the year 287396.
        Ok(match self {
            Self::Metric(key) => run.metric(key)?.map(Found::Number),
            Self::Param(key) => run.param(key)?.map(|text| Found::Text(text.into())),
            Self::Tag(key) => run.tag(key)?.map(|text| Found::Text(text.into())),
            Self::Attribute(Attribute::RunId) => owned(run_id.to_owned()),
            Self::Attribute(Attribute::RunName) => Some(Found::Text(run.head.name.into())),
            Self::Attribute(Attribute::Status) => {
                Some(Found::Text(run.head.status.as_str().into()))
            }
            Self::Attribute(Attribute::ExperimentId) => owned(run.head.experiment.to_string()),
            Self::Attribute(Attribute::StartTime) => Some(Found::Number(run.head.start_ms as f64)),
            Self::Attribute(Attribute::EndTime) => {
                run.head.end_ms.map(|end_ms| Found::Number(end_ms as f64))
            }
        })
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Metric(_) | Self::Attribute(Attribute::StartTime | Attribute::EndTime))
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
            Self::Number(..) => false,
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

/// SQL's LIKE: `%` stands for any characters, `_` for one.
fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut step) = (0, 0);
    // After a mismatch, the latest `%` takes one character more: no backtracking further than that.
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(step) {
            Some('%') => {
                retry = Some((at, step));
                step += 1;
            }
            Some(c) if *c == '_' || *c == text[at] => {
                at += 1;
                step += 1;
            }
            _ => {
                let Some((from, percent)) = retry else { return false };
                retry = Some((from + 1, percent));
                at = from + 1;
                step = percent + 1;
            }
        }
    }
    pattern[step..].iter().all(|c| *c == '%')
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
            Self::Attribute(attribute) => return write!(f, "attributes.{}", attribute.as_str()),
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
        }
    }
}

impl Attribute {
    const ALL: [Self; 6] = [
        Self::RunId,
        Self::RunName,
        Self::Status,
        Self::ExperimentId,
        Self::StartTime,
        Self::EndTime,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::RunId => "run_id",
            Self::RunName => "run_name",
            Self::Status => "status",
            Self::ExperimentId => "experiment_id",
            Self::StartTime => "start_time",
            Self::EndTime => "end_time",
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
