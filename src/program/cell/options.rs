//! The settings of an interpreter.

use std::time::Duration;

use trialbook::store::Store;

/// The settings of an interpreter.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store that commands and `Book::open_default()` use.
    pub store: Store,
    /// The time that running Rust may take to stop after an interrupt before its process is ended.
    pub grace: Duration,
}

impl Options {
    /// A store, and the usual two seconds of grace.
    pub fn new(store: Store) -> Self {
        Self { store, grace: Duration::from_secs(2) }
    }
}
