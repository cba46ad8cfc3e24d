//! The examples that are predicted wrong: which ones, how sure the model was of them, and which classes
//! are taken for which. It knows rows and class indices, no texts.

use serde::Serialize;

use super::{ConfusionMatrix, SplitAnswers};

/// An example that is predicted as another class than its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mistake {
    /// Its row in the split, from 0.
    pub row: usize,
    /// The index of its class.
    pub label: usize,
    /// The index of the predicted class.
    pub predicted: usize,
    /// The probability of the predicted class.
    pub confidence: f64,
}

/// A class that is taken for another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confusion {
    /// The index of the class.
    pub label: usize,
    /// The index of the predicted one.
    pub predicted: usize,
    /// Examples of the first that are predicted as the second.
    pub n_examples: usize,
    /// Their share of all examples of the first.
    pub share: f64,
}

/// The mistakes in predictions, the most confident first; of equals the first in order.
///
/// # Shapes
/// `labels` is `[n]`; `answers` are of the same rows and of `n_classes` classes.
///
/// # Panics
/// If `n_classes` is 0 or a predicted label is not below it.
pub fn mistakes(labels: &[u32], answers: &SplitAnswers, n_classes: usize) -> Vec<Mistake> {
    let SplitAnswers { probabilities, predicted, .. } = answers;
    let rows = probabilities.chunks_exact(n_classes).zip(predicted);
    let wrong = labels.iter().zip(rows).enumerate().filter_map(|(row, (label, answer))| {
        let (probabilities, predicted) = answer;
        let (label, predicted) = (*label as usize, *predicted as usize);
        let confidence = probabilities[predicted];
        (label != predicted).then_some(Mistake { row, label, predicted, confidence })
    });
    let mut wrong: Vec<Mistake> = wrong.collect();
    wrong.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
    wrong
}

/// The classes that are taken for others, the most frequent first; of equals the first in the matrix.
pub fn confusions(matrix: &ConfusionMatrix) -> Vec<Confusion> {
    let mut found = Vec::new();
    for (label, counts) in matrix.counts().iter().enumerate() {
        let support = matrix.support(label);
        for (predicted, n_examples) in counts.iter().copied().enumerate() {
            if predicted != label && n_examples > 0 {
                let share = n_examples as f64 / support as f64;
                found.push(Confusion { label, predicted, n_examples, share });
            }
        }
    }
    found.sort_by_key(|confusion| std::cmp::Reverse(confusion.n_examples));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::predicted_label;

    fn answers(rows: &[f64], threshold: f64) -> SplitAnswers {
        let predicted = rows.chunks_exact(2).map(|row| predicted_label(row, threshold) as u32);
        SplitAnswers {
            probabilities: rows.to_vec(),
            predicted: predicted.collect(),
            threshold: Some(threshold),
        }
    }

    #[test]
    fn mistakes_come_by_falling_confidence() {
        let rows = [0.4, 0.6, 0.1, 0.9, 0.8, 0.2, 0.5, 0.5, 0.4, 0.6];
        let found = mistakes(&[0, 0, 1, 0, 1], &answers(&rows, 0.5), 2);
        let shown: Vec<(usize, usize, f64)> =
            found.iter().map(|one| (one.row, one.predicted, one.confidence)).collect();
        // 0.5 counts as positive.
        assert_eq!(shown, [(1, 1, 0.9), (2, 0, 0.8), (0, 1, 0.6), (3, 1, 0.5)]);
        assert!(mistakes(&[1], &answers(&[0.0, 1.0], 0.5), 2).is_empty());
        assert!(mistakes(&[], &answers(&[], 0.5), 3).is_empty());
        // Confidence is that of the predicted class, below a half where the threshold is above it.
        let found = mistakes(&[1], &answers(&[0.4, 0.6], 0.7), 2);
        assert_eq!((found[0].predicted, found[0].confidence), (0, 0.4));
    }

    #[test]
    fn equally_confident_mistakes_keep_their_order() {
        let found = mistakes(&[1, 0, 1], &answers(&[0.7, 0.3, 0.3, 0.7, 0.7, 0.3], 0.5), 2);
        assert_eq!(found.iter().map(|one| one.row).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn the_largest_confusions_come_first() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        let labels = [0, 0, 0, 0, 1, 1, 2, 2];
        let predicted = [0, 1, 1, 2, 2, 1, 0, 2];
        let matrix = ConfusionMatrix::count(&labels, &predicted, &classes).unwrap();
        let found: Vec<(usize, usize, usize, f64)> = confusions(&matrix)
            .iter()
            .map(|one| (one.label, one.predicted, one.n_examples, one.share))
            .collect();
        let expected = [(0, 1, 2, 0.5), (0, 2, 1, 0.25), (1, 2, 1, 0.5), (2, 0, 1, 0.5)];
        assert_eq!(found, expected);
    }
}
