//! A dense layer, or some of its outputs, on some blocks of tokens.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::{
    blocks::Row,
    math::Function,
    tile::{self, PANEL, Start},
    vector::{dispatch, n_vectors},
};

/// Inputs that are summed before the next: their rows of a few blocks stay in the L2 cache. A sum
/// that is set down and taken up again has the same bits.
const N_IN_CACHED: usize = 768;

/// Weights in panels, `[n_panels][n_in][PANEL]`, and their biases, `[n_panels][PANEL]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) n_in: usize,
    pub(crate) panels: &'a [[f32; PANEL]],
    pub(crate) bias: &'a [[f32; PANEL]],
}

/// One block's part of a dense layer.
pub(crate) struct BlockTask<'a> {
    /// `[inputs.len()][BLOCK]`.
    pub(crate) x: &'a [Row],
    /// The features of [`Dense::panels`], `[n_out][BLOCK]`.
    pub(crate) out: &'a mut [Row],
    pub(crate) n_tokens: usize,
}

/// A product to compute.
pub(crate) struct Dense<'t, 'w, 'b> {
    pub(crate) weights: Weights<'w>,
    /// The outputs.
    pub(crate) panels: Range<usize>,
    /// The inputs that are summed.
    pub(crate) inputs: Range<usize>,
    pub(crate) start: Start,
    pub(crate) function: Function,
    pub(crate) blocks: &'t mut [BlockTask<'b>],
}

impl Dense<'_, '_, '_> {
    pub(crate) fn run(self, arch: Arch) {
        dispatch(arch, self);
    }
}

impl WithSimd for Dense<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { weights, inputs, blocks, .. } = self;
        let mut start = self.start;
        for first_input in inputs.clone().step_by(N_IN_CACHED) {
            let chunk = first_input..inputs.end.min(first_input + N_IN_CACHED);
            let rows = chunk.start - inputs.start..chunk.end - inputs.start;
            let panel = |panel_idx: usize| {
                &weights.panels[panel_idx * weights.n_in..][..weights.n_in][chunk.clone()]
            };
            for panel_idx in self.panels.clone().step_by(2) {
                // The last panel may be alone; its outputs are then too few to reach a second.
                let second_idx = (panel_idx + 1).min(self.panels.end - 1);
                let pair = [panel(panel_idx), panel(second_idx)];
                let bias = [weights.bias[panel_idx], weights.bias[second_idx]];
                for block in &mut *blocks {
                    let offset = (panel_idx - self.panels.start) * PANEL;
                    let n_out = (block.out.len() - offset).min(2 * PANEL);
                    let out = &mut block.out[offset..offset + n_out];
                    let n_vectors = n_vectors::<S>(block.n_tokens);
                    tile::panels(s, pair, &bias, &block.x[rows.clone()], out, n_vectors, start);
                    if chunk.end == inputs.end {
                        self.function.apply(s, out, n_vectors);
                    }
                }
            }
            start = Start::Continue;
        }
    }
}
