//! The checks of a running release by what the logs say of it: the F1 that true labels give, drift, and the
//! verdict of an A/B test. Those of labels may be looked at as often as one likes; drift is a matter of effect
//! sizes, which no number of looks makes larger.

use super::{
    release_checks::{
        LOG_EVIDENCE, ReleaseCheck, ReleaseCheckResult, ReleaseCheckState, StepEvidence,
        log_evidence,
    },
    release_evidence::CandidateDrift,
};
use crate::{
    evaluate::{ConfusionMatrix, SignalLevel},
    figure,
    registry::{Release, ReleaseKind},
};

/// Labels below which an F1 says nothing: the first to come are often complaints.
const MIN_LABELS: usize = 30;
/// Halvings until the end of an interval is as exact as a float tells.
const N_HALVINGS: usize = 50;

/// The F1 that true labels give of the candidate's own answers.
pub struct F1BoundCheck;

/// Drift between what the candidate is asked and its reference profile.
pub struct DriftBoundCheck;

/// The verdict of an A/B test: decided for Production it takes the candidate back, decided for the candidate it
/// leaves the promotion to a person.
pub struct AbVerdictCheck;

impl ReleaseCheck for F1BoundCheck {
    fn look(&self, release: &Release, seen: StepEvidence<'_>) -> Option<ReleaseCheckResult> {
        let bound = release.bounds.min_f1?;
        let confusion = seen.logged.labels.as_ref().map(|labels| &labels.confusion);
        let n_labels = confusion.map_or(0, ConfusionMatrix::n_examples);
        let (state, found) = match confusion.filter(|_| n_labels >= MIN_LABELS) {
            None => (
                ReleaseCheckState::Open,
                format!("{}, it takes {MIN_LABELS}", figure::counted(n_labels, "label")),
            ),
            Some(confusion) => {
                let (f1, highest) = (confusion.headline().f1, highest_f1(confusion));
                let state = match () {
                    () if highest < bound => ReleaseCheckState::Broken,
                    () if f1 >= bound => ReleaseCheckState::Holds,
                    () => ReleaseCheckState::Open,
                };
                let found = format!(
                    "{} by {}, {} at most beyond chance",
                    figure::metric(f1),
                    figure::counted(n_labels, "label"),
                    figure::metric(highest),
                );
                (state, found)
            }
        };
        let detail = format!("{found}; at least {bound}");
        Some(ReleaseCheckResult { check: "f1".to_owned(), state, detail })
    }
}

impl ReleaseCheck for DriftBoundCheck {
    fn look(&self, release: &Release, seen: StepEvidence<'_>) -> Option<ReleaseCheckResult> {
        let bound = release.bounds.max_drift?;
        let drift = seen.logged.drift.as_ref();
        let (state, found) = match drift {
            None => (ReleaseCheckState::Open, "nothing known yet".to_owned()),
            Some(CandidateDrift { n, min_n, .. }) if n < min_n => (
                ReleaseCheckState::Open,
                format!("{}, it takes {min_n}", figure::counted(*n, "prediction")),
            ),
            Some(CandidateDrift { level, signals, n, .. }) => {
                let state = match *level >= bound {
                    true => ReleaseCheckState::Broken,
                    false => ReleaseCheckState::Holds,
                };
                let of = match level {
                    SignalLevel::Ok => String::new(),
                    _ => format!(" of {}", signals.join(", ")),
                };
                (state, format!("{level}{of} on {}", figure::counted(*n, "prediction")))
            }
        };
        let detail = format!("{found}; taken back at {bound}");
        Some(ReleaseCheckResult { check: "drift".to_owned(), state, detail })
    }
}

impl ReleaseCheck for AbVerdictCheck {
    fn look(&self, release: &Release, seen: StepEvidence<'_>) -> Option<ReleaseCheckResult> {
        if release.kind != ReleaseKind::Ab {
            return None;
        }
        let verdict = seen.logged.verdict(release);
        let decided = verdict.map(|verdict| verdict.comparison).filter(|one| one.is_decided);
        let state = match decided {
            None => ReleaseCheckState::Open,
            Some(comparison) if comparison.difference > 0.0 => ReleaseCheckState::Holds,
            Some(_) => ReleaseCheckState::Broken,
        };
        let detail = verdict.map_or_else(
            || "no labels yet: which version is better is not known".to_owned(),
            |verdict| verdict.told(),
        );
        Some(ReleaseCheckResult { check: "verdict".to_owned(), state, detail })
    }
}

/// The largest F1 that the evidence does not refute at 1,000 to 1, however often one looks: of the positive one
/// of two classes, or the mean over more. Of the rows that are of a class or were predicted as it, the share
/// `e` is wrong, which the evidence bounds from below as it does any other share, and
/// `F1 = 2 (1 - e) / (2 - e)`. Each of several classes has its part of the doubt. A class without rows may have
/// an F1 of 1.
fn highest_f1(confusion: &ConfusionMatrix) -> f64 {
    let n_classes = confusion.n_classes();
    let classes = if n_classes == 2 { 1..2 } else { 0..n_classes };
    let (n, counts) = (classes.len().max(1) as f64, confusion.counts());
    let of_class = |class: usize| {
        let n_hits = counts[class][class];
        let n_predicted: usize = counts.iter().map(|row| row[class]).sum();
        let n_rows = confusion.support(class) + n_predicted - n_hits;
        let wrong = least_share((n_rows - n_hits) as u64, n_rows as u64, LOG_EVIDENCE + n.ln());
        2.0 * (1.0 - wrong) / (2.0 - wrong)
    };
    classes.map(of_class).sum::<f64>() / n
}

/// The largest share that `k` of `n` refute with this evidence; 0 where they refute none.
fn least_share(k: u64, n: u64, threshold: f64) -> f64 {
    if k == 0 || n == 0 {
        return 0.0;
    }
    let (mut refuted, mut possible) = (0.0, k as f64 / n as f64);
    for _ in 0..N_HALVINGS {
        let middle = 0.5 * (refuted + possible);
        match log_evidence(k, n, middle) >= threshold {
            true => refuted = middle,
            false => possible = middle,
        }
    }
    refuted
}

#[cfg(test)]
mod tests;
