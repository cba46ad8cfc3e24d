//! The bins of a histogram: equally wide, on round numbers.

use super::{marks::Bin, scale::round_step};

/// The fewest and the most bins that are aimed at.
const N_BINS: std::ops::RangeInclusive<f64> = 5.0..=50.0;

/// The values counted in bins on round numbers, `[lower, upper)`; whole numbers get bins of whole
/// width. The width is that of Freedman and Diaconis (`2 IQR / n^(1/3)`), with Sturges' number of
/// bins where the quartiles coincide.
pub(super) fn bins(values: &[f64]) -> Vec<Bin> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let n_values = sorted.len() as f64;
    let quartiles = sorted[sorted.len() * 3 / 4] - sorted[sorted.len() / 4];
    let by_spread = (high - low) * n_values.cbrt() / (2.0 * quartiles);
    let n_bins = if by_spread.is_finite() { by_spread } else { n_values.log2() + 1.0 };
    let mut width = match high > low {
        true => round_step((high - low) / n_bins.clamp(*N_BINS.start(), *N_BINS.end())),
        false => 1.0_f64.max(round_step(high.abs() / 10.0)),
    };
    if values.iter().all(|value| value.fract() == 0.0) {
        width = width.max(1.0).round();
    }
    let begin = bin_of(low, width);
    let mut counts = vec![0_usize; (bin_of(high, width) - begin) as usize + 1];
    for value in sorted {
        counts[(bin_of(value, width) - begin) as usize] += 1;
    }
    let edge = |idx: usize| (begin + idx as f64) * width;
    counts
        .into_iter()
        .enumerate()
        .map(|(idx, n)| Bin { lower: edge(idx), upper: edge(idx + 1), height: n as f64 })
        .collect()
}

/// The number of the bin that holds `value`, by its edges as they are computed: dividing alone
/// would put values at an edge on the wrong side of it.
fn bin_of(value: f64, width: f64) -> f64 {
    let bin = (value / width).floor();
    if value < bin * width {
        bin - 1.0
    } else if value >= (bin + 1.0) * width {
        bin + 1.0
    } else {
        bin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bin() {
        for values in [
            vec![0.1, 0.2, 0.25, 0.3, 0.9, 0.95],
            vec![3.0; 10],
            vec![-5.0, 1e6, 2.0, 3.0],
            vec![1e-9, 2e-9, 3e-9],
            (0..1000).map(|n| f64::from(n * n % 997)).collect(),
            vec![0.0],
            vec![-1e300, 1e300],
        ] {
            let found = bins(&values);
            for bin in &found {
                let n_inside =
                    values.iter().filter(|value| (bin.lower..bin.upper).contains(value)).count();
                assert_eq!(bin.height, n_inside as f64, "{bin:?} of {values:?}");
            }
            assert_eq!(found.iter().map(|bin| bin.height).sum::<f64>(), values.len() as f64);
            assert!(found.len() <= 52, "{} bins", found.len());
        }
        assert_eq!(bins(&[]), []);
    }

    #[test]
    fn whole_numbers_have_bins_of_whole_width() {
        let found = bins(&[1.0, 2.0, 2.0, 3.0]);
        assert!(found.iter().all(|bin| bin.upper - bin.lower == 1.0), "{found:?}");
        assert_eq!(found.iter().map(|bin| bin.height).collect::<Vec<_>>(), [1.0, 2.0, 1.0]);
    }
}
