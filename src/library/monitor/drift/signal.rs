//! One signal of drift: what it looks at, how far apart both sides are, and what that comes to.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    evaluate::{Signal, SignalLevel, SignalThresholds},
    figure,
};

/// Predictions below which nothing is said.
const DEFAULT_MIN_N: u64 = 200;
/// The largest p value, after the control of false discoveries, with which an effect counts.
const MAX_P_VALUE: f64 = 0.01;

/// The things that may drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalName {
    /// The shares of the predicted classes.
    Predictions,
    /// The probabilities of the predicted labels.
    Confidence,
    /// Lengths in words.
    Length,
    /// Shares of words that the model does not know.
    UnknownWords,
    /// The shares of texts that have each frequent word.
    Words,
    /// The one of them whose share has moved most: among a thousand it is lost.
    OneWord,
    /// The places of texts as a net sees them.
    Embeddings,
    /// Whether a classifier tells new texts from those of the profile.
    Domain,
}

impl SignalName {
    /// As it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Predictions => "predictions",
            Self::Confidence => "confidence",
            Self::Length => "length",
            Self::UnknownWords => "unknown_words",
            Self::Words => "words",
            Self::OneWord => "one_word",
            Self::Embeddings => "embeddings",
            Self::Domain => "domain",
        }
    }

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Predictions,
        Self::Confidence,
        Self::Length,
        Self::UnknownWords,
        Self::Words,
        Self::OneWord,
        Self::Embeddings,
        Self::Domain,
    ];

    /// The name of the number that is its effect.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Predictions | Self::Confidence => "psi",
            Self::Length | Self::UnknownWords => "kolmogorov_smirnov",
            Self::Words => "jensen_shannon",
            Self::OneWord => "share_difference",
            Self::Embeddings => "mmd",
            Self::Domain => "auc",
        }
    }

    /// Where a warning and an alert begin. Predicted shares answer to a move from 50 to 57 % and to one
    /// from 50 to 66 %, one word's share to more than chance makes of 200 texts; the others have the lines that the
    /// field's tools have.
    pub(super) fn thresholds(self, min_n: u64) -> SignalThresholds {
        let (warn, alert) = match self {
            Self::Predictions => (0.02, 0.1),
            Self::Confidence => (0.1, 0.25),
            Self::Length | Self::UnknownWords => (0.1, 0.2),
            Self::Words => (0.1, 0.2),
            Self::OneWord => (0.2, 0.4),
            Self::Embeddings => (0.015, 0.05),
            Self::Domain => (0.05, 0.15),
        };
        // Few of the texts have an embedding, and few are kept.
        let min_n = match self {
            Self::Embeddings | Self::Domain => min_n.min(100),
            _ => min_n,
        };
        SignalThresholds { warn, alert, min_n, max_p_value: MAX_P_VALUE }
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UnknownWords => "unknown words",
            Self::OneWord => "one word",
            other => other.as_str(),
        })
    }
}

/// How a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriftOptions {
    /// Predictions below which nothing is said.
    pub min_n: u64,
    /// Decides the permutations and the folds.
    pub seed: u64,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self { min_n: DEFAULT_MIN_N, seed: 42 }
    }
}

/// A word whose share of texts has changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordShift {
    /// The word.
    pub word: String,
    /// The share of the profile's texts that have it.
    pub reference_share: f64,
    /// The share of the window's texts.
    pub current_share: f64,
}

/// One signal with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftSignal {
    /// The thing that may drift.
    pub name: SignalName,
    /// What it comes to; ok where there are too few texts to say anything.
    pub level: SignalLevel,
    /// False where there are too few texts to say anything.
    pub is_enough: bool,
    /// The name of the number that is the effect.
    pub method: &'static str,
    /// The size of the effect, which the thresholds are of; 0 where nothing has changed.
    pub effect: f64,
    /// The p value of the signal's test.
    pub p_value: Option<f64>,
    /// The same after the control of false discoveries over all signals.
    pub corrected_p_value: Option<f64>,
    /// The lines that the effect has to reach.
    pub thresholds: SignalThresholds,
    /// The number of texts on the profile's side.
    pub n_reference: u64,
    /// The number of texts on the window's side.
    pub n_current: u64,
    /// Other numbers of the same comparison, by the names of the field.
    pub statistics: BTreeMap<&'static str, f64>,
    /// Words that came: those of more texts than before, the largest change first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub came: Vec<WordShift>,
    /// Words that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub went: Vec<WordShift>,
    /// Why nothing is said, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DriftSignal {
    pub(super) fn new(
        name: SignalName,
        effect: f64,
        p_value: Option<f64>,
        n: [u64; 2],
        min_n: u64,
    ) -> Self {
        Self {
            name,
            level: SignalLevel::Ok,
            is_enough: true,
            method: name.method(),
            effect,
            p_value,
            corrected_p_value: None,
            thresholds: name.thresholds(min_n),
            n_reference: n[0],
            n_current: n[1],
            statistics: BTreeMap::new(),
            came: Vec::new(),
            went: Vec::new(),
            reason: None,
        }
    }

    pub(super) fn with<const N: usize>(mut self, statistics: [(&'static str, f64); N]) -> Self {
        self.statistics.extend(statistics);
        self
    }

    pub(super) fn with_words(mut self, came: Vec<WordShift>, went: Vec<WordShift>) -> Self {
        (self.came, self.went) = (came, went);
        self
    }

    /// Takes note of it where there are too few texts on a side, with why.
    pub(super) fn check_enough(&mut self) {
        let min_n = self.thresholds.min_n;
        let (n, side) = match self.n_current < min_n {
            true => (self.n_current, ""),
            false => (self.n_reference, " of the reference"),
        };
        self.is_enough = n >= min_n;
        self.reason = (!self.is_enough).then(|| {
            format!("{}{side}, and it takes {}", figure::counted(n, "text"), figure::count(min_n))
        });
    }

    /// What decides its level.
    pub(super) fn judged(&self) -> Signal {
        Signal {
            effect: self.effect,
            p_value: self.p_value,
            n: self.n_reference.min(self.n_current),
            thresholds: self.thresholds,
        }
    }
}
