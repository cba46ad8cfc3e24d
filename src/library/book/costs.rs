//! The costs of two versions for a gate: both are loaded, and asked in turns. What is measured and how it is judged
//! is the gate's.

use super::Book;
use crate::{data::Split, error::Result, gate::Costs, registry::ModelVersion};

impl Book {
    /// The costs of `candidate` beside those of `production`; times only where they are wanted. Both models are
    /// in memory at once.
    pub(super) fn costs(
        &self,
        candidate: &ModelVersion,
        production: Option<&ModelVersion>,
        split: &Split,
        wants_latency: bool,
    ) -> Result<Costs> {
        let own = self.load(candidate)?;
        let known = production.filter(|production| !production.is_from_outside());
        let other = known.map(|production| self.load(production)).transpose()?;
        let texts = wants_latency.then_some(split.texts.as_slice());
        Costs::of(own.as_ref(), other.as_deref(), texts)
    }
}
