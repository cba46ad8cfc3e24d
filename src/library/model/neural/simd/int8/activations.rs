//! Activations in 8 bits, quantised as they come: every token has a centre and a scale of its own, for each
//! [`CHUNK`] of its features. What an activation function leaves is mostly on one side of zero; counted
//! from the centre, it has all of the bytes.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::tile::QuadRow;
use crate::model::neural::simd::{
    blocks::{BLOCK, Blocks, FeatureRow},
    vector::{dispatch, mul_add, n_vectors, vectors, vectors_mut},
};

/// Features that have a centre and a scale together. A feed-forward network's wide middle can then be computed,
/// quantised and taken up in parts that stay in the cache, and one large number costs only its
/// neighbours their digits.
pub(crate) const CHUNK: usize = 768;
/// Features of a [`QuadRow`].
pub(crate) const QUAD: usize = 4;
/// Steps between the smallest and the largest feature, from -127 to 127.
const N_STEPS: f32 = 254.0;
/// Features that are no further apart are all the centre: one over that would be no number.
const LEAST: f32 = 1e-30;

/// What the numbers of each token of a block are: byte times `scale` and `center`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenRanges {
    pub(crate) scale: FeatureRow,
    pub(crate) center: FeatureRow,
}

impl TokenRanges {
    const ZERO: Self = Self { scale: FeatureRow::ZERO, center: FeatureRow::ZERO };
}

/// Quantised activations: `rows` are `[n_blocks][n_quads]`, `ranges` `[n_blocks][n_chunks]`.
#[derive(Debug)]
pub(crate) struct QuantizedBlocks {
    n_features: usize,
    n_tokens: usize,
    rows: Vec<QuadRow>,
    ranges: Vec<TokenRanges>,
}

/// One block of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuantizedBlock<'a> {
    /// `[n_quads]`.
    pub(crate) rows: &'a [QuadRow],
    /// `[n_chunks]`.
    pub(crate) ranges: &'a [TokenRanges],
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
            ranges: vec![TokenRanges::ZERO; n_blocks * n_features.div_ceil(CHUNK)],
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
            .zip(quantized.ranges.par_chunks_exact_mut(n_chunks))
            .enumerate()
            .for_each(|(block_idx, (rows, ranges))| {
                let n_tokens = states.block_tokens(block_idx);
                quantize(arch, states.block(block_idx), n_tokens, rows, ranges);
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
        let ranges = self.ranges.chunks_exact_mut(n_features.div_ceil(CHUNK));
        assert!(n_tokens.len() <= rows.len(), "room for {} blocks", rows.len());
        let blocks = states.chunks_exact(n_features).zip(n_tokens);
        for ((states, n_tokens), (rows, ranges)) in blocks.zip(rows.zip(ranges)) {
            quantize(arch, states, *n_tokens, rows, ranges);
        }
    }

    pub(crate) fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Every block.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = QuantizedBlock<'_>> {
        let rows = self.rows.chunks_exact(self.n_features.div_ceil(QUAD));
        let ranges = self.ranges.chunks_exact(self.n_features.div_ceil(CHUNK));
        rows.zip(ranges).enumerate().map(|(block_idx, (rows, ranges))| QuantizedBlock {
            rows,
            ranges,
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
    ranges: &mut [TokenRanges],
) {
    let chunks = states.chunks(CHUNK).zip(rows.chunks_mut(CHUNK / QUAD)).zip(ranges);
    for ((states, rows), ranges) in chunks {
        dispatch(arch, QuantizeChunk { states, n_tokens, rows, ranges });
    }
}

/// Every token's features from its centre, in as many steps as bytes have, rounded half to even.
struct QuantizeChunk<'a> {
    states: &'a [FeatureRow],
    n_tokens: usize,
    rows: &'a mut [QuadRow],
    ranges: &'a mut TokenRanges,
}

impl WithSimd for QuantizeChunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for vector_idx in 0..n_vectors::<S>(self.n_tokens) {
            let Bounds { lowest, highest, fault } = bounds(s, self.states, vector_idx);
            let span = s.sub_f32s(highest, lowest);
            let scale = s.add_f32s(s.mul_f32s(span, s.splat_f32s(1.0 / N_STEPS)), fault);
            let center = s.mul_f32s(s.add_f32s(lowest, highest), s.splat_f32s(0.5));
            vectors_mut(s, &mut self.ranges.scale)[vector_idx] = scale;
            vectors_mut(s, &mut self.ranges.center)[vector_idx] = center;
            let inverse = s.div_f32s(s.splat_f32s(N_STEPS), span);
            let is_some = s.greater_than_f32s(span, s.splat_f32s(LEAST));
            let inverse = s.select_f32s(is_some, inverse, s.splat_f32s(0.0));
            for (row, states) in self.rows.iter_mut().zip(self.states.chunks(QUAD)) {
                let mut quad = s.splat_u32s(0);
                for (i, state) in states.iter().enumerate() {
                    let from_center = s.sub_f32s(vectors(s, state)[vector_idx], center);
                    let byte = byte(s, s.mul_f32s(from_center, inverse));
                    let shift = s.splat_u32s(8 * i as u32);
                    quad = s.or_u32s(quad, s.wrapping_dyn_shl_u32s(byte, shift));
                }
                S::as_mut_simd_u32s(&mut row.0).0[vector_idx] = quad;
            }
        }
    }
}

/// The smallest and the largest feature of each token.
struct Bounds<S: Simd> {
    lowest: S::f32s,
    highest: S::f32s,
    /// No number where a feature is none or is infinite, which comparing passes over: damaged weights must
    /// not look like an answer. Else 0.
    fault: S::f32s,
}

#[inline(always)]
fn bounds<S: Simd>(s: S, states: &[FeatureRow], vector_idx: usize) -> Bounds<S> {
    let mut lowest = s.splat_f32s(f32::INFINITY);
    let mut highest = s.splat_f32s(f32::NEG_INFINITY);
    let mut fault = s.splat_f32s(0.0);
    for state in states {
        let state = vectors(s, state)[vector_idx];
        lowest = s.min_f32s(lowest, state);
        highest = s.max_f32s(highest, state);
        fault = mul_add(s, state, s.splat_f32s(0.0), fault);
    }
    Bounds { lowest, highest, fault }
}

/// `x` between -127 and 127 as a whole number, 128 higher.
#[inline(always)]
fn byte<S: Simd>(s: S, x: S::f32s) -> S::u32s {
    // Adding 1.5 · 2²³ leaves the rounded integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let shifted = s.add_f32s(x, s.splat_f32s(ROUND + 128.0));
    s.and_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(0xff))
}
