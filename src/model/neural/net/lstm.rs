//! A bidirectional LSTM (Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005) whose last
//! states classify.
//!
//! The backward direction reads each text from its last real token: the rows are reversed within
//! their lengths, so that padding comes last for both directions and never reaches a state that is
//! used. Both directions take their steps together.

use burn::tensor::activation;
use serde::{Deserialize, Serialize};

use super::{
    Batch,
    avgnet::dense,
    parameters::{Init, Key, Specs, Tensor},
    pass::Pass,
};

/// Sizes of a bidirectional LSTM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LstmConfig {
    /// Number of tokens known.
    pub vocab_size: usize,
    /// Number of classes.
    pub n_classes: usize,
    /// Width of the embeddings. Default 100.
    pub embedding_dim: usize,
    /// Width of a direction's state. Default 256.
    pub hidden_dim: usize,
    /// Number of layers. Default 2.
    pub n_layers: usize,
    /// Dropout of the embeddings, between layers and before the last layer. Default 0.5.
    pub dropout: f64,
}

impl Default for LstmConfig {
    fn default() -> Self {
        Self {
            vocab_size: 25_000,
            n_classes: 2,
            embedding_dim: 100,
            hidden_dim: 256,
            n_layers: 2,
            dropout: 0.5,
        }
    }
}

/// The net's parameters by role.
#[derive(Debug, Clone)]
pub(crate) struct Lstm {
    embedding: Key,
    layers: Vec<[Direction; 2]>,
    dense: [Key; 2],
}

#[derive(Debug, Clone, Copy)]
struct Direction {
    input: Key,
    hidden: Key,
    input_bias: Key,
    hidden_bias: Key,
}

impl Lstm {
    pub(crate) fn new(config: &LstmConfig, specs: &mut Specs) -> Self {
        let embedding = specs.table(
            "embedding.weight".into(),
            [config.vocab_size, config.embedding_dim],
            Init::Normal(0.1),
        );
        let [hidden, gates] = [config.hidden_dim, 4 * config.hidden_dim];
        let bound = Init::Uniform(1.0 / (hidden as f32).sqrt());
        let layers = (0..config.n_layers).map(|layer_idx| {
            let width = if layer_idx == 0 { config.embedding_dim } else { 2 * hidden };
            ["", "_reverse"].map(|suffix| {
                let name = |part: &str| format!("lstm.{part}_l{layer_idx}{suffix}");
                Direction {
                    input: specs.weight(name("weight_ih"), [gates, width], bound),
                    hidden: specs.weight(name("weight_hh"), [gates, hidden], bound),
                    input_bias: specs.vector(name("bias_ih"), gates, bound),
                    hidden_bias: specs.vector(name("bias_hh"), gates, bound),
                }
            })
        });
        let layers = layers.collect();
        Self { embedding, layers, dense: dense(specs, "dense", 2 * hidden, config.n_classes) }
    }

    /// # Shapes
    /// Logits `[n, n_classes]`.
    pub(crate) fn forward(
        &self,
        config: &LstmConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> Tensor<2> {
        let [n, length, hidden] = [batch.n(), batch.length(), config.hidden_dim];
        // Rows in the order of time: row t · n + b is token t of text b.
        let ids = (0..length).flat_map(|t| (0..n).map(move |b| batch.ids()[b * length + t]));
        let reversed = (0..length).flat_map(|t| {
            batch.lengths().iter().enumerate().map(move |(b, real)| {
                let position = (*real as usize).checked_sub(t + 1).unwrap_or(t);
                (position * n + b) as i32
            })
        });
        let reversed = pass.indices(reversed.collect());
        let mut tokens = pass.embed(self.embedding, ids);
        tokens = pass.dropout(tokens, config.dropout);
        let last =
            batch.lengths().iter().enumerate().map(|(b, t)| ((*t as usize - 1) * n + b) as i32);
        let last = pass.indices(last.collect());
        for (layer_idx, directions) in self.layers.iter().enumerate() {
            let backward = tokens.clone().select(0, reversed.clone());
            let [forward, backward] =
                steps(pass, directions, [tokens, backward], [length, n, hidden]);
            if layer_idx + 1 == self.layers.len() {
                // The last state of both directions is at the last real token of their own order.
                let state =
                    Tensor::cat(vec![forward.select(0, last.clone()), backward.select(0, last)], 1);
                let state = pass.dropout(state, config.dropout);
                let [weight, bias] = self.dense;
                return pass.linear(state, weight, bias);
            }
            tokens = Tensor::cat(vec![forward, backward.select(0, reversed.clone())], 1);
            tokens = pass.dropout(tokens, config.dropout);
        }
        unreachable!("a net has at least one layer: checked with its configuration")
    }
}

/// One layer's states, each direction in its own order.
///
/// # Shapes
/// `inputs`: `[length · n, width]` to `[length · n, hidden]`.
fn steps(
    pass: &Pass<'_>,
    directions: &[Direction; 2],
    inputs: [Tensor<2>; 2],
    [length, n, hidden]: [usize; 3],
) -> [Tensor<2>; 2] {
    let gates = 4 * hidden;
    let [forward, backward] = directions;
    let project = |direction: &Direction, input: Tensor<2>| {
        let bias = pass.value(direction.input_bias) + pass.value(direction.hidden_bias);
        (pass.product(input, pass.value(direction.input)) + bias).reshape([length, 1, n, gates])
    };
    let [ahead, behind] = inputs;
    let projected = Tensor::cat(vec![project(forward, ahead), project(backward, behind)], 1);
    let mut projected_steps = Vec::with_capacity(length);
    halve(projected, length, &mut projected_steps);
    let weight =
        Tensor::stack::<3>(vec![pass.value(forward.hidden), pass.value(backward.hidden)], 0);

    let mut states = Vec::with_capacity(length);
    let mut previous: Option<(Tensor<3>, Tensor<3>)> = None;
    for projected in projected_steps {
        let projected = projected.reshape([2, n, gates]);
        let (gates, cell) = match previous {
            None => (projected, None),
            Some((state, cell)) => (pass.product(state, weight.clone()) + projected, Some(cell)),
        };
        let gate = |idx: usize| gates.clone().slice_dim(2, idx * hidden..(idx + 1) * hidden);
        // PyTorch's order: input, forget, cell, output.
        let candidate = activation::sigmoid(gate(0)) * gate(2).tanh();
        let cell = match cell {
            None => candidate,
            Some(cell) => activation::sigmoid(gate(1)) * cell + candidate,
        };
        let state = activation::sigmoid(gate(3)) * cell.clone().tanh();
        states.push(state.clone());
        previous = Some((state, cell));
    }
    // [length, 2, n, hidden], then each direction's rows.
    let states = Tensor::stack::<4>(states, 0);
    [0, 1].map(|side| states.clone().slice_dim(1, side..side + 1).reshape([length * n, hidden]))
}

/// Cuts `steps` along its first dimension by halving: the gradient of one cut fills a tensor of the
/// size of what was cut, so cutting one by one would cost the square of the length.
fn halve(steps: Tensor<4>, length: usize, out: &mut Vec<Tensor<4>>) {
    if length == 1 {
        out.push(steps);
        return;
    }
    let half = length / 2;
    halve(steps.clone().slice_dim(0, 0..half), half, out);
    halve(steps.slice_dim(0, half..length), length - half, out);
}
