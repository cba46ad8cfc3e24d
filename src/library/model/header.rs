//! The file `model.json` that every saved model has: it begins the same way in all of them.

use serde::{Deserialize, Serialize};

/// The file that says what the others are.
pub(super) const HEADER_FILE: &str = "model.json";
/// The value of every header's `format`.
pub(super) const FORMAT: &str = "trialbook-model";
/// The newest layout this build reads and the one it writes.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// The fields of every model's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) schema_version: u32,
    pub(super) model: String,
    pub(super) classes: Vec<String>,
}
