//! The files of a saved net: `model.json` (what it is), `model.safetensors` (its weights by
//! PyTorch's names) and the tokenizer. A DistilBERT's are, with `config.json`, a Hugging Face
//! checkpoint.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    checkpoint::{Checkpoint, Head, WEIGHTS_FILE},
    classifier::{Engine, Neural},
    hugging_face,
    net::{Net, NetConfig, Precision},
    tensors::Tensors,
    tokenizer::Tokenizer,
    training::TrainSettings,
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::{
        Device, ModelFiles,
        format::corrupt,
        load::{FORMAT, HEADER_FILE, Header, SCHEMA_VERSION},
    },
};

/// What a net's `model.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NeuralHeader {
    #[serde(flatten)]
    common: Header,
    net: NetConfig,
    /// Tokens that texts are cut to.
    max_length: usize,
    /// How it was trained; none for an imported checkpoint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    training: Option<TrainSettings>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    fit: Option<Fitted>,
}

/// What training came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Fitted {
    /// What computed it.
    pub(super) device: String,
    /// Where the first weights came from.
    pub(super) initialized_from: String,
    /// Examples learnt.
    pub(super) n_train: usize,
    /// Examples that decided the best epoch.
    pub(super) n_valid: usize,
    /// Counted from 1; its weights are the model's.
    pub(super) best_epoch: u64,
    /// F1 on the validation examples after it.
    pub(super) valid_f1: f64,
    pub(super) n_epochs: u64,
    pub(super) n_steps: u64,
    pub(super) stopped_early: bool,
}

impl NeuralHeader {
    pub(super) fn new(net: NetConfig, classes: Vec<String>, max_length: usize) -> Self {
        let common = Header {
            format: FORMAT.to_owned(),
            schema_version: SCHEMA_VERSION,
            model: net.name().to_owned(),
            classes,
        };
        Self { common, net, max_length, training: None, fit: None }
    }

    pub(super) fn with_training(self, training: TrainSettings, fitted: Fitted) -> Self {
        Self { training: Some(training), fit: Some(fitted), ..self }
    }

    pub(super) fn classes(&self) -> &[String] {
        &self.common.classes
    }

    pub(super) fn rename(&mut self, classes: Vec<String>) {
        self.common.classes = classes;
    }

    pub(super) fn net(&self) -> &NetConfig {
        &self.net
    }

    pub(super) fn max_length(&self) -> usize {
        self.max_length
    }

    /// Writes `model.json` into the folder `dir`.
    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        let path = dir.join(HEADER_FILE);
        let text = serde_json::to_string_pretty(self).expect("plain values") + "\n";
        fs::write(&path, text).map_err(|source| Error::io("write", &path, source))
    }

    /// What it says, for people and programs.
    pub(super) fn describe(&self) -> Value {
        json!({
            "model": self.common.model,
            "classes": self.common.classes,
            "net": self.net,
            "params": self.training,
            "fit": self.fit,
        })
    }
}

/// Reads the files, of which `header` is the first, for use on `device`.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a missing file, [`ErrorKind::Corrupt`] for files that are damaged or
/// do not fit together, and a device that cannot be used.
pub(crate) fn load(files: &ModelFiles, header: &str, device: Device) -> Result<Neural> {
    let header: NeuralHeader = serde_json::from_str(header).map_err(|source| {
        corrupt(HEADER_FILE, "it is not the header of a net").with_source(source)
    })?;
    if header.net.n_classes() != header.classes().len() {
        return Err(corrupt(
            HEADER_FILE,
            format!(
                "it has {} class names for a net of {} classes",
                header.classes().len(),
                header.net.n_classes()
            ),
        ));
    }
    let tokenizer = Tokenizer::load(files, header.max_length)?;
    if tokenizer.vocab_size() > header.net.vocab_size() {
        return Err(corrupt(
            HEADER_FILE,
            format!(
                "the tokenizer knows {} tokens, the net {}",
                tokenizer.vocab_size(),
                header.net.vocab_size()
            ),
        ));
    }
    let device = device.resolve()?;
    let is_encoder = matches!(header.net, NetConfig::DistilBert(_));
    let engine = if is_encoder && device.is_cpu() {
        hugging_face::encoder(Checkpoint::open(files, Head::Required)?)?
    } else {
        let tensors = if is_encoder {
            Checkpoint::open(files, Head::Required)?.tensors
        } else {
            Tensors::map(files.path(WEIGHTS_FILE)?)?
        };
        let net = Net::load(header.net.clone(), &tensors, &device);
        let net = net.map_err(|error| match error.kind() {
            ErrorKind::Invalid => corrupt(WEIGHTS_FILE, error),
            _ => error,
        })?;
        let precision = if device.is_cpu() { Precision::F32 } else { Precision::from_env()? };
        Engine::Net(Box::new(net.predicting_in(precision)))
    };
    Ok(Neural::new(header, tokenizer, engine))
}
