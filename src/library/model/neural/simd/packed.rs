//! A dense layer's weights, rearranged once when they are loaded.

use pulp::Arch;
use rayon::prelude::*;

use super::{
    blocks::{Blocks, FeatureRow},
    dense::{BlockTask, Dense, Weights},
    math::DenseActivation,
    tile::{PANEL, SumStart},
};
use crate::{error::Result, model::neural::tensors::Tensors};

/// Weights `[n_panels][n_in][PANEL]`: the outputs of a panel side by side, as the innermost product
/// reads them. Outputs behind the last are zeros.
#[derive(Debug)]
pub(crate) struct Packed {
    n_out: usize,
    n_in: usize,
    panels: Vec<[f32; PANEL]>,
    bias: Vec<[f32; PANEL]>,
}

impl Packed {
    /// Loads `name.weight`, `[n_out, n_in]`, and `name.bias` of every name, as one layer that has
    /// all their outputs.
    pub(crate) fn load(tensors: &Tensors, names: &[&str], n_in: usize) -> Result<Self> {
        let mut parts = Vec::new();
        for name in names {
            let weight = tensors.get(&format!("{name}.weight"))?;
            parts.push((weight, weight.values()?, tensors.values(&format!("{name}.bias"))?));
        }
        let rows: Vec<(&[f32], f32)> = parts
            .iter()
            .flat_map(|(_, weight, bias)| weight.chunks_exact(n_in).zip(bias.iter().copied()))
            .collect();
        let packed = Self::new(&rows, n_in);
        for (weight, ..) in &parts {
            weight.release();
        }
        Ok(packed)
    }

    /// Packs one row of weights and a bias for each output.
    pub(crate) fn new(rows: &[(&[f32], f32)], n_in: usize) -> Self {
        let n_panels = rows.len().div_ceil(PANEL);
        let mut panels = vec![[0.0; PANEL]; n_panels * n_in];
        let mut bias = vec![[0.0; PANEL]; n_panels];
        panels.par_chunks_exact_mut(n_in).zip(&mut bias).zip(rows.par_chunks(PANEL)).for_each(
            |((panel, bias), rows)| {
                for (output, (weights, output_bias)) in rows.iter().enumerate() {
                    bias[output] = *output_bias;
                    for (values, weight) in panel.iter_mut().zip(*weights) {
                        values[output] = *weight;
                    }
                }
            },
        );
        Self { n_out: rows.len(), n_in, panels, bias }
    }

    pub(crate) fn n_out(&self) -> usize {
        self.n_out
    }

    pub(crate) fn n_panels(&self) -> usize {
        self.bias.len()
    }

    pub(crate) fn weights(&self) -> Weights<'_> {
        Weights { n_in: self.n_in, panels: &self.panels, bias: &self.bias }
    }

    /// The layer's result for all tokens.
    pub(crate) fn apply(&self, arch: Arch, x: &Blocks, function: DenseActivation) -> Blocks {
        let mut out = Blocks::zeros(self.n_out, x.n_tokens());
        self.apply_into(arch, x, &mut out, SumStart::Bias, function);
        out
    }

    /// [`Packed::apply`] into `out`, the outputs split over the threads: every thread reads its
    /// share of the weights once, however few tokens there are.
    pub(crate) fn apply_into(
        &self,
        arch: Arch,
        x: &Blocks,
        out: &mut Blocks,
        start: SumStart,
        function: DenseActivation,
    ) {
        // A few parts a thread, so that one that is held up can hand work on; an even number of
        // panels, because the product takes two at a time.
        let n_parts = 4 * rayon::current_num_threads();
        let n_panels = self.n_panels().div_ceil(n_parts).next_multiple_of(2);
        let mut parts: Vec<Vec<BlockTask<'_>>> = Vec::new();
        parts.resize_with(self.n_panels().div_ceil(n_panels), Vec::new);
        let n_tokens: Vec<usize> = (0..x.n_blocks()).map(|idx| x.block_tokens(idx)).collect();
        for (block_idx, block) in out.blocks_mut().enumerate() {
            for (part, out) in parts.iter_mut().zip(block.chunks_mut(n_panels * PANEL)) {
                part.push(BlockTask { x: x.block(block_idx), out, n_tokens: n_tokens[block_idx] });
            }
        }
        parts.par_iter_mut().enumerate().for_each(|(part_idx, blocks)| {
            let first = part_idx * n_panels;
            let panels = first..(first + n_panels).min(self.n_panels());
            let inputs = 0..self.n_in;
            Dense { weights: self.weights(), panels, inputs, start, function, blocks }.run(arch);
        });
    }

    /// All outputs of the given blocks, on this thread.
    pub(crate) fn apply_here(
        &self,
        arch: Arch,
        blocks: &mut [BlockTask<'_>],
        start: SumStart,
        function: DenseActivation,
    ) {
        let (panels, inputs) = (0..self.n_panels(), 0..self.n_in);
        Dense { weights: self.weights(), panels, inputs, start, function, blocks }.run(arch);
    }
}

/// The tasks of some blocks, each `n_in` rows of `x` and `n_out` rows of `out`.
pub(crate) fn block_tasks<'a>(
    x: &'a [FeatureRow],
    n_in: usize,
    out: &'a mut [FeatureRow],
    n_out: usize,
    n_tokens: &'a [usize],
) -> Vec<BlockTask<'a>> {
    let pairs = x.chunks_exact(n_in).zip(out.chunks_exact_mut(n_out)).zip(n_tokens);
    pairs.map(|((x, out), n_tokens)| BlockTask { x, out, n_tokens: *n_tokens }).collect()
}
