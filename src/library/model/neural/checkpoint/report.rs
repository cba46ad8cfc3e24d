//! The findings of loading a checkpoint: one error for everything that is wrong, notes for the
//! rest.

use std::fmt::Write;

use super::names::CLASSIFIER_HEAD;
use crate::error::{Error, ErrorKind, Result};

/// The advice for an encoder whose head is not there, or not a DistilBERT's.
pub(super) const FINE_TUNE: &str =
    "train a classification head for it: `train distilbert --checkpoint DIR`";

/// A tensor that the configuration asks for and no file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingTensor {
    /// DistilBERT's name.
    pub tensor: String,
    /// The shape that it would have.
    pub expected: Vec<usize>,
}

/// A tensor whose shape or number type is not what the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MisShaped {
    /// DistilBERT's name.
    pub tensor: String,
    /// The shape by the configuration.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
    /// The number type in the file, such as `I64`.
    pub dtype: String,
}

/// The findings of loading a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Asked for and not there: an error, but for an optional head.
    pub missing: Vec<MissingTensor>,
    /// There with another shape or number type: an error.
    pub mis_shaped: Vec<MisShaped>,
    /// There, but nothing this encoder knows.
    pub unused: Vec<String>,
    /// There and known, but of no use here: poolers, pretraining heads, a BERT's classifier.
    pub dropped: Vec<String>,
}

impl LoadReport {
    /// Nothing, or one error that names every missing and every mis-shaped tensor.
    pub(super) fn check(&self) -> Result<()> {
        if self.missing.is_empty() && self.mis_shaped.is_empty() {
            return Ok(());
        }
        let mut message = format!(
            "the weights do not fit config.json: {} missing, {} of another shape or number type",
            self.missing.len(),
            self.mis_shaped.len()
        );
        for MissingTensor { tensor, expected } in &self.missing {
            write!(message, "; {tensor} {expected:?} is missing").expect("a string takes all");
        }
        for MisShaped { tensor, expected, found, dtype } in &self.mis_shaped {
            write!(
                message,
                "; {tensor}: expected {expected:?} of F32, F16 or BF16, found {found:?} of {dtype}"
            )
            .expect("a string takes all");
        }
        if !self.unused.is_empty() {
            write!(message, "; not used: {}", self.unused.join(", ")).expect("a string takes all");
        }
        let lacks_head = |missing: &MissingTensor| CLASSIFIER_HEAD.contains(&&*missing.tensor);
        let hint = if self.mis_shaped.is_empty() && self.missing.iter().all(lacks_head) {
            FINE_TUNE
        } else {
            "check that config.json and the weights belong together"
        };
        Err(Error::new(ErrorKind::Invalid, message).with_hint(hint))
    }

    /// One line about what was left aside, or nothing.
    pub fn note(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.dropped.is_empty() {
            parts.push(format!("left aside: {}", self.dropped.join(", ")));
        }
        if !self.unused.is_empty() {
            parts.push(format!("unknown: {}", self.unused.join(", ")));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
