//! One line of the prediction log: a prediction, counted words, another kind, or damage. The one place that
//! decides which of them it is; where lines come from is for others.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    record::{Arm, PredictionRecord, is_sound},
    tally::{WORDS_KIND, WordsLine},
};

/// A logged prediction whose text lies in the line that was read: as a
/// [`PredictionRecord`](super::PredictionRecord), which it becomes where one is needed for longer.
#[derive(Debug, Clone, Copy)]
pub struct PredictionView<'a> {
    /// The time of the answer, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The request.
    pub request_id: &'a str,
    /// The text's place in it.
    pub index: u32,
    /// The part that the version had in a release.
    pub arm: Arm,
    /// The registered model's name.
    pub model: &'a str,
    /// The version.
    pub version: u32,
    /// The predicted class.
    pub label: &'a str,
    /// The probability of the predicted label.
    pub confidence: f64,
    /// The probability of the positive label of a two-class model.
    pub probability: Option<f64>,
    /// The probabilities of a model of three or more classes, in label order; empty for other models.
    pub probabilities: &'a [f64],
    /// The time that the request took.
    pub latency_ms: f64,
    /// Length in characters.
    pub n_chars: u64,
    /// Length in words.
    pub n_words: Option<u32>,
    /// Words that the model does not know.
    pub n_unknown_words: Option<u32>,
    /// The place of the text among others.
    pub embedding: Option<&'a str>,
    /// The text itself.
    pub text: Option<&'a str>,
    /// The text's SHA-256 in hexadecimal.
    pub text_sha256: Option<&'a str>,
}

impl PredictionView<'_> {
    /// True for a record that a server can have written; a line with any other one is damaged.
    fn is_sound(&self) -> bool {
        let Self { confidence, probability, n_words, n_unknown_words, .. } = *self;
        is_sound(confidence, probability, n_words, n_unknown_words)
            && self.probabilities.iter().all(|share| is_sound(*share, None, None, None))
    }
}

impl From<&PredictionView<'_>> for PredictionRecord {
    fn from(view: &PredictionView<'_>) -> Self {
        Self {
            timestamp_ms: view.timestamp_ms,
            request_id: view.request_id.to_owned(),
            index: view.index,
            arm: view.arm,
            model: view.model.to_owned(),
            version: view.version,
            label: view.label.to_owned(),
            confidence: view.confidence,
            probability: view.probability,
            probabilities: view.probabilities.to_vec(),
            latency_ms: view.latency_ms,
            n_chars: view.n_chars,
            n_words: view.n_words,
            n_unknown_words: view.n_unknown_words,
            embedding: view.embedding.map(str::to_owned),
            text: view.text.map(str::to_owned),
            text_sha256: view.text_sha256.map(str::to_owned),
        }
    }
}

/// What a line of the log is.
pub(super) enum LogLine<'a> {
    /// A prediction.
    Prediction(PredictionView<'a>),
    /// Words counted over many texts.
    Words(WordsLine),
    /// A line that says that it is something else.
    OtherKind,
    /// Damage, such as the last line of a process that was killed.
    Unreadable,
}

/// Reads one line, without its end, and hands over what it is.
pub(super) fn with_line<T>(line: &[u8], take: impl FnOnce(LogLine<'_>) -> T) -> T {
    let Ok(any) = serde_json::from_slice::<AnyLine<'_>>(line) else {
        return take(LogLine::Unreadable);
    };
    take(match any.kind.as_deref() {
        None => {
            let record = any.prediction().filter(PredictionView::is_sound);
            record.map_or(LogLine::Unreadable, LogLine::Prediction)
        }
        Some(WORDS_KIND) => {
            let words = serde_json::from_slice::<WordsLine>(line).ok().filter(WordsLine::is_sound);
            words.map_or(LogLine::Unreadable, LogLine::Words)
        }
        Some(_) => LogLine::OtherKind,
    })
}

/// Text that is borrowed where it has no escapes: serde copies a bare `Cow` in an `Option`.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Borrowed<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct AnyLine<'a> {
    #[serde(borrow, default)]
    kind: Option<Borrowed<'a>>,
    #[serde(default)]
    timestamp_ms: Option<i64>,
    #[serde(borrow, default)]
    request_id: Option<Borrowed<'a>>,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    arm: Arm,
    #[serde(borrow, default)]
    model: Option<Borrowed<'a>>,
    #[serde(default)]
    version: Option<u32>,
    #[serde(borrow, default)]
    label: Option<Borrowed<'a>>,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(default)]
    probability: Option<f64>,
    #[serde(default)]
    probabilities: Vec<f64>,
    #[serde(default)]
    latency_ms: Option<f64>,
    #[serde(default)]
    n_chars: Option<u64>,
    #[serde(default)]
    n_words: Option<u32>,
    #[serde(default)]
    n_unknown_words: Option<u32>,
    #[serde(borrow, default)]
    embedding: Option<Borrowed<'a>>,
    #[serde(borrow, default)]
    text: Option<Borrowed<'a>>,
    #[serde(borrow, default)]
    text_sha256: Option<Borrowed<'a>>,
}

impl AnyLine<'_> {
    /// The prediction that the line is, if nothing of it is missing.
    fn prediction(&self) -> Option<PredictionView<'_>> {
        Some(PredictionView {
            timestamp_ms: self.timestamp_ms?,
            request_id: self.request_id.as_deref()?,
            index: self.index,
            arm: self.arm,
            model: self.model.as_deref()?,
            version: self.version?,
            label: self.label.as_deref()?,
            confidence: self.confidence?,
            probability: self.probability,
            probabilities: &self.probabilities,
            latency_ms: self.latency_ms?,
            n_chars: self.n_chars?,
            n_words: self.n_words,
            n_unknown_words: self.n_unknown_words,
            embedding: self.embedding.as_deref(),
            text: self.text.as_deref(),
            text_sha256: self.text_sha256.as_deref(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_same_after_it_was_written_and_seen() {
        let full = PredictionRecord {
            timestamp_ms: -5,
            request_id: "r\"1".to_owned(),
            index: 7,
            arm: Arm::Shadow,
            model: "M".to_owned(),
            version: 3,
            label: "a\\b".to_owned(),
            confidence: 0.75,
            probability: Some(0.25),
            probabilities: vec![0.5, 0.25, 0.25],
            latency_ms: 1.5,
            n_chars: 9,
            n_words: Some(2),
            n_unknown_words: Some(1),
            embedding: Some("AAAA".to_owned()),
            text: Some("größer\n".to_owned()),
            text_sha256: Some("ab".to_owned()),
        };
        for record in [PredictionRecord::default(), full] {
            let line = serde_json::to_vec(&record).unwrap();
            let seen = with_line(&line, |line| match line {
                LogLine::Prediction(view) => PredictionRecord::from(&view),
                _ => panic!("{record:?} is no prediction"),
            });
            assert_eq!(seen, record);
        }
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        let line = br#"{"request_id":"plain","label":"with \"escapes\""}"#;
        let any: AnyLine<'_> = serde_json::from_slice(line).unwrap();
        assert!(matches!(any.request_id, Some(Borrowed(Cow::Borrowed("plain")))));
        assert!(matches!(any.label, Some(Borrowed(Cow::Owned(_)))));
    }
}
