//! The one product that training a linear model on sparse rows costs: `X Xᵀ γ`, in a single pass
//! over the columns of X for several γ at a time. It knows nothing of losses.

use std::{
    borrow::Cow,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use rayon::prelude::*;

use crate::text::{TermMatrix, column_blocks};

/// The longest column that is kept among others of its length.
const MAX_SHORT: usize = 8;
/// Vectors that are multiplied in one pass, at most: so many fit into a cache side by side.
const MAX_WIDTH: usize = 4;
/// Rows that are summed together.
const CHUNK_ROWS: usize = 1 << 10;

/// A matrix X by columns, divided into blocks that do not depend on the number of threads.
pub(super) struct Design<'a> {
    starts: Cow<'a, [usize]>,
    rows: &'a [u32],
    values: &'a [f32],
    n_rows: usize,
    n_outputs: usize,
    blocks: Vec<Range<usize>>,
    /// With one output, each block's columns by length.
    lengths: Vec<Lengths>,
    /// Memory for the blocks' sums, kept from one product to the next.
    sums: Mutex<Vec<f64>>,
}

/// The columns of a block by their lengths. Most columns are short, and their loops cost more to
/// leave than to run unless the processor knows when: a quarter of the whole product.
struct Lengths {
    /// Rows and values of all columns of 1 element, of 2 and so on.
    short: [(Vec<u32>, Vec<f32>); MAX_SHORT],
    /// The place of each longer column.
    long: Vec<Range<usize>>,
}

impl<'a> Design<'a> {
    /// # Panics
    /// If `matrix` is compressed by rows.
    pub(super) fn new(matrix: &'a TermMatrix, n_outputs: usize) -> Self {
        assert!(matrix.is_csc(), "the caller converts to columns");
        let starts = matrix.proper_indptr();
        let blocks = column_blocks(&starts, matrix.rows() * n_outputs);
        let (rows, values) = (matrix.indices(), matrix.data());
        let lengths = match n_outputs {
            1 => blocks
                .par_iter()
                .map(|block| Lengths::new(&starts[block.start..=block.end], rows, values))
                .collect(),
            _ => Vec::new(),
        };
        let n_rows = matrix.rows();
        Self { starts, rows, values, n_rows, n_outputs, blocks, lengths, sums: Mutex::default() }
    }

    /// Number of examples.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// `X Xᵀ gamma`, and the squared length of `Xᵀ gamma`, of each of `gammas`.
    ///
    /// # Shapes
    /// Each of `gammas` and of the results: `[n_rows, n_outputs]`, row-major.
    pub(super) fn gram_products(&self, gammas: &[&[f64]]) -> Vec<(Vec<f64>, f64)> {
        if self.n_outputs > 1 {
            return gammas.iter().map(|gamma| self.gram_product(gamma)).collect();
        }
        let products = |gammas: &[&[f64]]| match gammas.len() {
            1 => self.gram_side_by_side::<1>(gammas),
            2 => self.gram_side_by_side::<2>(gammas),
            3 => self.gram_side_by_side::<3>(gammas),
            _ => self.gram_side_by_side::<4>(gammas),
        };
        gammas.chunks(MAX_WIDTH).flat_map(products).collect()
    }

    /// As [`Design::gram_products`], of `WIDTH` vectors with one output in one pass.
    fn gram_side_by_side<const WIDTH: usize>(&self, gammas: &[&[f64]]) -> Vec<(Vec<f64>, f64)> {
        let gamma = side_by_side::<WIDTH>(gammas);
        // Fresh memory for every pass would cost a tenth of it.
        let mut sums =
            std::mem::take(&mut *self.sums.lock().unwrap_or_else(PoisonError::into_inner));
        let n_block = (self.n_rows * WIDTH).max(1);
        sums.resize(sums.len().max(self.lengths.len() * n_block), 0.0);
        let block_squares: Vec<[f64; WIDTH]> = self
            .lengths
            .par_iter()
            .zip(sums.par_chunks_exact_mut(n_block))
            .map(|(lengths, sums)| {
                sums.fill(0.0);
                let (product, _) = sums.as_chunks_mut();
                let mut squares = lengths.short_columns(&gamma, product);
                for column in &lengths.long {
                    let (rows, values) = (&self.rows[column.clone()], &self.values[column.clone()]);
                    let dots = dot(rows, values, &gamma);
                    for (row, value) in rows.iter().zip(values) {
                        add(&mut product[*row as usize], f64::from(*value), &dots);
                    }
                    add_squares(&mut squares, &dots);
                }
                squares
            })
            .collect();
        let mut squares = [0.0; WIDTH];
        for block in &block_squares {
            squares.iter_mut().zip(block).for_each(|(sum, square)| *sum += square);
        }
        let mut product = vec![[0.0; WIDTH]; self.n_rows];
        product.par_chunks_mut(CHUNK_ROWS).enumerate().for_each(|(chunk_idx, chunk)| {
            for block in sums.chunks_exact(n_block).take(self.lengths.len()) {
                let (block, _) = block.as_chunks();
                for (sum, share) in chunk.iter_mut().zip(&block[chunk_idx * CHUNK_ROWS..]) {
                    add(sum, 1.0, share);
                }
            }
        });
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner) = sums;
        let of = |idx: usize| (product.iter().map(|row| row[idx]).collect(), squares[idx]);
        (0..WIDTH).map(of).collect()
    }

    /// As [`Design::gram_products`], of one vector with several outputs.
    fn gram_product(&self, gamma: &[f64]) -> (Vec<f64>, f64) {
        let blocks: Vec<(Vec<f64>, f64)> = self
            .blocks
            .par_iter()
            .map(|block| {
                let mut product = vec![0.0; gamma.len()];
                let mut square = 0.0;
                let n_outputs = self.n_outputs;
                let mut dots = vec![0.0; n_outputs];
                self.columns(block, |rows, values| {
                    self.dots(rows, values, gamma, &mut dots);
                    for (row, value) in rows.iter().zip(values) {
                        let start = *row as usize * n_outputs;
                        let sums = &mut product[start..start + n_outputs];
                        for (sum, dot) in sums.iter_mut().zip(&dots) {
                            *sum += f64::from(*value) * dot;
                        }
                    }
                    square += dots.iter().map(|dot| dot * dot).sum::<f64>();
                });
                (product, square)
            })
            .collect();
        let square = blocks.iter().map(|(_, square)| square).sum();
        let mut product = vec![0.0; gamma.len()];
        product.par_chunks_mut(4096).enumerate().for_each(|(chunk_idx, sums)| {
            for (block, _) in &blocks {
                let shares = &block[chunk_idx * 4096..];
                for (sum, share) in sums.iter_mut().zip(shares) {
                    *sum += share;
                }
            }
        });
        (product, square)
    }

    /// `Xᵀ alpha` of each of `alphas`.
    ///
    /// # Shapes
    /// Each of `alphas`: `[n_rows, n_outputs]`; of the results: `[n_columns, n_outputs]`; all row-major.
    pub(super) fn transposed_products(&self, alphas: &[&[f64]]) -> Vec<Vec<f64>> {
        if self.n_outputs > 1 {
            return alphas.iter().map(|alpha| self.transposed_product(alpha)).collect();
        }
        let products = |alphas: &[&[f64]]| match alphas.len() {
            1 => self.transposed_side_by_side::<1>(alphas),
            2 => self.transposed_side_by_side::<2>(alphas),
            3 => self.transposed_side_by_side::<3>(alphas),
            _ => self.transposed_side_by_side::<4>(alphas),
        };
        alphas.chunks(MAX_WIDTH).flat_map(products).collect()
    }

    /// As [`Design::transposed_products`], of `WIDTH` vectors with one output in one pass.
    fn transposed_side_by_side<const WIDTH: usize>(&self, alphas: &[&[f64]]) -> Vec<Vec<f64>> {
        let alpha = side_by_side::<WIDTH>(alphas);
        let blocks: Vec<Vec<[f64; WIDTH]>> = self
            .blocks
            .par_iter()
            .map(|block| {
                let mut product = Vec::with_capacity(block.len());
                self.columns(block, |rows, values| product.push(dot(rows, values, &alpha)));
                product
            })
            .collect();
        let of = |idx: usize| blocks.iter().flatten().map(|dots| dots[idx]).collect();
        (0..WIDTH).map(of).collect()
    }

    /// As [`Design::transposed_products`], of one vector with several outputs.
    fn transposed_product(&self, alpha: &[f64]) -> Vec<f64> {
        let blocks: Vec<Vec<f64>> = self
            .blocks
            .par_iter()
            .map(|block| {
                let mut product = Vec::with_capacity(block.len() * self.n_outputs);
                let mut dots = vec![0.0; self.n_outputs];
                self.columns(block, |rows, values| {
                    self.dots(rows, values, alpha, &mut dots);
                    product.extend_from_slice(&dots);
                });
                product
            })
            .collect();
        blocks.concat()
    }

    /// Calls `sink` with rows and values of each column.
    #[inline]
    fn columns(&self, block: &Range<usize>, mut sink: impl FnMut(&[u32], &[f32])) {
        for bounds in self.starts[block.start..=block.end].windows(2) {
            sink(&self.rows[bounds[0]..bounds[1]], &self.values[bounds[0]..bounds[1]]);
        }
    }

    /// One column's dot product with each output of `gamma`.
    #[inline]
    fn dots(&self, rows: &[u32], values: &[f32], gamma: &[f64], dots: &mut [f64]) {
        dots.fill(0.0);
        for (row, value) in rows.iter().zip(values) {
            let start = *row as usize * self.n_outputs;
            for (dot, gamma) in dots.iter_mut().zip(&gamma[start..start + self.n_outputs]) {
                *dot += f64::from(*value) * gamma;
            }
        }
    }
}

/// The vectors' elements, row by row.
fn side_by_side<const WIDTH: usize>(vectors: &[&[f64]]) -> Vec<[f64; WIDTH]> {
    let n_rows = vectors.first().map_or(0, |vector| vector.len());
    (0..n_rows).map(|row| std::array::from_fn(|idx| vectors[idx][row])).collect()
}

impl Lengths {
    /// The columns that begin and end at `starts`.
    fn new(starts: &[usize], rows: &[u32], values: &[f32]) -> Self {
        let mut n_columns = [0; MAX_SHORT];
        let mut n_long = 0;
        for bounds in starts.windows(2) {
            match bounds[1] - bounds[0] {
                0 => {}
                length @ 1..=MAX_SHORT => n_columns[length - 1] += 1,
                _ => n_long += 1,
            }
        }
        let mut short = std::array::from_fn(|idx| {
            let n_values = n_columns[idx] * (idx + 1);
            (Vec::with_capacity(n_values), Vec::with_capacity(n_values))
        });
        let mut long = Vec::with_capacity(n_long);
        for bounds in starts.windows(2) {
            let column = bounds[0]..bounds[1];
            match column.len() {
                0 => {}
                length @ 1..=MAX_SHORT => {
                    short[length - 1].0.extend_from_slice(&rows[column.clone()]);
                    short[length - 1].1.extend_from_slice(&values[column]);
                }
                _ => long.push(column),
            }
        }
        Self { short, long }
    }

    /// The short columns' part of the product; returns their part of the squared length.
    fn short_columns<const WIDTH: usize>(
        &self,
        gamma: &[[f64; WIDTH]],
        product: &mut [[f64; WIDTH]],
    ) -> [f64; WIDTH] {
        let [one, two, three, four, five, six, seven, eight] = &self.short;
        let squares = [
            columns_of::<1, WIDTH>(one, gamma, product),
            columns_of::<2, WIDTH>(two, gamma, product),
            columns_of::<3, WIDTH>(three, gamma, product),
            columns_of::<4, WIDTH>(four, gamma, product),
            columns_of::<5, WIDTH>(five, gamma, product),
            columns_of::<6, WIDTH>(six, gamma, product),
            columns_of::<7, WIDTH>(seven, gamma, product),
            columns_of::<8, WIDTH>(eight, gamma, product),
        ];
        std::array::from_fn(|idx| squares.iter().map(|square| square[idx]).sum())
    }
}

/// The part of `X Xᵀ gamma` that each column of `LENGTH` elements adds.
fn columns_of<const LENGTH: usize, const WIDTH: usize>(
    (rows, values): &(Vec<u32>, Vec<f32>),
    gamma: &[[f64; WIDTH]],
    product: &mut [[f64; WIDTH]],
) -> [f64; WIDTH] {
    let mut squares = [0.0; WIDTH];
    let (rows, _) = rows.as_chunks::<LENGTH>();
    let (values, _) = values.as_chunks::<LENGTH>();
    for (rows, values) in rows.iter().zip(values) {
        let mut dots = [0.0; WIDTH];
        for (row, value) in rows.iter().zip(values) {
            add(&mut dots, f64::from(*value), &gamma[*row as usize]);
        }
        for (row, value) in rows.iter().zip(values) {
            add(&mut product[*row as usize], f64::from(*value), &dots);
        }
        add_squares(&mut squares, &dots);
    }
    squares
}

/// `sums += value · addends`.
#[inline(always)]
fn add<const WIDTH: usize>(sums: &mut [f64; WIDTH], value: f64, addends: &[f64; WIDTH]) {
    for idx in 0..WIDTH {
        sums[idx] += value * addends[idx];
    }
}

#[inline(always)]
fn add_squares<const WIDTH: usize>(sums: &mut [f64; WIDTH], addends: &[f64; WIDTH]) {
    for idx in 0..WIDTH {
        sums[idx] += addends[idx] * addends[idx];
    }
}

/// Four running sums: one alone would wait for each addition to finish.
#[inline]
fn dot<const WIDTH: usize>(rows: &[u32], values: &[f32], gamma: &[[f64; WIDTH]]) -> [f64; WIDTH] {
    let mut sums = [[0.0; WIDTH]; 4];
    let (row_fours, row_rest) = rows.as_chunks::<4>();
    let (value_fours, value_rest) = values.as_chunks::<4>();
    for (rows, values) in row_fours.iter().zip(value_fours) {
        for lane in 0..4 {
            add(&mut sums[lane], f64::from(values[lane]), &gamma[rows[lane] as usize]);
        }
    }
    let mut rest = [0.0; WIDTH];
    for (row, value) in row_rest.iter().zip(value_rest) {
        add(&mut rest, f64::from(*value), &gamma[*row as usize]);
    }
    let [one, two, three, four] = sums;
    std::array::from_fn(|idx| (one[idx] + two[idx]) + (three[idx] + four[idx]) + rest[idx])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_dense_ones() {
        let (n_rows, n_columns) = (37, 23);
        let cell = |row: usize, column: usize| match (row * 7 + column * 5) % 4 {
            0 => (row as f32 - column as f32) / 8.0,
            _ => 0.0,
        };
        let (mut starts, mut rows, mut values) = (vec![0], Vec::new(), Vec::new());
        for column in 0..n_columns {
            for row in (0..n_rows).filter(|row| cell(*row, column) != 0.0) {
                rows.push(row as u32);
                values.push(cell(row, column));
            }
            starts.push(rows.len());
        }
        let matrix = TermMatrix::new_csc((n_rows, n_columns), starts, rows, values);
        for n_outputs in [1, 3] {
            let gamma: Vec<f64> = (0..n_rows * n_outputs).map(|n| (n as f64).sin()).collect();
            let mut transposed = vec![0.0; n_columns * n_outputs];
            let mut product = vec![0.0; n_rows * n_outputs];
            for output in 0..n_outputs {
                for column in 0..n_columns {
                    let dot: f64 = (0..n_rows)
                        .map(|row| f64::from(cell(row, column)) * gamma[row * n_outputs + output])
                        .sum();
                    transposed[column * n_outputs + output] = dot;
                    for row in 0..n_rows {
                        product[row * n_outputs + output] += dot * f64::from(cell(row, column));
                    }
                }
            }
            let design = Design::new(&matrix, n_outputs);
            let (found, square) = design.gram_products(&[&gamma]).remove(0);
            // Whatever is multiplied beside it.
            let other: Vec<f64> = gamma.iter().map(|element| element - 0.5).collect();
            for n_others in 1..6 {
                let gammas = [&vec![other.as_slice(); n_others][..], &[&gamma[..]]].concat();
                assert_eq!(design.gram_products(&gammas)[n_others], (found.clone(), square));
                let both = design.transposed_products(&gammas);
                assert_eq!(both[n_others], design.transposed_products(&[&gamma])[0]);
                assert_ne!(both[n_others], both[0]);
            }
            let is_close = |one: &[f64], other: &[f64]| {
                one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-12)
            };
            assert!(is_close(&found, &product));
            assert!(is_close(&design.transposed_products(&[&gamma])[0], &transposed));
            let expected: f64 = transposed.iter().map(|value| value * value).sum();
            assert!((square / expected - 1.0).abs() < 1e-12);
        }
    }
}
