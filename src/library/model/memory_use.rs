//! What a loaded model takes of the memory, computed from its own tables. It asks no operating system: what a
//! process takes depends on what else is in it.

use serde::{Deserialize, Serialize};

/// The memory of a loaded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Bytes, computed from the sizes of the tables.
    pub n_bytes: u64,
    /// The parts that are counted, in words.
    pub counted: String,
}

/// The bytes of a list, with the room that it keeps.
pub(super) fn bytes_of<T>(list: &Vec<T>) -> u64 {
    (list.capacity() * size_of::<T>()) as u64
}
