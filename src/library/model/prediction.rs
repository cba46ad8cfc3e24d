//! A model's answer to one text, in the words that people and programs read. The one place where a
//! row of probabilities becomes a label; the server and the command line both show it.

use serde::{Serialize, Serializer};

use super::{Answers, Classifier, DEFAULT_THRESHOLD, TokenCounts, predicted_label};
use crate::error::{Error, ErrorKind, Result};

/// The answer for one text.
///
/// With two classes, `sentiment` repeats the label, `probability` is that of the positive class
/// (index 1), and `threshold` is the one from which on it is predicted; with more classes all three are
/// absent, from the JSON too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The predicted class of a two-class model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<String>,
    /// The probability of the predicted label. Of two classes it is below a half where the threshold lies
    /// between a half and the probability.
    pub confidence: f64,
    /// The probability of the positive label of a two-class model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The probability of the positive label from which on a two-class model predicts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The predicted class.
    pub label: String,
    /// Every class with its probability, in label order; an object in JSON.
    #[serde(serialize_with = "as_object")]
    pub scores: Vec<(String, f64)>,
    /// See [`Answers::known_shares`](super::Answers::known_shares); absent where the model cannot
    /// tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_share: Option<f64>,
}

/// Below it people are told how little of a text the model knows. Of other texts in the language that
/// it was trained on it knows more, of those in another one hardly ever so much.
const FEW_KNOWN: f64 = 0.25;

impl Prediction {
    /// True if the model knows no word of the text: its answer is that of any such text.
    pub fn is_of_unknown_text(&self) -> bool {
        self.known_share == Some(0.0)
    }

    /// The warning that people should read before they rely on the answer, if there is one.
    pub fn warning(&self) -> Option<String> {
        match self.known_share {
            Some(0.0) => {
                Some("the model knows no word of it: the answer says nothing about it".to_owned())
            }
            Some(share) if share < FEW_KNOWN => Some(format!(
                "the model knows only {:.0} % of its words: the answer says little about it",
                share * 100.0
            )),
            _ => None,
        }
    }

    /// `positive from 0.37 on`, where that is not from 0.5.
    pub fn own_threshold(&self) -> Option<String> {
        let (positive, _) = self.scores.get(1)?;
        let threshold = self.threshold.filter(|threshold| *threshold != DEFAULT_THRESHOLD)?;
        Some(format!("{positive} from {threshold} on"))
    }

    /// True if a model of two classes predicted the positive one; none for more classes.
    pub fn is_positive(&self) -> Option<bool> {
        let (positive, _) = self.scores.get(1)?;
        self.probability.map(|_| self.label == *positive)
    }

    /// Reads one `row` of probabilities, one value a class, as [`predicted_label`] decides it by
    /// `threshold`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the row has another length than `classes` or holds something
    /// that is no probability: a broken model must not look like an answer.
    pub fn from_row(classes: &[String], row: &[f64], threshold: f64) -> Result<Self> {
        if row.is_empty() || row.len() != classes.len() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "the model gave {} probabilities, expected one for each of its {} classes",
                    row.len(),
                    classes.len()
                ),
            ));
        }
        // A sum of exponentials may end a rounding error above 1; anything further is a bug.
        if let Some(found) = row.iter().find(|value| !(-1e-9..=1.0 + 1e-9).contains(*value)) {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("the model gave the probability {found}, expected 0 to 1"),
            ));
        }
        let label_idx = predicted_label(row, threshold);
        let label = &classes[label_idx];
        let positive = match row {
            [_, positive] => Some(*positive),
            _ => None,
        };
        Ok(Self {
            sentiment: positive.map(|_| label.clone()),
            confidence: row[label_idx],
            probability: positive,
            threshold: positive.map(|_| threshold),
            label: label.clone(),
            scores: classes.iter().cloned().zip(row.iter().copied()).collect(),
            known_share: None,
        })
    }
}

/// Asks `classifier` about all `texts` at once; one prediction a text, in their order.
///
/// # Errors
/// Those of the classifier, and [`ErrorKind::Internal`] when its answer does not fit the question.
pub fn predictions(classifier: &dyn Classifier, texts: &[&str]) -> Result<Vec<Prediction>> {
    let Answers { probabilities, known_shares } = classifier.answer(texts)?;
    if probabilities.n_texts() != texts.len() {
        return Err(Error::new(
            ErrorKind::Internal,
            format!(
                "the model answered {} texts, expected {}",
                probabilities.n_texts(),
                texts.len()
            ),
        ));
    }
    let (classes, threshold) = (classifier.classes(), classifier.decision().threshold());
    let predictions = probabilities.rows().enumerate().map(|(text_idx, row)| {
        let known_share = known_shares.as_ref().and_then(|shares| shares.get(text_idx).copied());
        Ok(Prediction { known_share, ..Prediction::from_row(classes, row, threshold)? })
    });
    predictions.collect()
}

/// True for each of `n_texts` texts that is longer than what the model reads of it; all false for a model
/// that does not count.
pub fn truncated(counts: Option<&TokenCounts>, n_texts: usize) -> Vec<bool> {
    (0..n_texts).map(|text_idx| counts.is_some_and(|counts| counts.is_cut(text_idx))).collect()
}

/// The predictions of a model for several texts, of any length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchPrediction {
    /// One prediction a text, in their order.
    pub predictions: Vec<Prediction>,
    /// For each text whether the model reads only its beginning.
    pub truncated: Vec<bool>,
}

impl BatchPrediction {
    /// Counts all `texts` and asks `classifier` about them at once.
    ///
    /// # Errors
    /// As [`predictions`].
    pub fn of(classifier: &dyn Classifier, texts: &[&str]) -> Result<Self> {
        let counts = classifier.count_tokens(texts)?;
        let predictions = predictions(classifier, texts)?;
        Ok(Self { predictions, truncated: truncated(counts.as_ref(), texts.len()) })
    }
}

fn as_object<S: Serializer>(scores: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(scores.iter().map(|(class, probability)| (class, probability)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prediction(classes: &[&str], row: &[f64]) -> Result<Prediction> {
        thresholded(classes, row, 0.5)
    }

    fn thresholded(classes: &[&str], row: &[f64], threshold: f64) -> Result<Prediction> {
        let classes: Vec<String> = classes.iter().map(|&class| class.to_owned()).collect();
        Prediction::from_row(&classes, row, threshold)
    }

    #[test]
    fn two_classes_give_sentiment_and_the_positive_probability() {
        let negative = prediction(&["neg", "pos"], &[0.75, 0.25]).unwrap();
        let expected = json!({
            "sentiment": "neg", "confidence": 0.75, "probability": 0.25, "threshold": 0.5, "label": "neg",
            "scores": { "neg": 0.75, "pos": 0.25 },
        });
        assert_eq!(serde_json::to_value(negative).unwrap(), expected);
    }

    #[test]
    fn how_little_is_known_of_a_text_is_said() {
        let even = prediction(&["neg", "pos"], &[0.5, 0.5]).unwrap();
        let check = |known_share, expected: Option<&str>| {
            let warning = Prediction { known_share, ..even.clone() }.warning();
            let is_as_expected = match (&warning, expected) {
                (Some(warning), Some(part)) => warning.contains(part),
                (warning, part) => warning.is_none() && part.is_none(),
            };
            assert!(is_as_expected, "{known_share:?}: {warning:?}");
        };
        check(None, None);
        check(Some(0.0), Some("no word"));
        check(Some(0.1), Some("only 10 %"));
        check(Some(0.25), None);
        check(Some(1.0), None);
    }

    #[test]
    fn one_half_counts_as_positive() {
        let even = prediction(&["neg", "pos"], &[0.5, 0.5]).unwrap();
        assert_eq!((even.label.as_str(), even.confidence), ("pos", 0.5));
    }

    #[test]
    fn the_threshold_decides_and_confidence_is_of_what_it_decided() {
        for (threshold, label, confidence) in [(0.6, "pos", 0.6), (0.7, "neg", 0.4)] {
            let found = thresholded(&["neg", "pos"], &[0.4, 0.6], threshold).unwrap();
            assert_eq!((found.label.as_str(), found.confidence), (label, confidence));
            assert_eq!((found.threshold, found.probability), (Some(threshold), Some(0.6)));
            assert_eq!(found.is_positive(), Some(label == "pos"));
            assert_eq!(found.own_threshold(), Some(format!("pos from {threshold} on")));
        }
        assert_eq!(thresholded(&["a", "b", "c"], &[0.2, 0.5, 0.3], 0.9).unwrap().threshold, None);
    }

    #[test]
    fn more_classes_have_no_sentiment_and_keep_their_order() {
        let three = prediction(&["z", "y", "a"], &[0.2, 0.7, 0.1]).unwrap();
        let json = serde_json::to_string(&three).unwrap();
        assert_eq!(json, r#"{"confidence":0.7,"label":"y","scores":{"z":0.2,"y":0.7,"a":0.1}}"#);
    }

    #[test]
    fn a_broken_row_is_an_error() {
        for row in [&[0.5][..], &[0.2, 0.3, 0.5], &[f64::NAN, 0.5], &[-0.1, 1.1], &[]] {
            let error = prediction(&["neg", "pos"], row).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{row:?}");
        }
    }
}
