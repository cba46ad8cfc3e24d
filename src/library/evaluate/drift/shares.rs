//! How far two rows of counts over the same bins are from each other: distances of their shares, and the
//! test of equal shares. It knows neither what the bins hold nor which distance is large.
//!
//! A bin that one of the rows lacks counts as empty. Where one of the rows has no counts at all there is
//! nothing to compare: distances are 0 and p is 1.

use super::{super::special::upper_gamma, TestResult};

/// Evidently gives an empty bin this share, so that its logarithm is finite.
const EMPTY_SHARE: f64 = 1e-4;

/// The population stability index `sum (r - c) ln(r / c)` over the shares of the bins, the share of an
/// empty bin being 0.0001: Evidently's. By the usual rule less than 0.1 is no change, more than 0.25 a
/// large one.
pub fn population_stability_index(reference: &[u64], current: &[u64]) -> f64 {
    let filled = |share: f64| if share == 0.0 { EMPTY_SHARE } else { share };
    let terms = shares(reference, current).map(|(reference, current)| {
        let (reference, current) = (filled(reference), filled(current));
        (reference - current) * (reference / current).ln()
    });
    terms.sum()
}

/// The Jensen-Shannon distance in base 2, from 0 to 1: the root of the mean divergence of both from their
/// middle, `scipy.spatial.distance.jensenshannon(base=2)` and NannyML's. Evidently's is in nats, smaller
/// by the root of `ln 2`, 0.8326.
pub fn jensen_shannon_distance(reference: &[u64], current: &[u64]) -> f64 {
    let divergence = |share: f64, middle: f64| {
        if share > 0.0 { share * (share / middle).log2() } else { 0.0 }
    };
    let sum: f64 = shares(reference, current)
        .map(|(reference, current)| {
            let middle = 0.5 * (reference + current);
            divergence(reference, middle) + divergence(current, middle)
        })
        .sum();
    (0.5 * sum).clamp(0.0, 1.0).sqrt()
}

/// The Hellinger distance, from 0 to 1: `sqrt(sum (sqrt r - sqrt c)² / 2)`.
pub fn hellinger_distance(reference: &[u64], current: &[u64]) -> f64 {
    let squares = shares(reference, current)
        .map(|(reference, current)| (reference.sqrt() - current.sqrt()).powi(2));
    (0.5 * squares.sum::<f64>()).min(1.0).sqrt()
}

/// The largest difference of a bin's shares, from 0 to 1: L-infinity, as NannyML has it.
pub fn l_infinity_distance(reference: &[u64], current: &[u64]) -> f64 {
    shares(reference, current)
        .map(|(reference, current)| (reference - current).abs())
        .fold(0.0, f64::max)
}

/// Pearson's chi-squared test that both rows of counts have the same shares, both of them samples, with
/// Yates's correction for two bins: `scipy.stats.chi2_contingency`, bins without counts left out.
/// Evidently's test of the same name takes the reference for exact instead, and so finds too much.
pub fn chi_squared(reference: &[u64], current: &[u64]) -> TestResult {
    let bins: Vec<(f64, f64)> = paired(reference, current)
        .filter(|counts| *counts != (0, 0))
        .map(|(reference, current)| (reference as f64, current as f64))
        .collect();
    let (n_reference, n_current) =
        bins.iter().fold((0.0, 0.0), |sums, bin| (sums.0 + bin.0, sums.1 + bin.1));
    if bins.len() < 2 || n_reference == 0.0 || n_current == 0.0 {
        return TestResult::NOTHING;
    }
    let n_both = n_reference + n_current;
    let term = |found: f64, expected: f64| {
        let off = (found - expected).abs();
        let corrected = if bins.len() == 2 { off - off.min(0.5) } else { off };
        corrected * corrected / expected
    };
    let statistic = bins
        .iter()
        .map(|(reference, current)| {
            let whole = reference + current;
            term(*reference, whole * n_reference / n_both)
                + term(*current, whole * n_current / n_both)
        })
        .sum();
    let n_free = (bins.len() - 1) as f64;
    TestResult { statistic, p_value: upper_gamma(0.5 * n_free, 0.5 * statistic) }
}

/// The counts of each bin, of both rows.
fn paired(reference: &[u64], current: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    let at = |counts: &[u64], bin: usize| counts.get(bin).copied().unwrap_or(0);
    (0..reference.len().max(current.len())).map(move |bin| (at(reference, bin), at(current, bin)))
}

/// The shares of each bin, of both rows; none where one of them has no counts.
fn shares(reference: &[u64], current: &[u64]) -> impl Iterator<Item = (f64, f64)> {
    let sum = |counts: &[u64]| counts.iter().map(|count| *count as f64).sum::<f64>();
    let (n_reference, n_current) = (sum(reference), sum(current));
    paired(reference, current).filter(move |_| n_reference > 0.0 && n_current > 0.0).map(
        move |(reference, current)| (reference as f64 / n_reference, current as f64 / n_current),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_to_compare_is_no_distance() {
        for (reference, current) in [(&[][..], &[][..]), (&[0, 0], &[3, 4]), (&[3, 4], &[])] {
            assert_eq!(population_stability_index(reference, current), 0.0);
            assert_eq!(jensen_shannon_distance(reference, current), 0.0);
            assert_eq!(hellinger_distance(reference, current), 0.0);
            assert_eq!(l_infinity_distance(reference, current), 0.0);
            assert_eq!(chi_squared(reference, current), TestResult::NOTHING);
        }
        assert_eq!(chi_squared(&[5], &[7]), TestResult::NOTHING);
    }

    #[test]
    fn rows_without_a_bin_in_common_are_as_far_as_it_gets() {
        assert_eq!(jensen_shannon_distance(&[5], &[0, 9]), 1.0);
        assert_eq!(hellinger_distance(&[5], &[0, 9]), 1.0);
        assert_eq!(l_infinity_distance(&[5], &[0, 9]), 1.0);
        assert!(population_stability_index(&[5], &[0, 9]) > 15.0);
    }

    #[test]
    fn counts_of_any_size_neither_overflow_nor_vanish() {
        let many = [u64::MAX, u64::MAX / 2];
        assert!(jensen_shannon_distance(&many, &[2, 1]) < 1e-6);
        assert_eq!(chi_squared(&many, &[1, u64::MAX]).p_value, 0.0);
    }

    proptest! {
        #[test]
        fn a_distance_lies_within_its_bounds_and_is_the_same_both_ways(
            reference in prop::collection::vec(0_u64..1000, 0..12),
            current in prop::collection::vec(0_u64..1000, 0..12)
        ) {
            for distance in [jensen_shannon_distance, hellinger_distance, l_infinity_distance] {
                let found = distance(&reference, &current);
                prop_assert!((0.0..=1.0).contains(&found));
                prop_assert!((found - distance(&current, &reference)).abs() < 1e-12);
                prop_assert!(distance(&current, &current) < 1e-7);
            }
            prop_assert!(population_stability_index(&reference, &current) >= 0.0);
            let p_value = chi_squared(&reference, &current).p_value;
            prop_assert!((0.0..=1.0).contains(&p_value));
        }
    }
}
