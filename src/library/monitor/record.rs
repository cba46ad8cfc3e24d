//! One logged prediction, as it is written. Reading it back is for `line` and `reader`.

use serde::{Deserialize, Serialize};

/// The part that a version had in a release when it predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The version in Production answered.
    #[default]
    Production,
    /// A version that a release tries answered in its place.
    Candidate,
    /// A version that a release tries predicted beside it; nobody got the answer.
    Shadow,
}

impl Arm {
    fn is_production(&self) -> bool {
        *self == Self::Production
    }
}

/// One line of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// The time of the answer, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The request it belongs to; a batch has one id for all its texts.
    pub request_id: String,
    /// The place of the text among those of its request, from 0; of a stream its line, from 0.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub index: u32,
    /// The part that the version had in a release.
    #[serde(skip_serializing_if = "Arm::is_production", default)]
    pub arm: Arm,
    /// The registered model's name.
    pub model: String,
    /// The version of it that answered.
    pub version: u32,
    /// The predicted class.
    pub label: String,
    /// The probability of the predicted label.
    pub confidence: f64,
    /// The probability of the positive label of a two-class model.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probability: Option<f64>,
    /// The probabilities of a model of three or more classes, in label order; empty for other models.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub probabilities: Vec<f64>,
    /// From the whole request received to its predictions made.
    pub latency_ms: f64,
    /// Length of the text in characters.
    pub n_chars: u64,
    /// Length of the text in words, as TF-IDF counts them; absent where they were not counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n_words: Option<u32>,
    /// Those of its words that the model does not know; absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n_unknown_words: Option<u32>,
    /// Of some long texts to a net: the place of the text among others, as 32 numbers of 32 bits in
    /// base64, little-endian.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub embedding: Option<String>,
    /// The text itself, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// The text's SHA-256 in hexadecimal, if that is kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text_sha256: Option<String>,
}

/// True for numbers that a server can have written of a prediction: what it says of probabilities lies between 0
/// and 1, and no text has more unknown words than words.
pub(super) fn is_sound(
    confidence: f64,
    probability: Option<f64>,
    n_words: Option<u32>,
    n_unknown_words: Option<u32>,
) -> bool {
    /// What 32-bit floats may make of 1.
    const ROUNDING: f64 = 1e-5;
    let is_share = |share: f64| (-ROUNDING..=1.0 + ROUNDING).contains(&share);
    is_share(confidence)
        && probability.is_none_or(is_share)
        && n_unknown_words.is_none_or(|n_unknown| n_unknown <= n_words.unwrap_or(u32::MAX))
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
