//! The gate before Production: a policy and two measured versions give a verdict with its evidence,
//! and promotion obeys it. A release is judged by its counts and logs in the same way. Judging is pure; only
//! [`Gating`], [`promote`], [`rollback`], [`approve`], the steps of a release, [`StoredPolicy`] and
//! [`StoredBehaviour`] touch the store.

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
mod release_checks;
mod release_counts;
mod release_evidence;
mod release_judgement;
mod release_log_checks;
mod release_status;
mod release_verdict;
mod releasing;
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
pub use release_checks::{
    AgreementBoundCheck, ErrorRateCheck, LatencyBoundCheck, ReleaseCheck, ReleaseCheckResult,
    ReleaseCheckState, StepEvidence,
};
pub use release_counts::{ArmCounts, Durations, PairCounts, ReleaseCounts, StepCounts};
pub use release_evidence::{CandidateDrift, LoggedEvidence, ReleaseLabels};
pub use release_judgement::{ReleaseDecision, ReleaseJudgement, judge_release};
pub use release_log_checks::{AbVerdictCheck, DriftBoundCheck, F1BoundCheck};
pub use release_status::ReleaseStatus;
pub use release_verdict::AbVerdict;
pub use releasing::{
    advance_release, promote_release, settle_release, shadow_to_canary, start_release,
    stop_release, take_back_release,
};
pub use report::markdown;
pub use retraining::{LastingDrift, RetrainDecision, RetrainFacts, RetrainReason, RetrainRule};
pub use rollback::{Rollback, rollback};
pub use slice_floor::{FloorSlice, floor_slices};
pub use stored_behaviour::StoredBehaviour;
pub use stored_policy::{PolicyRecord, StoredPolicy};
pub use verdict::{SCHEMA_VERSION, Verdict};
