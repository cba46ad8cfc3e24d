//! A dense layer with weights in 8 bits, or some of its outputs, on some blocks of tokens.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    activations::{CHUNK, QUAD, QuantizedBlock, QuantizedBlocks, TokenRanges},
    path::{IntegerPath, PanelScratch},
    tile::Quad,
};
use crate::model::neural::simd::{
    blocks::{Blocks, FeatureRow},
    math::DenseActivation,
    tile::{PANEL, SumStart},
    vector::{dispatch, mul_add, n_vectors, vectors, vectors_mut},
};

/// The instruction sets of one computation: those for `f32`, and those for products of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instructions {
    pub(crate) arch: Arch,
    pub(crate) path: IntegerPath,
}

impl Instructions {
    /// The fastest that this processor has.
    pub(crate) fn fastest() -> Self {
        Self { arch: Arch::new(), path: IntegerPath::fastest() }
    }
}

/// Rows of weights, one for each output, in 8 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuantizedRows<'a> {
    /// `[n_out, n_in]`, row-major.
    pub(crate) values: &'a [i8],
    /// `[n_out]`: what a row's numbers are multiplied with.
    pub(crate) scales: &'a [f32],
    /// `[n_out]`.
    pub(crate) bias: &'a [f32],
}

/// A dense layer's weights `[n_panels][n_quads][PANEL]`, rearranged once when they are loaded. Outputs
/// behind the last are zeros.
#[derive(Debug)]
pub(crate) struct PackedInt8 {
    n_out: usize,
    n_in: usize,
    quads: Vec<[Quad; PANEL]>,
    /// `[n_panels][n_chunks][PANEL]`: the beginnings of the sums, -128 times the weights of a chunk.
    starts: Vec<[i32; PANEL]>,
    /// `[n_panels][PANEL]`.
    scales: Vec<[f32; PANEL]>,
    /// `[n_panels][PANEL]`.
    bias: Vec<[f32; PANEL]>,
}

impl PackedInt8 {
    /// Packs the rows of all `parts` as one layer that has all their outputs.
    pub(crate) fn new(parts: &[QuantizedRows<'_>], n_in: usize) -> Self {
        let rows: Vec<(&[i8], f32, f32)> = parts
            .iter()
            .flat_map(|part| {
                let numbers = part.scales.iter().zip(part.bias);
                part.values.chunks_exact(n_in).zip(numbers).map(|(row, (s, b))| (row, *s, *b))
            })
            .collect();
        let (n_quads, n_chunks) = (n_in.div_ceil(QUAD), n_in.div_ceil(CHUNK));
        let n_panels = rows.len().div_ceil(PANEL);
        let mut quads = vec![[[0; QUAD]; PANEL]; n_panels * n_quads];
        let mut starts = vec![[0; PANEL]; n_panels * n_chunks];
        let mut scales = vec![[0.0; PANEL]; n_panels];
        let mut bias = vec![[0.0; PANEL]; n_panels];
        let panels = quads
            .par_chunks_exact_mut(n_quads)
            .zip(starts.par_chunks_exact_mut(n_chunks))
            .zip(scales.par_iter_mut().zip(&mut bias));
        panels.zip(rows.par_chunks(PANEL)).for_each(|(((quads, starts), numbers), rows)| {
            for (output, (weights, scale, bias)) in rows.iter().enumerate() {
                (numbers.0[output], numbers.1[output]) = (*scale, *bias);
                for (quad, weights) in quads.iter_mut().zip(weights.chunks(QUAD)) {
                    quad[output][..weights.len()].copy_from_slice(weights);
                }
                for (start, weights) in starts.iter_mut().zip(weights.chunks(CHUNK)) {
                    start[output] = -128 * weights.iter().map(|w| i32::from(*w)).sum::<i32>();
                }
            }
        });
        Self { n_out: rows.len(), n_in, quads, starts, scales, bias }
    }

    pub(crate) fn n_out(&self) -> usize {
        self.n_out
    }

    pub(crate) fn n_in(&self) -> usize {
        self.n_in
    }

    pub(crate) fn n_panels(&self) -> usize {
        self.bias.len()
    }

    /// The layer's result for all tokens into `out`, the outputs split over the threads: every thread reads its
    /// share of the weights once, however few tokens there are.
    pub(crate) fn apply_into(
        &self,
        instructions: Instructions,
        x: &QuantizedBlocks,
        out: &mut Blocks,
        start: SumStart,
        function: DenseActivation,
    ) {
        // A few parts a thread, so that one that is held up can hand work on.
        let n_parts = 4 * rayon::current_num_threads();
        let n_panels = self.n_panels().div_ceil(n_parts);
        let mut parts: Vec<Vec<Int8Task<'_>>> = Vec::new();
        parts.resize_with(self.n_panels().div_ceil(n_panels), Vec::new);
        for (x, block) in x.blocks().zip(out.blocks_mut()) {
            for (part, out) in parts.iter_mut().zip(block.chunks_mut(n_panels * PANEL)) {
                part.push(Int8Task { x, out });
            }
        }
        parts.par_iter_mut().enumerate().for_each(|(part_idx, blocks)| {
            let first = part_idx * n_panels;
            let panels = first..(first + n_panels).min(self.n_panels());
            let chunks = 0..self.n_in.div_ceil(CHUNK);
            DenseInt8 { weights: self, panels, chunks, start, function, blocks }.run(instructions);
        });
    }
}

/// One block's part of a dense layer.
pub(crate) struct Int8Task<'a> {
    /// The features of [`DenseInt8::chunks`].
    pub(crate) x: QuantizedBlock<'a>,
    /// The features of [`DenseInt8::panels`], `[n_out][BLOCK]`.
    pub(crate) out: &'a mut [FeatureRow],
}

/// A product to compute.
pub(crate) struct DenseInt8<'t, 'w, 'b> {
    pub(crate) weights: &'w PackedInt8,
    /// The outputs.
    pub(crate) panels: Range<usize>,
    /// The chunks of the inputs that are summed.
    pub(crate) chunks: Range<usize>,
    pub(crate) start: SumStart,
    pub(crate) function: DenseActivation,
    pub(crate) blocks: &'t mut [Int8Task<'b>],
}

impl DenseInt8<'_, '_, '_> {
    /// Computes it on this thread.
    pub(crate) fn run(self, Instructions { arch, path }: Instructions) {
        let Self { weights, panels, chunks, mut start, function, blocks } = self;
        let (n_quads, n_chunks) = (weights.n_in.div_ceil(QUAD), weights.n_in.div_ceil(CHUNK));
        let quads_of = |chunk_idx: usize| {
            let quads = chunk_idx * (CHUNK / QUAD);
            quads..(quads + CHUNK / QUAD).min(n_quads)
        };
        let first_quad = quads_of(chunks.start).start;
        let mut scratch = PanelScratch::default();
        let mut sums = [FeatureRow::ZERO; PANEL];
        for chunk_idx in chunks.clone() {
            let quads = quads_of(chunk_idx);
            let rows = quads.start - first_quad..quads.end - first_quad;
            let is_last = chunk_idx + 1 == chunks.end;
            for panel_idx in panels.clone() {
                let panel = &weights.quads[panel_idx * n_quads..][..n_quads][quads.clone()];
                let starts = &weights.starts[panel_idx * n_chunks + chunk_idx];
                let panel = path.open(panel, starts, &mut scratch);
                for Int8Task { x, out } in &mut *blocks {
                    panel.sums(&x.rows[rows.clone()], &mut sums, x.n_tokens);
                    let offset = (panel_idx - panels.start) * PANEL;
                    let n_out = (out.len() - offset).min(PANEL);
                    let finish = FinishPanel {
                        sums: &sums,
                        ranges: &x.ranges[chunk_idx - chunks.start],
                        starts,
                        scales: &weights.scales[panel_idx],
                        bias: &weights.bias[panel_idx],
                        out: &mut out[offset..offset + n_out],
                        n_tokens: x.n_tokens,
                        start,
                        function: if is_last { function } else { DenseActivation::Identity },
                    };
                    dispatch(arch, finish);
                }
            }
            start = SumStart::Continue;
        }
    }
}

/// Makes numbers of a panel's sums: each times its token's scale, with the weights' sum times the token's
/// centre, and that times its output's scale.
struct FinishPanel<'a> {
    sums: &'a [FeatureRow; PANEL],
    ranges: &'a TokenRanges,
    starts: &'a [i32; PANEL],
    scales: &'a [f32; PANEL],
    bias: &'a [f32; PANEL],
    out: &'a mut [FeatureRow],
    n_tokens: usize,
    start: SumStart,
    function: DenseActivation,
}

impl WithSimd for FinishPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let n_vectors = n_vectors::<S>(self.n_tokens);
        let ranges = (vectors(s, &self.ranges.scale), vectors(s, &self.ranges.center));
        let numbers = self.sums.iter().zip(self.starts).zip(self.scales.iter().zip(self.bias));
        for (row, ((sums, start), (scale, bias))) in self.out.iter_mut().zip(numbers) {
            // The sum of the weights: exact, since a sum begins with -128 times that.
            let weights = s.splat_f32s(*start as f32 / -128.0);
            let (scale, bias) = (s.splat_f32s(*scale), s.splat_f32s(*bias));
            let row = vectors_mut(s, row)[..n_vectors].iter_mut();
            let tokens = vectors(s, sums).iter().zip(ranges.0.iter().zip(ranges.1));
            for (value, (sum, (token_scale, center))) in row.zip(tokens) {
                let begin = match self.start {
                    SumStart::Bias => bias,
                    SumStart::Residual => s.add_f32s(*value, bias),
                    SumStart::Continue => *value,
                };
                let product = mul_add(s, weights, *center, s.mul_f32s(*sum, *token_scale));
                *value = mul_add(s, product, scale, begin);
            }
        }
        self.function.apply(s, self.out, n_vectors);
    }
}
