//! The judgement on a running release: stay, go on to the next step, wait for a person, or take the candidate
//! back. It weighs what the checks say, and measures nothing itself.

use serde::{Deserialize, Serialize};

use super::{
    release_checks::{
        AgreementBoundCheck, ErrorRateCheck, LatencyBoundCheck, ReleaseCheck, ReleaseCheckResult,
        ReleaseCheckState, StepEvidence,
    },
    release_log_checks::{AbVerdictCheck, DriftBoundCheck, F1BoundCheck},
};
use crate::registry::Release;

/// Every check, in the order in which they are told.
const CHECKS: [&dyn ReleaseCheck; 6] = [
    &ErrorRateCheck,
    &LatencyBoundCheck,
    &AgreementBoundCheck,
    &F1BoundCheck,
    &DriftBoundCheck,
    &AbVerdictCheck,
];

/// What a server does with a running release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseDecision {
    /// Everything stays as it is.
    Stay,
    /// The next step begins.
    Advance,
    /// The last step has held, and an A/B test is decided for the candidate: a person may promote it. Nothing
    /// promotes itself.
    Ready,
    /// All traffic goes to Production.
    TakeBack,
}

/// The judgement on a running release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseJudgement {
    /// What follows.
    pub decision: ReleaseDecision,
    /// Each check that applies.
    pub checks: Vec<ReleaseCheckResult>,
}

impl ReleaseJudgement {
    /// The details of the checks that are broken, as a reason.
    pub fn reason(&self) -> String {
        let broken = self.checks.iter().filter(|one| one.state == ReleaseCheckState::Broken);
        let told: Vec<String> =
            broken.map(|one| format!("{}: {}", one.check, one.detail)).collect();
        told.join("; ")
    }
}

/// Judges `release` by what is `seen` of it, with every check that applies.
pub fn judge_release(release: &Release, seen: StepEvidence<'_>) -> ReleaseJudgement {
    let checks: Vec<ReleaseCheckResult> =
        CHECKS.iter().filter_map(|check| check.look(release, seen)).collect();
    let counts = seen.counts;
    let is = |state| move |one: &ReleaseCheckResult| one.state == state;
    let has_held = counts.candidate.n_requests >= release.bounds.min_n
        && release.step().bake_ms.is_none_or(|bake_ms| counts.baked_ms >= bake_ms)
        && checks.iter().all(is(ReleaseCheckState::Holds));
    let decision = if checks.iter().any(is(ReleaseCheckState::Broken)) {
        ReleaseDecision::TakeBack
    } else if !has_held {
        ReleaseDecision::Stay
    } else if !release.is_last_step() {
        ReleaseDecision::Advance
    } else {
        ReleaseDecision::Ready
    };
    ReleaseJudgement { decision, checks }
}

#[cfg(test)]
pub(super) mod tests;
