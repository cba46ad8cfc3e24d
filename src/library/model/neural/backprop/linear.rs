//! Linear layers whose weights lie inputs by outputs, as they are trained.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::parameters::ParameterSource;
use crate::model::neural::simd::{
    blocks::{BLOCK, Blocks, FeatureRow},
    dense::{BlockTask, Dense, Weights},
    derivative::{N_SUMMED, row_sum},
    math::DenseActivation,
    packed::Packed,
    tile::{PANEL, SumStart},
    turned::{panels_of_features, rows_of_tokens},
};

/// The numbers of a layer's weight and bias.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::neural) struct LinearKeys {
    pub(in crate::model::neural) weight: usize,
    pub(in crate::model::neural) bias: usize,
}

/// Layers that read the same, with their outputs side by side.
pub(super) struct Linear<'a> {
    keys: Vec<LinearKeys>,
    weights: Vec<&'a [f32]>,
    biases: Vec<&'a [f32]>,
    n_in: usize,
}

/// Blocks of outputs that are summed together over all tokens: their rows stay in the L2 cache.
const MAX_OUTPUT_BLOCKS: usize = 4;

impl<'a> Linear<'a> {
    pub(super) fn new(values: &'a dyn ParameterSource, keys: LinearKeys) -> Self {
        Self::beside(values, &[keys])
    }

    /// The layers of all `keys`.
    pub(super) fn beside(values: &'a dyn ParameterSource, keys: &[LinearKeys]) -> Self {
        let weights: Vec<_> = keys.iter().map(|keys| values.values(keys.weight)).collect();
        let biases: Vec<_> = keys.iter().map(|keys| values.values(keys.bias)).collect();
        let n_in = weights[0].len() / biases[0].len();
        Self { keys: keys.to_vec(), weights, biases, n_in }
    }

    /// The results for all tokens.
    pub(super) fn forward(&self, arch: Arch, x: &Blocks) -> Blocks {
        let packed = self.packed();
        let mut out = Blocks::room(packed.n_out(), x.n_tokens());
        packed.apply_spread(arch, x, &mut out, SumStart::Bias);
        out
    }

    /// [`Linear::forward`] added to `sums`.
    pub(super) fn forward_onto(&self, arch: Arch, x: &Blocks, sums: &mut Blocks) {
        self.packed().apply_spread(arch, x, sums, SumStart::Residual);
    }

    /// The gradient of what was read from that of the results.
    pub(super) fn backward(&self, arch: Arch, gradient: &Blocks) -> Blocks {
        let mut out = Blocks::room(self.n_in, gradient.n_tokens());
        self.packed_back().apply_spread(arch, gradient, &mut out, SumStart::Bias);
        out
    }

    /// [`Linear::backward`] added to `sums`.
    pub(super) fn backward_onto(&self, arch: Arch, gradient: &Blocks, sums: &mut Blocks) {
        self.packed_back().apply_spread(arch, gradient, sums, SumStart::Residual);
    }

    fn packed(&self) -> Packed {
        let parts = self.weights.iter().copied().zip(self.biases.iter().copied());
        Packed::of_columns(&parts.collect::<Vec<_>>(), self.n_in)
    }

    fn packed_back(&self) -> Packed {
        Packed::of_rows(&self.weights, self.n_in)
    }

    /// Adds the gradients of weights and biases to `own`: sums over all tokens of what was read times the
    /// gradient of the results.
    pub(super) fn gradients(
        &self,
        arch: Arch,
        x: &Blocks,
        gradient: &Blocks,
        own: Option<&mut Vec<(usize, Vec<f32>)>>,
    ) {
        if let Some(own) = own {
            let panels = panels_of_features(x, 0..x.n_features(), 0..x.n_tokens());
            own.extend(self.gradients_of(arch, &panels, gradient));
        }
    }

    fn gradients_of(
        &self,
        arch: Arch,
        panels: &[[f32; PANEL]],
        gradient: &Blocks,
    ) -> Vec<(usize, Vec<f32>)> {
        let rows = rows_of_tokens(gradient);
        let mut first = 0;
        let mut all = Vec::new();
        for (keys, bias) in self.keys.iter().zip(&self.biases) {
            let outputs = first..first + bias.len();
            first = outputs.end;
            let rows = TokenRows { rows: &rows, n: gradient.n_tokens(), first: 0 };
            let weight = weight_gradient(arch, self.n_in, panels, rows, outputs.clone());
            all.extend([(keys.weight, weight), (keys.bias, bias_gradient(gradient, outputs))]);
        }
        all
    }
}

/// The sums of the gradient over all tokens.
pub(super) fn bias_gradient(gradient: &Blocks, outputs: Range<usize>) -> Vec<f32> {
    let mut sums = vec![0.0; outputs.len()];
    sums.par_chunks_mut(N_SUMMED).enumerate().for_each(|(part_idx, sums)| {
        let first = outputs.start + part_idx * N_SUMMED;
        for block_idx in 0..gradient.n_blocks() {
            let n_tokens = gradient.block_tokens(block_idx);
            let rows = &gradient.block(block_idx)[first..];
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum += row_sum(row, n_tokens);
            }
        }
    });
    sums
}

/// Rows of features of some tokens, as many as there are beside them.
#[derive(Clone, Copy)]
pub(super) struct TokenRows<'a> {
    /// `[n_feature_blocks][n][BLOCK]`.
    pub(super) rows: &'a [FeatureRow],
    /// All tokens.
    pub(super) n: usize,
    /// The first of them that counts.
    pub(super) first: usize,
}

/// The gradient of a weight, `[n_in, outputs.len()]`, row-major.
///
/// # Shapes
/// `panels`: what was read, `[n_panels][n_tokens][PANEL]`; `rows`: the gradient of the results of as many tokens.
pub(super) fn weight_gradient(
    arch: Arch,
    n_in: usize,
    panels: &[[f32; PANEL]],
    rows: TokenRows<'_>,
    outputs: Range<usize>,
) -> Vec<f32> {
    // A few parts a thread, each some of the weight's rows; the product takes two panels at a time.
    let n_panels = n_in.div_ceil(PANEL);
    let n_tokens = panels.len() / n_panels;
    let n_parts = 4 * rayon::current_num_threads();
    let n_panels = n_panels.div_ceil(n_parts).next_multiple_of(2);
    let width = outputs.len();
    let mut weight = vec![0.0; n_in * width];
    let parts = weight.par_chunks_mut(n_panels * PANEL * width).enumerate();
    parts.for_each(|(part_idx, out)| {
        let weights = Weights {
            n_in: n_tokens,
            panels: &panels[part_idx * n_panels * n_tokens..],
            bias: &vec![[0.0; PANEL]; n_panels],
        };
        sum_over_tokens(arch, weights, rows, outputs.clone(), out);
    });
    weight
}

/// Some rows of a weight's gradient, `[n_rows, outputs.len()]`, row-major.
fn sum_over_tokens(
    arch: Arch,
    weights: Weights<'_>,
    rows: TokenRows<'_>,
    outputs: Range<usize>,
    out: &mut [f32],
) {
    let (n_tokens, width) = (weights.n_in, outputs.len());
    let n_rows = out.len() / width;
    let mut sums = vec![FeatureRow::ZERO; MAX_OUTPUT_BLOCKS * n_rows];
    let blocks: Vec<usize> = (outputs.start / BLOCK..outputs.end.div_ceil(BLOCK)).collect();
    for blocks in blocks.chunks(MAX_OUTPUT_BLOCKS) {
        let parts = blocks.iter().zip(sums.chunks_exact_mut(n_rows));
        let mut tasks: Vec<BlockTask<'_>> = parts
            .map(|(block_idx, out)| {
                let x = &rows.rows[block_idx * rows.n + rows.first..][..n_tokens];
                BlockTask { x, out, n_tokens: BLOCK }
            })
            .collect();
        let product = Dense {
            weights,
            panels: 0..n_rows.div_ceil(PANEL),
            inputs: 0..n_tokens,
            start: SumStart::Bias,
            function: DenseActivation::Identity,
            blocks: &mut tasks,
        };
        product.run(arch);
        for (block_idx, sums) in blocks.iter().zip(sums.chunks_exact(n_rows)) {
            let start = outputs.start.max(block_idx * BLOCK);
            let end = outputs.end.min((block_idx + 1) * BLOCK);
            let lanes = start - block_idx * BLOCK..end - block_idx * BLOCK;
            for (out, sums) in out.chunks_exact_mut(width).zip(sums) {
                out[start - outputs.start..end - outputs.start]
                    .copy_from_slice(&sums.0[lanes.clone()]);
            }
        }
    }
}
