//! A convolutional net with one layer of filters of several widths and the maximum over time (Kim,
//! 2014, "Convolutional Neural Networks for Sentence Classification").

use burn::tensor::activation;
use serde::{Deserialize, Serialize};

use super::{
    Batch,
    avgnet::dense,
    parameters::{Init, Key, Specs, Tensor},
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
    embedding: Key,
    convs: Vec<[Key; 2]>,
    dense: [Key; 2],
}

impl Cnn {
    pub(crate) fn new(config: &CnnConfig, specs: &mut Specs) -> Self {
        let embedding = specs.table(
            "embedding.weight".into(),
            [config.vocab_size, config.embedding_dim],
            Init::Normal(0.1),
        );
        let conv = |(conv_idx, width): (usize, &usize)| {
            let input = config.embedding_dim * width;
            let bound = Init::Uniform(1.0 / (input as f32).sqrt());
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
    ) -> Tensor<2> {
        let features = config.widths.iter().zip(&self.convs);
        let features =
            features.map(|(width, conv)| self.strongest(config, pass, batch, *width, *conv));
        let features = Tensor::cat(features.collect(), 1);
        let features = pass.dropout(features, config.dropout);
        let [weight, bias] = self.dense;
        pass.linear(features, weight, bias)
    }

    /// Each filter's largest response to a text.
    ///
    /// # Shapes
    /// `[n, n_filters]`.
    fn strongest(
        &self,
        config: &CnnConfig,
        pass: &Pass<'_>,
        batch: &Batch,
        width: usize,
        [weight, bias]: [Key; 2],
    ) -> Tensor<2> {
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
        // Bias and ReLU never change which response is the largest: they come after the maximum.
        let strongest = responses.max_dim(1).reshape([n, config.n_filters]);
        activation::relu(strongest + pass.value(bias))
    }
}
