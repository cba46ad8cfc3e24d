//! What is measured on labelled predictions: shares with Wilson's interval, F1 and its parts, and how
//! far the probabilities can be believed, with one by drawing the rows again. Pure functions of slices.

use serde::Serialize;

use crate::{
    error::Result,
    evaluate::{
        ConfusionMatrix, N_BINS, RightAnswers, brier, calibration_error, confidence_bin, quantile,
    },
    model::predicted_label,
    random::Random,
};

/// The resamples of an interval, and the draws that all of them together may take.
const N_RESAMPLES: usize = 1_000;
const MIN_RESAMPLES: usize = 200;
const MAX_DRAWS: usize = 20_000_000;
const SEED: u64 = 42;
/// Labels below which nothing but the accuracy has an interval: a few rows, drawn again, say nothing of others.
pub(super) const MIN_INTERVAL_LABELS: u64 = 30;

/// A measured metric with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeasuredMetric {
    /// The metric.
    pub value: f64,
    /// The lower end of the interval; none where too few labels, or labels that are all alike, give none.
    pub lower: Option<f64>,
    /// Its upper end.
    pub upper: Option<f64>,
}

/// The measured quality of labelled predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredPerformance {
    /// The share of right answers, with Wilson's interval.
    pub accuracy: MeasuredMetric,
    /// F1 of the positive one of two classes, the mean over the classes of more; its interval and the next ones are
    /// percentiles over the same rows drawn again.
    pub f1: MeasuredMetric,
    /// Precision, likewise.
    pub precision: MeasuredMetric,
    /// Recall, likewise.
    pub recall: MeasuredMetric,
    /// The expected calibration error; none where the log has no probabilities.
    pub ece: Option<MeasuredMetric>,
    /// The Brier score, likewise.
    pub brier: Option<MeasuredMetric>,
}

/// What a labelled row adds to the metrics.
#[derive(Debug, Clone, Copy, Default)]
struct MeasuredRow {
    /// Its place in the counts of `[label, predicted]`.
    cell: usize,
    /// The bin of the likeliest label's probability.
    bin: usize,
    /// 1 if the likeliest label is the true one, less its probability.
    gap: f64,
    /// The Brier score of the row alone.
    loss: f64,
}

/// The metrics of one resample.
#[derive(Debug, Clone, Copy)]
struct DrawnMetrics {
    precision: f64,
    recall: f64,
    f1: f64,
    ece: f64,
    brier: f64,
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
    let n_classes = classes.len();
    let confusion = ConfusionMatrix::count(labels, predicted, classes)?;
    let is_right = || labels.iter().zip(predicted).map(|(label, guess)| label == guess);
    let right = RightAnswers { n_right: is_right().filter(|is| *is).count(), n_rows: labels.len() };
    let (lower, upper) = right.interval();
    let headline = confusion.headline();
    let mut rows: Vec<MeasuredRow> = labels
        .iter()
        .zip(predicted)
        .map(|(label, guess)| MeasuredRow {
            cell: *label as usize * n_classes + *guess as usize,
            ..MeasuredRow::default()
        })
        .collect();
    let believed = match probabilities.is_empty() {
        true => None,
        false => Some((
            believe(&mut rows, labels, probabilities, n_classes)?,
            brier(labels, probabilities, n_classes),
        )),
    };
    let drawn = match labels.len() as u64 >= MIN_INTERVAL_LABELS {
        true => resampled(rows, n_classes),
        false => Vec::new(),
    };
    let with = |value: f64, part: fn(&DrawnMetrics) -> f64| {
        let mut values: Vec<f64> = drawn.iter().map(part).collect();
        values.sort_unstable_by(f64::total_cmp);
        // Rows that are all alike are the same however they are drawn.
        let is_known = values.first() < values.last();
        let end = |share: f64| is_known.then(|| quantile(&values, share));
        MeasuredMetric {
            value,
            lower: end(0.025).map(|lower| lower.min(value)),
            upper: end(0.975).map(|upper| upper.max(value)),
        }
    };
    Ok(MeasuredPerformance {
        accuracy: MeasuredMetric {
            value: right.accuracy(),
            lower: Some(lower),
            upper: Some(upper),
        },
        precision: with(headline.precision, |drawn| drawn.precision),
        recall: with(headline.recall, |drawn| drawn.recall),
        f1: with(headline.f1, |drawn| drawn.f1),
        ece: believed.map(|(ece, _)| with(ece, |drawn| drawn.ece)),
        brier: believed.map(|(_, brier)| with(brier, |drawn| drawn.brier)),
    })
}

/// Takes note in `rows` of how far their probabilities can be believed, and returns the calibration error. As on a
/// test split, it does not depend on a threshold.
fn believe(
    rows: &mut [MeasuredRow],
    labels: &[u32],
    probabilities: &[f64],
    n_classes: usize,
) -> Result<f64> {
    let (mut confidences, mut correct) = (Vec::new(), Vec::new());
    for ((row, label), shares) in
        rows.iter_mut().zip(labels).zip(probabilities.chunks_exact(n_classes))
    {
        let likeliest = predicted_label(shares, 0.5);
        let confidence = shares[likeliest].clamp(0.0, 1.0);
        let is_right = *label as usize == likeliest;
        row.bin = confidence_bin(confidence);
        row.gap = f64::from(u8::from(is_right)) - confidence;
        row.loss = brier(&[*label], shares, n_classes);
        confidences.push(confidence);
        correct.push(is_right);
    }
    calibration_error(&confidences, &correct)
}

/// The metrics of the rows drawn again with replacement, many times. The same rows give the same numbers on every
/// machine, in whichever order they are.
fn resampled(mut rows: Vec<MeasuredRow>, n_classes: usize) -> Vec<DrawnMetrics> {
    rows.sort_unstable_by(|one, other| {
        let by_place = (one.cell, one.bin).cmp(&(other.cell, other.bin));
        by_place.then(one.gap.total_cmp(&other.gap)).then(one.loss.total_cmp(&other.loss))
    });
    let n_rows = rows.len();
    let n_resamples = (MAX_DRAWS / n_rows.max(1)).clamp(MIN_RESAMPLES, N_RESAMPLES);
    let mut random = Random::new(SEED);
    let mut counts = vec![0_u64; n_classes * n_classes];
    let resamples = (0..n_resamples).map(|_| {
        counts.fill(0);
        let (mut gaps, mut loss) = ([0.0; N_BINS], 0.0);
        for _ in 0..n_rows {
            let row = &rows[random.below(n_rows)];
            counts[row.cell] += 1;
            gaps[row.bin] += row.gap;
            loss += row.loss;
        }
        let [precision, recall, f1] = headline(&counts, n_classes);
        let gap: f64 = gaps.iter().map(|gap| gap.abs()).sum();
        let (ece, brier) = (gap / n_rows as f64, loss / n_rows as f64);
        DrawnMetrics { precision, recall, f1, ece, brier }
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
            let predicted: Vec<u32> = (0..200)
                .map(|idx| match (idx % 7, idx % 5) {
                    // Mistakes of both kinds: a precision of 1 has no interval.
                    (0, _) => 0,
                    (1, 1) => 1,
                    _ => idx % n_classes,
                })
                .collect();
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
                let (lower, upper) = (metric.lower.unwrap(), metric.upper.unwrap());
                assert!(lower <= metric.value && metric.value <= upper, "{metric:?}");
                assert!(lower < upper && upper - lower < 0.25, "{metric:?}");
            }
            assert_eq!(found.ece, None);
        }
    }

    /// The metrics of the whole are those that a resample of all rows has, so that the intervals are of them.
    #[test]
    fn probabilities_are_believed_within_an_interval_too() {
        let mut random = Random::new(7);
        for n_classes in [2_usize, 3] {
            let mut rows: Vec<(u32, u32, Vec<f64>)> = (0..300)
                .map(|_| {
                    let mut shares: Vec<f64> =
                        (0..n_classes).map(|_| 0.01 + random.below(100) as f64).collect();
                    let sum: f64 = shares.iter().sum();
                    shares.iter_mut().for_each(|share| *share /= sum);
                    let guess = predicted_label(&shares, 0.5) as u32;
                    let label =
                        if random.chance(70) { guess } else { random.below(n_classes) as u32 };
                    (label, guess, shares)
                })
                .collect();
            let of = |rows: &[(u32, u32, Vec<f64>)]| {
                let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
                let predicted: Vec<u32> = rows.iter().map(|row| row.1).collect();
                measure(
                    &labels,
                    &predicted,
                    &rows.iter().flat_map(|row| row.2.clone()).collect::<Vec<_>>(),
                    &classes(n_classes),
                )
                .unwrap()
            };
            let found = of(&rows);
            for metric in [found.ece.unwrap(), found.brier.unwrap()] {
                let (lower, upper) = (metric.lower.unwrap(), metric.upper.unwrap());
                assert!(lower < metric.value && metric.value < upper, "{found:?}");
                assert!(upper - lower < 0.2, "{found:?}");
            }
            rows.reverse();
            let turned = of(&rows);
            assert_eq!(
                (turned.f1, turned.accuracy),
                (found.f1, found.accuracy),
                "whatever the order"
            );
            let (ece, same) = (found.ece.unwrap(), turned.ece.unwrap());
            assert_eq!((ece.lower, ece.upper), (same.lower, same.upper));
        }
    }

    #[test]
    fn few_labels_and_labels_that_are_all_alike_have_no_interval_but_the_accuracy_s() {
        for (n, n_wrong, is_known) in [(1, 0, false), (29, 5, false), (30, 5, true), (30, 0, false)]
        {
            let labels: Vec<u32> = (0..n).map(|idx| u32::from(idx >= n_wrong)).collect();
            let predicted = vec![1; n];
            let probabilities = [0.1, 0.9].repeat(n);
            let found = measure(&labels, &predicted, &probabilities, &classes(2)).unwrap();
            for metric in [found.f1, found.precision, found.ece.unwrap(), found.brier.unwrap()] {
                assert_eq!(
                    (metric.lower.is_some(), metric.upper.is_some()),
                    (is_known, is_known),
                    "{n}"
                );
            }
            let accuracy = found.accuracy;
            assert!(accuracy.lower < Some(accuracy.value) && accuracy.upper > accuracy.lower);
        }
        let found = measure(&[1], &[1], &[0.1, 0.9], &classes(2)).unwrap();
        assert!(found.accuracy.lower.unwrap() < 0.3, "{found:?}");
        assert!((found.ece.unwrap().value - 0.1).abs() < 1e-12, "{found:?}");
        assert!((found.brier.unwrap().value - 0.01).abs() < 1e-12, "{found:?}");
    }
}
