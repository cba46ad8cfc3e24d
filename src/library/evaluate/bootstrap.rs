//! The difference of two models on the same examples with its 95 % bootstrap interval: the examples
//! are drawn with replacement, and both models are measured on what was drawn (Efron and Tibshirani
//! 1993, "An Introduction to the Bootstrap", chapter 13: percentile intervals).
//!
//! Draws are counted, not copied: an example matters only by its label and the two predictions,
//! and few such triples occur.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::paired::{check_lengths, quantile};
use crate::{
    error::{Error, Result},
    random::Random,
};

/// The number of resamples that share one random stream, so that threads change nothing.
const BLOCK_RESAMPLES: usize = 50;

/// A difference between two models, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// First minus second.
    pub difference: f64,
    /// 2.5th percentile of the resampled differences.
    pub lower: f64,
    /// 97.5th percentile of the resampled differences.
    pub upper: f64,
}

/// The differences of two models on the same examples in F1 and accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedBootstrap {
    /// In F1: of the positive class; of more than two classes the macro average.
    pub f1: PairedDifference,
    /// In accuracy.
    pub accuracy: PairedDifference,
    /// Number of resamples.
    pub n_resamples: usize,
    /// The seed of the resamples.
    pub seed: u64,
}

/// First minus second in F1 and accuracy, with 95 % percentile intervals over `n_resamples` draws of
/// the examples with replacement. The same seed gives the same intervals on every machine.
///
/// # Shapes
/// `labels`, `first` and `second` are `[n]`, class indices below `n_classes`.
///
/// # Errors
/// Different lengths, no examples, no resamples, or an index without a class.
pub fn paired_bootstrap(
    labels: &[u32],
    first: &[u32],
    second: &[u32],
    n_classes: usize,
    n_resamples: usize,
    seed: u64,
) -> Result<PairedBootstrap> {
    check_lengths(labels, first, second)?;
    let n_examples = labels.len();
    if n_examples == 0 || n_resamples == 0 {
        return Err(Error::invalid(format!(
            "{n_examples} examples, {n_resamples} resamples: both must be >= 1"
        )));
    }
    let triples = Triples::count(labels, first, second, n_classes)?;
    let mut observed = vec![0; triples.kinds.len()];
    triples.of_example.iter().for_each(|&kind| observed[kind as usize] += 1);
    let (f1, accuracy) = triples.differences(&observed, &mut Tally::new(n_classes));

    let mut seeds = Random::new(seed);
    let blocks: Vec<(u64, usize)> = (0..n_resamples)
        .step_by(BLOCK_RESAMPLES)
        .map(|start| (seeds.next_u64(), BLOCK_RESAMPLES.min(n_resamples - start)))
        .collect();
    let drawn: Vec<(f64, f64)> = blocks
        .into_par_iter()
        .flat_map_iter(|(seed, n_block)| triples.resample(seed, n_block, n_classes))
        .collect();
    let (f1_drawn, accuracy_drawn): (Vec<f64>, Vec<f64>) = drawn.into_iter().unzip();
    Ok(PairedBootstrap {
        f1: interval(f1, f1_drawn),
        accuracy: interval(accuracy, accuracy_drawn),
        n_resamples,
        seed,
    })
}

impl PairedDifference {
    /// True if the interval leaves out 0.
    pub fn is_significant(&self) -> bool {
        self.lower > 0.0 || self.upper < 0.0
    }
}

fn interval(difference: f64, mut drawn: Vec<f64>) -> PairedDifference {
    drawn.sort_unstable_by(f64::total_cmp);
    PairedDifference { difference, lower: quantile(&drawn, 0.025), upper: quantile(&drawn, 0.975) }
}

/// Examples by their label and what each model predicted.
struct Triples {
    /// Label, first prediction, second prediction.
    kinds: Vec<[usize; 3]>,
    /// For each example the index of its kind.
    of_example: Vec<u32>,
}

/// Counts for each class, used again for each resample.
struct Tally {
    support: Vec<u64>,
    /// For each model: examples predicted as the class, and those of them that are right.
    predicted: [Vec<u64>; 2],
    right: [Vec<u64>; 2],
}

impl Triples {
    fn count(labels: &[u32], first: &[u32], second: &[u32], n_classes: usize) -> Result<Self> {
        let mut known = HashMap::new();
        let mut triples = Self { kinds: Vec::new(), of_example: Vec::with_capacity(labels.len()) };
        for (example_idx, ((&label, &first), &second)) in
            labels.iter().zip(first).zip(second).enumerate()
        {
            let kind = [label, first, second].map(|class| class as usize);
            if kind.iter().any(|class| *class >= n_classes) {
                return Err(Error::invalid(format!(
                    "example {example_idx}: label {label}, predicted {first} and {second}: there are \
                     only {n_classes} classes"
                )));
            }
            let kinds = &mut triples.kinds;
            let idx = *known.entry(kind).or_insert_with(|| {
                kinds.push(kind);
                kinds.len() - 1
            });
            triples.of_example.push(u32::try_from(idx).map_err(|_| {
                Error::invalid(format!("{} examples are too many for a bootstrap", labels.len()))
            })?);
        }
        Ok(triples)
    }

    /// The differences in F1 and accuracy of `n_block` resamples.
    fn resample(&self, seed: u64, n_block: usize, n_classes: usize) -> Vec<(f64, f64)> {
        let n_examples = self.of_example.len();
        let mut random = Random::new(seed);
        let mut tally = Tally::new(n_classes);
        let mut counts = vec![0_u64; self.kinds.len()];
        (0..n_block)
            .map(|_| {
                counts.fill(0);
                for _ in 0..n_examples {
                    counts[self.of_example[random.below(n_examples)] as usize] += 1;
                }
                self.differences(&counts, &mut tally)
            })
            .collect()
    }

    /// The differences in F1 and accuracy where each kind occurs so often.
    fn differences(&self, counts: &[u64], tally: &mut Tally) -> (f64, f64) {
        tally.clear();
        for (&[label, first, second], &n) in self.kinds.iter().zip(counts) {
            tally.support[label] += n;
            for (model_idx, predicted) in [first, second].into_iter().enumerate() {
                tally.predicted[model_idx][predicted] += n;
                if predicted == label {
                    tally.right[model_idx][label] += n;
                }
            }
        }
        let n_examples: u64 = tally.support.iter().sum();
        let n_right = [0, 1].map(|model_idx| tally.right[model_idx].iter().sum::<u64>());
        let accuracy = n_right.map(|n_right| n_right as f64 / n_examples as f64);
        (tally.f1(0) - tally.f1(1), accuracy[0] - accuracy[1])
    }
}

impl Tally {
    fn new(n_classes: usize) -> Self {
        let zeros = || vec![0; n_classes];
        Self { support: zeros(), predicted: [zeros(), zeros()], right: [zeros(), zeros()] }
    }

    fn clear(&mut self) {
        self.support.fill(0);
        self.predicted.iter_mut().chain(&mut self.right).for_each(|counts| counts.fill(0));
    }

    /// F1 without another word, as [`ConfusionMatrix::headline`](super::ConfusionMatrix::headline)
    /// has it.
    fn f1(&self, model_idx: usize) -> f64 {
        let of_class = |class_idx: usize| {
            let whole = self.predicted[model_idx][class_idx] + self.support[class_idx];
            let right = 2 * self.right[model_idx][class_idx];
            (whole > 0).then(|| right as f64 / whole as f64)
        };
        if self.support.len() == 2 {
            return of_class(1).unwrap_or(0.0);
        }
        let seen: Vec<f64> = (0..self.support.len()).filter_map(of_class).collect();
        if seen.is_empty() { 0.0 } else { seen.iter().sum::<f64>() / seen.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::ConfusionMatrix, *};

    fn names(n_classes: usize) -> Vec<String> {
        (0..n_classes).map(|class_idx| format!("c{class_idx}")).collect()
    }

    #[test]
    fn models_that_never_differ_have_no_interval() {
        let found = paired_bootstrap(&[1, 0], &[1, 1], &[1, 1], 2, 50, 1).unwrap();
        for difference in [found.f1, found.accuracy] {
            assert_eq!((difference.lower, difference.upper), (0.0, 0.0));
            assert!(!difference.is_significant());
        }
    }

    #[test]
    fn the_interval_is_the_same_for_the_same_seed_and_any_number_of_threads() {
        let labels: Vec<u32> = (0..200).map(|idx| idx % 2).collect();
        let first: Vec<u32> = (0..200).map(|idx| if idx % 11 == 0 { 1 } else { idx % 2 }).collect();
        let second: Vec<u32> = (0..200).map(|idx| if idx % 3 == 0 { 1 } else { idx % 2 }).collect();
        let run = |seed| paired_bootstrap(&labels, &first, &second, 2, 230, seed).unwrap();
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| run(7)), run(7));
        let found = run(7).f1;
        assert!(found.lower <= found.difference && found.difference <= found.upper, "{found:?}");
        assert!(found.is_significant() && found.difference > 0.0, "{found:?}");
    }

    #[test]
    fn unusable_input_is_refused() {
        assert!(paired_bootstrap(&[], &[], &[], 2, 10, 1).is_err());
        assert!(paired_bootstrap(&[1], &[1], &[1], 2, 0, 1).is_err());
        assert!(paired_bootstrap(&[1], &[1, 0], &[1], 2, 10, 1).is_err());
        let error = paired_bootstrap(&[1], &[3], &[1], 2, 10, 1).unwrap_err().to_string();
        let expected = "example 0: label 1, predicted 3 and 1: there are only 2 classes";
        assert_eq!(error, expected);
    }

    proptest! {
        #[test]
        fn differences_are_those_of_the_confusion_matrices(
            n_classes in 2_usize..5,
            rows in prop::collection::vec((0_u32..5, 0_u32..5, 0_u32..5), 1..60)
        ) {
            let below = |class: u32| class % n_classes as u32;
            let labels: Vec<u32> = rows.iter().map(|row| below(row.0)).collect();
            let first: Vec<u32> = rows.iter().map(|row| below(row.1)).collect();
            let second: Vec<u32> = rows.iter().map(|row| below(row.2)).collect();
            let matrix =
                |guesses: &[u32]| ConfusionMatrix::count(&labels, guesses, &names(n_classes)).unwrap();
            let (one, other) = (matrix(&first), matrix(&second));
            let found = paired_bootstrap(&labels, &first, &second, n_classes, 20, 3).unwrap();
            prop_assert!((found.f1.difference - (one.headline().f1 - other.headline().f1)).abs() < 1e-12);
            prop_assert!((found.accuracy.difference - (one.accuracy() - other.accuracy())).abs() < 1e-12);
        }

        #[test]
        fn exchanging_the_models_mirrors_the_answer(
            rows in prop::collection::vec((0_u32..3, 0_u32..3, 0_u32..3), 1..60)
        ) {
            let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let first: Vec<u32> = rows.iter().map(|row| row.1).collect();
            let second: Vec<u32> = rows.iter().map(|row| row.2).collect();
            let one = paired_bootstrap(&labels, &first, &second, 3, 20, 3).unwrap();
            let other = paired_bootstrap(&labels, &second, &first, 3, 20, 3).unwrap();
            for (one, other) in [(one.f1, other.f1), (one.accuracy, other.accuracy)] {
                prop_assert_eq!(one.difference, -other.difference);
                prop_assert!((one.lower + other.upper).abs() < 1e-12);
            }
        }
    }
}
