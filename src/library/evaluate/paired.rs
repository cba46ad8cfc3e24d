//! McNemar's test of two models on the same examples, and how often they agree. The interval of their
//! difference is the bootstrap's.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// McNemar's exact test of two models on the same examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Examples only the first model gets right.
    pub n_only_first: usize,
    /// Examples only the second model gets right.
    pub n_only_second: usize,
    /// The probability of a split at least this uneven if both were equally good, two-sided.
    pub p_value: f64,
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

/// The share of examples for which both models predict the same class.
///
/// # Shapes
/// `first` and `second` are `[n]`, class indices.
///
/// # Errors
/// Different lengths, or no examples.
pub fn agreement(first: &[u32], second: &[u32]) -> Result<f64> {
    check_lengths(first, first, second)?;
    if first.is_empty() {
        return Err(Error::invalid("0 predictions: agreement needs at least 1"));
    }
    let n_same = first.iter().zip(second).filter(|(first, second)| first == second).count();
    Ok(n_same as f64 / first.len() as f64)
}

impl McNemar {
    /// True if chance is an unlikely reason for the difference, at the usual level of 0.05.
    pub fn is_significant(&self) -> bool {
        self.p_value < 0.05
    }
}

pub(super) fn check_lengths(labels: &[u32], first: &[u32], second: &[u32]) -> Result<()> {
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
        assert_eq!(agreement(&[1, 1, 2], &[1, 1, 2]).unwrap(), 1.0);
        assert_eq!(agreement(&[1, 0, 2, 0], &[1, 1, 2, 2]).unwrap(), 0.5);
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
    fn unusable_input_is_refused() {
        assert!(mcnemar(&[1], &[1, 0], &[1]).is_err());
        assert!(agreement(&[], &[]).is_err());
        assert!(agreement(&[1], &[1, 0]).is_err());
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
        }
    }
}
