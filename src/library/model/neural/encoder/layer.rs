//! One transformer layer: attention and a feed-forward network, each with a residual connection
//! and a norm behind it.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::attention::attention;
use crate::{
    error::Result,
    model::neural::{
        checkpoint::EncoderConfig,
        quantized::QuantizedFile,
        simd::{
            blocks::{Blocks, FeatureRow},
            dense::Dense,
            math::{DenseActivation, LayerNorm},
            packed::{Packed, block_tasks, group_size},
            tile::{PANEL, SumStart},
        },
        tensors::Tensors,
    },
};

/// Panels of the feed-forward network's first product that are computed before the second takes
/// them up, so that they are still in the L2 cache.
const FFN_PANELS: usize = 32;

/// A layer's weights.
#[derive(Debug)]
pub(super) struct LayerWeights {
    n_heads: usize,
    width: usize,
    query: Packed,
    key_value: Packed,
    out: Packed,
    attention_norm: Norm,
    lin1: Packed,
    lin2: Packed,
    output_norm: Norm,
    activation: DenseActivation,
}

/// Room for what a layer computes on its way. The layers take turns in it: taking memory anew each time
/// would cost a short text a tenth of its time.
#[derive(Debug)]
pub(super) struct LayerRoom {
    pub(super) queries: Blocks,
    pub(super) keys_values: Blocks,
    pub(super) attended: Blocks,
    pub(super) hidden: Blocks,
}

impl LayerRoom {
    pub(super) fn new() -> Self {
        let none = || Blocks::zeros(1, 0);
        Self { queries: none(), keys_values: none(), attended: none(), hidden: none() }
    }
}

impl LayerWeights {
    pub(super) fn load(
        config: &EncoderConfig,
        tensors: &Tensors,
        layer_idx: usize,
    ) -> Result<Self> {
        let name = |part: &str| format!("distilbert.transformer.layer.{layer_idx}.{part}");
        let width = config.width;
        let load = |parts: &[&str], n_in: usize| {
            let names: Vec<String> = parts.iter().map(|part| name(part)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Packed::load(tensors, &names, n_in)
        };
        Ok(Self {
            n_heads: config.n_heads,
            width,
            query: load(&["attention.q_lin"], width)?,
            key_value: load(&["attention.k_lin", "attention.v_lin"], width)?,
            out: load(&["attention.out_lin"], width)?,
            attention_norm: Norm::load(config, tensors, &name("sa_layer_norm"))?,
            lin1: load(&["ffn.lin1"], width)?,
            lin2: load(&["ffn.lin2"], config.ffn_width)?,
            output_norm: Norm::load(config, tensors, &name("output_layer_norm"))?,
            activation: config.activation.into(),
        })
    }

    /// The next states of the tokens of `states`. With `context`, `states` are one token of each
    /// sequence and `context` are all of its tokens, which it attends to.
    pub(super) fn forward(
        &self,
        arch: Arch,
        states: Blocks,
        context: Option<&Blocks>,
        spans: &[Range<usize>],
        room: &mut LayerRoom,
    ) -> Blocks {
        let keys_of = context.unwrap_or(&states);
        let own_spans: Vec<Range<usize>>;
        let query_spans = match context {
            None => spans,
            Some(_) => {
                own_spans = (0..spans.len()).map(|idx| idx..idx + 1).collect();
                &own_spans
            }
        };
        let LayerRoom { queries, keys_values, attended, hidden } = room;
        project(arch, &self.query, &states, queries);
        project(arch, &self.key_value, keys_of, keys_values);
        attention(arch, queries, keys_values, query_spans, spans, self.n_heads, attended);
        let mut next = states;
        if let Some(n_group) = group_size(next.n_blocks()) {
            self.finish_groups(arch, attended, &mut next, n_group);
        } else {
            self.finish_columns(arch, attended, &mut next, hidden);
        }
        next
    }

    /// All that follows the attention, with the outputs of every product split over the threads.
    fn finish_columns(
        &self,
        arch: Arch,
        attended: &Blocks,
        states: &mut Blocks,
        hidden: &mut Blocks,
    ) {
        let none = DenseActivation::Identity;
        self.out.apply_into(arch, attended, states, SumStart::Residual, none);
        self.attention_norm.apply_all(arch, states);
        hidden.reshape(self.lin1.n_out(), states.n_tokens());
        self.lin1.apply_into(arch, states, hidden, SumStart::Bias, self.activation);
        self.lin2.apply_into(arch, hidden, states, SumStart::Residual, none);
        self.output_norm.apply_all(arch, states);
    }

    /// All that follows the attention, with the blocks split over the threads: no thread waits
    /// for another, and what one step writes is in the cache when the next reads it.
    fn finish_groups(&self, arch: Arch, attended: &Blocks, states: &mut Blocks, n_group: usize) {
        let n_tokens: Vec<usize> =
            (0..states.n_blocks()).map(|idx| states.block_tokens(idx)).collect();
        attended
            .all()
            .par_chunks(n_group * self.width)
            .zip(states.all_mut().par_chunks_mut(n_group * self.width))
            .zip(n_tokens.par_chunks(n_group))
            .for_each(|((attended, states), n_tokens)| {
                self.finish_group(arch, attended, states, n_tokens);
            });
    }

    fn finish_group(
        &self,
        arch: Arch,
        attended: &[FeatureRow],
        states: &mut [FeatureRow],
        n_tokens: &[usize],
    ) {
        let width = self.width;
        let mut tasks = block_tasks(attended, width, states, width, n_tokens);
        self.out.apply_here(arch, &mut tasks, SumStart::Residual, DenseActivation::Identity);
        for (block, n_tokens) in states.chunks_exact_mut(width).zip(n_tokens) {
            self.attention_norm.apply(arch, block, *n_tokens);
        }
        let mut sums = states.to_vec();
        let ffn_width = self.lin1.n_out();
        let mut hidden = vec![FeatureRow::ZERO; n_tokens.len() * ffn_width.min(FFN_PANELS * PANEL)];
        let mut start = SumStart::Residual;
        for first in (0..self.lin1.n_panels()).step_by(FFN_PANELS) {
            let panels = first..(first + FFN_PANELS).min(self.lin1.n_panels());
            let inputs = first * PANEL..(panels.end * PANEL).min(ffn_width);
            let hidden = &mut hidden[..n_tokens.len() * inputs.len()];
            let dense = Dense {
                weights: self.lin1.weights(),
                panels,
                inputs: 0..width,
                start: SumStart::Bias,
                function: self.activation,
                blocks: &mut block_tasks(states, width, hidden, inputs.len(), n_tokens),
            };
            dense.run(arch);
            let dense = Dense {
                weights: self.lin2.weights(),
                panels: 0..self.lin2.n_panels(),
                inputs: inputs.clone(),
                start,
                function: DenseActivation::Identity,
                blocks: &mut block_tasks(hidden, inputs.len(), &mut sums, width, n_tokens),
            };
            dense.run(arch);
            start = SumStart::Continue;
        }
        states.copy_from_slice(&sums);
        for (block, n_tokens) in states.chunks_exact_mut(width).zip(n_tokens) {
            self.output_norm.apply(arch, block, *n_tokens);
        }
    }
}

/// A product of all tokens into `out`.
fn project(arch: Arch, layer: &Packed, states: &Blocks, out: &mut Blocks) {
    out.reshape(layer.n_out(), states.n_tokens());
    layer.apply_spread(arch, states, out, SumStart::Bias);
}

/// A layer norm's weights.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl Norm {
    pub(super) fn load(config: &EncoderConfig, tensors: &Tensors, name: &str) -> Result<Self> {
        Ok(Self {
            weight: tensors.values(&format!("{name}.weight"))?.to_vec(),
            bias: tensors.values(&format!("{name}.bias"))?.to_vec(),
            eps: config.layer_norm_eps as f32,
        })
    }

    pub(super) fn load_int8(
        config: &EncoderConfig,
        file: &QuantizedFile,
        name: &str,
    ) -> Result<Self> {
        Ok(Self {
            weight: file.plain(&format!("{name}.weight"))?.to_vec(),
            bias: file.plain(&format!("{name}.bias"))?.to_vec(),
            eps: config.layer_norm_eps as f32,
        })
    }

    /// Normalises a block of `n_tokens` tokens in place.
    pub(super) fn apply(&self, arch: Arch, rows: &mut [FeatureRow], n_tokens: usize) {
        let Self { weight, bias, eps } = self;
        LayerNorm { rows, n_tokens, weight, bias, eps: *eps }.run(arch);
    }

    pub(super) fn apply_all(&self, arch: Arch, states: &mut Blocks) {
        let n_tokens: Vec<usize> =
            (0..states.n_blocks()).map(|idx| states.block_tokens(idx)).collect();
        let blocks: Vec<_> = states.blocks_mut().zip(n_tokens).collect();
        blocks.into_par_iter().for_each(|(rows, n_tokens)| self.apply(arch, rows, n_tokens));
    }
}
