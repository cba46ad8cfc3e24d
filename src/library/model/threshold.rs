//! From probabilities to a label: the one function that decides it, the threshold of a model of two
//! classes, and the rules by which one is chosen. The choosing itself is `evaluate`'s.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The threshold of a model that has none of its own.
pub const DEFAULT_THRESHOLD: f64 = 0.5;

/// The class index that a `row` of probabilities is labelled with: of two classes the positive one
/// (index 1) from `threshold` on, of more the one with the largest probability, where the lowest index
/// wins a tie and `threshold` says nothing.
pub fn predicted_label(row: &[f64], threshold: f64) -> usize {
    if let [_, positive] = row {
        return usize::from(*positive >= threshold);
    }
    let mut best = 0;
    for (class_idx, probability) in row.iter().enumerate() {
        if *probability > row[best] {
            best = class_idx;
        }
    }
    best
}

/// The way in which a threshold is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ThresholdRule {
    /// The highest F1 of the positive class.
    BestF1,
    /// At least this precision of the positive class, and of those thresholds the highest recall.
    Precision(f64),
    /// At least this recall of the positive class, and of those thresholds the highest precision.
    Recall(f64),
    /// The lowest sum of costs.
    Cost {
        /// The cost of a row that is predicted positive and is not.
        false_positive: f64,
        /// The cost of a positive row that is not predicted as one.
        false_negative: f64,
    },
    /// This probability, whatever the rows say.
    Given(f64),
}

impl ThresholdRule {
    /// True if rows are needed that the model has not learnt.
    pub fn needs_rows(self) -> bool {
        !matches!(self, Self::Given(_))
    }
}

impl FromStr for ThresholdRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::invalid(format!(
                "threshold {text:?}: expected best-f1, precision=P, recall=R, cost=FP:FN or a \
                 probability from 0 to 1"
            ))
            .with_hint("precision=0.95 wants 95 % of the rows predicted positive to be so")
        };
        let share = |text: &str| {
            text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0).ok_or_else(refuse)
        };
        let cost = |text: &str| {
            let is_cost = |cost: &f64| cost.is_finite() && *cost > 0.0;
            text.parse().ok().filter(is_cost).ok_or_else(refuse)
        };
        match text.split_once('=') {
            None if text == "best-f1" => Ok(Self::BestF1),
            None => {
                let given = text.parse().ok().filter(|given| (0.0..=1.0).contains(given));
                given.map(Self::Given).ok_or_else(refuse)
            }
            Some(("precision", wanted)) => share(wanted).map(Self::Precision),
            Some(("recall", wanted)) => share(wanted).map(Self::Recall),
            Some(("cost", costs)) => {
                let (positive, negative) = costs.split_once(':').ok_or_else(refuse)?;
                let (false_positive, false_negative) = (cost(positive)?, cost(negative)?);
                Ok(Self::Cost { false_positive, false_negative })
            }
            Some(_) => Err(refuse()),
        }
    }
}

impl fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BestF1 => f.write_str("best-f1"),
            Self::Precision(wanted) => write!(f, "precision={wanted}"),
            Self::Recall(wanted) => write!(f, "recall={wanted}"),
            Self::Cost { false_positive, false_negative } => {
                write!(f, "cost={false_positive}:{false_negative}")
            }
            Self::Given(value) => write!(f, "{value}"),
        }
    }
}

impl TryFrom<String> for ThresholdRule {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ThresholdRule> for String {
    fn from(rule: ThresholdRule) -> Self {
        rule.to_string()
    }
}

/// The probability of the positive class from which on a model predicts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The probability.
    pub value: f64,
    /// The rule that it was chosen by.
    pub rule: ThresholdRule,
    /// The rows that it was chosen on; none for a given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_on: Option<ThresholdRows>,
}

/// The rows that a threshold was chosen on, and the quality of the labels that it gives there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRows {
    /// The rows, in words.
    pub rows: String,
    /// Number of rows.
    pub n_rows: usize,
    /// Precision of the positive class.
    pub precision: f64,
    /// Recall of the positive class.
    pub recall: f64,
    /// F1 of the positive class.
    pub f1: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_the_first_probability_that_counts_as_positive() {
        for (positive, threshold, expected) in [
            (0.5, 0.5, 1),
            (0.5_f64.next_down(), 0.5, 0),
            (0.3, 0.3, 1),
            (0.6, 0.7, 0),
            (0.0, 0.0, 1),
            (1.0, 1.0, 1),
        ] {
            let found = predicted_label(&[1.0 - positive, positive], threshold);
            assert_eq!(found, expected, "{positive} {threshold}");
        }
    }

    #[test]
    fn of_more_classes_the_first_of_the_largest_is_predicted() {
        assert_eq!(predicted_label(&[0.2, 0.4, 0.4], 0.9), 1);
        assert_eq!(predicted_label(&[0.1, 0.2, 0.7], 0.9), 2);
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in ["best-f1", "precision=0.95", "recall=0.9", "cost=1:5", "0.37", "0", "1"] {
            let rule: ThresholdRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
            let json = serde_json::to_string(&rule).unwrap();
            assert_eq!(serde_json::from_str::<ThresholdRule>(&json).unwrap(), rule);
        }
        let refused = [
            "",
            "f1",
            "1.5",
            "-0.1",
            "nan",
            "precision",
            "precision=0",
            "recall=1.01",
            "cost=1",
            "cost=0:1",
            "cost=1:-1",
            "cost=inf:1",
            "accuracy=0.9",
            "precision=x",
        ];
        for text in refused {
            let error = text.parse::<ThresholdRule>().unwrap_err();
            assert!(error.to_string().contains("expected best-f1, precision=P"), "{text}: {error}");
        }
    }
}
