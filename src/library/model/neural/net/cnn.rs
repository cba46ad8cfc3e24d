//! A convolutional net with one layer of filters of several widths and the maximum over time (Kim,
//! 2014, "Convolutional Neural Networks for Sentence Classification").

use serde::{Deserialize, Serialize};

use super::{
    Batch,
    avgnet::dense,
    convolution::{Convolution, Strongest},
    parameters::{DeviceTensor, Initializer, Key, Specs, add_row, host, matrix},
    pass::Pass,
};

/// Added to a window that reaches into padding: no maximum comes near it.
const EXCLUDED: f32 = -1e30;

/// Sizes of a CNN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CnnConfig {
    /// Number of tokens known.
    pub vocab_size: usize,
    /// Number of classes.
    pub n_classes: usize,
    /// Width of the embeddings. Default 100.
    pub embedding_dim: usize,
    /// Widths of the filters in tokens. Default 3, 4, 5.
    pub widths: Vec<usize>,
    /// Number of filters of each width. Default 100.
    pub n_filters: usize,
    /// Dropout before the last layer. Default 0.5.
    pub dropout: f64,
}

impl Default for CnnConfig {
    fn default() -> Self {
        Self {
            vocab_size: 25_000,
            n_classes: 2,
            embedding_dim: 100,
            widths: vec![3, 4, 5],
            n_filters: 100,
            dropout: 0.5,
        }
    }
}

/// The net's parameters by role.
#[derive(Debug, Clone)]
pub(crate) struct Cnn {
    pub(super) embedding: Key,
    convs: Vec<[Key; 2]>,
    dense: [Key; 2],
}

impl Cnn {
    pub(crate) fn new(config: &CnnConfig, specs: &mut Specs) -> Self {
        let embedding = specs.table(
            "embedding.weight".into(),
            [config.vocab_size, config.embedding_dim],
            Initializer::Normal(0.1),
        );
        let conv = |(conv_idx, width): (usize, &usize)| {
            let input = config.embedding_dim * width;
            let bound = Initializer::Uniform(1.0 / (input as f32).sqrt());
            let shape = [config.n_filters, config.embedding_dim, *width];
            [
                specs.filters(format!("convs.{conv_idx}.weight"), shape, bound),
                specs.vector(format!("convs.{conv_idx}.bias"), config.n_filters, bound),
            ]
        };
        let convs = config.widths.iter().enumerate().map(conv).collect();
        let n_features = config.widths.len() * config.n_filters;
        Self { embedding, convs, dense: dense(specs, "dense", n_features, config.n_classes) }
    }

    /// A text shorter than a filter is one window, filled up with zeros; otherwise no window
    /// reaches into padding.
    ///
    /// # Shapes
    /// Logits `[n, n_classes]`.
    pub(crate) fn forward(
        &self,
        config: &CnnConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        let strongest = if pass.is_plain() {
            self.strongest_at_once(config, pass, batch)
        } else {
            self.strongest_by_width(config, pass, batch)
        };
        // Bias and ReLU never change which response is the largest: they come after the maximum.
        let biases = self.convs.iter().map(|[_, bias]| pass.value(*bias));
        let features = pass.relu(strongest + DeviceTensor::cat(biases.collect(), 1));
        let features = pass.dropout(features, config.dropout);
        let [weight, bias] = self.dense;
        pass.linear(features, weight, bias)
    }

    /// Each filter's largest response to a text, by our own arithmetic.
    ///
    /// # Shapes
    /// `[n, widths · n_filters]`.
    fn strongest_at_once(
        &self,
        config: &CnnConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        let convolution = Convolution {
            lengths: batch.lengths().to_vec(),
            length: batch.length(),
            embedding: config.embedding_dim,
            widths: config.widths.clone(),
            n_filters: config.n_filters,
        };
        let [n_texts, n_features] = [batch.n(), config.widths.len() * config.n_filters];
        let device = pass.plain_device().clone();
        let tokens = pass.peek_embedded(self.embedding, batch.ids());
        let keys: Vec<Key> = self.convs.iter().map(|[weight, _]| *weight).collect();
        let weights: Vec<Vec<f32>> =
            keys.iter().map(|weight| pass.peek(&pass.value(*weight))).collect();
        let Strongest { responses, starts } = convolution.forward(&weights, &tokens);
        let responses = matrix(responses, [n_texts, n_features], &device);
        if !pass.trains() {
            return responses;
        }
        let (table, ids) = (self.embedding, batch.ids().to_vec());
        let [vocab_size, width] = [config.vocab_size, config.embedding_dim];
        let backward = move |gradients: Vec<DeviceTensor<2>>| {
            let gradient = gradients.into_iter().flat_map(host).collect::<Vec<f32>>();
            let gradients = convolution.backward(&weights, &tokens, &starts, &gradient);
            let mut embedding = vec![0.0; vocab_size * width];
            for (id, row) in ids.iter().zip(gradients.tokens.chunks_exact(width)) {
                add_row(&mut embedding, *id, row);
            }
            let filters = keys.into_iter().zip(gradients.weights);
            let filters = filters.map(|(key, gradient)| {
                let n_rows = gradient.len() / convolution.n_filters;
                (key, matrix(gradient, [n_rows, convolution.n_filters], &device))
            });
            let mut own: Vec<(Key, DeviceTensor<2>)> = filters.collect();
            own.push((table, matrix(embedding, [vocab_size, width], &device)));
            (Vec::new(), own)
        };
        let mut outputs = pass.cut(Vec::new(), vec![responses], Box::new(backward));
        outputs.pop().expect("a cut returns as many tensors as it is given")
    }

    /// [`Cnn::strongest_at_once`] by the device's operations.
    fn strongest_by_width(
        &self,
        config: &CnnConfig,
        pass: &Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        let groups = config.widths.iter().zip(&self.convs);
        let strongest =
            groups.map(|(width, [weight, _])| self.strongest(config, pass, batch, *width, *weight));
        DeviceTensor::cat(strongest.collect(), 1)
    }

    /// # Shapes
    /// `[n, n_filters]`.
    fn strongest(
        &self,
        config: &CnnConfig,
        pass: &Pass<'_>,
        batch: &Batch,
        width: usize,
        weight: Key,
    ) -> DeviceTensor<2> {
        let [n, length] = [batch.n(), batch.length()];
        let n_windows = length.max(width) - width + 1;
        let rows = || batch.ids().chunks_exact(length);
        // The windows side by side, looked up at once: [n · n_windows, width · embedding].
        let windows = rows().flat_map(|row| {
            (0..n_windows).flat_map(move |start| {
                (start..start + width).map(move |position| row.get(position).copied().unwrap_or(0))
            })
        });
        let mut windows = pass
            .embed(self.embedding, windows)
            .reshape([n * n_windows, width * config.embedding_dim]);
        if batch.lengths().iter().any(|real| (*real as usize) < width) {
            let real = batch.lengths().iter().flat_map(|real| {
                (0..n_windows * width)
                    .map(move |idx| f32::from(u8::from(idx / width + idx % width < *real as usize)))
            });
            let real = pass.constant(real.collect(), [n * n_windows, width, 1]);
            let tokens = windows.reshape([n * n_windows, width, config.embedding_dim]) * real;
            windows = tokens.reshape([n * n_windows, width * config.embedding_dim]);
        }
        let mut responses =
            pass.product(windows, pass.value(weight)).reshape([n, n_windows, config.n_filters]);
        if batch.is_padded() {
            let excluded = batch.lengths().iter().flat_map(|real| {
                let n_real = (*real as usize).max(width) - width + 1;
                (0..n_windows).map(move |start| if start < n_real { 0.0 } else { EXCLUDED })
            });
            responses = responses + pass.constant(excluded.collect(), [n, n_windows, 1]);
        }
        responses.max_dim(1).reshape([n, config.n_filters])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::neural::net::{Net, NetConfig, Precision, fixtures::devices};

    #[test]
    fn the_operations_of_a_device_give_the_responses_of_our_own_arithmetic() {
        let config = CnnConfig {
            vocab_size: 40,
            embedding_dim: 7,
            widths: vec![3, 1, 4],
            n_filters: 13,
            ..Default::default()
        };
        // More windows than a block has, a single one, and fewer tokens than a filter reads.
        let long: Vec<u32> = (0..75).map(|idx| idx * 11 % 40).collect();
        let texts: [&[u32]; 4] = [&long, &[3, 9, 20, 4, 4], &[7], &[31, 2, 8]];
        let batch = Batch::new(&texts, 0).unwrap();
        for device in devices() {
            let net = Net::new(NetConfig::Cnn(config.clone()), 4, &device).unwrap();
            let cnn = Cnn::new(&config, &mut Specs::default());
            let mut pass = Pass::predict(net.values(), device.burn(), Precision::F32);
            let by_width = host(cnn.strongest_by_width(&config, &pass, &batch));
            let at_once = host(cnn.strongest_at_once(&config, &mut pass, &batch));
            assert_eq!(by_width.len(), at_once.len());
            for (by_width, at_once) in by_width.into_iter().zip(at_once) {
                assert!((by_width - at_once).abs() < 1e-6, "{device}: {by_width} {at_once}");
            }
        }
    }
}
