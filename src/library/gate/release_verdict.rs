//! The verdict of an A/B test: which version gives more right labels. Without labels there is none, since
//! nothing else that is counted says who is right. It may be looked at at any time.

use serde::Serialize;

use crate::{
    evaluate::{AnytimeComparison, RightAnswers, compare_anytime},
    registry::counted_percent,
};

/// The difference that the test finds soonest: two points of accuracy.
const EXPECTED_DIFFERENCE: f64 = 0.02;

/// What the labels of two groups of clients say so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AbVerdict {
    /// Right answers of the version in Production, among those that were labelled.
    pub production: RightAnswers,
    /// Those of the candidate.
    pub candidate: RightAnswers,
    /// The candidate's share minus Production's, and whether that is decided.
    pub comparison: AnytimeComparison,
}

impl AbVerdict {
    /// By the labelled answers of both versions.
    pub fn new(production: RightAnswers, candidate: RightAnswers) -> Self {
        let comparison = compare_anytime(candidate, production, EXPECTED_DIFFERENCE);
        Self { production, candidate, comparison }
    }

    /// It in one line.
    pub fn told(&self) -> String {
        let Self { production, candidate, comparison } = self;
        let n_labels = production.n_rows + candidate.n_rows;
        if n_labels == 0 {
            return "no labels yet: which version is better is not known".to_owned();
        }
        let shares = format!(
            "{} right of {} against {} of {}",
            counted_percent(candidate.accuracy()),
            candidate.n_rows,
            counted_percent(production.accuracy()),
            production.n_rows
        );
        let verdict = match (comparison.is_decided, comparison.difference > 0.0) {
            (false, _) => "not decided yet",
            (true, true) => "the candidate is better",
            (true, false) => "Production is better",
        };
        format!("{verdict}: {shares}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_labels_and_a_difference_that_is_no_chance() {
        let of = |n_right, n_rows| RightAnswers { n_right, n_rows };
        for (production, candidate, expected) in [
            (of(0, 0), of(0, 0), "no labels yet"),
            (of(80, 100), of(82, 100), "not decided yet"),
            (of(8_000, 10_000), of(9_000, 10_000), "the candidate is better"),
            (of(9_000, 10_000), of(8_000, 10_000), "Production is better"),
        ] {
            let told = AbVerdict::new(production, candidate).told();
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
