//! A CNN's filters and their maximum over time on the CPU, forward and, for training, back.
//!
//! The windows of a text lie side by side in blocks of 32, each one feature after the other: the
//! filters of every width read the same block, whose first features are the windows of the narrower
//! ones. Of all windows only a filter's strongest has a gradient, so that the way back costs next to
//! nothing; a tensor library derives every window.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::parameters::transpose;
use crate::model::neural::simd::{
    blocks::{BLOCK, Row},
    dense::BlockTask,
    math::Function,
    packed::Packed,
    tile::Start,
    vector::{dispatch, n_vectors, vectors, vectors_mut},
};

/// The texts that the filters read, and the filters' width.
#[derive(Debug, Clone)]
pub(super) struct Convolution {
    /// Real tokens of each text.
    pub(super) lengths: Vec<u32>,
    /// Tokens a text, padding included.
    pub(super) length: usize,
    /// Width of the embeddings.
    pub(super) embedding: usize,
    /// Tokens that a filter reads at once, one number for each group of filters.
    pub(super) widths: Vec<usize>,
    /// Filters of each width.
    pub(super) n_filters: usize,
}

/// The strongest values that the filters found.
#[derive(Debug)]
pub(super) struct Strongest {
    /// The largest response of each filter, `[n, widths · n_filters]`.
    pub(super) responses: Vec<f32>,
    /// The first token of the window that gave it, `[n, widths · n_filters]`.
    pub(super) starts: Vec<u32>,
}

/// Gradients of what the filters read and of themselves.
#[derive(Debug)]
pub(super) struct Gradients {
    /// `[n · length, embedding]`, 0 at padding.
    pub(super) tokens: Vec<f32>,
    /// `[width · embedding, n_filters]` of each width.
    pub(super) weights: Vec<Vec<f32>>,
}

impl Convolution {
    /// The strongest response of each filter. A text shorter than a filter is one window, filled up
    /// with zeros; otherwise no window reaches into padding.
    ///
    /// # Shapes
    /// `weights`: `[width · embedding, n_filters]` of each width; `tokens`: `[n · length,
    /// embedding]`, text after text.
    pub(super) fn forward(&self, weights: &[Vec<f32>], tokens: &[f32]) -> Strongest {
        let packed: Vec<Packed> = self
            .columns(weights)
            .iter()
            .zip(&self.widths)
            .map(|(columns, width)| {
                let n_in = width * self.embedding;
                let rows: Vec<(&[f32], f32)> =
                    columns.chunks_exact(n_in).map(|column| (column, 0.0)).collect();
                Packed::new(&rows, n_in)
            })
            .collect();
        let n_features = self.n_features();
        let mut responses = vec![0.0; self.lengths.len() * n_features];
        let mut starts = vec![0; responses.len()];
        responses
            .par_chunks_exact_mut(n_features)
            .zip(starts.par_chunks_exact_mut(n_features))
            .zip(tokens.par_chunks_exact(self.length * self.embedding))
            .zip(&self.lengths)
            .for_each(|(((responses, starts), tokens), real)| {
                self.forward_text(&packed, tokens, *real as usize, responses, starts);
            });
        Strongest { responses, starts }
    }

    fn forward_text(
        &self,
        packed: &[Packed],
        tokens: &[f32],
        real: usize,
        responses: &mut [f32],
        starts: &mut [u32],
    ) {
        let arch = Arch::new();
        let widest = self.widths.iter().copied().max().unwrap_or(0);
        let n_windows = |width: usize| real.max(width) - width + 1;
        let most = self.widths.iter().map(|width| n_windows(*width)).max().unwrap_or(0);
        // Feature after feature, with zeros as far as the last block of windows reaches.
        let stride = most.next_multiple_of(BLOCK) + widest;
        let mut padded = vec![0.0; stride * self.embedding];
        padded[..real * self.embedding].copy_from_slice(&tokens[..real * self.embedding]);
        let features = transpose(&padded, stride, self.embedding);

        let mut windows = vec![Row::ZERO; widest * self.embedding];
        let mut out = vec![Row::ZERO; self.n_filters];
        let mut best = vec![Row([f32::NEG_INFINITY; BLOCK]); self.n_features()];
        let mut best_block = vec![Row::ZERO; self.n_features()];
        for (block_idx, start) in (0..most).step_by(BLOCK).enumerate() {
            let rows = (0..widest).flat_map(|offset| features[start + offset..].chunks(stride));
            for (window, values) in windows.iter_mut().zip(rows) {
                window.0.copy_from_slice(&values[..BLOCK]);
            }
            let groups = best.chunks_mut(self.n_filters).zip(best_block.chunks_mut(self.n_filters));
            for ((packed, width), (best, best_block)) in packed.iter().zip(&self.widths).zip(groups)
            {
                let n_here = n_windows(*width).saturating_sub(start).min(BLOCK);
                if n_here == 0 {
                    continue;
                }
                let x = &windows[..width * self.embedding];
                let mut tasks = [BlockTask { x, out: &mut out, n_tokens: n_here }];
                packed.apply_here(arch, &mut tasks, Start::Bias, Function::Identity);
                for row in &mut out {
                    row.0[n_here..].fill(f32::NEG_INFINITY);
                }
                dispatch(arch, Maximum { values: &out, block_idx, best, best_block });
            }
        }
        for (feature, (response, start)) in responses.iter_mut().zip(starts).enumerate() {
            let lanes = best[feature].0.iter().zip(best_block[feature].0).enumerate();
            let windows =
                lanes.map(|(lane, (value, block_idx))| (*value, block_idx as usize * BLOCK + lane));
            // The first of equals; what is not a number wins, so that the loss shows it.
            let (value, window) = windows
                .reduce(|one, other| {
                    let is_larger = one.0 < other.0 || (one.0 == other.0 && other.1 < one.1);
                    if is_larger || (other.0.is_nan() && !one.0.is_nan()) { other } else { one }
                })
                .expect("a row has lanes");
            (*response, *start) = (value, window as u32);
        }
    }

    /// The gradients that `gradient`, that of the strongest responses, gives.
    ///
    /// # Shapes
    /// `weights`, `tokens`: as [`Self::forward`] was given; `starts`, `gradient`:
    /// `[n, widths · n_filters]`.
    pub(super) fn backward(
        &self,
        weights: &[Vec<f32>],
        tokens: &[f32],
        starts: &[u32],
        gradient: &[f32],
    ) -> Gradients {
        let (columns, n_features) = (self.columns(weights), self.n_features());
        let n_values = self.length * self.embedding;
        let mut token_gradients = vec![0.0; tokens.len()];
        token_gradients.par_chunks_exact_mut(n_values).enumerate().for_each(|(text, sum)| {
            for feature in 0..n_features {
                let at = text * n_features + feature;
                let (group, filter) = (feature / self.n_filters, feature % self.n_filters);
                let window = self.window(text, group, starts[at]);
                let width = self.widths[group] * self.embedding;
                let column = &columns[group][filter * width..][..window.len()];
                add_scaled(&mut sum[window], column, gradient[at]);
            }
        });
        let weight_gradients = self.widths.iter().enumerate().map(|(group, width)| {
            let n_in = width * self.embedding;
            let mut sums = vec![0.0; self.n_filters * n_in];
            sums.par_chunks_exact_mut(n_in).enumerate().for_each(|(filter, sum)| {
                for text in 0..self.lengths.len() {
                    let at = text * n_features + group * self.n_filters + filter;
                    let window = self.window(text, group, starts[at]);
                    let tokens = &tokens[text * n_values..][window];
                    add_scaled(&mut sum[..tokens.len()], tokens, gradient[at]);
                }
            });
            transpose(&sums, self.n_filters, n_in)
        });
        Gradients { weights: weight_gradients.collect(), tokens: token_gradients }
    }

    fn n_features(&self) -> usize {
        self.widths.len() * self.n_filters
    }

    /// `[n_filters, width · embedding]` of each width.
    fn columns(&self, weights: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let groups = weights.iter().zip(&self.widths);
        groups
            .map(|(weight, width)| transpose(weight, width * self.embedding, self.n_filters))
            .collect()
    }

    /// The place of a window's real tokens among the values of its text.
    fn window(&self, text: usize, group: usize, start: u32) -> std::ops::Range<usize> {
        let (start, real) = (start as usize, self.lengths[text] as usize);
        let end = (start + self.widths[group]).min(real);
        start * self.embedding..end * self.embedding
    }
}

/// `sum += factor · values`
fn add_scaled(sum: &mut [f32], values: &[f32], factor: f32) {
    if factor != 0.0 {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += factor * value;
        }
    }
}

/// Keeps the larger of two values in every lane, and which block it came from.
struct Maximum<'a> {
    values: &'a [Row],
    block_idx: usize,
    best: &'a mut [Row],
    /// Whole numbers, which `f32` holds exactly up to 16 million.
    best_block: &'a mut [Row],
}

impl WithSimd for Maximum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let block = s.splat_f32s(self.block_idx as f32);
        let rows = self.values.iter().zip(self.best).zip(self.best_block);
        for ((values, best), best_block) in rows {
            for v in 0..n_vectors::<S>(BLOCK) {
                let (value, best) = (vectors(s, values)[v], &mut vectors_mut(s, best)[v]);
                let best_block = &mut vectors_mut(s, best_block)[v];
                // Neither is ever larger than what is not a number: that stays.
                let value = s.select_f32s(s.equal_f32s(*best, *best), value, *best);
                let stays = s.greater_than_or_equal_f32s(*best, value);
                *best = s.select_f32s(stays, *best, value);
                *best_block = s.select_f32s(stays, *best_block, block);
            }
        }
    }
}
