//! What the logs of a store say of a running release: which answers were right, as far as true labels came, and
//! how far what the candidate is asked has drifted. It holds what others read, and judges nothing.

use serde::Serialize;

use super::release_verdict::AbVerdict;
use crate::{
    evaluate::{ConfusionMatrix, RightAnswers, SignalLevel},
    registry::{Release, ReleaseKind},
};

/// What the logs say of a release; nothing of what nobody has looked at yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoggedEvidence {
    /// What true labels say.
    pub labels: Option<ReleaseLabels>,
    /// How far what the candidate is asked is from its reference profile.
    pub drift: Option<CandidateDrift>,
}

/// The answers since a release began whose true labels are known.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseLabels {
    /// Answers of the version in Production.
    pub production: RightAnswers,
    /// Answers of the candidate that clients got; a shadow's are none.
    pub candidate: RightAnswers,
    /// The candidate's predictions beside their true labels, a shadow's too, but for texts that were picked to
    /// be labelled because they are hard: those would make every version look bad.
    pub confusion: ConfusionMatrix,
}

/// Drift of what a candidate is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CandidateDrift {
    /// The worst level of a signal.
    pub level: SignalLevel,
    /// The signals that are at that level.
    pub signals: Vec<String>,
    /// The number of predictions.
    pub n: u64,
    /// The number that it takes to say something.
    pub min_n: u64,
}

impl LoggedEvidence {
    /// The verdict of an A/B test; none of another release, and before anybody has looked for labels.
    pub fn verdict(&self, release: &Release) -> Option<AbVerdict> {
        let labels = self.labels.as_ref().filter(|_| release.kind == ReleaseKind::Ab)?;
        Some(AbVerdict::new(labels.production, labels.candidate))
    }
}
