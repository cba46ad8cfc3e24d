//! What is measured on labelled predictions: shares with Wilson's interval, F1 and its parts with one by
//! drawing the rows again, and how far the probabilities can be believed. Pure functions of slices.

use serde::Serialize;

use crate::{
    error::Result,
    evaluate::{ConfusionMatrix, RightAnswers, brier, calibration_error, quantile},
    model::predicted_label,
    random::Random,
};

/// The resamples of an interval, and the draws that all of them together may take.
const N_RESAMPLES: usize = 1_000;
const MIN_RESAMPLES: usize = 200;
const MAX_DRAWS: usize = 20_000_000;
const SEED: u64 = 42;

/// A measured metric with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeasuredMetric {
    /// The metric.
    pub value: f64,
    /// The lower end of the interval.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

/// The measured quality of labelled predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredPerformance {
    /// The share of right answers, with Wilson's interval.
    pub accuracy: MeasuredMetric,
    /// F1 of the positive one of two classes, the mean over the classes of more; its interval and the next two are
    /// percentiles over the same rows drawn again.
    pub f1: MeasuredMetric,
    /// Precision, likewise.
    pub precision: MeasuredMetric,
    /// Recall, likewise.
    pub recall: MeasuredMetric,
    /// The expected calibration error; none where the log has no probabilities.
    pub ece: Option<f64>,
    /// The Brier score, likewise.
    pub brier: Option<f64>,
}

/// Measures `predicted` against `labels`. `probabilities` are empty where some are not known.
///
/// # Shapes
/// `labels` and `predicted` are `[n]`, at least one; `probabilities` is `[n, n_classes]` or empty.
pub(super) fn measure(
    labels: &[u32],
    predicted: &[u32],
    probabilities: &[f64],
    classes: &[String],
) -> Result<MeasuredPerformance> {
    let confusion = ConfusionMatrix::count(labels, predicted, classes)?;
    let is_right = || labels.iter().zip(predicted).map(|(label, guess)| label == guess);
    let right = RightAnswers { n_right: is_right().filter(|is| *is).count(), n_rows: labels.len() };
    let (lower, upper) = right.interval();
    let headline = confusion.headline();
    let drawn = resampled(labels, predicted, classes.len());
    let with = |value: f64, part: fn(&[f64; 3]) -> f64| {
        let mut values: Vec<f64> = drawn.iter().map(part).collect();
        values.sort_unstable_by(f64::total_cmp);
        MeasuredMetric {
            value,
            lower: quantile(&values, 0.025).min(value),
            upper: quantile(&values, 0.975).max(value),
        }
    };
    let believed = (!probabilities.is_empty()).then(|| {
        // As on a test split: how far probabilities can be believed does not depend on a threshold.
        let rows = || probabilities.chunks_exact(classes.len());
        let likeliest: Vec<usize> = rows().map(|row| predicted_label(row, 0.5)).collect();
        let correct: Vec<bool> =
            labels.iter().zip(&likeliest).map(|(label, guess)| *label as usize == *guess).collect();
        let confidences: Vec<f64> =
            rows().zip(&likeliest).map(|(row, guess)| row[*guess].clamp(0.0, 1.0)).collect();
        let ece = calibration_error(&confidences, &correct)?;
        Ok::<_, crate::Error>((ece, brier(labels, probabilities, classes.len())))
    });
    let believed = believed.transpose()?;
    Ok(MeasuredPerformance {
        accuracy: MeasuredMetric { value: right.accuracy(), lower, upper },
        precision: with(headline.precision, |drawn| drawn[0]),
        recall: with(headline.recall, |drawn| drawn[1]),
        f1: with(headline.f1, |drawn| drawn[2]),
        ece: believed.map(|(ece, _)| ece),
        brier: believed.map(|(_, brier)| brier),
    })
}

/// Precision, recall and F1 of the rows drawn again with replacement, many times. The same rows give the same
/// numbers on every machine, in whichever order they are.
fn resampled(labels: &[u32], predicted: &[u32], n_classes: usize) -> Vec<[f64; 3]> {
    let mut cells: Vec<usize> = labels
        .iter()
        .zip(predicted)
        .map(|(label, guess)| *label as usize * n_classes + *guess as usize)
        .collect();
    cells.sort_unstable();
    let n_resamples = (MAX_DRAWS / cells.len().max(1)).clamp(MIN_RESAMPLES, N_RESAMPLES);
    let mut random = Random::new(SEED);
    let mut counts = vec![0_u64; n_classes * n_classes];
    let resamples = (0..n_resamples).map(|_| {
        counts.fill(0);
        for _ in 0..cells.len() {
            counts[cells[random.below(cells.len())]] += 1;
        }
        headline(&counts, n_classes)
    });
    resamples.collect()
}

/// Precision, recall and F1 by counts of `[label, predicted]`: of the class with index 1 of two, the means over
/// all classes of more; 0 where one divides by 0, as [`ConfusionMatrix`] has it.
fn headline(counts: &[u64], n_classes: usize) -> [f64; 3] {
    let classes = if n_classes == 2 { 1..2 } else { 0..n_classes };
    let n_averaged = classes.len() as f64;
    let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let mut sums = [0.0; 3];
    for class in classes {
        let right = counts[class * n_classes + class];
        let support: u64 = counts[class * n_classes..][..n_classes].iter().sum();
        let n_predicted: u64 = (0..n_classes).map(|label| counts[label * n_classes + class]).sum();
        sums[0] += ratio(right, n_predicted);
        sums[1] += ratio(right, support);
        sums[2] += ratio(2 * right, n_predicted + support);
    }
    sums.map(|sum| sum / n_averaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|idx| format!("c{idx}")).collect()
    }

    #[test]
    fn intervals_hold_the_metrics_of_the_room_of_metrics() {
        for n_classes in [2_u32, 3] {
            let labels: Vec<u32> = (0..200).map(|idx| idx % n_classes).collect();
            let predicted: Vec<u32> =
                (0..200).map(|idx| if idx % 7 == 0 { 0 } else { idx % n_classes }).collect();
            let names = classes(n_classes as usize);
            let found = measure(&labels, &predicted, &[], &names).unwrap();
            let expected = ConfusionMatrix::count(&labels, &predicted, &names).unwrap().headline();
            assert_eq!(
                (found.f1.value, found.precision.value, found.recall.value),
                (expected.f1, expected.precision, expected.recall)
            );
            let mut counts = vec![0; (n_classes * n_classes) as usize];
            for (label, guess) in labels.iter().zip(&predicted) {
                counts[(label * n_classes + guess) as usize] += 1;
            }
            let own = headline(&counts, n_classes as usize);
            assert!((own[2] - expected.f1).abs() < 1e-12, "{own:?}");
            for metric in [found.f1, found.precision, found.recall, found.accuracy] {
                assert!(metric.lower <= metric.value && metric.value <= metric.upper, "{metric:?}");
                assert!(metric.upper - metric.lower < 0.25, "{metric:?}");
            }
            assert!(found.f1.lower < found.f1.upper);
            assert_eq!(found.ece, None);
        }
    }

    #[test]
    fn one_right_answer_leaves_everything_open_but_f1() {
        let found = measure(&[1], &[1], &[0.1, 0.9], &classes(2)).unwrap();
        assert_eq!((found.f1.value, found.f1.lower, found.f1.upper), (1.0, 1.0, 1.0));
        assert!(found.accuracy.lower < 0.3, "{found:?}");
        assert!(
            (found.ece.unwrap() - 0.1).abs() < 1e-12 && (found.brier.unwrap() - 0.01).abs() < 1e-12
        );
    }
}
