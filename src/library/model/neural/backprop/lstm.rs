//! A bidirectional LSTM whose last states classify, forward and back.

use pulp::Arch;

use super::{
    linear::{Linear, LinearKeys, TokenRows, bias_gradient, weight_gradient},
    mask::{self, Dropout},
    parameters::{NetGradients, ParameterSource},
    recurrence::{Recurrence, RecurrenceTrace},
};
use crate::model::neural::simd::{
    blocks::Blocks,
    packed::Packed,
    tile::SumStart,
    turned::{panels_of_features, rows_of_tokens},
};

/// The numbers of a direction's parameters in a layer.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::neural) struct DirectionKeys {
    pub(in crate::model::neural) input: usize,
    pub(in crate::model::neural) hidden: usize,
    pub(in crate::model::neural) input_bias: usize,
    pub(in crate::model::neural) hidden_bias: usize,
}

/// The parameters by role: each layer's forward and backward direction.
#[derive(Debug, Clone)]
pub(in crate::model::neural) struct BiLstm {
    pub(in crate::model::neural) hidden: usize,
    pub(in crate::model::neural) layers: Vec<[DirectionKeys; 2]>,
    pub(in crate::model::neural) dense: LinearKeys,
}

/// What the way back needs of the way there.
#[derive(Debug)]
pub(in crate::model::neural) struct LstmTrace {
    lengths: Vec<usize>,
    dropout: Option<(f64, u64)>,
    layers: Vec<LstmLayerTrace>,
    /// What the classes are computed of.
    last: Blocks,
}

#[derive(Debug)]
struct LstmLayerTrace {
    x: Blocks,
    states: [Blocks; 2],
    recurrences: [RecurrenceTrace; 2],
}

impl BiLstm {
    /// The logits of the texts of `lengths`, and the trace when `keeps`. `dropout` is its probability and
    /// the seed that alone decides what it drops.
    ///
    /// # Shapes
    /// `embedded`: the texts' first tokens, their second ones, and so on, with anything for padding,
    /// `[longest · n, width]`, row-major; returns `[n, n_classes]`, row-major.
    pub(in crate::model::neural) fn forward(
        &self,
        values: &dyn ParameterSource,
        embedded: &[f32],
        lengths: &[usize],
        dropout: Option<(f64, u64)>,
        keeps: bool,
    ) -> (Vec<f32>, Option<LstmTrace>) {
        let arch = Arch::new();
        let length = lengths.iter().copied().max().unwrap_or(0);
        let dropped = dropout.map(|(probability, seed)| Dropout::new(probability, seed));
        let recurrences = self.recurrences(lengths, length);
        let mut x = Blocks::of_tokens(embedded, lengths.len() * length);
        let mut layers = Vec::new();
        let mut ends = Vec::new();
        for (layer_idx, directions) in self.layers.iter().enumerate() {
            mask::apply(dropped, layer_idx as u64, &mut x);
            let [ahead, behind] = directions.each_ref().map(|direction| {
                let bias = bias(values, direction);
                let parts = [(values.values(direction.input), bias.as_slice())];
                let packed = Packed::of_columns(&parts, x.n_features());
                let mut out = Blocks::room(packed.n_out(), x.n_tokens());
                packed.apply_spread(arch, &x, &mut out, SumStart::Bias);
                out
            });
            let run = |side: usize, projected| {
                let weight = values.values(directions[side].hidden);
                recurrences[side].forward(weight, projected, keeps)
            };
            let ((ahead, ahead_trace), (behind, behind_trace)) =
                rayon::join(|| run(0, ahead), || run(1, behind));
            let next = if layer_idx + 1 < self.layers.len() {
                ahead.beside(&behind)
            } else {
                ends = vec![ahead.select(&ends_of(lengths)), behind.select(&starts_of(lengths))];
                Blocks::zeros(1, 0)
            };
            let x = std::mem::replace(&mut x, next);
            if keeps {
                let states = [ahead, behind];
                let recurrences = [ahead_trace, behind_trace];
                layers.push(LstmLayerTrace { x, states, recurrences });
            }
        }
        let mut last = ends[0].beside(&ends[1]);
        mask::apply(dropped, self.layers.len() as u64, &mut last);
        let logits = Linear::new(values, self.dense).forward(arch, &last);
        let trace = LstmTrace { lengths: lengths.to_vec(), dropout, layers, last };
        (logits.to_tokens(), keeps.then_some(trace))
    }

    fn recurrences(&self, lengths: &[usize], length: usize) -> [Recurrence; 2] {
        [false, true].map(|reversed| Recurrence {
            lengths: lengths.to_vec(),
            length,
            hidden: self.hidden,
            reversed,
        })
    }

    /// The gradients from those of the logits; `all` parameters', or the embeddings' alone.
    ///
    /// # Shapes
    /// `logits`: `[n, n_classes]`, row-major.
    pub(in crate::model::neural) fn backward(
        &self,
        values: &dyn ParameterSource,
        trace: LstmTrace,
        logits: &[f32],
        all: bool,
    ) -> NetGradients {
        let arch = Arch::new();
        let LstmTrace { lengths, dropout, layers, last } = trace;
        let length = lengths.iter().copied().max().unwrap_or(0);
        let dropped = dropout.map(|(probability, seed)| Dropout::new(probability, seed));
        let recurrences = self.recurrences(&lengths, length);
        let mut parameters = Vec::new();
        let logits = Blocks::of_tokens(logits, lengths.len());
        let dense = Linear::new(values, self.dense);
        dense.gradients(arch, &last, &logits, all.then_some(&mut parameters));
        let mut gradient = dense.backward(arch, &logits);
        mask::apply(dropped, self.layers.len() as u64, &mut gradient);
        let n_tokens = lengths.len() * length;
        let mut sides = self.sides(&gradient);
        for (side, places) in [ends_of(&lengths), starts_of(&lengths)].into_iter().enumerate() {
            let mut all_tokens = Blocks::zeros(self.hidden, n_tokens);
            for (text, token) in places.into_iter().enumerate() {
                all_tokens.add_token(token, &sides[side], text);
            }
            sides[side] = all_tokens;
        }
        for (layer_idx, (directions, trace)) in self.layers.iter().zip(layers).enumerate().rev() {
            let LstmLayerTrace { x, states, recurrences: [ahead, behind] } = trace;
            let run = |side: usize, trace| {
                let weight = values.values(directions[side].hidden);
                recurrences[side].backward(weight, trace, &sides[side])
            };
            let (ahead, behind) = rayon::join(|| run(0, ahead), || run(1, behind));
            let projected = [ahead, behind];
            let panels = all.then(|| panels_of_features(&x, 0..x.n_features(), 0..x.n_tokens()));
            gradient = Blocks::room(x.n_features(), x.n_tokens());
            for (side, (direction, projected)) in directions.iter().zip(&projected).enumerate() {
                if let Some(panels) = &panels {
                    let rows = rows_of_tokens(projected);
                    let tokens = |first| TokenRows { rows: &rows, n: n_tokens, first };
                    let outputs = 0..projected.n_features();
                    let n_in = x.n_features();
                    let input = weight_gradient(arch, n_in, panels, tokens(0), outputs.clone());
                    // One product over all steps of all texts.
                    let (before, first) = recurrences[side].steps();
                    let before = panels_of_features(&states[side], 0..self.hidden, before);
                    let hidden =
                        weight_gradient(arch, self.hidden, &before, tokens(first), outputs.clone());
                    let bias = bias_gradient(projected, outputs);
                    parameters.extend([
                        (direction.input, input),
                        (direction.hidden, hidden),
                        (direction.input_bias, bias.clone()),
                        (direction.hidden_bias, bias),
                    ]);
                }
                let packed = Packed::of_rows(&[values.values(direction.input)], x.n_features());
                let start = if side == 0 { SumStart::Bias } else { SumStart::Residual };
                packed.apply_spread(arch, projected, &mut gradient, start);
            }
            mask::apply(dropped, layer_idx as u64, &mut gradient);
            if layer_idx > 0 {
                sides = self.sides(&gradient);
            }
        }
        NetGradients { parameters, embedded: gradient.to_tokens() }
    }

    /// The halves of each direction.
    fn sides(&self, both: &Blocks) -> [Blocks; 2] {
        [0, 1].map(|side| both.features(side * self.hidden..(side + 1) * self.hidden))
    }
}

/// The sum of a direction's biases.
fn bias(values: &dyn ParameterSource, direction: &DirectionKeys) -> Vec<f32> {
    let biases = values.values(direction.input_bias).iter();
    biases.zip(values.values(direction.hidden_bias)).map(|(one, other)| one + other).collect()
}

/// The last real token of each text.
fn ends_of(lengths: &[usize]) -> Vec<usize> {
    let n = lengths.len();
    lengths.iter().enumerate().map(|(text, length)| (length - 1) * n + text).collect()
}

/// The first token of each text.
fn starts_of(lengths: &[usize]) -> Vec<usize> {
    (0..lengths.len()).collect()
}
