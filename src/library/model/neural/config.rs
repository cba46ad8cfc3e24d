//! The net and the settings of a training, as one value that can be kept, read again and continued.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    net::{AvgNetConfig, CnnConfig, DistilBertConfig, LstmConfig, NetConfig},
    training::TrainSettings,
};
use crate::{
    error::{Error, Result},
    model::{Device, check_validation_size},
};

/// The settings of the training of a neural net.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuralConfig {
    /// The net's sizes. Its `vocab_size` is the most tokens that the vocabulary may have, where one
    /// is learnt; the number of classes is the dataset's. With a checkpoint only the architecture
    /// counts: the sizes are the checkpoint's.
    pub net: NetConfig,
    /// A Hugging Face snapshot of a DistilBERT or BERT to start from: a folder. Default: none, then
    /// weights are random and the vocabulary is learnt.
    pub checkpoint: Option<PathBuf>,
    /// Words that occur less often in the train split are unknown; WordPiece does not use it.
    /// Default 5.
    pub min_freq: usize,
    /// Tokens that texts are cut to, on the right.
    pub max_length: usize,
    /// Share of the train split, in the proportions of its classes, that is not learnt but decides
    /// which epoch was best; not used where examples to choose by are given. Default 0.1.
    pub validation: f64,
    /// The device to compute on. Default `auto`.
    pub device: Device,
    /// The optimiser's settings.
    pub training: TrainSettings,
}

impl NeuralConfig {
    /// The mean of the words' embeddings and two dense layers.
    pub fn avgnet() -> Self {
        let training =
            TrainSettings { epochs: 10, learning_rate: 3e-3, ..TrainSettings::default() };
        Self::words(NetConfig::AvgNet(AvgNetConfig::default()), 512, training)
    }

    /// Convolutions over words and the maximum over time.
    pub fn cnn() -> Self {
        let training = TrainSettings { epochs: 4, ..TrainSettings::default() };
        Self::words(NetConfig::Cnn(CnnConfig::default()), 400, training)
    }

    /// A bidirectional LSTM over words.
    pub fn lstm() -> Self {
        let training = TrainSettings { epochs: 5, ..TrainSettings::default() };
        Self::words(NetConfig::Lstm(LstmConfig::default()), 256, training)
    }

    /// A DistilBERT, from `checkpoint` or with random weights of `sizes`.
    pub fn distilbert(sizes: DistilBertConfig, checkpoint: Option<PathBuf>) -> Self {
        let learning_rate = if checkpoint.is_some() { 5e-5 } else { 5e-4 };
        let training = TrainSettings { batch_size: 16, learning_rate, ..TrainSettings::default() };
        Self { checkpoint, ..Self::words(NetConfig::DistilBert(sizes), 256, training) }
    }

    fn words(net: NetConfig, max_length: usize, training: TrainSettings) -> Self {
        Self {
            net,
            checkpoint: None,
            min_freq: 5,
            max_length,
            validation: 0.1,
            device: Device::default(),
            training,
        }
    }

    /// # Errors
    /// The first setting that cannot work, by name. What only the data or the checkpoint can tell
    /// is checked when training begins.
    pub(super) fn check(&self) -> Result<()> {
        check_validation_size(self.validation)?;
        if self.max_length == 0 {
            return Err(Error::invalid("max_length must be at least 1, found 0"));
        }
        if self.checkpoint.is_none()
            && let Some(longest) = self.net.max_length()
            && self.max_length > longest
        {
            return Err(Error::invalid(format!(
                "max_length is {}, the net reads at most {longest} tokens",
                self.max_length
            )));
        }
        Ok(())
    }
}

impl NetConfig {
    /// The same net for a vocabulary and classes that only the data could tell.
    pub(super) fn of_data(mut self, n_tokens: usize, classes: usize) -> Self {
        let (vocab_size, n_classes) = match &mut self {
            Self::DistilBert(config) => (&mut config.vocab_size, &mut config.n_classes),
            Self::AvgNet(config) => (&mut config.vocab_size, &mut config.n_classes),
            Self::Cnn(config) => (&mut config.vocab_size, &mut config.n_classes),
            Self::Lstm(config) => (&mut config.vocab_size, &mut config.n_classes),
        };
        (*vocab_size, *n_classes) = (n_tokens, classes);
        self
    }
}

impl DistilBertConfig {
    /// A net that a CPU trains in minutes: 2 layers of width 128, a vocabulary of 8,000.
    pub fn small() -> Self {
        Self {
            vocab_size: 8_000,
            dim: 128,
            hidden_dim: 512,
            n_layers: 2,
            n_heads: 4,
            max_position_embeddings: 512,
            ..Self::default()
        }
    }
}
