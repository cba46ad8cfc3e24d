//! Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
//! Dataset Labels", 2021): which labels probabilities contradict that a model gave to examples it
//! had not seen. Pure functions on slices, with cleanlab's conventions; nothing is trained here.

use crate::error::{Error, Result};

/// Probabilities that differ by less count as equal, as in cleanlab.
const SLACK: f64 = 1e-6;

/// The verdict on the labels of all examples.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfidentLearning {
    /// For each class the mean probability that its examples have of it. From it on, an example
    /// counts as confidently of the class. Above 1 for a class without examples.
    pub thresholds: Vec<f64>,
    /// The confident joint: of the examples labelled `row`, those confidently of class `column`.
    /// The diagonal is 1 at least.
    pub joint: Vec<Vec<usize>>,
    /// The labels in doubt, the least believed first.
    pub doubts: Vec<LabelDoubt>,
}

/// An example whose label is probably wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelDoubt {
    /// Its place among the examples.
    pub row: usize,
    /// The likeliest class.
    pub suggested: u32,
    /// The probability of the label it has.
    pub self_confidence: f64,
}

/// Doubts the labels that are confidently of another class, and of which the likeliest class is
/// another too. This is cleanlab's `find_label_issues` with `filter_by="confident_learning"`, ranked
/// by `"self_confidence"`. An example that is confidently of several classes counts as the
/// likeliest of all.
///
/// # Shapes
/// `probabilities`: `[labels.len(), n_classes]`, row-major; the answer of a model to examples that
/// it did not learn.
///
/// # Errors
/// Lengths that do not fit, a label that is no class, and a number that is no probability.
pub fn confident_learning(
    labels: &[u32],
    probabilities: &[f64],
    n_classes: usize,
) -> Result<ConfidentLearning> {
    check(labels, probabilities, n_classes)?;
    let rows = || labels.iter().map(|label| *label as usize).zip(rows(probabilities, n_classes));
    let thresholds = thresholds(rows(), n_classes);
    let mut joint = vec![vec![0; n_classes]; n_classes];
    let mut doubts = Vec::new();
    for (row_idx, (label, row)) in rows().enumerate() {
        let Some(guess) = confident_class(row, &thresholds) else { continue };
        joint[label][guess] += 1;
        if guess != label && !is_likeliest(row, label) {
            let suggested = likeliest(row.iter().copied()) as u32;
            doubts.push(LabelDoubt { row: row_idx, suggested, self_confidence: row[label] });
        }
    }
    for (class, counts) in joint.iter_mut().enumerate() {
        counts[class] = counts[class].max(1);
    }
    // Stable: of equal ones the first goes first.
    doubts.sort_by(|one, other| one.self_confidence.total_cmp(&other.self_confidence));
    Ok(ConfidentLearning { thresholds, joint, doubts })
}

fn check(labels: &[u32], probabilities: &[f64], n_classes: usize) -> Result<()> {
    if n_classes == 0 || probabilities.len() != labels.len() * n_classes {
        return Err(Error::invalid(format!(
            "{} probabilities for {} examples of {n_classes} classes: expected {}",
            probabilities.len(),
            labels.len(),
            labels.len() * n_classes
        )));
    }
    if let Some(label) = labels.iter().find(|label| **label as usize >= n_classes) {
        return Err(Error::invalid(format!("label {label} found, expected one below {n_classes}")));
    }
    match probabilities.iter().find(|value| !(-1e-9..=1.0 + 1e-9).contains(*value)) {
        Some(value) => Err(Error::invalid(format!("probability {value} found, expected 0 to 1"))),
        None => Ok(()),
    }
}

fn rows(probabilities: &[f64], n_classes: usize) -> std::slice::ChunksExact<'_, f64> {
    probabilities.chunks_exact(n_classes)
}

fn thresholds<'a>(rows: impl Iterator<Item = (usize, &'a [f64])>, n_classes: usize) -> Vec<f64> {
    /// No probability reaches it.
    const OUT_OF_REACH: f64 = 2.0;
    let (mut sums, mut counts) = (vec![0.0; n_classes], vec![0usize; n_classes]);
    for (label, row) in rows {
        sums[label] += row[label];
        counts[label] += 1;
    }
    let threshold = |(sum, count): (&f64, &usize)| match count {
        0 => OUT_OF_REACH,
        count => (sum / *count as f64).max(2.0 * SLACK),
    };
    sums.iter().zip(&counts).map(threshold).collect()
}

/// The class that an example is confidently of, if there is one.
fn confident_class(row: &[f64], thresholds: &[f64]) -> Option<usize> {
    let mut confident = row
        .iter()
        .zip(thresholds)
        .enumerate()
        .filter(|(_, (value, threshold))| **value >= **threshold - SLACK)
        .map(|(class, _)| class);
    let first = confident.next()?;
    match confident.next() {
        None => Some(first),
        Some(_) => Some(likeliest(row.iter().copied())),
    }
}

/// True if `class` is the likeliest one, or as good as that.
fn is_likeliest(row: &[f64], class: usize) -> bool {
    let favoured = row.iter().enumerate();
    likeliest(favoured.map(|(idx, value)| if idx == class { value + SLACK } else { *value }))
        == class
}

/// The first of the largest values.
fn likeliest(row: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (idx, value) in row.enumerate() {
        if value > best.1 {
            best = (idx, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Expected {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        n_classes: usize,
        labels: Vec<u32>,
        probabilities: Vec<f64>,
        thresholds: Vec<f64>,
        joint: Vec<Vec<usize>>,
        n_doubts: usize,
        ranked: Vec<usize>,
    }

    /// `tests/fixtures/make_label_doubts.py` made the fixture with cleanlab 2.9.0.
    #[test]
    fn thresholds_counts_and_ranking_are_cleanlabs() {
        let fixture = include_str!("../../../tests/fixtures/label_doubts_expected.json");
        let expected: Expected = serde_json::from_str(fixture).unwrap();
        assert_eq!(expected.cases.len(), 5);
        for case in expected.cases {
            let found =
                confident_learning(&case.labels, &case.probabilities, case.n_classes).unwrap();
            let is_close = |(one, other): (&f64, &f64)| (one - other).abs() < 1e-12;
            assert!(found.thresholds.iter().zip(&case.thresholds).all(is_close), "{}", case.name);
            assert_eq!(found.joint, case.joint, "{}", case.name);
            assert_eq!(found.doubts.len(), case.n_doubts, "{}", case.name);
            // Where two are believed alike, either order is right.
            let confidence =
                |row: usize| case.probabilities[row * case.n_classes + case.labels[row] as usize];
            for (doubt, row) in found.doubts.iter().zip(&case.ranked) {
                assert_eq!(doubt.self_confidence, confidence(*row), "{}", case.name);
            }
            let sorted = |mut rows: Vec<usize>| {
                rows.sort_unstable();
                rows
            };
            let rows = found.doubts.iter().map(|doubt| doubt.row).collect();
            assert_eq!(sorted(rows), sorted(case.ranked), "{}", case.name);
        }
    }

    fn labelled_rows() -> impl Strategy<Value = (usize, Vec<u32>, Vec<f64>)> {
        (2usize..5).prop_flat_map(|n_classes| {
            let row = prop::collection::vec(1u32..1000, n_classes);
            prop::collection::vec((0..n_classes as u32, row), 0..60).prop_map(move |examples| {
                let labels = examples.iter().map(|(label, _)| *label).collect();
                let probabilities = examples.iter().flat_map(|(_, row)| {
                    let sum: u32 = row.iter().sum();
                    row.iter().map(move |value| f64::from(*value) / f64::from(sum))
                });
                (n_classes, labels, probabilities.collect())
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_doubted_is_ranked_less_likely_than_what_is_suggested(
            (n_classes, labels, probabilities) in labelled_rows()
        ) {
            let found = confident_learning(&labels, &probabilities, n_classes).unwrap();
            let mut last = 0.0;
            for doubt in &found.doubts {
                let row = &probabilities[doubt.row * n_classes..][..n_classes];
                prop_assert_ne!(doubt.suggested, labels[doubt.row]);
                prop_assert!(row[doubt.suggested as usize] > doubt.self_confidence);
                prop_assert!(doubt.self_confidence >= last);
                last = doubt.self_confidence;
            }
            let n_confident: usize = found.joint.iter().flatten().sum();
            prop_assert!(n_confident <= labels.len() + n_classes);
            let n_off = (0..n_classes)
                .map(|class| found.joint[class].iter().sum::<usize>() - found.joint[class][class])
                .sum::<usize>();
            prop_assert!(found.doubts.len() <= n_off);
        }

        #[test]
        fn labels_that_are_believed_are_not_doubted(
            (n_classes, _, probabilities) in labelled_rows()
        ) {
            let believed: Vec<u32> = rows(&probabilities, n_classes)
                .map(|row| likeliest(row.iter().copied()) as u32)
                .collect();
            let found = confident_learning(&believed, &probabilities, n_classes).unwrap();
            prop_assert!(found.doubts.is_empty());
        }
    }

    #[test]
    fn unusable_input_is_named() {
        for (labels, probabilities, n_classes, expected) in [
            (&[0u32, 1][..], &[0.5, 0.5][..], 2, "2 probabilities for 2 examples of 2 classes"),
            (&[2], &[0.5, 0.5], 2, "label 2 found, expected one below 2"),
            (&[0], &[f64::NAN, 0.5], 2, "probability NaN found"),
            (&[], &[], 0, "0 classes"),
        ] {
            let error = confident_learning(labels, probabilities, n_classes).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
