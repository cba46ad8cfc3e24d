//! Activations in 8 bits, quantised as they come: every token has a scale of its own, one for each
//! [`CHUNK`] of its features.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::tile::QuadRow;
use crate::model::neural::simd::{
    blocks::{BLOCK, Blocks, FeatureRow},
    vector::{dispatch, n_vectors, vectors, vectors_mut},
};

/// Features that have a scale together. A feed-forward network's wide middle can then be computed,
/// quantised and taken up in parts that stay in the cache, and one large number costs only its
/// neighbours their digits.
pub(crate) const CHUNK: usize = 768;
/// Features of a [`QuadRow`].
pub(crate) const QUAD: usize = 4;
/// The largest quantised number. -128 is not used, so that every number has its opposite.
const LARGEST: f32 = 127.0;
/// Tokens whose features are all smaller are zeros: one over them would be no number.
const LEAST: f32 = 1e-30;

/// Quantised activations: `rows` are `[n_blocks][n_quads]`, `scales` `[n_blocks][n_chunks]`.
#[derive(Debug)]
pub(crate) struct QuantizedBlocks {
    n_features: usize,
    n_tokens: usize,
    rows: Vec<QuadRow>,
    scales: Vec<FeatureRow>,
}

/// One block of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuantizedBlock<'a> {
    /// `[n_quads]`.
    pub(crate) rows: &'a [QuadRow],
    /// `[n_chunks]`: what each token's numbers are multiplied with.
    pub(crate) scales: &'a [FeatureRow],
    pub(crate) n_tokens: usize,
}

impl QuantizedBlocks {
    /// Room for the activations of `n_tokens` tokens.
    pub(crate) fn zeros(n_features: usize, n_tokens: usize) -> Self {
        let n_blocks = n_tokens.div_ceil(BLOCK);
        Self {
            n_features,
            n_tokens,
            rows: vec![QuadRow::ZERO; n_blocks * n_features.div_ceil(QUAD)],
            scales: vec![FeatureRow::ZERO; n_blocks * n_features.div_ceil(CHUNK)],
        }
    }

    /// Quantises all of `states`, with the blocks split over the threads.
    pub(crate) fn of(arch: Arch, states: &Blocks) -> Self {
        let mut quantized = Self::zeros(states.n_features(), states.n_tokens());
        let n_chunks = states.n_features().div_ceil(CHUNK);
        let n_quads = states.n_features().div_ceil(QUAD);
        quantized
            .rows
            .par_chunks_exact_mut(n_quads)
            .zip(quantized.scales.par_chunks_exact_mut(n_chunks))
            .enumerate()
            .for_each(|(block_idx, (rows, scales))| {
                let n_tokens = states.block_tokens(block_idx);
                quantize(arch, states.block(block_idx), n_tokens, rows, scales);
            });
        quantized
    }

    /// Quantises the blocks `states`, `[n_blocks][n_features][BLOCK]`, on this thread.
    ///
    /// # Panics
    /// If there is room for fewer blocks.
    pub(crate) fn fill(&mut self, arch: Arch, states: &[FeatureRow], n_tokens: &[usize]) {
        let n_features = self.n_features;
        let rows = self.rows.chunks_exact_mut(n_features.div_ceil(QUAD));
        let scales = self.scales.chunks_exact_mut(n_features.div_ceil(CHUNK));
        assert!(n_tokens.len() <= rows.len(), "room for {} blocks", rows.len());
        let blocks = states.chunks_exact(n_features).zip(n_tokens);
        for ((states, n_tokens), (rows, scales)) in blocks.zip(rows.zip(scales)) {
            quantize(arch, states, *n_tokens, rows, scales);
        }
    }

    pub(crate) fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Every block.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = QuantizedBlock<'_>> {
        let rows = self.rows.chunks_exact(self.n_features.div_ceil(QUAD));
        let scales = self.scales.chunks_exact(self.n_features.div_ceil(CHUNK));
        rows.zip(scales).enumerate().map(|(block_idx, (rows, scales))| QuantizedBlock {
            rows,
            scales,
            n_tokens: (self.n_tokens - block_idx * BLOCK).min(BLOCK),
        })
    }
}

/// Quantises a block's features, chunk by chunk.
fn quantize(
    arch: Arch,
    states: &[FeatureRow],
    n_tokens: usize,
    rows: &mut [QuadRow],
    scales: &mut [FeatureRow],
) {
    let chunks = states.chunks(CHUNK).zip(rows.chunks_mut(CHUNK / QUAD)).zip(scales);
    for ((states, rows), scales) in chunks {
        dispatch(arch, QuantizeChunk { states, n_tokens, rows, scales });
    }
}

/// Every token's features over its largest one, in 127ths, rounded half to even.
struct QuantizeChunk<'a> {
    states: &'a [FeatureRow],
    n_tokens: usize,
    rows: &'a mut [QuadRow],
    scales: &'a mut FeatureRow,
}

impl WithSimd for QuantizeChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for vector_idx in 0..n_vectors::<S>(self.n_tokens) {
            let largest = largest(s, self.states, vector_idx);
            let scale = s.mul_f32s(largest, s.splat_f32s(1.0 / LARGEST));
            vectors_mut(s, self.scales)[vector_idx] = scale;
            let inverse = s.div_f32s(s.splat_f32s(LARGEST), largest);
            let is_some = s.greater_than_f32s(largest, s.splat_f32s(LEAST));
            let inverse = s.select_f32s(is_some, inverse, s.splat_f32s(0.0));
            for (row, states) in self.rows.iter_mut().zip(self.states.chunks(QUAD)) {
                let mut quad = s.splat_u32s(0);
                for (i, state) in states.iter().enumerate() {
                    let byte = byte(s, s.mul_f32s(vectors(s, state)[vector_idx], inverse));
                    let shift = s.splat_u32s(8 * i as u32);
                    quad = s.or_u32s(quad, s.wrapping_dyn_shl_u32s(byte, shift));
                }
                S::as_mut_simd_u32s(&mut row.0).0[vector_idx] = quad;
            }
        }
    }
}

/// The largest absolute value of each token. Compared by their bits, in which infinity and what is no
/// number are larger than every number: damaged weights must not look like an answer.
#[inline(always)]
fn largest<S: Simd>(s: S, states: &[FeatureRow], vector_idx: usize) -> S::f32s {
    let no_sign = s.splat_u32s(i32::MAX as u32);
    let mut largest = s.splat_u32s(0);
    for state in states {
        let bits = s.and_u32s(s.transmute_u32s_f32s(vectors(s, state)[vector_idx]), no_sign);
        largest = s.select_u32s(s.greater_than_u32s(bits, largest), bits, largest);
    }
    s.transmute_f32s_u32s(largest)
}

/// `x` between -127 and 127 as a whole number, 128 higher.
#[inline(always)]
fn byte<S: Simd>(s: S, x: S::f32s) -> S::u32s {
    // Adding 1.5 · 2²³ leaves the rounded integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let shifted = s.add_f32s(x, s.splat_f32s(ROUND + 128.0));
    s.and_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(0xff))
}
