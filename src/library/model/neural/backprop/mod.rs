//! A DistilBERT and a bidirectional LSTM on the CPU by our own arithmetic, forward and, for training, back
//! (Rumelhart, Hinton and Williams, 1986). They know weights by number and no tensor library.
//!
//! Activations are feature-major in the blocks of [`super::simd`], DistilBERT's without padding. Every sum
//! has one order, so that the number of threads changes no bit. A tensor library takes a pass over memory
//! for each operation of norm, activation, dropout and attention, keeps what each of them gave, and
//! computes the last layer's states of all tokens, of which one is classified.

mod attention;
mod layer;
mod linear;
mod lstm;
mod mask;
mod norm;
mod parameters;
mod recurrence;

use std::ops::Range;

use pulp::Arch;

pub(super) use self::{
    layer::LayerKeys,
    linear::LinearKeys,
    lstm::{BiLstm, DirectionKeys},
    norm::NormKeys,
    parameters::{DropoutRates, NetGradients, ParameterSource},
};
use self::{
    layer::{LayerTrace, Tokens},
    linear::Linear,
    mask::Dropout,
    norm::{NormTrace, TrainedNorm},
};
use super::simd::blocks::Blocks;

/// The parameters by role, and the sizes that do not follow from theirs.
#[derive(Debug, Clone)]
pub(super) struct Transformer {
    pub(super) n_heads: usize,
    pub(super) eps: f32,
    pub(super) norm: NormKeys,
    pub(super) layers: Vec<LayerKeys>,
    pub(super) pre_classifier: LinearKeys,
    pub(super) classifier: LinearKeys,
}

/// What the way back needs of the way there.
#[derive(Debug)]
pub(super) struct Trace {
    lengths: Vec<usize>,
    dropout: Option<DropoutRates>,
    embedded: NormTrace,
    layers: Vec<LayerTrace>,
    /// The last layer's states of the first tokens.
    first: Blocks,
    /// What the classifier reads.
    hidden: Blocks,
}

impl Transformer {
    /// The logits of the sequences of `lengths`, and the trace when `keeps`.
    ///
    /// # Shapes
    /// `embedded`: the sums of word and position embeddings, `[n_tokens, width]`, row-major; returns
    /// `[n_sequences, n_classes]`, row-major.
    pub(super) fn forward(
        &self,
        values: &dyn ParameterSource,
        embedded: &[f32],
        lengths: &[usize],
        dropout: Option<DropoutRates>,
        keeps: bool,
    ) -> (Vec<f32>, Option<Trace>) {
        let arch = Arch::new();
        let spans = spans(lengths);
        let n_tokens = lengths.iter().sum();
        let dropped = dropout.map(|rates| Dropout::new(rates.states, rates.seed));
        let mut states = Blocks::of_tokens(embedded, n_tokens);
        let norm = TrainedNorm::new(values, self.norm, self.eps);
        let embedded = norm.forward(arch, &mut states);
        mask::apply(dropped, 0, &mut states);
        let mut traces = Vec::new();
        for (layer_idx, layer) in self.layers.iter().enumerate() {
            let is_last = layer_idx + 1 == self.layers.len();
            let tokens = Tokens::new(&spans, is_last, layer_idx);
            let (next, trace) =
                layer.forward(arch, (self.n_heads, self.eps), values, states, &tokens, dropout);
            states = next;
            traces.extend(keeps.then_some(trace));
        }
        let first = states;
        let mut hidden = Linear::new(values, self.pre_classifier).forward(arch, &first);
        for row in hidden.all_mut() {
            // What is not a number stays so.
            row.0.iter_mut().filter(|value| **value <= 0.0).for_each(|value| *value = 0.0);
        }
        let dropped = dropout.map(|rates| Dropout::new(rates.hidden, rates.seed));
        mask::apply(dropped, 1, &mut hidden);
        let logits = Linear::new(values, self.classifier).forward(arch, &hidden);
        let trace =
            Trace { lengths: lengths.to_vec(), dropout, embedded, layers: traces, first, hidden };
        (logits.to_tokens(), keeps.then_some(trace))
    }

    /// The gradients from those of the logits; `all` parameters', or the embeddings' alone.
    ///
    /// # Shapes
    /// `logits`: `[n_sequences, n_classes]`, row-major.
    pub(super) fn backward(
        &self,
        values: &dyn ParameterSource,
        trace: Trace,
        logits: &[f32],
        all: bool,
    ) -> NetGradients {
        let arch = Arch::new();
        let Trace { lengths, dropout, embedded, layers, first, hidden } = trace;
        let spans = spans(&lengths);
        let mut gradients = NetGradients::default();
        let own = &mut gradients.parameters;
        let mut own = all.then_some(own);
        let logits = Blocks::of_tokens(logits, lengths.len());
        let linear = Linear::new(values, self.classifier);
        linear.gradients(arch, &hidden, &logits, own.as_deref_mut());
        let mut gradient = linear.backward(arch, &logits);
        let dropped = dropout.map(|rates| Dropout::new(rates.hidden, rates.seed));
        mask::apply(dropped, 1, &mut gradient);
        for (gradient, value) in gradient.all_mut().iter_mut().zip(hidden.all()) {
            let pairs = gradient.0.iter_mut().zip(value.0);
            pairs.filter(|(_, value)| *value == 0.0).for_each(|(gradient, _)| *gradient = 0.0);
        }
        let linear = Linear::new(values, self.pre_classifier);
        linear.gradients(arch, &first, &gradient, own.as_deref_mut());
        let mut gradient = linear.backward(arch, &gradient);
        let layers = self.layers.iter().zip(layers).enumerate().rev();
        for (layer_idx, (layer, trace)) in layers {
            let is_last = layer_idx + 1 == self.layers.len();
            let tokens = Tokens::new(&spans, is_last, layer_idx);
            let sizes = (self.n_heads, self.eps);
            let (trace, own) = (trace, own.as_deref_mut());
            gradient = layer.backward(arch, sizes, values, trace, gradient, &tokens, dropout, own);
        }
        let dropped = dropout.map(|rates| Dropout::new(rates.states, rates.seed));
        mask::apply(dropped, 0, &mut gradient);
        let norm = TrainedNorm::new(values, self.norm, self.eps);
        norm.backward(arch, &embedded, &mut gradient, own);
        gradients.embedded = gradient.to_tokens();
        gradients
    }
}

/// The tokens of each sequence.
fn spans(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    let span = |length: &usize| {
        end += length;
        end - length..end
    };
    lengths.iter().map(span).collect()
}

#[cfg(test)]
mod tests;
