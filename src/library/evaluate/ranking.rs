//! Measures of scores that should put the positive examples first: ROC and precision-recall curves
//! and the areas below them. Examples with equal scores form one step, so their order does not
//! matter.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Examples sorted by score, counted at every distinct score: one sort serves both curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    steps: Vec<Step>,
    n_positive: usize,
    n_negative: usize,
}

/// The examples that a threshold at one distinct score (`score >= threshold`) lets through.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    threshold: f64,
    n_true_positive: usize,
    n_false_positive: usize,
}

/// True against false positive rate as the threshold falls; from (0, 0) to (1, 1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RocCurve {
    /// The class that counts as positive.
    pub class: String,
    /// Area under the whole curve.
    pub auc: f64,
    /// `score >= threshold` is positive; `None` at the start, where nothing is.
    pub thresholds: Vec<Option<f64>>,
    /// Of the negative examples, the share taken for positive.
    pub false_positive_rates: Vec<f64>,
    /// Of the positive examples, the share found.
    pub true_positive_rates: Vec<f64>,
}

/// Precision against recall as the threshold falls; starts at recall 0 with precision 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallCurve {
    /// The class that counts as positive.
    pub class: String,
    /// Average precision of the whole curve.
    pub average_precision: f64,
    /// The share of positive examples: the precision of guessing.
    pub prevalence: f64,
    /// `score >= threshold` is positive; `None` at the start, where nothing is.
    pub thresholds: Vec<Option<f64>>,
    /// Of the positive examples, the share found.
    pub recalls: Vec<f64>,
    /// Of the examples found, the share that are positive.
    pub precisions: Vec<f64>,
}

impl Ranking {
    /// Sorts examples by falling score.
    ///
    /// # Shapes
    /// `scores` and `positive` are `[n]`.
    ///
    /// # Errors
    /// Different lengths, or a score that is NaN.
    pub fn new(scores: &[f64], positive: &[bool]) -> Result<Self> {
        if scores.len() != positive.len() {
            return Err(Error::invalid(format!(
                "{} scores but {} labels",
                scores.len(),
                positive.len()
            )));
        }
        if let Some(example_idx) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::invalid(format!("example {example_idx}: the score is NaN")));
        }
        let mut examples: Vec<(f64, bool)> =
            scores.iter().copied().zip(positive.iter().copied()).collect();
        examples.sort_unstable_by(|(left, _), (right, _)| right.total_cmp(left));

        let mut steps: Vec<Step> = Vec::new();
        let (mut n_true_positive, mut n_false_positive) = (0, 0);
        for (score, is_positive) in examples {
            if is_positive {
                n_true_positive += 1;
            } else {
                n_false_positive += 1;
            }
            let step = Step { threshold: score, n_true_positive, n_false_positive };
            match steps.last_mut() {
                Some(last) if last.threshold == score => *last = step,
                _ => steps.push(step),
            }
        }
        Ok(Self { steps, n_positive: n_true_positive, n_negative: n_false_positive })
    }

    /// The probability that a positive example scores above a negative one, ties counting half:
    /// the area under the ROC curve by trapezoids. `None` unless both kinds of example occur.
    pub fn roc_auc(&self) -> Option<f64> {
        if self.n_positive == 0 || self.n_negative == 0 {
            return None;
        }
        // Twice the area in whole cells of the grid: exact, whatever the order of summation.
        let mut doubled_area: u128 = 0;
        let (mut left, mut low) = (0, 0);
        for step in &self.steps {
            let width = (step.n_false_positive - left) as u128;
            doubled_area += width * (low + step.n_true_positive) as u128;
            (left, low) = (step.n_false_positive, step.n_true_positive);
        }
        Some(doubled_area as f64 / (2 * self.n_positive as u128 * self.n_negative as u128) as f64)
    }

    /// `sum of (recall_i - recall_(i-1)) * precision_i` over falling thresholds: scikit-learn's
    /// `average_precision_score`, without interpolation. `None` without positive examples.
    pub fn average_precision(&self) -> Option<f64> {
        if self.n_positive == 0 {
            return None;
        }
        let mut sum = 0.0;
        let mut n_found = 0;
        for step in &self.steps {
            let n_new = step.n_true_positive - n_found;
            if n_new > 0 {
                sum += n_new as f64 * step.precision();
                n_found = step.n_true_positive;
            }
        }
        Some(sum / self.n_positive as f64)
    }

    /// The corners of the ROC curve of `class`; points on a straight line between their neighbours
    /// are left out, as with scikit-learn's `drop_intermediate`. `None` unless both kinds of
    /// example occur.
    pub fn roc_curve(&self, class: &str) -> Option<RocCurve> {
        let auc = self.roc_auc()?;
        let mut curve = RocCurve {
            class: class.to_owned(),
            auc,
            thresholds: vec![None],
            false_positive_rates: vec![0.0],
            true_positive_rates: vec![0.0],
        };
        for (step_idx, step) in self.steps.iter().enumerate() {
            let is_straight = step_idx > 0
                && self.steps.get(step_idx + 1).is_some_and(|next| {
                    let previous = &self.steps[step_idx - 1];
                    next.n_true_positive + previous.n_true_positive == 2 * step.n_true_positive
                        && next.n_false_positive + previous.n_false_positive
                            == 2 * step.n_false_positive
                });
            if !is_straight {
                curve.thresholds.push(Some(step.threshold));
                curve
                    .false_positive_rates
                    .push(step.n_false_positive as f64 / self.n_negative as f64);
                curve
                    .true_positive_rates
                    .push(step.n_true_positive as f64 / self.n_positive as f64);
            }
        }
        Some(curve)
    }

    /// The precision-recall curve of `class`, a point for every distinct score. `None` without
    /// positive examples.
    pub fn precision_recall_curve(&self, class: &str) -> Option<PrecisionRecallCurve> {
        let average_precision = self.average_precision()?;
        let steps = &self.steps;
        let recall = |step: &Step| step.n_true_positive as f64 / self.n_positive as f64;
        Some(PrecisionRecallCurve {
            class: class.to_owned(),
            average_precision,
            prevalence: self.n_positive as f64 / (self.n_positive + self.n_negative) as f64,
            thresholds: [None]
                .into_iter()
                .chain(steps.iter().map(|step| Some(step.threshold)))
                .collect(),
            recalls: [0.0].into_iter().chain(steps.iter().map(recall)).collect(),
            precisions: [1.0].into_iter().chain(steps.iter().map(Step::precision)).collect(),
        })
    }
}

impl Step {
    fn precision(&self) -> f64 {
        self.n_true_positive as f64 / (self.n_true_positive + self.n_false_positive) as f64
    }
}

impl RocCurve {
    /// At most `max_points` of the points, evenly taken, the first and the last among them. The
    /// area stays that of the whole curve.
    #[must_use]
    pub fn thinned(self, max_points: usize) -> Self {
        let kept = evenly(self.thresholds.len(), max_points);
        Self {
            thresholds: pick(&self.thresholds, &kept),
            false_positive_rates: pick(&self.false_positive_rates, &kept),
            true_positive_rates: pick(&self.true_positive_rates, &kept),
            ..self
        }
    }
}

impl PrecisionRecallCurve {
    /// At most `max_points` of the points, evenly taken, the first and the last among them. The
    /// average precision stays that of the whole curve.
    #[must_use]
    pub fn thinned(self, max_points: usize) -> Self {
        let kept = evenly(self.thresholds.len(), max_points);
        Self {
            thresholds: pick(&self.thresholds, &kept),
            recalls: pick(&self.recalls, &kept),
            precisions: pick(&self.precisions, &kept),
            ..self
        }
    }
}

/// At most `max(2, max_points)` indices below `n_points`, the first and the last among them.
fn evenly(n_points: usize, max_points: usize) -> Vec<usize> {
    let max_points = max_points.max(2);
    if n_points <= max_points {
        return (0..n_points).collect();
    }
    (0..max_points).map(|rank| rank * (n_points - 1) / (max_points - 1)).collect()
}

fn pick<T: Copy>(values: &[T], kept: &[usize]) -> Vec<T> {
    kept.iter().map(|&point_idx| values[point_idx]).collect()
}

#[cfg(test)]
mod tests {
    use linfa::{dataset::Pr, metrics::BinaryClassification};
    use proptest::prelude::*;

    use super::*;

    fn ranking(scores: &[f64], positive: &[bool]) -> Ranking {
        Ranking::new(scores, positive).unwrap()
    }

    #[test]
    fn areas_by_hand() {
        // Falling: 0.9 +, 0.8 -, 0.7 +, 0.6 -. Of four pairs three are in order.
        let ranked = ranking(&[0.7, 0.9, 0.6, 0.8], &[true, true, false, false]);
        assert_eq!(ranked.roc_auc(), Some(0.75));
        assert_eq!(ranked.average_precision(), Some(0.5 * 1.0 + 0.5 * 2.0 / 3.0));
        let curve = ranked.roc_curve("pos").unwrap();
        assert_eq!(curve.false_positive_rates, [0.0, 0.0, 0.5, 0.5, 1.0]);
        assert_eq!(curve.true_positive_rates, [0.0, 0.5, 0.5, 1.0, 1.0]);
        assert_eq!(curve.thresholds, [None, Some(0.9), Some(0.8), Some(0.7), Some(0.6)]);
    }

    #[test]
    fn equal_scores_count_half_in_any_order() {
        for positive in [[true, false], [false, true]] {
            let ranked = ranking(&[0.5, 0.5], &positive);
            assert_eq!(ranked.roc_auc(), Some(0.5));
            assert_eq!(ranked.average_precision(), Some(0.5));
        }
        assert_eq!(ranking(&[0.0, -0.0], &[true, false]).roc_auc(), Some(0.5));
    }

    #[test]
    fn one_class_has_no_area() {
        assert_eq!(ranking(&[0.1, 0.2], &[true, true]).roc_auc(), None);
        assert_eq!(ranking(&[0.1, 0.2], &[true, true]).average_precision(), Some(1.0));
        assert_eq!(ranking(&[0.1, 0.2], &[false, false]).roc_auc(), None);
        assert_eq!(ranking(&[0.1, 0.2], &[false, false]).average_precision(), None);
        assert_eq!(ranking(&[], &[]).roc_curve("pos"), None);
    }

    #[test]
    fn a_nan_score_is_named() {
        let error = Ranking::new(&[0.1, f64::NAN], &[true, false]).unwrap_err();
        assert_eq!(error.to_string(), "example 1: the score is NaN");
        assert!(Ranking::new(&[0.1], &[]).is_err());
    }

    #[test]
    fn thinning_keeps_both_ends_and_the_area() {
        let scores: Vec<f64> = (0..1000).map(|idx| f64::from(idx * 7919 % 1000)).collect();
        let positive: Vec<bool> = (0..1000).map(|idx| idx % 3 == 0).collect();
        let ranked = ranking(&scores, &positive);
        let whole = ranked.precision_recall_curve("pos").unwrap();
        let thin = whole.clone().thinned(50);
        assert_eq!(thin.recalls.len(), 50);
        assert_eq!(
            (thin.recalls[0], thin.recalls[49], thin.average_precision),
            (0.0, 1.0, whole.average_precision)
        );
        let roc = ranked.roc_curve("pos").unwrap().thinned(1);
        assert_eq!(roc.true_positive_rates, [0.0, 1.0]);
    }

    proptest! {
        #[test]
        fn a_rising_map_of_the_scores_changes_no_area(
            examples in prop::collection::vec((0_u8..50, any::<bool>()), 2..200)
        ) {
            let (scores, positive): (Vec<f64>, Vec<bool>) =
                examples.iter().map(|&(score, is)| (f64::from(score), is)).unzip();
            let mapped: Vec<f64> = scores.iter().map(|score| (score / 9.0).exp() - 40.0).collect();
            let (plain, mapped) = (ranking(&scores, &positive), ranking(&mapped, &positive));
            prop_assert_eq!(plain.roc_auc(), mapped.roc_auc());
            prop_assert_eq!(plain.average_precision(), mapped.average_precision());
        }

        #[test]
        fn the_area_is_the_share_of_pairs_in_order(
            examples in prop::collection::vec((0_u8..20, any::<bool>()), 2..60)
        ) {
            let mut doubled_wins = 0_u32;
            let mut n_pairs = 0_u32;
            for (high, _) in examples.iter().filter(|(_, is)| *is) {
                for (low, _) in examples.iter().filter(|(_, is)| !*is) {
                    doubled_wins += if high > low { 2 } else { u32::from(high == low) };
                    n_pairs += 1;
                }
            }
            let expected = (n_pairs > 0).then(|| f64::from(doubled_wins) / f64::from(2 * n_pairs));
            let (scores, positive): (Vec<f64>, Vec<bool>) =
                examples.iter().map(|&(score, is)| (f64::from(score), is)).unzip();
            prop_assert_eq!(ranking(&scores, &positive).roc_auc(), expected);
        }

        #[test]
        fn turning_scores_and_labels_around_keeps_the_area(
            examples in prop::collection::vec((0_u8..20, any::<bool>()), 2..100)
        ) {
            let (scores, positive): (Vec<f64>, Vec<bool>) =
                examples.iter().map(|&(score, is)| (f64::from(score), is)).unzip();
            let turned_scores: Vec<f64> = scores.iter().map(|score| -score).collect();
            let turned_labels: Vec<bool> = positive.iter().map(|is| !is).collect();
            let area = ranking(&scores, &positive).roc_auc();
            prop_assert_eq!(ranking(&turned_scores, &turned_labels).roc_auc(), area);
            let complement = ranking(&turned_scores, &positive).roc_auc();
            prop_assert_eq!(area.is_some(), complement.is_some());
            if let (Some(area), Some(complement)) = (area, complement) {
                prop_assert!((area + complement - 1.0).abs() < 1e-15);
            }
        }

        /// Scores above 0 only: of those at 0 linfa makes no step, and the area they bound is lost.
        #[test]
        fn linfa_agrees_on_the_area(
            examples in prop::collection::vec((1_u8..=100, any::<bool>()), 2..100)
        ) {
            let (scores, mut positive): (Vec<f64>, Vec<bool>) =
                examples.iter().map(|&(score, is)| (f64::from(score) / 100.0, is)).unzip();
            (positive[0], positive[1]) = (true, false);
            let rounded: Vec<Pr> = scores.iter().map(|&score| Pr::new(score as f32)).collect();
            let oracle = rounded.as_slice().roc(positive.as_slice()).unwrap().area_under_curve();
            let area = ranking(&scores, &positive).roc_auc().unwrap();
            prop_assert!((area - f64::from(oracle)).abs() < 1e-5, "{} {}", area, oracle);
        }
    }
}
