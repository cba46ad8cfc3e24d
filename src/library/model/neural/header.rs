//! A net's `model.json`: what it is and what its training came to.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{net::NetConfig, training::TrainSettings};
use crate::{
    error::{Error, Result},
    model::{
        Decision,
        header::{HEADER_FILE, ModelHeader},
    },
};

/// The name of a distilbert in 8 bits, which builds that know none of it refuse by.
pub(in crate::model) const INT8_NAME: &str = "distilbert-int8";

/// The content of a net's `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NeuralHeader {
    #[serde(flatten)]
    common: ModelHeader,
    net: NetConfig,
    /// Tokens that texts are cut to.
    max_length: usize,
    /// The settings of its training; none for an imported checkpoint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    training: Option<TrainSettings>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    fit: Option<Fitted>,
}

/// The result of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Fitted {
    /// The device that computed it.
    pub(super) device: String,
    /// The origin of the first weights.
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
        let common = ModelHeader::new(net.name(), classes);
        Self { common, net, max_length, training: None, fit: None }
    }

    pub(super) fn with_training(self, training: TrainSettings, fitted: Fitted) -> Self {
        Self { training: Some(training), fit: Some(fitted), ..self }
    }

    /// The same model in 8 bits.
    pub(super) fn quantized(mut self) -> Self {
        self.common.model = INT8_NAME.to_owned();
        self
    }

    /// True for a model in 8 bits.
    pub(super) fn is_int8(&self) -> bool {
        self.common.model == INT8_NAME
    }

    /// The kind of the model: the net's name, or that of one in 8 bits.
    pub(super) fn name(&self) -> &'static str {
        if self.is_int8() { INT8_NAME } else { self.net.name() }
    }

    pub(super) fn classes(&self) -> &[String] {
        &self.common.classes
    }

    pub(super) fn rename(&mut self, classes: Vec<String>) {
        self.common.classes = classes;
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.common.decision
    }

    /// # Errors
    /// A decision that does not fit the classes.
    pub(super) fn decide(&mut self, decision: Decision) -> Result<()> {
        self.common.decide(decision)
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

    /// Its description for people and programs.
    pub(super) fn describe(&self) -> Value {
        json!({
            "model": self.common.model,
            "classes": self.common.classes,
            "net": self.net,
            "params": self.training,
            "fit": self.fit,
            "decision": self.common.decision.describe(),
        })
    }
}
