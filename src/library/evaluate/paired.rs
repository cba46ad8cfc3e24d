//! Tests of two models on the same examples, for a difference that is more than chance: McNemar's
//! test on who is right where the other is wrong, and a bootstrap interval of the difference in F1.

use serde::Serialize;

use super::ConfusionMatrix;
use crate::{
    error::{Error, Result},
    random::Random,
};

/// McNemar's exact test of two models on the same examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Examples only the first model gets right.
    pub n_only_first: usize,
    /// Examples only the second model gets right.
    pub n_only_second: usize,
    /// The probability of a split at least this uneven if both were equally good, two-sided.
    pub p_value: f64,
}

/// The difference in F1 of two models on the same examples, with its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct F1Difference {
    /// First minus second.
    pub difference: f64,
    /// 2.5th percentile of the resampled differences.
    pub lower: f64,
    /// 97.5th percentile of the resampled differences.
    pub upper: f64,
    /// Number of resamples.
    pub n_resamples: usize,
}

/// McNemar's test, exact at every size: under the null the examples that exactly one model gets
/// right split as a fair coin, so `p = min(1, 2 * P(Binomial(n, 1/2) <= min(b, c)))`.
///
/// # Shapes
/// All three are `[n]`, class indices.
///
/// # Errors
/// Different lengths.
pub fn mcnemar(labels: &[u32], first: &[u32], second: &[u32]) -> Result<McNemar> {
    check_lengths(labels, first, second)?;
    let (mut n_only_first, mut n_only_second) = (0, 0);
    for ((label, first), second) in labels.iter().zip(first).zip(second) {
        match (first == label, second == label) {
            (true, false) => n_only_first += 1,
            (false, true) => n_only_second += 1,
            _ => {}
        }
    }
    let p_value = fair_coin_p_value(n_only_first.min(n_only_second), n_only_first + n_only_second);
    Ok(McNemar { n_only_first, n_only_second, p_value })
}

/// F1 of the first model minus F1 of the second (of the positive class; of more than two classes
/// the macro average), with a 95 % percentile interval over `n_resamples` draws of the examples
/// with replacement. The same seed gives the same interval on every machine.
///
/// # Shapes
/// `labels`, `first` and `second` are `[n]`, class indices.
///
/// # Errors
/// Different lengths, no examples, no resamples, or an index without a class.
pub fn f1_difference(
    labels: &[u32],
    first: &[u32],
    second: &[u32],
    classes: &[String],
    n_resamples: usize,
    seed: u64,
) -> Result<F1Difference> {
    check_lengths(labels, first, second)?;
    if labels.is_empty() || n_resamples == 0 {
        return Err(Error::invalid(format!(
            "{} examples, {n_resamples} resamples: both must be >= 1",
            labels.len()
        )));
    }
    let f1 = |predicted: &[u32], rows: &[u32]| -> Result<f64> {
        Ok(ConfusionMatrix::count(rows, predicted, classes)?.headline().f1)
    };
    let difference = f1(first, labels)? - f1(second, labels)?;

    let n_examples = labels.len();
    let mut random = Random::new(seed);
    let mut differences = Vec::with_capacity(n_resamples);
    let mut drawn = (vec![0; n_examples], vec![0; n_examples], vec![0; n_examples]);
    for _ in 0..n_resamples {
        for slot_idx in 0..n_examples {
            let example_idx = random.below(n_examples);
            drawn.0[slot_idx] = labels[example_idx];
            drawn.1[slot_idx] = first[example_idx];
            drawn.2[slot_idx] = second[example_idx];
        }
        differences.push(f1(&drawn.1, &drawn.0)? - f1(&drawn.2, &drawn.0)?);
    }
    differences.sort_unstable_by(f64::total_cmp);
    Ok(F1Difference {
        difference,
        lower: quantile(&differences, 0.025),
        upper: quantile(&differences, 0.975),
        n_resamples,
    })
}

impl McNemar {
    /// True if chance is an unlikely reason for the difference, at the usual level of 0.05.
    pub fn is_significant(&self) -> bool {
        self.p_value < 0.05
    }
}

impl F1Difference {
    /// True if the interval leaves out 0.
    pub fn is_significant(&self) -> bool {
        self.lower > 0.0 || self.upper < 0.0
    }
}

fn check_lengths(labels: &[u32], first: &[u32], second: &[u32]) -> Result<()> {
    if labels.len() == first.len() && labels.len() == second.len() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} labels but {} and {} predictions",
        labels.len(),
        first.len(),
        second.len()
    )))
}

/// `min(1, 2 * P(Binomial(n, 1/2) <= k))`, summed downwards from the largest term, which is taken
/// in logarithms so that no `n` overflows.
fn fair_coin_p_value(k: usize, n: usize) -> f64 {
    let ln_choose: f64 = (1..=k).map(|factor| ((n - k + factor) as f64 / factor as f64).ln()).sum();
    let mut term = (ln_choose - n as f64 * std::f64::consts::LN_2).exp();
    let mut tail = 0.0;
    for n_heads in (0..=k).rev() {
        tail += term;
        // C(n, i - 1) = C(n, i) * i / (n - i + 1)
        term *= n_heads as f64 / (n - n_heads + 1) as f64;
        if term < tail * 1e-18 {
            break;
        }
    }
    (2.0 * tail).min(1.0)
}

/// The `share` quantile of `sorted`, which is not empty, linear between neighbours: numpy's default.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes() -> Vec<String> {
        vec!["neg".to_owned(), "pos".to_owned()]
    }

    #[test]
    fn mcnemar_by_hand() {
        // Only the first is right in 1 example, only the second in 5:
        // 2 * (C(6,0) + C(6,1)) / 2^6 = 14 / 64.
        let labels = [1; 8];
        let first = [1, 0, 0, 0, 0, 0, 1, 0];
        let second = [0, 1, 1, 1, 1, 1, 1, 0];
        let test = mcnemar(&labels, &first, &second).unwrap();
        assert_eq!((test.n_only_first, test.n_only_second), (1, 5));
        assert!((test.p_value - 14.0 / 64.0).abs() < 1e-12, "{}", test.p_value);
        assert!(!test.is_significant());
    }

    #[test]
    fn models_that_never_differ_are_equal() {
        assert_eq!(mcnemar(&[1, 0], &[1, 1], &[1, 1]).unwrap().p_value, 1.0);
        let difference = f1_difference(&[1, 0], &[1, 1], &[1, 1], &classes(), 50, 1).unwrap();
        assert_eq!((difference.lower, difference.upper), (0.0, 0.0));
        assert!(!difference.is_significant());
    }

    #[test]
    fn large_counts_neither_overflow_nor_vanish() {
        // scipy.stats.binomtest(k, n, 0.5).pvalue, SciPy 1.17.1
        let cases = [
            (400, 900, 0.000_956_444_136_918_937_3),
            (50_000, 100_400, 0.207_946_024_167_630_86),
            (4_980, 10_000, 0.696_538_584_976_789_8),
        ];
        for (k, n, expected) in cases {
            let p_value = fair_coin_p_value(k, n);
            assert!((p_value / expected - 1.0).abs() < 1e-9, "{k} of {n}: {p_value}");
        }
        assert_eq!(fair_coin_p_value(500, 1000), 1.0);
    }

    #[test]
    fn the_interval_is_the_same_for_the_same_seed() {
        let labels: Vec<u32> = (0..200).map(|idx| idx % 2).collect();
        let first: Vec<u32> = (0..200).map(|idx| if idx % 11 == 0 { 1 } else { idx % 2 }).collect();
        let second: Vec<u32> = (0..200).map(|idx| if idx % 3 == 0 { 1 } else { idx % 2 }).collect();
        let run = |seed| f1_difference(&labels, &first, &second, &classes(), 200, seed).unwrap();
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let found = run(7);
        assert!(found.lower <= found.difference && found.difference <= found.upper, "{found:?}");
        assert!(found.is_significant() && found.difference > 0.0, "{found:?}");
    }

    #[test]
    fn unusable_input_is_refused() {
        assert!(mcnemar(&[1], &[1, 0], &[1]).is_err());
        assert!(f1_difference(&[], &[], &[], &classes(), 10, 1).is_err());
        assert!(f1_difference(&[1], &[1], &[1], &classes(), 0, 1).is_err());
        assert!(f1_difference(&[1], &[3], &[1], &classes(), 10, 1).is_err());
    }

    proptest! {
        #[test]
        fn exchanging_the_models_mirrors_the_answer(
            rows in prop::collection::vec((0_u32..2, 0_u32..2, 0_u32..2), 1..60)
        ) {
            let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let first: Vec<u32> = rows.iter().map(|row| row.1).collect();
            let second: Vec<u32> = rows.iter().map(|row| row.2).collect();
            let (one, other) =
                (mcnemar(&labels, &first, &second).unwrap(), mcnemar(&labels, &second, &first).unwrap());
            prop_assert_eq!(one.p_value, other.p_value);
            prop_assert!(one.p_value > 0.0 && one.p_value <= 1.0);
            prop_assert_eq!(one.n_only_first, other.n_only_second);
            let one = f1_difference(&labels, &first, &second, &classes(), 20, 3).unwrap();
            let other = f1_difference(&labels, &second, &first, &classes(), 20, 3).unwrap();
            prop_assert_eq!(one.difference, -other.difference);
            prop_assert!((one.lower + other.upper).abs() < 1e-12);
        }
    }
}
