//! The models of a server: which version of each answers and where versions come from, the engine that
//! asks in batches, and what is remembered and counted of their predictions. It stands on HTTP's refusals
//! and limits alone, and refuses to know what a request looks like, or when the registry is looked at.

pub(super) mod engine;
pub(super) mod feedback;
// Tests look at it in every build; only one with CUDA shows it.
#[cfg(any(feature = "cuda", test))]
mod gpu;
pub(super) mod metrics;
pub(super) mod monitor;
pub(super) mod outcome;
pub(super) mod recent;
pub(super) mod served;
pub(super) mod slot;
pub(super) mod source;
