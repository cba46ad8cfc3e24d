//! The choice of the registry that a store's steps use: its own, or one that a server keeps.

use std::sync::Arc;

use super::{Registry, Tracker, remote::RemoteRegistry};
use crate::{error::Result, store::Store};

/// The registry that `store` uses, opened. One that a server keeps is not asked before it is needed.
///
/// # Errors
/// As [`Registry::open`], for the store's own.
pub fn tracker(store: &Store) -> Result<Arc<dyn Tracker>> {
    Ok(match store.registry_address() {
        Some(address) => Arc::new(RemoteRegistry::new(address, store)?),
        None => Arc::new(Registry::open(store)?),
    })
}
