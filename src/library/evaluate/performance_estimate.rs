//! How good a model's answers are, estimated without labels: where probabilities are calibrated, they say
//! how many answers of each kind are right (confidence-based performance estimation, as NannyML has
//! it). It knows nothing of labels that arrive later, and takes the calibration on trust.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The 97.5th percentile of the standard normal distribution: a 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// Probabilities of one row add up to 1 but for so much.
const SLACK: f64 = 1e-3;

/// Answers counted by what their probabilities say of their labels. Rows may come one by one and in any
/// number.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedConfusion {
    n_classes: usize,
    n_rows: u64,
    /// The expected number of rows of each label among those of each answer:
    /// `[predicted, label]`, row-major.
    counts: Vec<f64>,
    /// Sums of products of two labels' probabilities over all rows: `[label, label]`, row-major.
    products: Vec<f64>,
    /// Sums of products of a label's probability and the answer's: `[predicted, label]`, row-major.
    own_products: Vec<f64>,
}

/// Estimates of a model's metrics on rows without labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PerformanceEstimate {
    /// Number of rows.
    pub n_rows: u64,
    /// The share of right answers.
    pub accuracy: EstimatedMetric,
    /// F1 of the positive one of two classes; the mean over the classes of more.
    pub f1: EstimatedMetric,
    /// Precision, likewise.
    pub precision: EstimatedMetric,
    /// Recall, likewise.
    pub recall: EstimatedMetric,
}

/// A metric's estimate with the room that chance has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EstimatedMetric {
    /// The metric of the expected confusion matrix.
    pub estimate: f64,
    /// The lower end of the interval in which the metric measured on the labels of these very rows lies
    /// in 95 of 100 cases, where the probabilities are calibrated.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

/// By how much a metric changes with one more label of a class.
#[derive(Clone, Copy, Default)]
struct Slope {
    /// Of a row for which another class was answered.
    missed: f64,
    /// Of a row for which the class was answered.
    found: f64,
}

/// A metric by counts of one class.
#[derive(Clone, Copy)]
enum OneClassMetric {
    F1,
    Precision,
    Recall,
}

/// Estimates the metrics of answers from their calibrated probabilities, as
/// [`ExpectedConfusion::estimate`] says.
///
/// # Shapes
/// `probabilities` is `[n, n_classes]`, row-major, `predicted` is `[n]`.
///
/// # Errors
/// No rows, different lengths, and what [`ExpectedConfusion::add`] refuses, with the row.
pub fn estimate_performance(
    probabilities: &[f64],
    predicted: &[u32],
    n_classes: usize,
) -> Result<PerformanceEstimate> {
    if probabilities.len() != predicted.len() * n_classes {
        return Err(Error::invalid(format!(
            "{} probabilities of {n_classes} classes but {} predictions",
            probabilities.len(),
            predicted.len()
        )));
    }
    let mut expected = ExpectedConfusion::new(n_classes)?;
    for (row_idx, (row, predicted)) in
        probabilities.chunks_exact(n_classes).zip(predicted).enumerate()
    {
        expected
            .add(row, *predicted)
            .map_err(|error| error.with_context(format!("row {row_idx}")))?;
    }
    expected.estimate()
}

impl ExpectedConfusion {
    /// Without rows.
    ///
    /// # Errors
    /// Fewer than two classes.
    pub fn new(n_classes: usize) -> Result<Self> {
        if n_classes < 2 {
            return Err(Error::invalid(format!("{n_classes} classes found, expected 2 or more")));
        }
        Ok(Self {
            n_classes,
            n_rows: 0,
            counts: vec![0.0; n_classes * n_classes],
            products: vec![0.0; n_classes * n_classes],
            own_products: vec![0.0; n_classes * n_classes],
        })
    }

    /// Counts a row by its calibrated probabilities, `[n_classes]`, and the class that was answered.
    ///
    /// # Errors
    /// Another number of probabilities, such that are none or do not add up to 1, and a class that there
    /// is not.
    pub fn add(&mut self, probabilities: &[f64], predicted: u32) -> Result<()> {
        let n_classes = self.n_classes;
        if probabilities.len() != n_classes {
            return Err(Error::invalid(format!(
                "{} probabilities found, expected one for each of {n_classes} classes",
                probabilities.len()
            )));
        }
        if let Some(bad) = probabilities.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(Error::invalid(format!(
                "{bad} is no probability: must lie between 0 and 1"
            )));
        }
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > SLACK {
            return Err(Error::invalid(format!("probabilities add up to {sum}, expected 1")));
        }
        let predicted = predicted as usize;
        if predicted >= n_classes {
            return Err(Error::invalid(format!(
                "prediction {predicted} found, expected one below {n_classes}"
            )));
        }
        self.n_rows += 1;
        let own = probabilities[predicted];
        let of_answer = predicted * n_classes..(predicted + 1) * n_classes;
        let sums = self.counts[of_answer.clone()].iter_mut().zip(&mut self.own_products[of_answer]);
        for ((count, own_product), probability) in sums.zip(probabilities) {
            *count += probability;
            *own_product += own * probability;
        }
        for (row, one) in self.products.chunks_exact_mut(n_classes).zip(probabilities) {
            for (product, other) in row.iter_mut().zip(probabilities) {
                *product += one * other;
            }
        }
        Ok(())
    }

    /// Number of rows.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The expected number of rows with this label and this answer.
    ///
    /// # Panics
    /// For a class that there is not.
    pub fn count(&self, label: usize, predicted: usize) -> f64 {
        assert!(label < self.n_classes, "label {label} of {} classes", self.n_classes);
        self.counts[predicted * self.n_classes + label]
    }

    /// The metrics of the expected confusion matrix: accuracy, and F1, precision and recall of the class
    /// with index 1 of two, or the mean over all classes of more; 0 where a metric divides by 0. These
    /// are NannyML's. Its band is three standard errors of the reference's labels; ours is 1.96 times
    /// the standard deviation that follows from the rows' own probabilities: each label is drawn by
    /// them, independently, and the metric is taken as linear in the counts (delta method).
    ///
    /// # Errors
    /// No rows.
    pub fn estimate(&self) -> Result<PerformanceEstimate> {
        if self.n_rows == 0 {
            return Err(Error::invalid("0 rows found, expected 1 or more to estimate from"));
        }
        Ok(PerformanceEstimate {
            n_rows: self.n_rows,
            accuracy: self.accuracy(),
            f1: self.of_classes(OneClassMetric::F1),
            precision: self.of_classes(OneClassMetric::Precision),
            recall: self.of_classes(OneClassMetric::Recall),
        })
    }

    fn accuracy(&self) -> EstimatedMetric {
        let n_rows = self.n_rows as f64;
        let right: f64 = (0..self.n_classes).map(|class| self.count(class, class)).sum();
        let slope = Slope { missed: 0.0, found: 1.0 / n_rows };
        self.with_interval(right / n_rows, &vec![slope; self.n_classes])
    }

    fn of_classes(&self, metric: OneClassMetric) -> EstimatedMetric {
        let classes = if self.n_classes == 2 { 1..2 } else { 0..self.n_classes };
        let n_averaged = classes.len() as f64;
        let mut estimate = 0.0;
        let mut slopes = vec![Slope::default(); self.n_classes];
        for class in classes {
            let (of_class, Slope { missed, found }) = self.of_class(metric, class);
            estimate += of_class / n_averaged;
            slopes[class] = Slope { missed: missed / n_averaged, found: found / n_averaged };
        }
        self.with_interval(estimate, &slopes)
    }

    /// The metric of one class.
    fn of_class(&self, metric: OneClassMetric, class: usize) -> (f64, Slope) {
        let right = self.count(class, class);
        let n_labelled: f64 =
            (0..self.n_classes).map(|predicted| self.count(class, predicted)).sum();
        // The number of answers is known.
        let n_predicted: f64 = (0..self.n_classes).map(|label| self.count(label, class)).sum();
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        match metric {
            OneClassMetric::Precision => {
                let slope = Slope { missed: 0.0, found: share(1.0, n_predicted) };
                (share(right, n_predicted), slope)
            }
            OneClassMetric::Recall => {
                let recall = share(right, n_labelled);
                let slope = Slope {
                    missed: share(-recall, n_labelled),
                    found: share(1.0 - recall, n_labelled),
                };
                (recall, slope)
            }
            OneClassMetric::F1 => {
                let whole = n_predicted + n_labelled;
                let f1 = share(2.0 * right, whole);
                (f1, Slope { missed: share(-f1, whole), found: share(2.0 - f1, whole) })
            }
        }
    }

    /// The interval of a metric with these slopes, `[n_classes]`. The variance of a row is the mean square of
    /// its label's slope minus the square of the mean, `(sum of p m) + p_answer (f - m)` for slopes `m` of
    /// missed and `f` of found labels; squared and summed over the rows that is sums of products of
    /// probabilities.
    fn with_interval(&self, estimate: f64, slopes: &[Slope]) -> EstimatedMetric {
        let mut variance = 0.0;
        let labels = || slopes.iter().enumerate();
        for (predicted, answered) in labels() {
            let more = answered.found - answered.missed;
            let at = |label: usize| predicted * self.n_classes + label;
            for (label, slope) in labels() {
                let own = if label == predicted { slope.found } else { slope.missed };
                variance += own * own * self.counts[at(label)];
                variance -= answered.missed * slope.missed * self.products[at(label)];
                variance -= 2.0 * more * slope.missed * self.own_products[at(label)];
            }
            variance -= more * more * self.own_products[at(predicted)];
        }
        let half = Z * variance.max(0.0).sqrt();
        EstimatedMetric {
            estimate,
            lower: (estimate - half).max(0.0),
            upper: (estimate + half).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn estimates_by_hand() {
        // Answers 1 for 0.9 and 0.6, answers 0 for 0.2: TP 1.5, FP 0.5, FN 0.2, TN 0.8.
        let found = estimate_performance(&[0.1, 0.9, 0.4, 0.6, 0.8, 0.2], &[1, 1, 0], 2).unwrap();
        let close = |found: EstimatedMetric, expected: f64| {
            assert!((found.estimate - expected).abs() < 1e-12, "{found:?} {expected}");
            assert!(found.lower <= expected && expected <= found.upper, "{found:?}");
        };
        close(found.accuracy, 2.3 / 3.0);
        close(found.f1, 3.0 / 3.7);
        close(found.precision, 0.75);
        close(found.recall, 1.5 / 1.7);
    }

    #[test]
    fn the_metric_of_the_labels_lies_in_its_interval_19_times_in_20() {
        for n_classes in [2, 4] {
            let mut random = Random::new(11 + n_classes as u64);
            let mut uniform = move || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            let (mut n_covered, n_trials) = ([0; 4], 400);
            for _ in 0..n_trials {
                let mut expected = ExpectedConfusion::new(n_classes).unwrap();
                let mut true_counts = vec![0.0; n_classes * n_classes];
                for _ in 0..300 {
                    let mut row: Vec<f64> =
                        (0..n_classes).map(|_| uniform().powi(3) + 1e-3).collect();
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|value| *value /= sum);
                    let best =
                        (0..n_classes).max_by(|one, other| row[*one].total_cmp(&row[*other]));
                    let predicted = best.unwrap();
                    expected.add(&row, predicted as u32).unwrap();
                    let (mut rest, mut label) = (uniform(), 0);
                    while label + 1 < n_classes && rest >= row[label] {
                        rest -= row[label];
                        label += 1;
                    }
                    true_counts[predicted * n_classes + label] += 1.0;
                }
                let estimate = expected.estimate().unwrap();
                let measured =
                    ExpectedConfusion { counts: true_counts, ..expected }.estimate().unwrap();
                let pairs = [
                    (estimate.accuracy, measured.accuracy),
                    (estimate.f1, measured.f1),
                    (estimate.precision, measured.precision),
                    (estimate.recall, measured.recall),
                ];
                for (covered, (estimate, measured)) in n_covered.iter_mut().zip(pairs) {
                    let inside = (estimate.lower..=estimate.upper).contains(&measured.estimate);
                    *covered += usize::from(inside);
                }
            }
            // 380 expected of 400, with a deviation of 4.4.
            assert!(
                n_covered.iter().all(|n| (362..=396).contains(n)),
                "{n_classes}: {n_covered:?}"
            );
        }
    }

    #[test]
    fn sure_answers_leave_no_room_and_unusable_rows_are_refused() {
        let sure = estimate_performance(&[1.0, 0.0, 0.0, 1.0], &[0, 1], 2).unwrap();
        let one = EstimatedMetric { estimate: 1.0, lower: 1.0, upper: 1.0 };
        assert_eq!((sure.accuracy, sure.f1), (one, one));
        let never = estimate_performance(&[1.0, 0.0], &[0], 2).unwrap();
        assert_eq!((never.f1.estimate, never.precision.estimate), (0.0, 0.0));
        for (probabilities, predicted, n_classes, part) in [
            (&[][..], &[][..], 2, "0 rows found"),
            (&[0.5, 0.5], &[], 2, "2 probabilities of 2 classes but 0 predictions"),
            (&[1.0], &[0], 1, "1 classes found"),
            (&[0.5, 0.6], &[0], 2, "add up to 1.1"),
            (&[f64::NAN, 0.6], &[0], 2, "NaN is no probability"),
            (&[0.4, 0.6], &[2], 2, "prediction 2 found"),
        ] {
            let error = estimate_performance(probabilities, predicted, n_classes).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
