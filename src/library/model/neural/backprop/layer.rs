//! One transformer layer, forward and back.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::{
    attention::Attention,
    linear::{Linear, LinearKeys},
    mask::{self, Dropout},
    norm::{NormKeys, NormTrace, TrainedNorm},
    parameters::{DropoutRates, ParameterSource},
};
use crate::model::neural::simd::{
    blocks::Blocks, derivative::GeluBack, math::DenseActivation, vector,
};

/// The numbers of a layer's parameters.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::neural) struct LayerKeys {
    pub(in crate::model::neural) query: LinearKeys,
    pub(in crate::model::neural) key: LinearKeys,
    pub(in crate::model::neural) value: LinearKeys,
    pub(in crate::model::neural) out: LinearKeys,
    pub(in crate::model::neural) attention_norm: NormKeys,
    pub(in crate::model::neural) widen: LinearKeys,
    pub(in crate::model::neural) narrow: LinearKeys,
    pub(in crate::model::neural) output_norm: NormKeys,
}

/// The tokens that a layer computes.
pub(super) struct Tokens<'a> {
    spans: &'a [Range<usize>],
    /// Of the last layer the first of each sequence: only those are classified.
    first: Option<(Vec<usize>, Vec<Range<usize>>)>,
    layer_idx: u64,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(spans: &'a [Range<usize>], is_last: bool, layer_idx: usize) -> Self {
        let first = is_last.then(|| {
            let own_spans = (0..spans.len()).map(|idx| idx..idx + 1).collect();
            (spans.iter().map(|span| span.start).collect(), own_spans)
        });
        Self { spans, first, layer_idx: layer_idx as u64 }
    }

    fn query_spans(&self) -> &[Range<usize>] {
        self.first.as_ref().map_or(self.spans, |(_, spans)| spans)
    }

    /// The stream of draws of the attention's weights, and that of the states.
    fn streams(&self) -> [u64; 2] {
        [2 * self.layer_idx + 2, 2 * self.layer_idx + 3]
    }
}

/// What the way back needs of a layer.
#[derive(Debug)]
pub(super) struct LayerTrace {
    /// What keys and values are made of.
    context: Blocks,
    /// What queries are made of, where that is another.
    asking: Option<Blocks>,
    queries: Blocks,
    keys_values: Blocks,
    attended: Blocks,
    attention_norm: NormTrace,
    middle: Blocks,
    /// Before the activation.
    wide: Blocks,
    output_norm: NormTrace,
}

impl LayerKeys {
    /// The next states.
    pub(super) fn forward(
        &self,
        arch: Arch,
        (n_heads, eps): (usize, f32),
        values: &dyn ParameterSource,
        context: Blocks,
        tokens: &Tokens<'_>,
        dropout: Option<DropoutRates>,
    ) -> (Blocks, LayerTrace) {
        let asking = tokens.first.as_ref().map(|(first, _)| context.select(first));
        let states = asking.as_ref().unwrap_or(&context);
        let queries = Linear::new(values, self.query).forward(arch, states);
        let keys_values = Linear::beside(values, &[self.key, self.value]).forward(arch, &context);
        let attended = attention(&queries, &keys_values, tokens, n_heads, dropout).forward(arch);
        let mut middle = states.clone();
        Linear::new(values, self.out).forward_onto(arch, &attended, &mut middle);
        let attention_norm =
            TrainedNorm::new(values, self.attention_norm, eps).forward(arch, &mut middle);
        let wide = Linear::new(values, self.widen).forward(arch, &middle);
        let active = activated(arch, &wide);
        let narrow = Linear::new(values, self.narrow);
        let mut next = if let Some(rates) = dropout {
            let mut next = narrow.forward(arch, &active);
            let dropout = Dropout::new(rates.states, rates.seed);
            mask::apply(Some(dropout), tokens.streams()[1], &mut next);
            next.add(&middle);
            next
        } else {
            let mut next = middle.clone();
            narrow.forward_onto(arch, &active, &mut next);
            next
        };
        let output_norm = TrainedNorm::new(values, self.output_norm, eps).forward(arch, &mut next);
        let trace = LayerTrace {
            context,
            asking,
            queries,
            keys_values,
            attended,
            attention_norm,
            middle,
            wide,
            output_norm,
        };
        (next, trace)
    }

    /// The gradient of the states that came from that of the next ones.
    #[expect(clippy::too_many_arguments, reason = "what forward has, the trace and both gradients")]
    pub(super) fn backward(
        &self,
        arch: Arch,
        (n_heads, eps): (usize, f32),
        values: &dyn ParameterSource,
        trace: LayerTrace,
        mut gradient: Blocks,
        tokens: &Tokens<'_>,
        dropout: Option<DropoutRates>,
        mut own: Option<&mut Vec<(usize, Vec<f32>)>>,
    ) -> Blocks {
        let norm = TrainedNorm::new(values, self.output_norm, eps);
        norm.backward(arch, &trace.output_norm, &mut gradient, own.as_deref_mut());
        let mut narrowed = gradient.clone();
        let dropped = dropout.map(|rates| Dropout::new(rates.states, rates.seed));
        mask::apply(dropped, tokens.streams()[1], &mut narrowed);
        let narrow = Linear::new(values, self.narrow);
        let mut widened = narrow.backward(arch, &narrowed);
        // The inputs of the activation become its results.
        let mut wide = trace.wide;
        activation_back(arch, &mut wide, &mut widened);
        narrow.gradients(arch, &wide, &narrowed, own.as_deref_mut());
        drop((narrowed, wide));
        let widen = Linear::new(values, self.widen);
        widen.gradients(arch, &trace.middle, &widened, own.as_deref_mut());
        widen.backward_onto(arch, &widened, &mut gradient);
        drop(widened);
        let norm = TrainedNorm::new(values, self.attention_norm, eps);
        norm.backward(arch, &trace.attention_norm, &mut gradient, own.as_deref_mut());
        let out = Linear::new(values, self.out);
        out.gradients(arch, &trace.attended, &gradient, own.as_deref_mut());
        let attended = out.backward(arch, &gradient);
        let LayerTrace { queries, keys_values, context, asking, .. } = trace;
        let (queries, keys_values) =
            attention(&queries, &keys_values, tokens, n_heads, dropout).backward(arch, &attended);
        let query = Linear::new(values, self.query);
        let key_value = Linear::beside(values, &[self.key, self.value]);
        let states = asking.as_ref().unwrap_or(&context);
        query.gradients(arch, states, &queries, own.as_deref_mut());
        key_value.gradients(arch, &context, &keys_values, own);
        query.backward_onto(arch, &queries, &mut gradient);
        let Some((first, _)) = &tokens.first else {
            key_value.backward_onto(arch, &keys_values, &mut gradient);
            return gradient;
        };
        let mut all = key_value.backward(arch, &keys_values);
        for (sequence_idx, token) in first.iter().enumerate() {
            all.add_token(*token, &gradient, sequence_idx);
        }
        all
    }
}

fn attention<'a>(
    queries: &'a Blocks,
    keys_values: &'a Blocks,
    tokens: &'a Tokens<'_>,
    n_heads: usize,
    dropout: Option<DropoutRates>,
) -> Attention<'a> {
    let dropped =
        dropout.map(|rates| (Dropout::new(rates.attention, rates.seed), tokens.streams()[0]));
    Attention {
        queries,
        keys_values,
        query_spans: tokens.query_spans(),
        spans: tokens.spans,
        n_heads,
        dropout: dropped,
    }
}

/// The activation of all states.
fn activated(arch: Arch, wide: &Blocks) -> Blocks {
    let mut active = wide.clone();
    let width = active.n_features();
    active.all_mut().par_chunks_exact_mut(width).for_each(|rows| {
        vector::dispatch(arch, DenseActivation::Gelu.on(rows));
    });
    active
}

/// Makes the gradient of the activation's results that of `wide`, and `wide` those results.
fn activation_back(arch: Arch, wide: &mut Blocks, gradient: &mut Blocks) {
    let width = wide.n_features();
    let n_tokens: Vec<usize> = (0..wide.n_blocks()).map(|idx| wide.block_tokens(idx)).collect();
    let blocks = wide.all_mut().par_chunks_exact_mut(width);
    blocks
        .zip(gradient.all_mut().par_chunks_exact_mut(width))
        .zip(n_tokens)
        .for_each(|((x, gradient), n_tokens)| GeluBack { x, gradient, n_tokens }.run(arch));
}
