//! What becomes of a true label that is sent to a server, as answers and metrics name it.

use serde::Serialize;
use trialbook::monitor::LabelOutcome;

/// What became of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedbackOutcome {
    Accepted,
    Corrected,
    Unchanged,
    /// No prediction is known that it is about; it is kept.
    Unmatched,
    /// It is not kept.
    Refused,
}

impl FeedbackOutcome {
    pub(crate) const ALL: [Self; 5] =
        [Self::Accepted, Self::Corrected, Self::Unchanged, Self::Unmatched, Self::Refused];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Corrected => "corrected",
            Self::Unchanged => "unchanged",
            Self::Unmatched => "unmatched",
            Self::Refused => "refused",
        }
    }
}

impl From<LabelOutcome> for FeedbackOutcome {
    fn from(outcome: LabelOutcome) -> Self {
        match outcome {
            LabelOutcome::Accepted => Self::Accepted,
            LabelOutcome::Corrected => Self::Corrected,
            LabelOutcome::Unchanged => Self::Unchanged,
        }
    }
}
