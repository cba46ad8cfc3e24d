//! The gate before Production: a policy and two measured versions give a verdict with its evidence,
//! and promotion obeys it. Judging is pure; only [`run`], [`promote`] and [`rollback`] touch the
//! registry.

mod gating;
mod judgement;
mod measurement;
mod policy;
mod promotion;
mod rollback;
mod verdict;

pub use gating::{Reevaluate, adopt, run};
pub use judgement::{Baseline, Candidate, Check, Judgement, judge};
pub use measurement::measure;
pub use policy::{METRIC, Policy};
pub use promotion::{Promotion, permit, promote};
pub use rollback::{Rollback, rollback};
pub use verdict::{SCHEMA_VERSION, Verdict};
