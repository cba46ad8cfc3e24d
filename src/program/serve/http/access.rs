//! The access that a path asks for, where keys are asked for: each endpoint says so of its own path, and
//! the guard holds requests to it.

use trialbook::registry::Scope;

/// The callers that may ask an endpoint of a server whose store has API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody: it tells nothing of this server's own.
    Open,
    /// A browser that wants the page; for the rest as [`Access::Predict`].
    Page,
    /// Keys of any scope.
    Predict,
    /// Everybody, or keys of any scope where the server is told so.
    Health,
    /// Everybody, or admin keys where the server is told so.
    Metrics,
    /// Keys of this scope.
    Tracking(Scope),
}
