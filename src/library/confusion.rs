//! The confusion matrix and what follows from its counts: accuracy, precision, recall, F1. A ratio
//! with nothing to divide by is 0, as with scikit-learn's `zero_division`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The number of times each class was predicted as each class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    counts: Vec<Vec<usize>>,
}

/// A matrix as a file says it is.
#[derive(Deserialize)]
struct Stored {
    classes: Vec<String>,
    counts: Vec<Vec<usize>>,
}

impl TryFrom<Stored> for ConfusionMatrix {
    type Error = Error;

    fn try_from(Stored { classes, counts }: Stored) -> Result<Self> {
        let n_classes = classes.len();
        if counts.len() != n_classes || counts.iter().any(|row| row.len() != n_classes) {
            return Err(Error::invalid(format!(
                "a confusion matrix of {n_classes} classes needs {n_classes} rows of {n_classes} counts"
            )));
        }
        Ok(Self { classes, counts })
    }
}

/// Precision, recall and F1 together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Averages {
    /// Of the examples predicted as the class, the share that are of it.
    pub precision: f64,
    /// Of the examples of the class, the share that were predicted as it.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl ConfusionMatrix {
    /// Counts `predicted` against the true `labels`; both are class indices.
    ///
    /// # Shapes
    /// `labels` and `predicted` are `[n]`; the matrix is `[n_classes, n_classes]`.
    ///
    /// # Errors
    /// Different lengths, or an index without a class.
    pub fn count(labels: &[u32], predicted: &[u32], classes: &[String]) -> Result<Self> {
        if labels.len() != predicted.len() {
            return Err(Error::invalid(format!(
                "{} labels but {} predictions",
                labels.len(),
                predicted.len()
            )));
        }
        let n_classes = classes.len();
        let mut counts = vec![vec![0; n_classes]; n_classes];
        for (example_idx, (&label, &guess)) in labels.iter().zip(predicted).enumerate() {
            let cell = counts
                .get_mut(label as usize)
                .and_then(|row: &mut Vec<_>| row.get_mut(guess as usize));
            let Some(cell) = cell else {
                return Err(Error::invalid(format!(
                    "example {example_idx}: label {label}, predicted {guess}: there are only {n_classes} classes"
                )));
            };
            *cell += 1;
        }
        Ok(Self { classes: classes.to_vec(), counts })
    }

    /// Class names, in the order of rows and columns.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Rows are true classes, columns predicted ones.
    pub fn counts(&self) -> &[Vec<usize>] {
        &self.counts
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.classes.len()
    }

    /// Number of examples.
    pub fn n_examples(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// Number of examples of a class.
    ///
    /// # Panics
    /// If there is no such class, as the other methods that take one.
    pub fn support(&self, class_idx: usize) -> usize {
        self.counts[class_idx].iter().sum()
    }

    /// The share of right predictions.
    pub fn accuracy(&self) -> f64 {
        let n_right =
            (0..self.n_classes()).map(|class_idx| self.counts[class_idx][class_idx]).sum();
        ratio(n_right, self.n_examples())
    }

    /// Of the examples predicted as the class, the share that are of it; 0 when there are none.
    pub fn precision(&self, class_idx: usize) -> f64 {
        let n_predicted = self.counts.iter().map(|row| row[class_idx]).sum();
        ratio(self.counts[class_idx][class_idx], n_predicted)
    }

    /// Of the examples of the class, the share predicted as it; 0 when there are none.
    pub fn recall(&self, class_idx: usize) -> f64 {
        ratio(self.counts[class_idx][class_idx], self.support(class_idx))
    }

    /// `2 tp / (2 tp + fp + fn)`, the harmonic mean of precision and recall; 0 when the class
    /// neither occurs nor is predicted.
    pub fn f1(&self, class_idx: usize) -> f64 {
        let n_predicted: usize = self.counts.iter().map(|row| row[class_idx]).sum();
        ratio(2 * self.counts[class_idx][class_idx], n_predicted + self.support(class_idx))
    }

    /// Precision, recall and F1 of one class.
    pub fn of_class(&self, class_idx: usize) -> Averages {
        Averages {
            precision: self.precision(class_idx),
            recall: self.recall(class_idx),
            f1: self.f1(class_idx),
        }
    }

    /// The means over the classes, each weighted with its number of examples, as scikit-learn's
    /// `average="weighted"`; all 0 without examples.
    pub fn weighted_average(&self) -> Averages {
        let n_examples = self.n_examples().max(1) as f64;
        let mean = |of_class: fn(&Self, usize) -> f64| {
            let weighted = |class_idx| of_class(self, class_idx) * self.support(class_idx) as f64;
            (0..self.n_classes()).map(weighted).sum::<f64>() / n_examples
        };
        Averages {
            precision: mean(Self::precision),
            recall: mean(Self::recall),
            f1: mean(Self::f1),
        }
    }

    /// The plain means over the classes. A class that neither occurs nor is predicted is left out,
    /// as scikit-learn leaves it out when it is not told the classes.
    pub fn macro_average(&self) -> Averages {
        let seen: Vec<Averages> = (0..self.n_classes())
            .filter(|&class_idx| {
                self.support(class_idx) > 0 || self.counts.iter().any(|row| row[class_idx] > 0)
            })
            .map(|class_idx| self.of_class(class_idx))
            .collect();
        let mean = |value: fn(&Averages) -> f64| match seen.len() {
            0 => 0.0,
            n_seen => seen.iter().map(value).sum::<f64>() / n_seen as f64,
        };
        Averages {
            precision: mean(|class| class.precision),
            recall: mean(|class| class.recall),
            f1: mean(|class| class.f1),
        }
    }

    /// The values of `precision`, `recall` and `f1` without another word: of two classes those of
    /// the positive one (index 1), of more the macro average.
    pub fn headline(&self) -> Averages {
        if self.n_classes() == 2 { self.of_class(1) } else { self.macro_average() }
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use linfa::metrics::ToConfusionMatrix;
    use ndarray::Array1;
    use proptest::prelude::*;

    use super::*;

    fn classes(n_classes: usize) -> Vec<String> {
        (0..n_classes).map(|class_idx| format!("c{class_idx}")).collect()
    }

    fn matrix(labels: &[u32], predicted: &[u32], n_classes: usize) -> ConfusionMatrix {
        ConfusionMatrix::count(labels, predicted, &classes(n_classes)).unwrap()
    }

    #[test]
    fn two_classes_by_hand() {
        // tp 3, fn 1, fp 2, tn 4
        let labels = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0];
        let guesses = [1, 1, 1, 0, 1, 1, 0, 0, 0, 0];
        let confusion = matrix(&labels, &guesses, 2);
        assert_eq!(confusion.counts(), [[4, 2], [1, 3]]);
        assert_eq!(confusion.accuracy(), 0.7);
        assert_eq!(confusion.precision(1), 0.6);
        assert_eq!(confusion.recall(1), 0.75);
        assert_eq!(confusion.f1(1), 6.0 / 9.0);
        assert_eq!(confusion.f1(0), 8.0 / 11.0);
        assert_eq!(confusion.headline(), confusion.of_class(1));
        assert_eq!(confusion.macro_average().f1, (6.0 / 9.0 + 8.0 / 11.0) / 2.0);
    }

    #[test]
    fn more_classes_report_the_macro_average() {
        let confusion = matrix(&[0, 0, 1, 1, 2, 2], &[0, 1, 1, 1, 2, 0], 3);
        // precision 1/2, 2/3, 1; recall 1/2, 1, 1/2; f1 1/2, 4/5, 2/3
        let average = confusion.headline();
        assert!((average.precision - (0.5 + 2.0 / 3.0 + 1.0) / 3.0).abs() < 1e-15);
        assert!((average.recall - 2.0 / 3.0).abs() < 1e-15);
        assert!((average.f1 - (0.5 + 0.8 + 2.0 / 3.0) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_to_divide_by_is_zero() {
        let confusion = matrix(&[0, 0], &[0, 0], 2);
        assert_eq!(confusion.of_class(1), Averages { precision: 0.0, recall: 0.0, f1: 0.0 });
        assert_eq!(matrix(&[], &[], 2).accuracy(), 0.0);
        assert_eq!(matrix(&[], &[], 2).macro_average().f1, 0.0);
    }

    #[test]
    fn an_unseen_class_does_not_lower_the_macro_average() {
        let labels = [0, 0, 1, 1];
        let guesses = [0, 1, 1, 1];
        let (narrow, wide) = (matrix(&labels, &guesses, 2), matrix(&labels, &guesses, 3));
        assert_eq!(narrow.macro_average(), wide.macro_average());
    }

    #[test]
    fn a_stored_matrix_comes_back_unless_it_is_not_square() {
        let confusion = matrix(&[0, 1, 1], &[0, 1, 0], 2);
        let stored = serde_json::to_string(&confusion).unwrap();
        assert_eq!(serde_json::from_str::<ConfusionMatrix>(&stored).unwrap(), confusion);
        let ragged = r#"{"classes": ["a", "b"], "counts": [[1, 2], [3]]}"#;
        let error = serde_json::from_str::<ConfusionMatrix>(ragged).unwrap_err();
        assert!(error.to_string().contains("2 rows of 2 counts"), "{error}");
    }

    #[test]
    fn unequal_lengths_and_unknown_classes_are_refused() {
        let error = ConfusionMatrix::count(&[0, 1], &[0], &classes(2)).unwrap_err();
        assert_eq!(error.to_string(), "2 labels but 1 predictions");
        for (labels, guesses) in [([0, 2], [0, 0]), ([0, 0], [0, 2])] {
            let error = ConfusionMatrix::count(&labels, &guesses, &classes(2)).unwrap_err();
            assert!(error.to_string().starts_with("example 1:"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn rates_lie_in_bounds_and_counts_add_up(
            pairs in prop::collection::vec((0_u32..4, 0_u32..4), 1..200)
        ) {
            let (labels, guesses): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
            let confusion = matrix(&labels, &guesses, 4);
            prop_assert_eq!(confusion.n_examples(), labels.len());
            for class_idx in 0..4 {
                let Averages { precision, recall, f1 } = confusion.of_class(class_idx);
                prop_assert!((0.0..=1.0).contains(&precision) && (0.0..=1.0).contains(&recall));
                prop_assert!(f1 >= precision.min(recall) - 1e-12);
                prop_assert!(f1 <= precision.max(recall) + 1e-12);
            }
            // Exchanging labels and predictions transposes the counts and swaps the two rates.
            let swapped = matrix(&guesses, &labels, 4);
            for class_idx in 0..4 {
                prop_assert_eq!(confusion.precision(class_idx), swapped.recall(class_idx));
                prop_assert_eq!(confusion.f1(class_idx), swapped.f1(class_idx));
            }
        }

        #[test]
        fn renaming_the_classes_changes_nothing_but_their_order(
            pairs in prop::collection::vec((0_u32..3, 0_u32..3), 1..100)
        ) {
            let renamed = |label: u32| (label + 1) % 3;
            let (labels, guesses): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
            let (new_labels, new_guesses): (Vec<u32>, Vec<u32>) =
                pairs.iter().map(|&(label, guess)| (renamed(label), renamed(guess))).unzip();
            let (old, new) =
                (matrix(&labels, &guesses, 3), matrix(&new_labels, &new_guesses, 3));
            prop_assert_eq!(old.accuracy(), new.accuracy());
            prop_assert!((old.macro_average().f1 - new.macro_average().f1).abs() < 1e-12);
            prop_assert_eq!(old.of_class(0), new.of_class(1));
        }

        /// linfa agrees on accuracy and F1. Its `precision` is our recall and its `recall` our
        /// precision: rows are predictions, as its documentation says, but it sums a column for
        /// precision. Both classes occur, because it knows no others.
        #[test]
        fn linfa_agrees(pairs in prop::collection::vec((0_u32..2, 0_u32..2), 1..200)) {
            let (mut labels, mut guesses): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
            labels.extend([0, 1]);
            guesses.extend([0, 1]);
            let confusion = matrix(&labels, &guesses, 2);
            let own = |indices: &[u32]| Array1::from_iter(indices.iter().map(|idx| *idx as usize));
            let (labels, guesses) = (own(&labels), own(&guesses));
            let oracle = guesses.confusion_matrix(&labels).unwrap();
            let close = |ours: f64, theirs: f32| (ours - f64::from(theirs)).abs() < 1e-6;
            prop_assert!(close(confusion.accuracy(), oracle.accuracy()));
            prop_assert!(close(confusion.f1(1), oracle.f1_score()));
            prop_assert!(close(confusion.recall(1), oracle.precision()));
            prop_assert!(close(confusion.precision(1), oracle.recall()));
        }
    }
}
