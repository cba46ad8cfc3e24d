//! Maximum mean discrepancy: how far two samples of rows are from each other in every respect that a
//! smooth function can see, after Gretton et al. 2012, "A Kernel Two-Sample Test", JMLR 13, 723–773.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    random::Random,
};

/// Rows of the kernel that one thread sums up at a time; sums do not depend on the number of threads.
const BLOCK_ROWS: usize = 64;

/// What the test finds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Discrepancy {
    /// The unbiased estimate of the squared discrepancy: about 0 for samples of one distribution, and
    /// below it by chance.
    pub mmd2: f64,
    /// The share of relabelled samples at least as far apart, the one found included.
    pub p_value: f64,
    /// The median squared distance of two rows, which the kernel measures by.
    pub bandwidth: f64,
}

/// The squared maximum mean discrepancy with the kernel `exp(-d² / median d²)` of the squared distance of
/// two rows, the median being that of all pairs; its p value is that of `n_permutations` random
/// relabellings of the rows, which `seed` decides.
///
/// # Shapes
/// `reference` is `[n, width]` and `current` `[m, width]`, row-major.
///
/// # Errors
/// Rows that are not whole, fewer than two on a side, and a number that is not finite.
pub fn maximum_mean_discrepancy(
    reference: &[f32],
    current: &[f32],
    width: usize,
    n_permutations: usize,
    seed: u64,
) -> Result<Discrepancy> {
    for (name, rows) in [("reference", reference), ("current", current)] {
        if width == 0 || !rows.len().is_multiple_of(width) {
            return Err(Error::invalid(format!(
                "{name}: {} numbers, expected whole rows of {width}",
                rows.len()
            )));
        }
        if rows.len() < 2 * width {
            return Err(Error::invalid(format!(
                "{name}: {} rows, expected 2 or more",
                rows.len() / width
            )));
        }
        if let Some(at) = rows.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid(format!(
                "{name}: row {} has {}, expected finite numbers",
                at / width,
                rows[at]
            )));
        }
    }
    let rows: Vec<&[f32]> =
        reference.chunks_exact(width).chain(current.chunks_exact(width)).collect();
    let n_reference = reference.len() / width;
    let mut kernel = Kernel::distances(&rows);
    let bandwidth = kernel.median();
    // Rows that are all the same are as near as it gets.
    let scale = if bandwidth > 0.0 { -1.0 / bandwidth } else { 0.0 };
    kernel.lower.par_iter_mut().for_each(|value| *value = (*value * scale).exp());
    let labels = Relabellings::draw(rows.len(), n_reference, n_permutations, seed);
    let found = kernel.discrepancies(&labels);
    let n_as_far = found[1..].iter().filter(|mmd2| **mmd2 >= found[0] - 1e-12).count();
    let p_value = (n_as_far + 1) as f64 / (n_permutations + 1) as f64;
    Ok(Discrepancy { mmd2: found[0], p_value, bandwidth })
}

/// A number for each pair of rows, below the diagonal: row `i` has those of the pairs with `0..i`.
struct Kernel {
    n_rows: usize,
    lower: Vec<f64>,
}

/// Which rows are taken for the reference's, for each relabelling; the first is as they are.
struct Relabellings {
    n_reference: usize,
    n: usize,
    /// 1 for the reference's: `[n_rows, n]`.
    is_reference: Vec<f64>,
}

impl Relabellings {
    fn draw(n_rows: usize, n_reference: usize, n_permutations: usize, seed: u64) -> Self {
        let n = n_permutations + 1;
        let mut is_reference = vec![0.0; n_rows * n];
        let mut order: Vec<usize> = (0..n_rows).collect();
        let mut random = Random::new(seed);
        for permutation in 0..n {
            order[..n_reference].iter().for_each(|row| is_reference[row * n + permutation] = 1.0);
            random.shuffle(&mut order);
        }
        Self { n_reference, n, is_reference }
    }

    fn of_row(&self, row: usize) -> &[f64] {
        &self.is_reference[row * self.n..(row + 1) * self.n]
    }
}

impl Kernel {
    /// The squared distances of all pairs.
    fn distances(rows: &[&[f32]]) -> Self {
        let of_row = |row: usize| {
            rows[..row].iter().map(move |other| {
                let squares = rows[row].iter().zip(*other).map(|(one, other)| {
                    let difference = f64::from(*one) - f64::from(*other);
                    difference * difference
                });
                squares.sum::<f64>()
            })
        };
        let lower = (0..rows.len()).into_par_iter().flat_map_iter(of_row).collect();
        Self { n_rows: rows.len(), lower }
    }

    fn median(&self) -> f64 {
        let mut values = self.lower.clone();
        let middle = values.len() / 2;
        let (_, above, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
        let above = *above;
        if values.len() % 2 == 1 {
            return above;
        }
        let below = values[..middle].iter().copied().fold(0.0, f64::max);
        0.5 * (below + above)
    }

    /// The unbiased estimate for each relabelling. Of the sums within the reference, within the rest and
    /// between them, two follow from the rows' own sums.
    fn discrepancies(&self, labels: &Relabellings) -> Vec<f64> {
        let sums = self.sums(labels);
        let (n, m) = (labels.n_reference as f64, (self.n_rows - labels.n_reference) as f64);
        let whole: f64 = self.lower.iter().sum();
        sums.into_iter()
            .map(|(within_reference, touching_reference)| {
                let between = touching_reference - 2.0 * within_reference;
                let within_rest = whole - within_reference - between;
                2.0 * within_reference / (n * (n - 1.0)) + 2.0 * within_rest / (m * (m - 1.0))
                    - 2.0 * between / (n * m)
            })
            .collect()
    }

    /// For each relabelling the sum of the pairs within the reference, and that of its rows over all
    /// their pairs.
    fn sums(&self, labels: &Relabellings) -> Vec<(f64, f64)> {
        let blocks: Vec<usize> = (0..self.n_rows.div_ceil(BLOCK_ROWS)).collect();
        let block_sums = |block: &usize| {
            let mut sums = vec![(0.0, 0.0); labels.n];
            let mut to_reference = vec![0.0; labels.n];
            for row in block * BLOCK_ROWS..((block + 1) * BLOCK_ROWS).min(self.n_rows) {
                let start = row * row.saturating_sub(1) / 2;
                let pairs = &self.lower[start..start + row];
                to_reference.fill(0.0);
                for (other, value) in pairs.iter().enumerate() {
                    for (sum, is_reference) in to_reference.iter_mut().zip(labels.of_row(other)) {
                        *sum += value * is_reference;
                    }
                }
                let row_sum: f64 = pairs.iter().sum();
                let own = sums.iter_mut().zip(&to_reference).zip(labels.of_row(row));
                for (((within, touching), to_reference), is_reference) in own {
                    *within += to_reference * is_reference;
                    // A pair counts for its row and for the other one.
                    *touching += to_reference + row_sum * is_reference;
                }
            }
            sums
        };
        let of_blocks: Vec<Vec<(f64, f64)>> = blocks.par_iter().map(block_sums).collect();
        let mut sums = vec![(0.0, 0.0); labels.n];
        for block in of_blocks {
            for (sum, part) in sums.iter_mut().zip(block) {
                *sum = (sum.0 + part.0, sum.1 + part.1);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::normal::Normal, *};

    fn rows(n: usize, width: usize, shift: f64, seed: u64) -> Vec<f32> {
        let mut normal = Normal::new(seed);
        (0..n * width).map(|_| (normal.draw() + shift) as f32).collect()
    }

    /// The definition, pair by pair.
    fn by_hand(reference: &[f32], current: &[f32], width: usize, bandwidth: f64) -> f64 {
        let kernel = |one: &[f32], other: &[f32]| {
            let squares = one.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2));
            (-squares.sum::<f64>() / bandwidth).exp()
        };
        let mean = |one: &[f32], other: &[f32], is_same: bool| {
            let (mut sum, mut n) = (0.0, 0.0);
            for (at, left) in one.chunks_exact(width).enumerate() {
                for (place, right) in other.chunks_exact(width).enumerate() {
                    if !(is_same && at == place) {
                        sum += kernel(left, right);
                        n += 1.0;
                    }
                }
            }
            sum / n
        };
        mean(reference, reference, true) + mean(current, current, true)
            - 2.0 * mean(reference, current, false)
    }

    #[test]
    fn the_estimate_is_the_definitions() {
        let (reference, current) = (rows(70, 3, 0.0, 1), rows(81, 3, 0.4, 2));
        let found = maximum_mean_discrepancy(&reference, &current, 3, 20, 5).unwrap();
        let expected = by_hand(&reference, &current, 3, found.bandwidth);
        assert!((found.mmd2 - expected).abs() < 1e-6, "{found:?} {expected}");
        assert_eq!(found, maximum_mean_discrepancy(&reference, &current, 3, 20, 5).unwrap());
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let on_one =
            alone.install(|| maximum_mean_discrepancy(&reference, &current, 3, 20, 5).unwrap());
        assert_eq!(found, on_one);
    }

    #[test]
    fn a_shift_is_found_and_its_absence_is_not() {
        let reference = rows(120, 8, 0.0, 3);
        let shifted = maximum_mean_discrepancy(&reference, &rows(90, 8, 0.5, 4), 8, 99, 1).unwrap();
        assert!(shifted.p_value == 0.01 && shifted.mmd2 > 0.01, "{shifted:?}");
        let n_found = (0..40)
            .filter(|seed| {
                let same = rows(90, 8, 0.0, 100 + seed);
                maximum_mean_discrepancy(&reference, &same, 8, 99, *seed).unwrap().p_value <= 0.05
            })
            .count();
        assert!(n_found <= 6, "{n_found} of 40 at 0.05");
    }

    #[test]
    fn unusable_rows_are_refused() {
        let expect = |reference: &[f32], width, part: &str| {
            let error = maximum_mean_discrepancy(reference, &[1.0; 4], width, 9, 1).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        };
        expect(&[1.0; 4], 0, "whole rows of 0");
        expect(&[1.0; 3], 2, "reference: 3 numbers, expected whole rows of 2");
        expect(&[1.0; 2], 2, "reference: 1 rows, expected 2 or more");
        expect(&[1.0, 1.0, f32::NAN, 1.0], 2, "reference: row 1 has NaN");
        let same = maximum_mean_discrepancy(&[1.0; 4], &[1.0; 4], 2, 9, 1).unwrap();
        assert_eq!((same.mmd2, same.p_value), (0.0, 1.0));
    }
}
