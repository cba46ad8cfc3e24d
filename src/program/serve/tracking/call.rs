//! One call of an endpoint: what it says, on which registry, and in whose name.

use serde_json::Value;
use trialbook::registry::Registry;

use super::{fields::Fields, wire::WireRefusal};

/// The answer of an endpoint.
pub(super) type CallAnswer = Result<Value, WireRefusal>;

/// A question to an endpoint.
pub(super) struct RestCall {
    /// Acts as whoever asks.
    pub(super) registry: Registry,
    pub(super) fields: Fields,
    /// The parts of the path that stand in place of names in braces, in their order.
    pub(super) path: Vec<String>,
    /// Length of the body.
    pub(super) n_body_bytes: usize,
}
