//! `train avgnet|cnn|lstm|distilbert`: the neural nets' own arguments.

use std::path::PathBuf;

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use trialbook::{
    error::Result,
    model::{
        Device,
        neural::{
            self, NeuralConfig, Precision, TrainSettings,
            net::{AvgNetConfig, CnnConfig, DistilBertConfig, LstmConfig, NetConfig},
        },
    },
};

use super::{common::Common, tfidf::ClassWeights};

/// The options of every net.
#[derive(Debug, Clone, Args)]
struct NetOptions {
    #[command(flatten)]
    common: Common,
    /// Highest number of passes over the train split [default: avgnet 10, cnn 4, lstm 5, distilbert 3]
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Number of texts in one forward pass [default: 32, distilbert 16]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Highest learning rate [default: avgnet 3e-3, cnn and lstm 1e-3, distilbert 5e-5, or 5e-4 without a checkpoint]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Longer texts are cut to this many tokens [default: avgnet 512, cnn 400, lstm and distilbert 256, or
    /// fewer if the checkpoint reads fewer]
    #[arg(long, value_name = "TOKENS")]
    max_len: Option<usize>,
    /// Share of all steps in which the learning rate rises to its highest value
    #[arg(long, default_value_t = TrainSettings::default().warmup_ratio, value_name = "SHARE")]
    warmup: f64,
    /// Weight decay; it is not applied to biases and layer norms
    #[arg(long, default_value_t = TrainSettings::default().weight_decay, value_name = "DECAY")]
    weight_decay: f64,
    /// Gradient clipping: the largest norm of all gradients together
    #[arg(long, default_value_t = TrainSettings::default().clip_norm, value_name = "NORM")]
    clip_norm: f64,
    /// Gradient accumulation: the number of batches for one step of the optimizer
    #[arg(long, default_value_t = TrainSettings::default().accumulation, value_name = "N")]
    accumulation: usize,
    /// Label smoothing: the share of each target that is spread evenly over all classes
    #[arg(long, default_value_t = TrainSettings::default().label_smoothing, value_name = "SHARE")]
    label_smoothing: f64,
    /// Weights of the classes in the loss
    #[arg(long, value_enum, default_value = "uniform", value_name = "HOW")]
    class_weight: ClassWeights,
    /// Stop after this many epochs without a better F1
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<u64>,
    /// Also save a checkpoint each time this many steps are done. A checkpoint is always saved after
    /// each epoch
    #[arg(long, value_name = "STEPS")]
    checkpoint_every: Option<u64>,
    /// Number format of matrix products; bf16 and f16 work on GPUs only
    #[arg(
        long,
        default_value = Precision::default().name(),
        value_parser = PossibleValuesParser::new(Precision::NAMES).try_map(|name| name.parse::<Precision>()),
        value_name = "FORMAT"
    )]
    precision: Precision,
    /// The device that computes: auto, cpu, cuda:N, wgpu:N, or remote:ws://HOST:PORT for that of another
    /// machine, on which device serve runs
    #[arg(long, env = Device::ENV, default_value = "auto", value_name = "DEVICE")]
    device: Device,
}

/// The options of the nets that learn a vocabulary of words.
#[derive(Debug, Clone, Args)]
struct VocabularyOptions {
    /// Words that occur fewer times than this in the train split count as unknown
    #[arg(long, default_value_t = 5, value_name = "N")]
    min_freq: usize,
    /// Keep at most this many words, the most frequent ones
    #[arg(long, default_value_t = 25_000, value_name = "WORDS")]
    vocab_size: usize,
    /// Dimension of the word embeddings
    #[arg(long, default_value_t = 100, value_name = "WIDTH")]
    embedding: usize,
}

/// `train avgnet --data imdb`
#[derive(Debug, Clone, Args)]
pub(crate) struct Avgnet {
    #[command(flatten)]
    shared: NetOptions,
    #[command(flatten)]
    words: VocabularyOptions,
    /// Number of units in the hidden layer
    #[arg(long, default_value_t = AvgNetConfig::default().hidden_dim, value_name = "WIDTH")]
    hidden: usize,
    /// Dropout before the last layer
    #[arg(long, default_value_t = AvgNetConfig::default().dropout, value_name = "SHARE")]
    dropout: f64,
}

/// `train cnn --data imdb`
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainCnn {
    #[command(flatten)]
    shared: NetOptions,
    #[command(flatten)]
    words: VocabularyOptions,
    /// Widths of the convolution filters, in words
    #[arg(long, value_delimiter = ',', default_values_t = CnnConfig::default().widths, value_name = "WIDTHS")]
    widths: Vec<usize>,
    /// Number of filters of each width
    #[arg(long, default_value_t = CnnConfig::default().n_filters, value_name = "N")]
    filters: usize,
    /// Dropout before the last layer
    #[arg(long, default_value_t = CnnConfig::default().dropout, value_name = "SHARE")]
    dropout: f64,
}

/// `train lstm --data imdb`
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainLstm {
    #[command(flatten)]
    shared: NetOptions,
    #[command(flatten)]
    words: VocabularyOptions,
    /// Size of the hidden state in each direction
    #[arg(long, default_value_t = LstmConfig::default().hidden_dim, value_name = "WIDTH")]
    hidden: usize,
    /// Number of layers
    #[arg(long, default_value_t = LstmConfig::default().n_layers, value_name = "N")]
    layers: usize,
    /// Dropout after the embeddings, between layers and before the last layer
    #[arg(long, default_value_t = LstmConfig::default().dropout, value_name = "SHARE")]
    dropout: f64,
}

/// `train distilbert --data imdb --checkpoint DIR`
#[derive(Debug, Clone, Args)]
pub(crate) struct Distilbert {
    #[command(flatten)]
    shared: NetOptions,
    /// Folder with the Hugging Face checkpoint, a DistilBERT or BERT, to start from
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "vocab_size"])]
    checkpoint: Option<PathBuf>,
    /// Without --checkpoint: the size of the net, which starts from random weights
    #[arg(long, value_enum, default_value = "small", value_name = "SIZES")]
    config: NetSizes,
    /// Without --checkpoint: the highest number of WordPiece tokens to learn from the train split
    #[arg(long, value_name = "TOKENS")]
    vocab_size: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetSizes {
    /// 2 layers of width 128
    Small,
    /// distilbert-base: 6 layers of width 768
    Base,
}

impl NetOptions {
    /// `config` with what was said instead of its defaults.
    fn apply(&self, config: NeuralConfig) -> NeuralConfig {
        let base = &config.training;
        let training = TrainSettings {
            epochs: self.epochs.unwrap_or(base.epochs),
            batch_size: self.batch_size.unwrap_or(base.batch_size),
            learning_rate: self.learning_rate.unwrap_or(base.learning_rate),
            warmup_ratio: self.warmup,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            accumulation: self.accumulation,
            label_smoothing: self.label_smoothing,
            class_weight: self.class_weight.into(),
            patience: self.patience,
            checkpoint_every: self.checkpoint_every,
            precision: self.precision,
            seed: self.common.seed,
        };
        NeuralConfig {
            max_length: self.max_len.unwrap_or(config.max_length),
            validation: self.common.validation_size.unwrap_or(config.validation),
            device: self.device,
            training,
            ..config
        }
    }
}

/// One architecture's arguments as what they mean.
pub(super) trait NetArguments {
    /// The options of every training, and the configuration.
    ///
    /// # Errors
    /// When what was said cannot be meant.
    fn parts(&self) -> Result<(&Common, NeuralConfig)>;
}

impl NetArguments for Avgnet {
    fn parts(&self) -> Result<(&Common, NeuralConfig)> {
        let net = NetConfig::AvgNet(AvgNetConfig {
            vocab_size: self.words.vocab_size,
            embedding_dim: self.words.embedding,
            hidden_dim: self.hidden,
            dropout: self.dropout,
            ..AvgNetConfig::default()
        });
        let min_freq = self.words.min_freq;
        let config = NeuralConfig { net, min_freq, ..NeuralConfig::avgnet() };
        Ok((&self.shared.common, self.shared.apply(config)))
    }
}

impl NetArguments for TrainCnn {
    fn parts(&self) -> Result<(&Common, NeuralConfig)> {
        let net = NetConfig::Cnn(CnnConfig {
            vocab_size: self.words.vocab_size,
            embedding_dim: self.words.embedding,
            widths: self.widths.clone(),
            n_filters: self.filters,
            dropout: self.dropout,
            ..CnnConfig::default()
        });
        let min_freq = self.words.min_freq;
        let config = NeuralConfig { net, min_freq, ..NeuralConfig::cnn() };
        Ok((&self.shared.common, self.shared.apply(config)))
    }
}

impl NetArguments for TrainLstm {
    fn parts(&self) -> Result<(&Common, NeuralConfig)> {
        let net = NetConfig::Lstm(LstmConfig {
            vocab_size: self.words.vocab_size,
            embedding_dim: self.words.embedding,
            hidden_dim: self.hidden,
            n_layers: self.layers,
            dropout: self.dropout,
            ..LstmConfig::default()
        });
        let min_freq = self.words.min_freq;
        let config = NeuralConfig { net, min_freq, ..NeuralConfig::lstm() };
        Ok((&self.shared.common, self.shared.apply(config)))
    }
}

impl NetArguments for Distilbert {
    fn parts(&self) -> Result<(&Common, NeuralConfig)> {
        let mut sizes = match self.config {
            NetSizes::Small => DistilBertConfig::small(),
            NetSizes::Base => DistilBertConfig::default(),
        };
        sizes.vocab_size = self.vocab_size.unwrap_or(sizes.vocab_size);
        // Kept with the run, which may be continued from another folder.
        let checkpoint = self.checkpoint.as_ref().map(std::path::absolute).transpose();
        let checkpoint = checkpoint.map_err(|source| {
            let given = self.checkpoint.clone().unwrap_or_default();
            trialbook::error::Error::io("find", &given, source)
        })?;
        let mut config = NeuralConfig::distilbert(sizes, checkpoint);
        // A checkpoint that cannot be read is reported, with all that is wrong, when training begins.
        if let Some(folder) = &config.checkpoint
            && let Ok(max_length) = neural::max_length(folder)
        {
            config.max_length = config.max_length.min(max_length);
        }
        Ok((&self.shared.common, self.shared.apply(config)))
    }
}
