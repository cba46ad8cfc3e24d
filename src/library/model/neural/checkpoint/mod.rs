//! Hugging Face checkpoints of DistilBERT and BERT: reading `config.json` and the weights beside it,
//! and writing them so that `DistilBertForSequenceClassification.from_pretrained` opens them.
//!
//! Everything behind this module sees one architecture, DistilBERT's, under DistilBERT's names: a
//! BERT is renamed and folded here. No tensor library is used; weights stay in the mapped file.

mod bert;
mod config;
mod config_json;
mod expected;
mod names;
mod pytorch;
mod report;
mod shards;
mod snapshot;
mod write;

pub use config::{Activation, EncoderConfig, Family};
pub use expected::{CLASSIFIER_HEAD, expected_tensors};
pub use report::{LoadReport, MisShaped, MissingTensor};
pub use snapshot::snapshot;
pub use write::write;

use super::tensors::Tensors;
use crate::{error::Result, model::ModelFiles};

/// The name of the file with sizes and labels.
pub const CONFIG_FILE: &str = "config.json";
/// The name of the weights' file that is preferred and written.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The name of the weights' file in PyTorch's own format, read when the other is missing.
pub const PYTORCH_FILE: &str = "pytorch_model.bin";

/// What a checkpoint without a classification head means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// An error: the checkpoint is to predict as it is.
    Required,
    /// A base model to fine-tune: the caller initialises `pre_classifier` and `classifier`.
    Optional,
}

/// An opened checkpoint: every encoder tensor is there and has its shape.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Sizes, labels and rates.
    pub config: EncoderConfig,
    /// The tensors of [`expected_tensors`] by DistilBERT's names, and nothing else.
    pub tensors: Tensors,
    /// Whether `pre_classifier` and `classifier` are among them.
    pub has_head: bool,
    /// What was left aside.
    pub report: LoadReport,
}

impl Checkpoint {
    /// Opens `config.json` and `model.safetensors` or else `pytorch_model.bin`, each whole or in
    /// the files that its index names.
    ///
    /// # Errors
    /// A missing or unusable file, a configuration this encoder does not compute, and, in one
    /// error, every tensor that is missing, has another shape or another number type.
    pub fn open(files: &ModelFiles, head: Head) -> Result<Self> {
        let config = EncoderConfig::read(files.path(CONFIG_FILE)?)?;
        let stored = shards::open(files)?;
        let (tensors, has_head, report) = expected::select(stored, &config, head)?;
        Ok(Self { config, tensors, has_head, report })
    }
}

#[cfg(test)]
mod tests;
