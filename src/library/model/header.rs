//! The file `model.json` that every saved model has: it begins the same way in all of them.

use serde::{Deserialize, Serialize};

use super::{decision::Decision, format::corrupt};
use crate::error::{Error, Result};

/// The file that says what the others are.
pub(super) const HEADER_FILE: &str = "model.json";
/// The value of every header's `format`.
pub(super) const FORMAT: &str = "trialbook-model";
/// The newest layout this build reads. A model without a decision is written as 1, which older builds
/// read; one with a decision as 2, since they would predict other labels.
pub(super) const SCHEMA_VERSION: u32 = 2;
const PLAIN_SCHEMA_VERSION: u32 = 1;

/// The fields of every model's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ModelHeader {
    pub(super) format: String,
    pub(super) schema_version: u32,
    pub(super) model: String,
    pub(super) classes: Vec<String>,
    #[serde(default, skip_serializing_if = "Decision::is_plain")]
    pub(super) decision: Decision,
}

impl ModelHeader {
    /// The header of a new model.
    pub(super) fn new(model: &str, classes: Vec<String>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            schema_version: PLAIN_SCHEMA_VERSION,
            model: model.to_owned(),
            classes,
            decision: Decision::default(),
        }
    }

    /// Takes another decision.
    ///
    /// # Errors
    /// One that does not fit the classes.
    pub(super) fn decide(&mut self, decision: Decision) -> Result<()> {
        if let Some(fault) = decision.fault(self.classes.len()) {
            return Err(Error::invalid(fault));
        }
        self.schema_version =
            if decision.is_plain() { PLAIN_SCHEMA_VERSION } else { SCHEMA_VERSION };
        self.decision = decision;
        Ok(())
    }

    /// That the decision fits the classes.
    ///
    /// # Errors
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) for one that does not.
    pub(super) fn check(&self) -> Result<()> {
        match self.decision.fault(self.classes.len()) {
            Some(fault) => Err(corrupt(HEADER_FILE, fault)),
            None => Ok(()),
        }
    }
}
