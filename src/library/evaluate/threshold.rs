//! Choosing the threshold of two classes on rows that the model has not learnt. Every cut between two
//! neighbouring probabilities is looked at, scikit-learn's `precision_recall_curve` over.

use crate::{
    error::{Error, Result},
    figure,
    model::{DEFAULT_THRESHOLD, Threshold, ThresholdRows, ThresholdRule},
};

/// Decimal digits that a threshold is tried with: the fewest that lie in the gap are taken.
const DIGITS: std::ops::Range<i32> = 1..15;

/// A cut between two neighbouring probabilities: every threshold above `low` and up to `high` gives the same
/// labels.
#[derive(Debug, Clone, Copy)]
struct ThresholdCut {
    low: f64,
    high: f64,
    n_true: usize,
    n_false: usize,
    n_missed: usize,
}

/// Chooses a threshold by `rule`; `rows` names the rows, and `class` the positive class.
///
/// Of cuts that are as good as each other the one nearest to 0.5 is taken, and in the gap the number with
/// the fewest digits about its middle.
///
/// # Shapes
/// `labels` and `positive`, the probability of the positive class, are `[n]`; label 1 is positive.
///
/// # Errors
/// Rows of one class only, lists of different lengths, and a precision that no threshold reaches, with the
/// best there is.
pub fn choose_threshold(
    rule: ThresholdRule,
    labels: &[u32],
    positive: &[f64],
    class: &str,
    rows: &str,
) -> Result<Threshold> {
    if let ThresholdRule::Given(value) = rule {
        return Ok(Threshold { value, rule, chosen_on: None });
    }
    if labels.len() != positive.len() {
        return Err(Error::invalid(format!(
            "{} labels but {} probabilities",
            labels.len(),
            positive.len()
        )));
    }
    let n_positive = labels.iter().filter(|label| **label == 1).count();
    if n_positive == 0 || n_positive == labels.len() {
        return Err(Error::invalid(format!(
            "{} of the {} {rows} are {class}: expected rows of both classes to choose a threshold by",
            figure::count(n_positive),
            figure::count(labels.len()),
        ))
        .with_hint("name other rows, or the threshold itself"));
    }
    let cuts = cuts(labels, positive, n_positive);
    let best = match rule {
        ThresholdRule::BestF1 => best(&cuts, |cut| Some((cut.f1(), 0.0))),
        ThresholdRule::Precision(wanted) => {
            let reached = best(&cuts, |cut| {
                (cut.precision() >= wanted).then(|| (cut.recall(), cut.precision()))
            });
            if reached.is_none() {
                return Err(unreached(&cuts, wanted, class, labels.len(), rows));
            }
            reached
        }
        ThresholdRule::Recall(wanted) => {
            best(&cuts, |cut| (cut.recall() >= wanted).then(|| (cut.precision(), cut.recall())))
        }
        ThresholdRule::Cost { false_positive, false_negative } => best(&cuts, |cut| {
            let cost = false_positive * cut.n_false as f64 + false_negative * cut.n_missed as f64;
            Some((-cost, 0.0))
        }),
        ThresholdRule::Given(_) => None,
    };
    let cut =
        best.ok_or_else(|| Error::invalid(format!("no threshold meets {rule} on the {rows}")))?;
    Ok(Threshold {
        value: cut.value(),
        rule,
        chosen_on: Some(ThresholdRows {
            rows: rows.to_owned(),
            n_rows: labels.len(),
            precision: cut.precision(),
            recall: cut.recall(),
            f1: cut.f1(),
        }),
    })
}

/// The cuts by falling threshold: first the one above all probabilities, last the one below.
fn cuts(labels: &[u32], positive: &[f64], n_positive: usize) -> Vec<ThresholdCut> {
    let mut rows: Vec<(f64, u32)> = positive.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_unstable_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut cuts = Vec::new();
    let (mut n_true, mut n_false) = (0, 0);
    let mut high = 1.0;
    let mut cut = |low: f64, high: f64, n_true: usize, n_false: usize| {
        cuts.push(ThresholdCut { low, high, n_true, n_false, n_missed: n_positive - n_true });
    };
    for of_one in rows.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((probability, _)) = of_one.first() else { continue };
        // Above 1 there is no threshold.
        if *probability < high || n_true + n_false > 0 {
            cut(*probability, high, n_true, n_false);
        }
        let own = of_one.iter().filter(|(_, label)| *label == 1).count();
        n_true += own;
        n_false += of_one.len() - own;
        high = *probability;
    }
    cut(0.0, high, n_true, n_false);
    cuts
}

/// The cut with the highest worth, of equals the one nearest to 0.5; those without a worth do not count.
fn best(
    cuts: &[ThresholdCut],
    worth: impl Fn(&ThresholdCut) -> Option<(f64, f64)>,
) -> Option<ThresholdCut> {
    let mut found: Option<((f64, f64, f64), ThresholdCut)> = None;
    for cut in cuts {
        let Some((first, second)) = worth(cut) else { continue };
        let key = (first, second, -(cut.value() - DEFAULT_THRESHOLD).abs());
        if found.is_none_or(|(best, _)| key > best) {
            found = Some((key, *cut));
        }
    }
    found.map(|(_, cut)| cut)
}

fn unreached(cuts: &[ThresholdCut], wanted: f64, class: &str, n_rows: usize, rows: &str) -> Error {
    let found = best(cuts, |cut| Some((cut.precision(), cut.recall())));
    let there_is = found.map_or_else(String::new, |cut| {
        format!(
            ": the best is {} with a recall of {}, from {} on",
            figure::metric(cut.precision()),
            figure::metric(cut.recall()),
            cut.value()
        )
    });
    Error::invalid(format!(
        "no threshold reaches a precision of {wanted} for {class} on the {} {rows}{there_is}",
        figure::count(n_rows)
    ))
    .with_hint("ask for less, or train a better model")
}

impl ThresholdCut {
    fn precision(&self) -> f64 {
        ratio(self.n_true, self.n_true + self.n_false)
    }

    fn recall(&self) -> f64 {
        ratio(self.n_true, self.n_true + self.n_missed)
    }

    fn f1(&self) -> f64 {
        ratio(2 * self.n_true, 2 * self.n_true + self.n_false + self.n_missed)
    }

    /// The number with the fewest digits in the gap.
    fn value(&self) -> f64 {
        let middle = 0.5 * (self.low + self.high);
        DIGITS
            .map(|digits| {
                let scale = 10_f64.powi(digits);
                (middle * scale).round() / scale
            })
            .find(|short| *short > self.low && *short <= self.high)
            .unwrap_or(self.high)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::predicted_label;

    const LABELS: [u32; 8] = [0, 0, 1, 0, 1, 1, 0, 1];
    const POSITIVE: [f64; 8] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

    fn chosen(rule: &str) -> Result<Threshold> {
        choose_threshold(rule.parse().unwrap(), &LABELS, &POSITIVE, "pos", "validation rows")
    }

    #[test]
    fn each_rule_takes_the_cut_that_it_names() {
        // By falling cut: (1, 0), (1, 1), (2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (4, 4) found and false.
        for (rule, value, precision, recall) in [
            ("best-f1", 0.25, 4.0 / 6.0, 1.0),
            ("precision=1", 0.75, 1.0, 0.25),
            ("precision=0.75", 0.45, 0.75, 0.75),
            ("recall=0.9", 0.25, 4.0 / 6.0, 1.0),
            ("recall=0.5", 0.45, 0.75, 0.75),
            ("cost=1:5", 0.25, 4.0 / 6.0, 1.0),
            ("cost=5:1", 0.75, 1.0, 0.25),
        ] {
            let threshold = chosen(rule).unwrap();
            let rows = threshold.chosen_on.unwrap();
            assert!((threshold.value - value).abs() < 0.051, "{rule}: {}", threshold.value);
            assert_eq!(
                (rows.precision, rows.recall, rows.n_rows),
                (precision, recall, 8),
                "{rule}"
            );
        }
        assert_eq!(chosen("0.9").unwrap().chosen_on, None);
    }

    #[test]
    fn where_every_positive_is_too_dear_nothing_is_predicted() {
        let threshold =
            choose_threshold("cost=100:1".parse().unwrap(), &[1, 0], &[0.3, 0.8], "pos", "rows");
        let threshold = threshold.unwrap();
        assert!(threshold.value > 0.8 && threshold.value <= 1.0, "{}", threshold.value);
        assert_eq!(threshold.chosen_on.unwrap().recall, 0.0);
    }

    #[test]
    fn a_threshold_has_few_digits_and_lies_between_what_it_parts() {
        let two = |low: f64, high: f64| {
            choose_threshold(ThresholdRule::BestF1, &[0, 1], &[low, high], "pos", "rows").unwrap()
        };
        assert_eq!(two(0.3, 0.4).value, 0.4);
        assert_eq!(two(0.31, 0.39).value, 0.35);
        assert_eq!(two(0.412_345_6, 0.412_345_7).value, 0.412_345_7);
        let (low, high) = (0.4, 0.4_f64.next_up());
        assert_eq!(two(low, high).value, high);
        assert_eq!(two(0.0, 1.0).value, 0.5);
    }

    #[test]
    fn a_precision_that_no_threshold_reaches_is_told_with_the_best_there_is() {
        let error = choose_threshold(
            ThresholdRule::Precision(0.95),
            &[1, 0, 1, 0, 0],
            &[0.6, 0.6, 0.4, 0.2, 0.9],
            "pos",
            "validation rows",
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "no threshold reaches a precision of 0.95 for pos on the 5 validation rows: the best is \
             0.5000 with a recall of 1.0000, from 0.3 on"
        );
        let error = choose_threshold(ThresholdRule::BestF1, &[0, 0], &[0.1, 0.2], "pos", "rows");
        assert!(error.unwrap_err().to_string().starts_with("0 of the 2 rows are pos"));
        let error = choose_threshold(ThresholdRule::BestF1, &[0, 1], &[0.1], "pos", "rows");
        assert_eq!(error.unwrap_err().to_string(), "2 labels but 1 probabilities");
    }

    proptest! {
        #[test]
        fn the_numbers_told_are_those_of_the_labels_that_it_gives(
            rows in prop::collection::vec((any::<bool>(), 0_u8..=20), 2..60), wanted in 0.05_f64..=1.0
        ) {
            let labels: Vec<u32> = rows.iter().map(|(label, _)| u32::from(*label)).collect();
            let positive: Vec<f64> = rows.iter().map(|(_, score)| f64::from(*score) / 20.0).collect();
            for rule in [
                ThresholdRule::BestF1,
                ThresholdRule::Precision(wanted),
                ThresholdRule::Recall(wanted),
                ThresholdRule::Cost { false_positive: wanted, false_negative: 1.0 },
            ] {
                let Ok(threshold) = choose_threshold(rule, &labels, &positive, "pos", "rows") else {
                    continue;
                };
                prop_assert!((0.0..=1.0).contains(&threshold.value));
                let predicted: Vec<usize> = positive
                    .iter()
                    .map(|p| predicted_label(&[1.0 - p, *p], threshold.value))
                    .collect();
                let count = |label, guess| {
                    labels.iter().zip(&predicted).filter(|one| *one == (&label, &guess)).count()
                };
                let (hit, wrong, missed) = (count(1, 1), count(0, 1), count(1, 0));
                let rows = threshold.chosen_on.unwrap();
                prop_assert_eq!(rows.precision, ratio(hit, hit + wrong));
                prop_assert_eq!(rows.recall, ratio(hit, hit + missed));
                prop_assert_eq!(rows.f1, ratio(2 * hit, 2 * hit + wrong + missed));
                match rule {
                    ThresholdRule::Precision(wanted) => prop_assert!(rows.precision >= wanted),
                    ThresholdRule::Recall(wanted) => prop_assert!(rows.recall >= wanted),
                    _ => {}
                }
            }
        }
    }
}
