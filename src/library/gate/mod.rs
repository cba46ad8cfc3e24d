//! The gate before Production: a policy and two measured versions give a verdict with its evidence,
//! and promotion obeys it. Judging is pure; only [`Gating`], [`promote`], [`rollback`], [`approve`] and
//! [`StoredPolicy`] touch the store.

mod approval;
mod assessment;
mod checks;
mod evidence;
mod examination;
mod gating;
mod judgement;
mod measurement;
mod policy;
mod promotion;
mod report;
mod rollback;
mod stored_policy;
mod verdict;

pub use approval::approve;
pub use checks::{
    AgreementCheck, ApprovalCheck, CalibrationCheck, ClassFloorCheck, ClassMetric, LeakageCheck,
    Level, NonInferiorCheck, PolicyChecks, ReproducibleCheck, SignificantCheck, SizeCheck,
    StrictCheck, VerdictsCheck,
};
pub use evidence::{Evidence, MARGIN, Power, Thresholds};
pub use examination::{Examination, Leakage};
pub use gating::{Examine, Gating, Question, Reevaluate, Rule, adopt, run};
pub use judgement::{Baseline, Candidate, Check, CheckOutcome, Judgement, judge};
pub use measurement::{Measurement, measure};
pub use policy::{METRIC, Policy};
pub use promotion::{Promotion, permit, promote};
pub use report::markdown;
pub use rollback::{Rollback, rollback};
pub use stored_policy::{PolicyRecord, StoredPolicy};
pub use verdict::{SCHEMA_VERSION, Verdict};
