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

    /// Packs matrices `[n_in, n_out]`, inputs by outputs, and their biases as one layer that has all their
    /// outputs side by side.
    pub(crate) fn of_columns(parts: &[(&[f32], &[f32])], n_in: usize) -> Self {
        let outputs: Vec<(&[f32], usize, usize)> = parts
            .iter()
            .flat_map(|(matrix, bias)| (0..bias.len()).map(|column| (*matrix, bias.len(), column)))
            .collect();
        let biases = parts.iter().flat_map(|(_, bias)| bias.iter().copied());
        let mut bias = vec![[0.0; PANEL]; outputs.len().div_ceil(PANEL)];
        for (place, value) in bias.iter_mut().flatten().zip(biases) {
            *place = value;
        }
        let mut panels = vec![[0.0; PANEL]; bias.len() * n_in];
        panels.par_chunks_exact_mut(n_in).zip(outputs.par_chunks(PANEL)).for_each(
            |(panel, outputs)| {
                let (matrix, width, first) = outputs[0];
                let is_one_run = outputs.len() == PANEL && first + PANEL <= width;
                for (input, values) in panel.iter_mut().enumerate() {
                    if is_one_run {
                        values.copy_from_slice(&matrix[input * width + first..][..PANEL]);
                        continue;
                    }
                    for (value, (matrix, width, column)) in values.iter_mut().zip(outputs) {
                        *value = matrix[input * width + column];
                    }
                }
            },
        );
        Self { n_out: outputs.len(), n_in, panels, bias }
    }

    /// Packs the transposes of matrices `[n_out, n_in]` as one layer that has all their inputs behind each
    /// other, without a bias.
    pub(crate) fn of_rows(parts: &[&[f32]], n_out: usize) -> Self {
        let n_in = parts.iter().map(|part| part.len() / n_out).sum();
        let n_panels = n_out.div_ceil(PANEL);
        let mut panels = vec![[0.0; PANEL]; n_panels * n_in];
        panels.par_chunks_exact_mut(n_in).enumerate().for_each(|(panel_idx, panel)| {
            let mut rest = panel;
            for part in parts {
                let width = part.len() / n_out;
                let (here, after) = rest.split_at_mut(width);
                let first = panel_idx * PANEL;
                let rows: Vec<&[f32]> = part.chunks_exact(width).skip(first).take(PANEL).collect();
                for (input, values) in here.iter_mut().enumerate() {
                    for (value, row) in values.iter_mut().zip(&rows) {
                        *value = row[input];
                    }
                }
                rest = after;
            }
        });
        Self { n_out, n_in, panels, bias: vec![[0.0; PANEL]; n_panels] }
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
        let mut out = Blocks::room(self.n_out, x.n_tokens());
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

    /// [`Packed::apply_into`] without a function, split by blocks where there are enough of them.
    pub(crate) fn apply_spread(&self, arch: Arch, x: &Blocks, out: &mut Blocks, start: SumStart) {
        let none = DenseActivation::Identity;
        let Some(n_group) = group_size(x.n_blocks()) else {
            return self.apply_into(arch, x, out, start, none);
        };
        let (n_in, n_out) = (self.n_in, self.n_out);
        let n_tokens: Vec<usize> = (0..x.n_blocks()).map(|idx| x.block_tokens(idx)).collect();
        x.all()
            .par_chunks(n_group * n_in)
            .zip(out.all_mut().par_chunks_mut(n_group * n_out))
            .zip(n_tokens.par_chunks(n_group))
            .for_each(|((x, out), n_tokens)| {
                let mut tasks = block_tasks(x, n_in, out, n_out, n_tokens);
                self.apply_here(arch, &mut tasks, start, none);
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

/// Blocks that a thread carries through the layer together: each reads the weights once, and more
/// of them no longer fit the L2 cache.
const MAX_GROUP: usize = 4;
/// With fewer blocks a thread, all threads share all blocks and split the outputs: weights then
/// leave the memory once and not once a thread.
const MIN_GROUP: usize = 3;

/// The number of blocks to carry through together, or nothing where splitting the blocks would read
/// the weights too often or leave threads without work.
pub(crate) fn group_size(n_blocks: usize) -> Option<usize> {
    let n_threads = rayon::current_num_threads();
    let n_rounds = n_blocks.div_ceil(n_threads * MAX_GROUP);
    let n_group = n_blocks.div_ceil(n_rounds * n_threads);
    // Blocks that a full round would have room for, over those that there are.
    let n_slots = n_rounds * n_threads * n_group;
    (n_group >= MIN_GROUP && n_slots * 8 <= n_blocks * 9).then_some(n_group)
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
