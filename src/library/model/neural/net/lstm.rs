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
    parameters::{DeviceTensor, Initializer, Key, Specs, add_row, host, matrix},
    pass::Pass,
};
use crate::model::neural::backprop::{BiLstm, DirectionKeys, LinearKeys};

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
        if pass.is_plain() {
            self.forward_at_once(config, pass, batch)
        } else {
            self.forward_by_operations(config, pass, batch)
        }
    }

    /// [`Lstm::forward`] by our own arithmetic.
    fn forward_at_once(
        &self,
        config: &LstmConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        let (n, width) = (batch.n(), config.embedding_dim);
        let lengths: Vec<usize> = batch.lengths().iter().map(|real| *real as usize).collect();
        // Step by step: the texts' first tokens, their second ones, and so on, to the last that is real.
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let steps = (0..longest).flat_map(|step| (0..n).map(move |text| (text, step)));
        let ids: Vec<u32> =
            steps.clone().map(|(text, step)| batch.ids()[text * batch.length() + step]).collect();
        let embedded = pass.peek_embedded(self.embedding, &ids);
        let dropout = pass.own_draws().map(|seed| (config.dropout, seed));
        let net = self.by_numbers(config);
        let weights = pass.host_values(&[self.embedding]);
        let (logits, trace) = net.forward(&weights, &embedded, &lengths, dropout, pass.trains());
        let device = pass.plain_device().clone();
        let logits = matrix(logits, [n, config.n_classes], &device);
        let Some(trace) = trace else { return logits };
        // Whoever explains a text asks for its embeddings' gradients alone.
        let all = pass.value(self.dense[0]).is_require_grad();
        let keys: Vec<(Key, [usize; 2])> =
            pass.keys().map(|key| (key, pass.value(key).dims())).collect();
        let is_real: Vec<bool> = steps.map(|(text, step)| step < lengths[text]).collect();
        let table = self.embedding;
        let backward = move |gradients: Vec<DeviceTensor<2>>| {
            let gradient: Vec<f32> = gradients.into_iter().flat_map(host).collect();
            let found = net.backward(&weights, trace, &gradient, all);
            let own = found.parameters.into_iter().map(|(idx, gradient)| {
                let (key, dims) = keys[idx];
                (key, matrix(gradient, dims, &device))
            });
            let mut own: Vec<(Key, DeviceTensor<2>)> = own.collect();
            let (_, dims) = keys[table.index()];
            let mut sums = vec![0.0; dims[0] * dims[1]];
            let rows = ids.iter().zip(found.embedded.chunks_exact(width)).zip(is_real);
            for ((id, gradient), _) in rows.filter(|(_, is_real)| *is_real) {
                add_row(&mut sums, *id, gradient);
            }
            own.push((table, matrix(sums, dims, &device)));
            (Vec::new(), own)
        };
        let mut outputs = pass.cut(Vec::new(), vec![logits], Box::new(backward));
        outputs.pop().expect("a cut returns as many tensors as it is given")
    }

    /// The parameters by the numbers of their keys.
    fn by_numbers(&self, config: &LstmConfig) -> BiLstm {
        let direction = |direction: &LstmDirection| DirectionKeys {
            input: direction.input.index(),
            hidden: direction.hidden.index(),
            input_bias: direction.input_bias.index(),
            hidden_bias: direction.hidden_bias.index(),
        };
        let [weight, bias] = self.dense.map(Key::index);
        BiLstm {
            hidden: config.hidden_dim,
            layers: self.layers.iter().map(|sides| sides.each_ref().map(direction)).collect(),
            dense: LinearKeys { weight, bias },
        }
    }

    /// [`Lstm::forward`] by the device's operations.
    fn forward_by_operations(
        &self,
        config: &LstmConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        let [n, length] = [batch.n(), batch.length()];
        let mut tokens = pass.embed(self.embedding, batch.ids().iter().copied());
        tokens = pass.dropout(tokens, config.dropout);
        for (layer_idx, directions) in self.layers.iter().enumerate() {
            let projected = directions.each_ref().map(|direction| {
                let bias = pass.value(direction.input_bias) + pass.value(direction.hidden_bias);
                pass.product(tokens.clone(), pass.value(direction.input)) + bias
            });
            let weights = directions.each_ref().map(|direction| direction.hidden);
            let [forward, backward] =
                states_by_steps(pass, batch, config.hidden_dim, weights, projected);
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

/// The states of one layer's two directions, both in one product a step.
///
/// # Shapes
/// `projected`: `[n · length, 4 · hidden]` each, text after text, to `[n · length, hidden]` each.
fn states_by_steps(
    pass: &Pass<'_>,
    batch: &Batch,
    hidden: usize,
    weights: [Key; 2],
    projected: [DeviceTensor<2>; 2],
) -> [DeviceTensor<2>; 2] {
    let ([n, length], gates) = ([batch.n(), batch.length()], 4 * hidden);
    let sides = [false, true].into_iter().zip(projected).map(|(reversed, projected)| {
        // Row t · n + b is what text b reads at step t.
        let order = (0..length).flat_map(|step| {
            let texts = batch.lengths().iter().enumerate();
            texts.map(move |(b, real)| (b * length + position(reversed, *real, step)) as i32)
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
        let order = batch.lengths().iter().enumerate().flat_map(|(b, real)| {
            // A position's step is the step's position: both are the same reversal.
            (0..length).map(move |place| (position(side == 1, *real, place) * n + b) as i32)
        });
        let rows = states.clone().slice_dim(1, side..side + 1).reshape([length * n, hidden]);
        rows.select(0, pass.indices(order.collect()))
    })
}

/// The token that is read at `step` of a text of `real` tokens.
fn position(reversed: bool, real: u32, step: usize) -> usize {
    if reversed { (real as usize).checked_sub(step + 1).unwrap_or(step) } else { step }
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
    fn the_steps_of_a_device_give_the_logits_of_our_own_arithmetic() {
        let config =
            LstmConfig { vocab_size: 40, embedding_dim: 12, hidden_dim: 9, ..Default::default() };
        let texts: Vec<Vec<u32>> = (0..37)
            .map(|text| (0..1 + text * 5 % 11).map(|at| (text * 7 + at) % 40).collect())
            .collect();
        for device in devices() {
            let net = Net::new(NetConfig::Lstm(config.clone()), 4, &device).unwrap();
            let lstm = Lstm::new(&config, &mut Specs::default());
            for n in [1, 5, 32, 37] {
                let texts: Vec<&[u32]> = texts[..n].iter().map(Vec::as_slice).collect();
                let batch = Batch::new(&texts, 0).unwrap();
                let compute = |at_once: bool| {
                    let mut pass = Pass::predict(net.values(), device.burn(), Precision::F32);
                    host(if at_once {
                        lstm.forward_at_once(&config, &mut pass, &batch)
                    } else {
                        lstm.forward_by_operations(&config, &mut pass, &batch)
                    })
                };
                for (found, expected) in compute(true).into_iter().zip(compute(false)) {
                    assert!((found - expected).abs() < 1e-5, "{device} {n}: {found} {expected}");
                }
            }
        }
    }
}
