//! The two-sample Kolmogorov-Smirnov test, on values and on counts of ordered values.

use super::TestResult;

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
    let effective = n as f64 / (n as f64 + m as f64) * m as f64;
    TestResult { statistic, p_value: limit_tail(effective.sqrt() * statistic) }
}

/// Kolmogorov's limit: `2 sum (-1)^(k - 1) exp(-2 k² x²)`.
fn limit_tail(x: f64) -> f64 {
    if x < 0.1 {
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..200 {
        let term = (-2.0 * f64::from(k * k) * x * x).exp();
        sum += if k % 2 == 1 { term } else { -term };
        if term < 1e-18 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}
