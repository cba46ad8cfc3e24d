//! The two-sample Kolmogorov-Smirnov test, on values and on counts of ordered values:
//! `scipy.stats.ks_2samp`, two-sided.

use super::{TestResult, smirnov::two_sample_tail};

/// The two-sided Kolmogorov-Smirnov test that both samples have one distribution. p is 1 where one of
/// them is empty.
pub fn kolmogorov_smirnov(reference: &[f64], current: &[f64]) -> TestResult {
    let sorted = |values: &[f64]| {
        // 0 and -0 are one value.
        let mut values: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (reference, current) = (sorted(reference), sorted(current));
    let (mut n_below, mut m_below) = (0, 0);
    let mut steps = Vec::new();
    while n_below < reference.len() || m_below < current.len() {
        let next = match (reference.get(n_below), current.get(m_below)) {
            (Some(one), Some(other)) if one.total_cmp(other).is_le() => one,
            (Some(one), None) => one,
            (_, Some(other)) => other,
            (None, None) => break,
        };
        let count = |values: &[f64]| {
            values.iter().take_while(|value| value.total_cmp(next).is_eq()).count()
        };
        let (n_equal, m_equal) = (count(&reference[n_below..]), count(&current[m_below..]));
        steps.push((n_equal as u64, m_equal as u64));
        n_below += n_equal;
        m_below += m_equal;
    }
    test(&steps)
}

/// The same of values that were counted, the bins being in the order of the values: equal to the test on
/// the values themselves where a bin holds one value, and conservative where it holds several.
pub fn kolmogorov_smirnov_counts(reference: &[u64], current: &[u64]) -> TestResult {
    let at = |counts: &[u64], bin: usize| counts.get(bin).copied().unwrap_or(0);
    let n_bins = reference.len().max(current.len());
    let steps: Vec<_> = (0..n_bins).map(|bin| (at(reference, bin), at(current, bin))).collect();
    test(&steps)
}

/// The test on the numbers of each value in the reference and in what is compared with it.
fn test(steps: &[(u64, u64)]) -> TestResult {
    let (n, m) = steps.iter().fold((0_u128, 0_u128), |sums, step| {
        (sums.0 + u128::from(step.0), sums.1 + u128::from(step.1))
    });
    if n == 0 || m == 0 {
        return TestResult::NOTHING;
    }
    let (mut below, mut statistic) = ((0_u128, 0_u128), 0.0_f64);
    for step in steps {
        below = (below.0 + u128::from(step.0), below.1 + u128::from(step.1));
        let difference = below.0 as f64 / n as f64 - below.1 as f64 / m as f64;
        statistic = statistic.max(difference.abs());
    }
    TestResult { statistic, p_value: two_sample_tail(n as f64, m as f64, statistic) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_to_compare_is_no_distance() {
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), TestResult::NOTHING);
        assert_eq!(kolmogorov_smirnov_counts(&[0, 0], &[4]), TestResult::NOTHING);
        let same = kolmogorov_smirnov(&[0.0, 1.0], &[1.0, -0.0]);
        assert_eq!((same.statistic, same.p_value), (0.0, 1.0));
    }

    #[test]
    fn counts_of_any_size_neither_overflow_nor_vanish() {
        let far = kolmogorov_smirnov_counts(&[u64::MAX, u64::MAX], &[1, u64::MAX]);
        assert_eq!((far.statistic, far.p_value), (0.5, 0.0));
        let near = kolmogorov_smirnov_counts(&[u64::MAX, u64::MAX], &[500, 501]);
        assert!(near.p_value > 0.99, "{near:?}");
    }

    #[test]
    fn samples_without_a_value_in_common_are_as_far_as_it_gets() {
        // Two of the 20 ways to deal 3 and 3 out.
        let found = kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        assert_eq!(found.statistic, 1.0);
        assert!((found.p_value - 0.1).abs() < 1e-12, "{found:?}");
    }

    proptest! {
        #[test]
        fn counted_values_are_tested_as_the_values_themselves(
            reference in prop::collection::vec(0_u32..12, 1..60),
            current in prop::collection::vec(0_u32..12, 1..60)
        ) {
            let values = |sample: &[u32]| sample.iter().copied().map(f64::from).collect::<Vec<_>>();
            let counts = |sample: &[u32]| {
                let mut counts = [0; 12];
                sample.iter().for_each(|value| counts[*value as usize] += 1);
                counts
            };
            let found = kolmogorov_smirnov(&values(&reference), &values(&current));
            let counted = kolmogorov_smirnov_counts(&counts(&reference), &counts(&current));
            prop_assert_eq!(found, counted);
            prop_assert!((0.0..=1.0).contains(&found.p_value));
            let mirrored = kolmogorov_smirnov(&values(&current), &values(&reference));
            prop_assert!((found.p_value - mirrored.p_value).abs() < 1e-12);
        }
    }
}
