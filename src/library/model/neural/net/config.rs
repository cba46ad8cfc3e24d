//! The kind of a net, and its sizes; refuses sizes that make no net before anything is allocated.

use serde::{Deserialize, Serialize};

use super::{AvgNetConfig, CnnConfig, DistilBertConfig, LstmConfig};
use crate::error::{Error, Result};

/// An architecture with its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "lowercase")]
pub enum NetConfig {
    /// A transformer encoder.
    DistilBert(DistilBertConfig),
    /// Mean of embeddings and two dense layers.
    AvgNet(AvgNetConfig),
    /// Convolutions and the maximum over time.
    Cnn(CnnConfig),
    /// A bidirectional LSTM.
    Lstm(LstmConfig),
}

/// Each is a list entry of its own long before memory is asked for; no net that learns has so many.
const MAX_LAYERS: usize = 1000;

/// Numbers with the names that an error calls them by.
type NamedSizes<T> = Vec<(&'static str, T)>;

impl NetConfig {
    /// The architecture's name: `distilbert`, `avgnet`, `cnn`, `lstm`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DistilBert(_) => "distilbert",
            Self::AvgNet(_) => "avgnet",
            Self::Cnn(_) => "cnn",
            Self::Lstm(_) => "lstm",
        }
    }

    /// Number of tokens known.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::DistilBert(config) => config.vocab_size,
            Self::AvgNet(config) => config.vocab_size,
            Self::Cnn(config) => config.vocab_size,
            Self::Lstm(config) => config.vocab_size,
        }
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        match self {
            Self::DistilBert(config) => config.n_classes,
            Self::AvgNet(config) => config.n_classes,
            Self::Cnn(config) => config.n_classes,
            Self::Lstm(config) => config.n_classes,
        }
    }

    /// The longest text in tokens, where the architecture has a limit.
    pub fn max_length(&self) -> Option<usize> {
        match self {
            Self::DistilBert(config) => Some(config.max_position_embeddings),
            _ => None,
        }
    }

    /// The same net for prediction with another vocabulary: without dropout.
    pub(crate) fn reading(&self, n_rows: usize) -> Self {
        let mut config = self.clone();
        match &mut config {
            Self::DistilBert(config) => {
                config.vocab_size = n_rows;
                config.dropout = 0.0;
                config.attention_dropout = 0.0;
                config.seq_classif_dropout = 0.0;
            }
            Self::AvgNet(config) => (config.vocab_size, config.dropout) = (n_rows, 0.0),
            Self::Cnn(config) => (config.vocab_size, config.dropout) = (n_rows, 0.0),
            Self::Lstm(config) => (config.vocab_size, config.dropout) = (n_rows, 0.0),
        }
        config
    }

    /// The extent to which length decides which examples share a batch, see [`super::epoch_order`]:
    /// not at all for nets whose arithmetic on the CPU passes padding over.
    pub(crate) fn by_length(&self) -> f64 {
        match self {
            Self::AvgNet(_) | Self::Cnn(_) => 0.0,
            Self::DistilBert(_) | Self::Lstm(_) => 0.5,
        }
    }

    /// Values that a training pass over `n` texts of `length` tokens keeps for the gradients, by
    /// counting the tensors of the forward pass; `on_cpu` it is our own arithmetic's where a net
    /// has some.
    pub(crate) fn n_activations(&self, n: usize, length: usize, on_cpu: bool) -> f64 {
        let size = |size: usize| size as f64;
        let tokens = size(n) * size(length);
        match self {
            Self::DistilBert(config) if on_cpu => {
                // Of each layer states, queries, keys, values, context, both norms and what is between
                // them, and the wide layer; once more all of a layer's gradients.
                let states = 9.0 * size(config.dim) + size(config.hidden_dim);
                let gradients = 12.0 * size(config.dim) + 3.0 * size(config.hidden_dim);
                tokens * (size(config.n_layers) * states + gradients)
            }
            Self::DistilBert(config) => {
                // Norms, residuals, dropout, q, k, v, context: about 24 tensors of the width; the
                // wide layer with GELU 4; scores, softmax and dropout 8 a pair of tokens and head.
                let pairs = tokens * size(length) * size(config.n_heads);
                let states = 24.0 * size(config.dim) + 4.0 * size(config.hidden_dim);
                size(config.n_layers) * (tokens * states + 8.0 * pairs)
            }
            // The embedded tokens, and with filters their gradients: windows and responses are a
            // block at a time.
            Self::AvgNet(config) if on_cpu => 2.0 * tokens * size(config.embedding_dim),
            Self::Cnn(config) if on_cpu => 3.0 * tokens * size(config.embedding_dim),
            Self::AvgNet(config) => 4.0 * tokens * size(config.embedding_dim),
            Self::Cnn(config) => {
                let width: f64 = config.widths.iter().map(|width| size(*width)).sum();
                let filters = size(config.widths.len()) * size(config.n_filters);
                tokens * (3.0 * width * size(config.embedding_dim) + 4.0 * filters)
            }
            Self::Lstm(config) if on_cpu => {
                // Per direction and layer: gates, cells, states and what they are made of; once more
                // projections and their gradients in both orders.
                let direction = 8.0 * size(config.hidden_dim);
                let layers = 2.0 * size(config.n_layers) * direction;
                tokens
                    * (4.0 * size(config.embedding_dim) + layers + 30.0 * size(config.hidden_dim))
            }
            Self::Lstm(config) => {
                // Per direction and layer: projections and gates, cut and uncut, and states.
                let direction = 30.0 * size(config.hidden_dim);
                let layers = 2.0 * size(config.n_layers) * direction;
                tokens * (6.0 * size(config.embedding_dim) + layers)
            }
        }
    }

    /// # Errors
    /// [`crate::error::ErrorKind::Invalid`] with the first size that makes no net.
    pub fn check(&self) -> Result<()> {
        let fail = |what: String| Err(Error::invalid(format!("{}: {what}", self.name())));
        let (mut sizes, rates): (NamedSizes<usize>, NamedSizes<f64>) = match self {
            Self::DistilBert(c) => (
                vec![
                    ("dim", c.dim),
                    ("hidden_dim", c.hidden_dim),
                    ("n_layers", c.n_layers),
                    ("n_heads", c.n_heads),
                    ("max_position_embeddings", c.max_position_embeddings),
                ],
                vec![
                    ("dropout", c.dropout),
                    ("attention_dropout", c.attention_dropout),
                    ("seq_classif_dropout", c.seq_classif_dropout),
                ],
            ),
            Self::AvgNet(c) => (
                vec![("embedding_dim", c.embedding_dim), ("hidden_dim", c.hidden_dim)],
                vec![("dropout", c.dropout)],
            ),
            Self::Cnn(c) => (
                vec![("embedding_dim", c.embedding_dim), ("n_filters", c.n_filters)],
                vec![("dropout", c.dropout)],
            ),
            Self::Lstm(c) => (
                vec![
                    ("embedding_dim", c.embedding_dim),
                    ("hidden_dim", c.hidden_dim),
                    ("n_layers", c.n_layers),
                ],
                vec![("dropout", c.dropout)],
            ),
        };
        sizes.push(("vocab_size", self.vocab_size()));
        if let Self::Cnn(config) = self {
            sizes.extend(config.widths.iter().map(|width| ("a width", *width)));
        }
        for (name, size) in sizes {
            let most = if name == "n_layers" { MAX_LAYERS } else { i32::MAX as usize };
            if size == 0 || size > most {
                return fail(format!("{name} must be between 1 and {most}, found {size}"));
            }
        }
        for (name, rate) in rates {
            if !(0.0..1.0).contains(&rate) {
                return fail(format!("{name} must be at least 0 and below 1, found {rate}"));
            }
        }
        if self.n_classes() < 2 {
            return fail(format!("n_classes must be at least 2, found {}", self.n_classes()));
        }
        match self {
            Self::DistilBert(c) if !c.dim.is_multiple_of(c.n_heads) => {
                fail(format!("n_heads must divide dim, found {} heads of {}", c.n_heads, c.dim))
            }
            Self::Cnn(c) if c.widths.is_empty() => {
                fail("widths must contain at least one number".into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_its_architecture_and_fills_defaults() {
        let config: NetConfig =
            serde_json::from_str(r#"{"architecture": "lstm", "vocab_size": 7}"#).unwrap();
        assert_eq!(config, NetConfig::Lstm(LstmConfig { vocab_size: 7, ..Default::default() }));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NetConfig>(&text).unwrap(), config);
    }

    #[test]
    fn sizes_that_make_no_net_are_refused_by_name() {
        let check = |config: NetConfig, part: &str| {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        let bert = DistilBertConfig { n_heads: 5, ..Default::default() };
        check(NetConfig::DistilBert(bert), "n_heads must divide dim, found 5 heads of 768");
        let cnn = CnnConfig { widths: vec![3, 0], ..Default::default() };
        check(NetConfig::Cnn(cnn), "a width must be between 1 and 2147483647, found 0");
        let cnn = CnnConfig { widths: Vec::new(), ..Default::default() };
        check(NetConfig::Cnn(cnn), "widths must contain at least one number");
        for n_layers in [0, 2_000_000_000] {
            let lstm = LstmConfig { n_layers, ..Default::default() };
            check(NetConfig::Lstm(lstm), "n_layers must be between 1 and 1000");
        }
        let avgnet = AvgNetConfig { dropout: 1.0, ..Default::default() };
        check(NetConfig::AvgNet(avgnet), "dropout must be at least 0 and below 1, found 1");
    }
}
