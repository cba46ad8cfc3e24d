//! A bidirectional LSTM (Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005) whose last
//! states classify.
//!
//! The backward direction reads each text from its last real token, so that padding comes last for
//! both directions and never reaches a state that is used.

use burn::tensor::activation;
use serde::{Deserialize, Serialize};

use super::{
    Batch,
    avgnet::dense,
    parameters::{DeviceTensor, Initializer, Key, Specs, host, matrix},
    pass::Pass,
    recurrence::Recurrence,
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
    pub(super) embedding: Key,
    layers: Vec<[LstmDirection; 2]>,
    dense: [Key; 2],
}

#[derive(Debug, Clone, Copy)]
struct LstmDirection {
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
            Initializer::Normal(0.1),
        );
        let [hidden, gates] = [config.hidden_dim, 4 * config.hidden_dim];
        let bound = Initializer::Uniform(1.0 / (hidden as f32).sqrt());
        let layers = (0..config.n_layers).map(|layer_idx| {
            let width = if layer_idx == 0 { config.embedding_dim } else { 2 * hidden };
            ["", "_reverse"].map(|suffix| {
                let name = |part: &str| format!("lstm.{part}_l{layer_idx}{suffix}");
                LstmDirection {
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
    ) -> DeviceTensor<2> {
        let [n, length] = [batch.n(), batch.length()];
        let mut tokens = pass.embed(self.embedding, batch.ids().iter().copied());
        tokens = pass.dropout(tokens, config.dropout);
        for (layer_idx, directions) in self.layers.iter().enumerate() {
            let [forward, backward] = states(pass, directions, tokens, batch, config.hidden_dim);
            if layer_idx + 1 == self.layers.len() {
                // Each direction's last state: at the last real token, and at the first.
                let lengths = batch.lengths().iter().enumerate();
                let last = lengths.map(|(text, real)| (text * length) as i32 + *real as i32 - 1);
                let last = pass.indices(last.collect());
                let first = pass.indices((0..n).map(|text| (text * length) as i32).collect());
                let state =
                    DeviceTensor::cat(vec![forward.select(0, last), backward.select(0, first)], 1);
                let state = pass.dropout(state, config.dropout);
                let [weight, bias] = self.dense;
                return pass.linear(state, weight, bias);
            }
            tokens = pass.dropout(DeviceTensor::cat(vec![forward, backward], 1), config.dropout);
        }
        unreachable!("a net has at least one layer: checked with its configuration")
    }
}

/// The states of one layer's two directions.
///
/// # Shapes
/// `tokens`: `[n · length, width]`, text after text, to `[n · length, hidden]` each.
fn states(
    pass: &mut Pass<'_>,
    directions: &[LstmDirection; 2],
    tokens: DeviceTensor<2>,
    batch: &Batch,
    hidden: usize,
) -> [DeviceTensor<2>; 2] {
    let projected = directions.each_ref().map(|direction| {
        let bias = pass.value(direction.input_bias) + pass.value(direction.hidden_bias);
        pass.product(tokens.clone(), pass.value(direction.input)) + bias
    });
    let weights = directions.each_ref().map(|direction| direction.hidden);
    let recurrences = [false, true].map(|reversed| Recurrence {
        lengths: batch.lengths().to_vec(),
        length: batch.length(),
        hidden,
        reversed,
    });
    if pass.is_plain() {
        states_at_once(pass, recurrences, weights, projected)
    } else {
        states_by_steps(pass, &recurrences, weights, projected)
    }
}

/// [`states`] by our own arithmetic, both directions at the same time.
fn states_at_once(
    pass: &mut Pass<'_>,
    recurrences: [Recurrence; 2],
    keys: [Key; 2],
    projected: [DeviceTensor<2>; 2],
) -> [DeviceTensor<2>; 2] {
    let hidden = recurrences[0].hidden;
    let n_rows = projected[0].dims()[0];
    let weights = keys.map(|key| pass.peek(&pass.value(key)));
    let values = projected.each_ref().map(|projected| pass.peek(projected));
    let traced = pass.trains();
    let run = |side: usize| recurrences[side].forward(&weights[side], &values[side], traced);
    let ((ahead, ahead_trace), (behind, behind_trace)) = rayon::join(|| run(0), || run(1));
    let device = pass.plain_device().clone();
    let tensor = move |values, width| matrix(values, [n_rows, width], &device);
    if !traced {
        return [ahead, behind].map(|states| tensor(states, hidden));
    }
    let before = [recurrences[0].before(&ahead), recurrences[1].before(&behind)];
    let outputs = [ahead, behind].map(|states| tensor(states, hidden));
    let backward = move |gradients: Vec<DeviceTensor<2>>| {
        let gradients: Vec<Vec<f32>> = gradients.into_iter().map(host).collect();
        let run = |side: usize, trace| {
            recurrences[side].backward(&weights[side], trace, &gradients[side])
        };
        let (ahead, behind) = rayon::join(|| run(0, ahead_trace), || run(1, behind_trace));
        let inputs = [ahead, behind].map(|gradient| tensor(gradient, 4 * hidden));
        // One product over all steps of all texts.
        let own = keys.into_iter().zip(before).zip(&inputs).map(|((key, before), gradient)| {
            (key, tensor(before, hidden).transpose().matmul(gradient.clone()))
        });
        let own = own.collect();
        (inputs.into(), own)
    };
    let outputs = pass.cut(projected.into(), outputs.into(), Box::new(backward));
    outputs.try_into().expect("a cut returns as many tensors as it is given")
}

/// [`states`] by the device's operations, both directions in one product a step.
fn states_by_steps(
    pass: &Pass<'_>,
    recurrences: &[Recurrence; 2],
    weights: [Key; 2],
    projected: [DeviceTensor<2>; 2],
) -> [DeviceTensor<2>; 2] {
    let Recurrence { lengths, length, hidden, .. } = &recurrences[0];
    let ([length, hidden], n) = ([*length, *hidden], lengths.len());
    let gates = 4 * hidden;
    let sides = recurrences.iter().zip(projected).map(|(recurrence, projected)| {
        // Row t · n + b is what text b reads at step t.
        let order = (0..length).flat_map(|step| {
            let texts = recurrence.lengths.iter().enumerate();
            texts.map(move |(b, real)| (b * length + recurrence.position(*real, step)) as i32)
        });
        projected.select(0, pass.indices(order.collect())).reshape([length, 1, n, gates])
    });
    let mut steps = Vec::with_capacity(length);
    halve(DeviceTensor::cat(sides.collect(), 1), length, &mut steps);
    let weight = DeviceTensor::stack::<3>(weights.map(|key| pass.value(key)).into(), 0);

    let mut states = Vec::with_capacity(length);
    let mut previous: Option<(DeviceTensor<3>, DeviceTensor<3>)> = None;
    for projected in steps {
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
        // Of what is not a number some drivers' tanh gives an end of its range, and a net that diverged would
        // answer.
        let state = state + (gate(0) + gate(1) + gate(2) + gate(3)) * 0.0;
        states.push(state.clone());
        previous = Some((state, cell));
    }
    // [length, 2, n, hidden], then each direction's rows, text after text.
    let states = DeviceTensor::stack::<4>(states, 0);
    [0, 1].map(|side| {
        let recurrence = &recurrences[side];
        let order = recurrence.lengths.iter().enumerate().flat_map(|(b, real)| {
            // A position's step is the step's position: both are the same reversal.
            (0..length).map(move |position| (recurrence.position(*real, position) * n + b) as i32)
        });
        let rows = states.clone().slice_dim(1, side..side + 1).reshape([length * n, hidden]);
        rows.select(0, pass.indices(order.collect()))
    })
}

/// Cuts `steps` along its first dimension by halving: the gradient of one cut fills a tensor of the
/// size of what was cut, so cutting one by one would cost the square of the length.
fn halve(steps: DeviceTensor<4>, length: usize, out: &mut Vec<DeviceTensor<4>>) {
    if length == 1 {
        out.push(steps);
        return;
    }
    let half = length / 2;
    halve(steps.clone().slice_dim(0, 0..half), half, out);
    halve(steps.slice_dim(0, half..length), length - half, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::neural::net::{Net, NetConfig, Precision, fixtures::devices};

    #[test]
    fn the_steps_of_a_device_give_the_states_of_our_own_arithmetic() {
        let config =
            LstmConfig { vocab_size: 40, embedding_dim: 12, hidden_dim: 9, ..Default::default() };
        let texts: [&[u32]; 3] = [&[3, 9, 20, 4, 4], &[7], &[31, 2, 8]];
        let batch = Batch::new(&texts, 0).unwrap();
        for device in devices() {
            let net = Net::new(NetConfig::Lstm(config.clone()), 4, &device).unwrap();
            let lstm = Lstm::new(&config, &mut Specs::default());
            let mut pass = Pass::predict(net.values(), device.burn(), Precision::F32);
            let tokens = pass.embed(lstm.embedding, batch.ids().iter().copied());
            let projected = lstm.layers[0]
                .each_ref()
                .map(|direction| pass.product(tokens.clone(), pass.value(direction.input)));
            let recurrences = [false, true].map(|reversed| Recurrence {
                lengths: batch.lengths().to_vec(),
                length: batch.length(),
                hidden: 9,
                reversed,
            });
            let keys = lstm.layers[0].each_ref().map(|direction| direction.hidden);
            let by_steps = states_by_steps(&pass, &recurrences, keys, projected.clone());
            let at_once = states_at_once(&mut pass, recurrences, keys, projected);
            for (by_steps, at_once) in by_steps.into_iter().zip(at_once) {
                let pairs = host(by_steps).into_iter().zip(host(at_once));
                for (idx, (by_steps, at_once)) in pairs.enumerate() {
                    let (text, token) = (idx / 9 / 5, idx / 9 % 5);
                    let is_real = token < texts[text].len();
                    assert!(
                        !is_real || (by_steps - at_once).abs() < 1e-6,
                        "{device} {text} {token}"
                    );
                }
            }
        }
    }
}
