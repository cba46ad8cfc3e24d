//! One call of an endpoint: what it says, on which registry, and in whose name.

use serde_json::Value;
use trialbook::registry::Registry;

use super::{fields::Fields, wire::Refusal};

/// What an endpoint answers.
pub(super) type Answer = Result<Value, Refusal>;

/// A question to an endpoint.
pub(super) struct Call {
    /// Acts as whoever asks.
    pub(super) registry: Registry,
    pub(super) fields: Fields,
    /// What stands in the path in place of names in braces, in their order.
    pub(super) path: Vec<String>,
    /// How long the body was.
    pub(super) n_body_bytes: usize,
}
