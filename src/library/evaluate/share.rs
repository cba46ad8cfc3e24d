//! Shares of right answers: their intervals, the difference of two of them on different examples, and
//! the control of false discoveries where many differences are looked at. It knows counts alone.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The 97.5th percentile of the standard normal distribution: a 95 % interval.
const Z: f64 = 1.959_963_984_540_054;
/// Tables whose probability differs by less from that of the one found count as equally likely: SciPy's
/// tolerance.
const SAME: f64 = 1e-7;

/// Right answers among examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightAnswers {
    /// Number of right answers.
    pub n_right: usize,
    /// Number of examples.
    pub n_rows: usize,
}

impl RightAnswers {
    /// Counts `is_right` where `rows` says so.
    ///
    /// # Shapes
    /// Both are `[n]`.
    pub fn count(is_right: &[bool], rows: impl Fn(usize) -> bool) -> Self {
        let asked = is_right.iter().enumerate().filter(|(row, _)| rows(*row));
        asked.fold(Self { n_right: 0, n_rows: 0 }, |counted, (_, is_right)| Self {
            n_right: counted.n_right + usize::from(*is_right),
            n_rows: counted.n_rows + 1,
        })
    }

    /// The share of right answers; 0 without examples.
    pub fn accuracy(self) -> f64 {
        self.n_right as f64 / self.n_rows.max(1) as f64
    }

    /// Number of wrong answers.
    pub fn n_wrong(self) -> usize {
        self.n_rows - self.n_right
    }

    /// The 95 % interval of the accuracy after Wilson 1927, "Probable Inference, the Law of
    /// Succession, and Statistical Inference", JASA 22, 209–212. It lies within 0 and 1 and has a
    /// width for shares of 0 and 1 too; from 0 to 1 without examples.
    pub fn interval(self) -> (f64, f64) {
        if self.n_rows == 0 {
            return (0.0, 1.0);
        }
        let (n, share) = (self.n_rows as f64, self.accuracy());
        let whole = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / whole;
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / whole;
        // Exact at the ends, where rounding would leave a trace.
        let lower = if self.n_right == 0 { 0.0 } else { (middle - half).max(0.0) };
        let upper = if self.n_wrong() == 0 { 1.0 } else { (middle + half).min(1.0) };
        (lower, upper)
    }

    /// The 95 % interval of `self`'s accuracy minus that of `rest`, which are other examples, after
    /// Newcombe 1998, "Interval Estimation for the Difference Between Independent Proportions",
    /// Statistics in Medicine 17, 873–890 (method 10: of the two Wilson intervals).
    pub fn difference_interval(self, rest: Self) -> (f64, f64) {
        let (own, other) = (self.accuracy(), rest.accuracy());
        let ((own_lower, own_upper), (other_lower, other_upper)) =
            (self.interval(), rest.interval());
        let difference = own - other;
        (
            difference - (own - own_lower).hypot(other_upper - other),
            difference + (own_upper - own).hypot(other - other_lower),
        )
    }

    /// Fisher's exact test of equal accuracy on `self` and `rest`, which are other examples: the
    /// two-sided probability of a table that is at most as likely as the one found, given its sums.
    /// Exact at every size.
    pub fn fisher(self, rest: Self) -> f64 {
        let n_right = self.n_right + rest.n_right;
        let n_rows = self.n_rows + rest.n_rows;
        let least = n_right.saturating_sub(rest.n_rows);
        let most = n_right.min(self.n_rows);
        // P(k) relative to P(found), by the ratio of neighbours: no factorial, and nothing overflows
        // that counts.
        let ratio_up = |k: usize| {
            ((n_right - k) as f64 / (k + 1) as f64)
                * ((self.n_rows - k) as f64 / (n_rows - n_right + k + 1 - self.n_rows) as f64)
        };
        let (mut tail, mut whole) = (1.0, 1.0);
        let mut add = |relative: f64| {
            whole += relative;
            if relative <= 1.0 + SAME {
                tail += relative;
            }
        };
        let mut relative = 1.0;
        for k in self.n_right..most {
            relative *= ratio_up(k);
            add(relative);
            if relative == 0.0 {
                break;
            }
        }
        relative = 1.0;
        for k in (least..self.n_right).rev() {
            relative /= ratio_up(k);
            add(relative);
            if relative == 0.0 {
                break;
            }
        }
        // A mode that is too far from the table found is infinitely more likely than it.
        if whole.is_finite() { (tail / whole).min(1.0) } else { 0.0 }
    }
}

/// The p values of `p_values` corrected for their number, after Benjamini and Hochberg 1995,
/// "Controlling the False Discovery Rate", JRSS B 57, 289–300: of those that are at most 0.05 one in
/// twenty is expected to be chance.
///
/// # Errors
/// A value that is no probability.
pub fn false_discovery_rates(p_values: &[f64]) -> Result<Vec<f64>> {
    if let Some(bad) = p_values.iter().find(|p_value| !(0.0..=1.0).contains(*p_value)) {
        return Err(Error::invalid(format!("{bad} is no p value: must lie between 0 and 1")));
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|one, other| p_values[*one].total_cmp(&p_values[*other]));
    let n_tests = p_values.len() as f64;
    let mut corrected = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (rank, test_idx) in order.into_iter().enumerate().rev() {
        least = least.min(p_values[test_idx] * n_tests / (rank + 1) as f64);
        corrected[test_idx] = least;
    }
    Ok(corrected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers(n_right: usize, n_rows: usize) -> RightAnswers {
        RightAnswers { n_right, n_rows }
    }

    #[test]
    fn nothing_to_compare_is_no_discovery() {
        assert_eq!(answers(0, 0).interval(), (0.0, 1.0));
        assert_eq!(answers(0, 0).fisher(answers(3, 5)), 1.0);
        assert_eq!(answers(4, 4).fisher(answers(9, 9)), 1.0);
        assert_eq!(false_discovery_rates(&[]).unwrap(), [0.0; 0]);
        assert!(false_discovery_rates(&[0.5, f64::NAN]).is_err());
    }

    #[test]
    fn many_rows_neither_overflow_nor_vanish() {
        // As different as it gets: the most likely table is e^100000 times as likely.
        assert_eq!(answers(0, 200_000).fisher(answers(200_000, 200_000)), 0.0);
        let even = answers(100_000, 200_000).fisher(answers(100_000, 200_000));
        assert!((even - 1.0).abs() < 1e-9, "{even}");
    }

    proptest! {
        #[test]
        fn exchanging_the_sides_mirrors_the_answer(
            n_rows in 1_usize..200, rest_rows in 1_usize..200, shares in (0.0..=1.0, 0.0..=1.0)
        ) {
            let of = |n: usize, share: f64| answers((n as f64 * share).round() as usize, n);
            let (one, other) = (of(n_rows, shares.0), of(rest_rows, shares.1));
            let p_value = one.fisher(other);
            prop_assert!(p_value > 0.0 && p_value <= 1.0);
            prop_assert!((p_value - other.fisher(one)).abs() < 1e-9);
            let ((low, high), (mirrored_low, mirrored_high)) =
                (one.difference_interval(other), other.difference_interval(one));
            prop_assert!((low + mirrored_high).abs() < 1e-12 && (high + mirrored_low).abs() < 1e-12);
            let (lower, upper) = one.interval();
            prop_assert!(lower <= one.accuracy() && one.accuracy() <= upper);
        }

        #[test]
        fn corrected_values_keep_their_order_and_are_never_smaller(
            p_values in prop::collection::vec(0.0..=1.0, 1..40)
        ) {
            let corrected = false_discovery_rates(&p_values).unwrap();
            for (p_value, corrected) in p_values.iter().zip(&corrected) {
                // `p · n / n` may round below `p`.
                prop_assert!(*corrected >= p_value * (1.0 - 1e-15) && *corrected <= 1.0);
            }
            let mut pairs: Vec<_> = p_values.iter().zip(&corrected).collect();
            pairs.sort_by(|one, other| one.0.total_cmp(other.0));
            prop_assert!(pairs.is_sorted_by(|one, next| one.1 <= next.1));
        }
    }
}
