//! The models of a server: which version of each answers and where versions come from, the engine that
//! asks in batches, what is remembered and counted of their predictions, and the version that a release tries. It stands on HTTP's refusals
//! and limits alone, and refuses to know what a request looks like, or when the registry is looked at.

pub(super) mod drift;
pub(super) mod engine;
pub(super) mod feedback;
// Tests look at it in every build; only one with CUDA shows it.
#[cfg(any(feature = "cuda", test))]
mod gpu;
pub(super) mod metrics;
pub(super) mod monitor;
pub(super) mod outcome;
pub(super) mod recent;
pub(super) mod release_metrics;
pub(super) mod served;
mod shadow;
pub(super) mod slot;
pub(super) mod source;
pub(super) mod tally;
pub(super) mod trial;
mod words;
