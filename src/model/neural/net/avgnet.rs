//! AvgNet: the mean of the tokens' embeddings and two dense layers (Iyyer et al., 2015, "Deep
//! Unordered Composition Rivals Syntactic Methods for Text Classification").

use burn::tensor::activation;
use serde::{Deserialize, Serialize};

use super::{
    Batch,
    parameters::{Init, Key, Specs, Tensor},
    pass::Pass,
};

/// Sizes of an AvgNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AvgNetConfig {
    /// Number of tokens known.
    pub vocab_size: usize,
    /// Number of classes.
    pub n_classes: usize,
    /// Width of the embeddings. Default 100.
    pub embedding_dim: usize,
    /// Width of the hidden layer. Default 100.
    pub hidden_dim: usize,
    /// Dropout before the last layer. Default 0.3.
    pub dropout: f64,
}

impl Default for AvgNetConfig {
    fn default() -> Self {
        Self { vocab_size: 25_000, n_classes: 2, embedding_dim: 100, hidden_dim: 100, dropout: 0.3 }
    }
}

/// The net's parameters by role.
#[derive(Debug, Clone)]
pub(crate) struct AvgNet {
    embedding: Key,
    dense1: [Key; 2],
    dense2: [Key; 2],
}

impl AvgNet {
    pub(crate) fn new(config: &AvgNetConfig, specs: &mut Specs) -> Self {
        Self {
            embedding: specs.table(
                "embedding.weight".into(),
                [config.vocab_size, config.embedding_dim],
                Init::Normal(0.1),
            ),
            dense1: dense(specs, "dense1", config.embedding_dim, config.hidden_dim),
            dense2: dense(specs, "dense2", config.hidden_dim, config.n_classes),
        }
    }

    /// # Shapes
    /// Logits `[n, n_classes]`.
    pub(crate) fn forward(
        &self,
        config: &AvgNetConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> Tensor<2> {
        let [n, length, width] = [batch.n(), batch.length(), config.embedding_dim];
        let tokens = pass.embed(self.embedding, batch.ids().iter().copied());
        // The mean as a product of [1, length] shares with [length, width] embeddings.
        let mut shares = batch.mask();
        for (row, real) in shares.chunks_exact_mut(length).zip(batch.lengths()) {
            row.iter_mut().for_each(|share| *share /= *real as f32);
        }
        let shares = pass.constant(shares, [n, 1, length]);
        let mean = shares.matmul(tokens.reshape([n, length, width])).reshape([n, width]);
        let [weight, bias] = self.dense1;
        let hidden = activation::relu(pass.linear(mean, weight, bias));
        let hidden = pass.dropout(hidden, config.dropout);
        let [weight, bias] = self.dense2;
        pass.linear(hidden, weight, bias)
    }
}

/// Weight and bias of a linear layer with PyTorch's default initialisation, uniform within
/// `1 / sqrt(in)`.
pub(crate) fn dense(specs: &mut Specs, name: &str, input: usize, out: usize) -> [Key; 2] {
    let bound = Init::Uniform(1.0 / (input as f32).sqrt());
    [
        specs.weight(format!("{name}.weight"), [out, input], bound),
        specs.vector(format!("{name}.bias"), out, bound),
    ]
}
