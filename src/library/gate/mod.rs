//! The gate before Production: a policy and two measured versions give a verdict with its evidence,
//! and promotion obeys it. Judging is pure; only [`Gating`], [`promote`], [`rollback`], [`approve`],
//! [`StoredPolicy`] and [`StoredBehaviour`] touch the store.

mod approval;
mod assessment;
mod behaviour_check;
mod checks;
mod cost_checks;
mod costs;
mod evidence;
mod examination;
mod gating;
mod judgement;
mod level;
mod measurement;
mod policy;
mod promotion;
mod report;
mod retraining;
mod rollback;
mod slice_floor;
mod stored_behaviour;
mod stored_policy;
mod text_shelf;
mod verdict;

pub use approval::approve;
pub use behaviour_check::BehaviourExamination;
pub use checks::{
    AgreementCheck, ApprovalCheck, BehaviourCheck, CalibrationCheck, ClassFloorCheck, ClassMetric,
    LeakageCheck, Level, NonInferiorCheck, PolicyChecks, ReproducibleCheck, SignificantCheck,
    SizeCheck, SliceFloorCheck, SliceMetric, StrictCheck, VerdictsCheck,
};
pub use cost_checks::{LatencyCheck, MemoryCheck};
pub use costs::{Costs, Latency, LatencyPair, MemoryPair};
pub use evidence::{Evidence, MARGIN, Power, Thresholds};
pub use examination::{Examination, Leakage};
pub use gating::{Examine, Gating, Question, Reevaluate, Rule, adopt, run};
pub use judgement::{Baseline, Candidate, Check, CheckOutcome, Judgement, judge};
pub use measurement::{Measurement, measure};
pub use policy::{METRIC, Policy};
pub use promotion::{Promotion, permit, promote};
pub use report::markdown;
pub use retraining::{LastingDrift, RetrainDecision, RetrainFacts, RetrainReason, RetrainRule};
pub use rollback::{Rollback, rollback};
pub use slice_floor::{FloorSlice, floor_slices};
pub use stored_behaviour::StoredBehaviour;
pub use stored_policy::{PolicyRecord, StoredPolicy};
pub use verdict::{SCHEMA_VERSION, Verdict};
