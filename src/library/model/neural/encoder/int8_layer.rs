//! A transformer layer whose products are of numbers in 8 bits. Attention, norms and the activation are
//! those of the layer in 32 bits.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    attention::attention,
    layer::{LayerRoom, Norm},
};
use crate::{
    error::Result,
    model::neural::{
        checkpoint::EncoderConfig,
        quantized::QuantizedFile,
        simd::{
            blocks::{Blocks, FeatureRow},
            int8::{
                activations::{CHUNK, QuantizedBlocks},
                dense::{DenseInt8, Instructions, Int8Task, PackedInt8, QuantizedRows},
            },
            math::DenseActivation,
            packed::group_size,
            tile::{PANEL, SumStart},
        },
    },
};

/// A layer's weights.
#[derive(Debug)]
pub(super) struct Int8Layer {
    n_heads: usize,
    query: PackedInt8,
    key_value: PackedInt8,
    out: PackedInt8,
    attention_norm: Norm,
    lin1: PackedInt8,
    lin2: PackedInt8,
    output_norm: Norm,
    activation: DenseActivation,
}

/// The layers `name.weight` and `name.bias` of every name as one that has all their outputs.
pub(super) fn load_packed(file: &QuantizedFile, names: &[&str], n_in: usize) -> Result<PackedInt8> {
    let weights: Vec<String> = names.iter().map(|name| format!("{name}.weight")).collect();
    let rows = names.iter().zip(&weights).map(|(name, weight)| {
        let (values, scales) = file.matrix(weight)?;
        Ok(QuantizedRows { values, scales, bias: file.plain(&format!("{name}.bias"))? })
    });
    let packed = PackedInt8::new(&rows.collect::<Result<Vec<_>>>()?, n_in);
    for weight in &weights {
        file.release(weight);
    }
    Ok(packed)
}

impl Int8Layer {
    pub(super) fn load(
        config: &EncoderConfig,
        file: &QuantizedFile,
        layer_idx: usize,
    ) -> Result<Self> {
        let name = |part: &str| format!("distilbert.transformer.layer.{layer_idx}.{part}");
        let width = config.width;
        let load = |parts: &[&str], n_in: usize| {
            let names: Vec<String> = parts.iter().map(|part| name(part)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            load_packed(file, &names, n_in)
        };
        Ok(Self {
            n_heads: config.n_heads,
            query: load(&["attention.q_lin"], width)?,
            key_value: load(&["attention.k_lin", "attention.v_lin"], width)?,
            out: load(&["attention.out_lin"], width)?,
            attention_norm: Norm::load_int8(config, file, &name("sa_layer_norm"))?,
            lin1: load(&["ffn.lin1"], width)?,
            lin2: load(&["ffn.lin2"], config.ffn_width)?,
            output_norm: Norm::load_int8(config, file, &name("output_layer_norm"))?,
            activation: config.activation.into(),
        })
    }

    /// The next states of the tokens of `states`. With `context`, `states` are one token of each
    /// sequence and `context` are all of its tokens, which it attends to.
    pub(super) fn forward(
        &self,
        instructions: Instructions,
        states: Blocks,
        context: Option<&Blocks>,
        spans: &[Range<usize>],
        room: &mut LayerRoom,
    ) -> Blocks {
        let arch = instructions.arch;
        let own_spans: Vec<Range<usize>>;
        let query_spans = match context {
            None => spans,
            Some(_) => {
                own_spans = (0..spans.len()).map(|idx| idx..idx + 1).collect();
                &own_spans
            }
        };
        let quantized = QuantizedBlocks::of(arch, &states);
        let of_context = context.map(|context| QuantizedBlocks::of(arch, context));
        let of_keys = of_context.as_ref().unwrap_or(&quantized);
        let LayerRoom { queries, keys_values, attended, hidden } = room;
        rayon::join(
            || project(instructions, &self.query, &quantized, queries),
            || project(instructions, &self.key_value, of_keys, keys_values),
        );
        drop((quantized, of_context));
        attention(arch, queries, keys_values, query_spans, spans, self.n_heads, attended);
        let mut next = states;
        if let Some(n_group) = group_size(next.n_blocks()) {
            self.finish_groups(instructions, attended, &mut next, n_group);
        } else {
            self.finish_columns(instructions, attended, &mut next, hidden);
        }
        next
    }

    /// All that follows the attention, with the outputs of every product split over the threads.
    fn finish_columns(
        &self,
        instructions: Instructions,
        attended: &Blocks,
        states: &mut Blocks,
        hidden: &mut Blocks,
    ) {
        let arch = instructions.arch;
        let none = DenseActivation::Identity;
        let attended = QuantizedBlocks::of(arch, attended);
        self.out.apply_into(instructions, &attended, states, SumStart::Residual, none);
        self.attention_norm.apply_all(arch, states);
        let quantized = QuantizedBlocks::of(arch, states);
        hidden.reshape(self.lin1.n_out(), states.n_tokens());
        self.lin1.apply_into(instructions, &quantized, hidden, SumStart::Bias, self.activation);
        let hidden = QuantizedBlocks::of(arch, hidden);
        self.lin2.apply_into(instructions, &hidden, states, SumStart::Residual, none);
        self.output_norm.apply_all(arch, states);
    }

    /// All that follows the attention, with the blocks split over the threads: no thread waits
    /// for another, and what one step writes is in the cache when the next reads it.
    fn finish_groups(
        &self,
        instructions: Instructions,
        attended: &Blocks,
        states: &mut Blocks,
        n_group: usize,
    ) {
        let width = states.n_features();
        let n_tokens: Vec<usize> =
            (0..states.n_blocks()).map(|idx| states.block_tokens(idx)).collect();
        attended
            .all()
            .par_chunks(n_group * width)
            .zip(states.all_mut().par_chunks_mut(n_group * width))
            .zip(n_tokens.par_chunks(n_group))
            .for_each(|((attended, states), n_tokens)| {
                self.finish_group(instructions, attended, states, n_tokens);
            });
    }

    fn finish_group(
        &self,
        instructions: Instructions,
        attended: &[FeatureRow],
        states: &mut [FeatureRow],
        n_tokens: &[usize],
    ) {
        let arch = instructions.arch;
        let (width, ffn_width) = (self.lin2.n_out(), self.lin1.n_out());
        let n_all: usize = n_tokens.iter().sum();
        let mut quantized = QuantizedBlocks::zeros(width, n_all);
        quantized.fill(arch, attended, n_tokens);
        DenseInt8 {
            weights: &self.out,
            panels: 0..self.out.n_panels(),
            chunks: 0..width.div_ceil(CHUNK),
            start: SumStart::Residual,
            function: DenseActivation::Identity,
            blocks: &mut tasks(&quantized, states, width),
        }
        .run(instructions);
        for (block, n_tokens) in states.chunks_exact_mut(width).zip(n_tokens) {
            self.attention_norm.apply(arch, block, *n_tokens);
        }
        quantized.fill(arch, states, n_tokens);
        let mut hidden = vec![FeatureRow::ZERO; n_tokens.len() * ffn_width.min(CHUNK)];
        let mut start = SumStart::Residual;
        for (chunk_idx, first) in (0..ffn_width).step_by(CHUNK).enumerate() {
            let n_hidden = (ffn_width - first).min(CHUNK);
            let hidden = &mut hidden[..n_tokens.len() * n_hidden];
            DenseInt8 {
                weights: &self.lin1,
                panels: first / PANEL..(first + n_hidden).div_ceil(PANEL),
                chunks: 0..width.div_ceil(CHUNK),
                start: SumStart::Bias,
                function: self.activation,
                blocks: &mut tasks(&quantized, hidden, n_hidden),
            }
            .run(instructions);
            let mut middle = QuantizedBlocks::zeros(n_hidden, n_all);
            middle.fill(arch, hidden, n_tokens);
            DenseInt8 {
                weights: &self.lin2,
                panels: 0..self.lin2.n_panels(),
                chunks: chunk_idx..chunk_idx + 1,
                start,
                function: DenseActivation::Identity,
                blocks: &mut tasks(&middle, states, width),
            }
            .run(instructions);
            start = SumStart::Continue;
        }
        for (block, n_tokens) in states.chunks_exact_mut(width).zip(n_tokens) {
            self.output_norm.apply(arch, block, *n_tokens);
        }
    }
}

/// The tasks of some blocks whose results are `n_out` rows of `out` each.
fn tasks<'a>(x: &'a QuantizedBlocks, out: &'a mut [FeatureRow], n_out: usize) -> Vec<Int8Task<'a>> {
    x.blocks().zip(out.chunks_exact_mut(n_out)).map(|(x, out)| Int8Task { x, out }).collect()
}

/// A product of all tokens into `out`, split by blocks where there are enough of them.
fn project(instructions: Instructions, layer: &PackedInt8, x: &QuantizedBlocks, out: &mut Blocks) {
    let (start, function) = (SumStart::Bias, DenseActivation::Identity);
    let n_out = layer.n_out();
    out.reshape(n_out, x.n_tokens());
    let blocks: Vec<_> = x.blocks().collect();
    let Some(n_group) = group_size(blocks.len()) else {
        return layer.apply_into(instructions, x, out, start, function);
    };
    out.all_mut().par_chunks_mut(n_group * n_out).zip(blocks.par_chunks(n_group)).for_each(
        |(out, blocks)| {
            let tasks = blocks.iter().zip(out.chunks_exact_mut(n_out));
            DenseInt8 {
                weights: layer,
                panels: 0..layer.n_panels(),
                chunks: 0..layer.n_in().div_ceil(CHUNK),
                start,
                function,
                blocks: &mut tasks.map(|(x, out)| Int8Task { x: *x, out }).collect::<Vec<_>>(),
            }
            .run(instructions);
        },
    );
}
