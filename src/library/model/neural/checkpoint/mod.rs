//! Hugging Face checkpoints of DistilBERT and BERT: reading `config.json` and the weights beside it,
//! and writing them so that `DistilBertForSequenceClassification.from_pretrained` opens them.
//!
//! Everything behind this module sees one architecture, DistilBERT's, under DistilBERT's names: a
//! BERT is renamed and folded here. No tensor library is used; weights stay in the mapped file.

mod bert;
mod config;
mod config_json;
mod expected;
mod file_names;
mod names;
mod onnx;
mod pytorch;
mod report;
mod shards;
mod snapshot;
mod write;

pub use config::{Activation, EncoderConfig, Family};
pub use expected::{MissingHead, expected_tensors};
pub use file_names::{CONFIG_FILE, PYTORCH_FILE, WEIGHTS_FILE};
pub use names::{CLASSIFIER_HEAD, POSITION_TABLE, TOKEN_TABLE};
pub use report::{LoadReport, MisShaped, MissingTensor};
pub use snapshot::snapshot;
pub use write::{write, write_config};

use super::tensors::Tensors;
use crate::{error::Result, model::ModelFiles};

/// An opened checkpoint: every encoder tensor is there and has its shape.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Sizes, labels and rates.
    pub config: EncoderConfig,
    /// The tensors of [`expected_tensors`] by DistilBERT's names, and nothing else.
    pub tensors: Tensors,
    /// True if `pre_classifier` and `classifier` are among them.
    pub has_head: bool,
    /// The tensors left aside.
    pub report: LoadReport,
}

impl Checkpoint {
    /// Opens `config.json` and `model.safetensors` or else `pytorch_model.bin`, each whole or in
    /// the files that its index names, or else `model.onnx`.
    ///
    /// # Errors
    /// A missing or unusable file, a configuration this encoder does not compute, and, in one
    /// error, every tensor that is missing, has another shape or another number type.
    pub fn open(files: &ModelFiles, head: MissingHead) -> Result<Self> {
        let config = EncoderConfig::read(files.path(CONFIG_FILE)?)?;
        let stored = shards::open(files)?;
        let (tensors, has_head, report) = expected::select(stored, &config, head)?;
        Ok(Self { config, tensors, has_head, report })
    }
}

#[cfg(test)]
mod tests;
