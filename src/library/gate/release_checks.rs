//! The checks of a running release by its counts. They may be looked at as often as one likes: a bound counts
//! as broken once the evidence that it is reaches 1,000 to 1, which a candidate at its bound reaches once in
//! 1,000 releases at most, however often one looks (Ville's inequality for a mixture of likelihood ratios; Wald
//! 1945, Robbins 1970). What follows from a state is the judgement's.

use serde::{Deserialize, Serialize};

use super::{release_counts::StepCounts, release_evidence::LoggedEvidence};
use crate::{
    figure,
    registry::{Release, counted_percent, percent},
};

/// The evidence against a bound at which it is broken: the logarithm of 1,000 to 1.
pub(super) const LOG_EVIDENCE: f64 = 6.907_755_278_982_137;
/// Shares beyond a bound that the evidence is a mixture of.
const N_ALTERNATIVES: usize = 64;
/// The share of requests that may take longer than the 95th percentile.
const ABOVE_P95: f64 = 0.05;

/// The state of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCheckState {
    /// Within its bound.
    Holds,
    /// Not known yet, or beyond the bound by no more than chance may do: no step follows, nothing is taken
    /// back.
    Open,
    /// Beyond its bound: the candidate is taken back.
    Broken,
}

impl ReleaseCheckState {
    /// Its name, such as `holds`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Open => "open",
            Self::Broken => "broken",
        }
    }
}

/// What one check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseCheckResult {
    /// Its name, such as `error_rate`.
    pub check: String,
    /// What follows.
    pub state: ReleaseCheckState,
    /// In words, with the numbers.
    pub detail: String,
}

/// What a check looks at.
#[derive(Debug, Clone, Copy)]
pub struct StepEvidence<'a> {
    /// The counts at the present step.
    pub counts: &'a StepCounts,
    /// What the logs say of the release so far.
    pub logged: &'a LoggedEvidence,
}

/// A check of a running release. Those of the counts are here, those of the logs in `release_log_checks`.
pub trait ReleaseCheck: Send + Sync {
    /// Looks at `release` and what is `seen` of it; none where the check does not apply.
    fn look(&self, release: &Release, seen: StepEvidence<'_>) -> Option<ReleaseCheckResult>;
}

/// The share of requests that the candidate fails.
pub struct ErrorRateCheck;

/// The 95th percentile of the candidate's durations.
pub struct LatencyBoundCheck;

/// The share of texts that get Production's label.
pub struct AgreementBoundCheck;

impl ReleaseCheck for ErrorRateCheck {
    fn look(&self, release: &Release, seen: StepEvidence<'_>) -> Option<ReleaseCheckResult> {
        let counts = seen.counts;
        let (n_errors, n) = (counts.candidate.n_errors, counts.candidate.n_requests);
        let bound = release.bounds.max_error_rate;
        let rate = if n == 0 { 0.0 } else { n_errors as f64 / n as f64 };
        Some(ReleaseCheckResult {
            check: "error_rate".to_owned(),
            state: state(n_errors, n, bound, n > 0),
            detail: format!(
                "{} of {} failed, {}; at most {}",
                figure::count(n_errors),
                figure::counted(n, "request"),
                counted_percent(rate),
                percent(bound)
            ),
        })
    }
}

impl ReleaseCheck for LatencyBoundCheck {
    fn look(&self, release: &Release, seen: StepEvidence<'_>) -> Option<ReleaseCheckResult> {
        let bound_ms = release.bounds.max_p95_ms?;
        let durations = &seen.counts.candidate.durations;
        let p95_ms = durations.quantile_ms(0.95);
        Some(ReleaseCheckResult {
            check: "p95".to_owned(),
            state: state(durations.n_above(bound_ms), durations.n(), ABOVE_P95, p95_ms.is_some()),
            detail: format!(
                "95 % of {} within {}; at most {bound_ms} ms",
                figure::counted(durations.n(), "answer"),
                p95_ms.map_or_else(|| "no time yet".to_owned(), milliseconds),
            ),
        })
    }
}

impl ReleaseCheck for AgreementBoundCheck {
    fn look(&self, release: &Release, seen: StepEvidence<'_>) -> Option<ReleaseCheckResult> {
        let bound = release.bounds.min_agreement?;
        let pairs = &seen.counts.pairs;
        let n_apart = pairs.n_texts - pairs.n_agreed.min(pairs.n_texts);
        let agreement = pairs.agreement();
        Some(ReleaseCheckResult {
            check: "agreement".to_owned(),
            state: state(n_apart, pairs.n_texts, 1.0 - bound, agreement.is_some()),
            detail: format!(
                "{} on {}; at least {}",
                agreement.map_or_else(|| "nothing known".to_owned(), counted_percent),
                figure::counted(pairs.n_texts, "text"),
                percent(bound)
            ),
        })
    }
}

/// Milliseconds with three digits.
pub(super) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{ms:.3} ms"),
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

/// The state of a bound: of `n` things, `k` are bad, and the share `allowed` may be.
fn state(k: u64, n: u64, allowed: f64, is_known: bool) -> ReleaseCheckState {
    if log_evidence(k, n, allowed) >= LOG_EVIDENCE {
        ReleaseCheckState::Broken
    // 1 - 0.9 is a little less than 0.1.
    } else if is_known && k as f64 <= allowed * n as f64 + 1e-9 {
        ReleaseCheckState::Holds
    } else {
        ReleaseCheckState::Open
    }
}

/// The logarithm of the evidence that the share of bad ones, `k` of `n` so far, is above `allowed`: the
/// mean likelihood ratio of shares above it to `allowed` itself. Whatever share up to `allowed` is the
/// true one, its expectation stays below 1.
pub(super) fn log_evidence(k: u64, n: u64, allowed: f64) -> f64 {
    if k == 0 || allowed >= 1.0 {
        return f64::NEG_INFINITY;
    }
    // Where none is allowed, one is proof.
    if allowed <= 0.0 {
        return f64::INFINITY;
    }
    let (k, n_good) = (k as f64, (n - k.min(n)) as f64);
    let logs: Vec<f64> = (0..N_ALTERNATIVES)
        .map(|idx| {
            // Denser near the bound, where the differences are small.
            let place = (idx as f64 + 0.5) / N_ALTERNATIVES as f64;
            let share = allowed + (1.0 - allowed) * place * place;
            k * (share / allowed).ln() + n_good * ((1.0 - share) / (1.0 - allowed)).ln()
        })
        .collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
    largest + (sum / N_ALTERNATIVES as f64).ln()
}
