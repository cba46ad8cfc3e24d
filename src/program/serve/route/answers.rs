//! The answers to texts: one each, or the reason why there is none.

use serde::Serialize;
use trialbook::model::prediction::Prediction;

use crate::serve::{http::error::ApiError, model::served::ModelInfo};

/// One answer.
#[derive(Serialize)]
pub(crate) struct PredictedAnswer<'a> {
    #[serde(flatten)]
    pub(super) prediction: Prediction,
    pub(super) model: &'a ModelInfo,
    /// The part that this version has in a release that splits the requests; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arm: Option<&'static str>,
    /// True if the model read only the beginning of the text.
    pub(super) truncated: bool,
    pub(super) request_id: &'a str,
    /// From the texts received to the predictions made; of a batch, that of all its texts.
    pub(super) latency_ms: f64,
}

/// The answers to texts that were asked together, and the refusals of the others.
pub(crate) struct Answers<'a> {
    /// To the texts that are not refused, in their order.
    pub(super) answers: Vec<PredictedAnswer<'a>>,
    pub(super) refusals: Refusals,
}

impl<'a> Answers<'a> {
    /// The answers to texts that stand or fall together.
    pub(crate) fn all(self) -> Vec<PredictedAnswer<'a>> {
        self.answers
    }

    /// The outcome of each text.
    pub(crate) fn each(self) -> Vec<Result<PredictedAnswer<'a>, ApiError>> {
        let Self { answers, refusals: Refusals(refusals) } = self;
        if refusals.is_empty() {
            return answers.into_iter().map(Ok).collect();
        }
        let mut answers = answers.into_iter();
        let outcomes = refusals.into_iter().map(|refusal| match refusal {
            Some(refusal) => Err(refusal),
            None => answers.next().ok_or_else(ApiError::internal),
        });
        outcomes.collect()
    }
}

/// Of each of several texts why it has no answer, if it has none. Empty where none is refused.
#[derive(Default)]
pub(crate) struct Refusals(Vec<Option<ApiError>>);

impl Refusals {
    /// Refuses each of `n_texts` texts for which `refusal` has a reason.
    pub(super) fn of(n_texts: usize, refusal: impl Fn(usize) -> Option<ApiError>) -> Self {
        let mut refusals = Self::default();
        for text_idx in 0..n_texts {
            if let Some(refusal) = refusal(text_idx) {
                refusals.0.resize(n_texts, None);
                refusals.0[text_idx] = Some(refusal);
            }
        }
        refusals
    }

    /// Takes the errors out of `outcomes`, one a text.
    pub(super) fn split<T>(outcomes: Vec<Result<T, ApiError>>) -> (Vec<T>, Self) {
        let mut refusals = Vec::new();
        let n_texts = outcomes.len();
        let done = outcomes.into_iter().enumerate().filter_map(|(text_idx, outcome)| {
            let refusal = match outcome {
                Ok(done) => return Some(done),
                Err(refusal) => refusal,
            };
            refusals.resize(n_texts, None);
            refusals[text_idx] = Some(refusal);
            None
        });
        (done.collect(), Self(refusals))
    }

    /// Number of texts that are refused.
    pub(super) fn n(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// The refusal of the first text.
    pub(super) fn first(self) -> Option<ApiError> {
        self.0.into_iter().next().flatten()
    }

    /// Those of `items`, one a text, whose text is not refused.
    pub(super) fn kept<T>(&self, items: Vec<T>) -> Vec<T> {
        if self.0.is_empty() {
            return items;
        }
        let kept = items.into_iter().zip(&self.0).filter(|(_, refusal)| refusal.is_none());
        kept.map(|(item, _)| item).collect()
    }

    /// These and `later` ones, which are of the texts that were kept.
    pub(super) fn and(self, later: Self) -> Self {
        if self.0.is_empty() || later.0.is_empty() {
            return Self(if self.0.is_empty() { later.0 } else { self.0 });
        }
        let mut later = later.0.into_iter();
        let both = self.0.into_iter().map(|refusal| refusal.or_else(|| later.next().flatten()));
        Self(both.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcomes of four texts.
    fn kinds(refusals: Refusals) -> Vec<Option<&'static str>> {
        refusals.0.iter().map(|refusal| refusal.as_ref().map(ApiError::error_type)).collect()
    }

    #[test]
    fn later_refusals_are_of_the_texts_that_were_kept() {
        let early = || Refusals::of(4, |idx| (idx % 2 == 0).then(ApiError::too_late));
        assert_eq!(early().kept(vec![0, 1, 2, 3]), [1, 3]);
        let (done, late) = Refusals::split(vec![Ok('b'), Err(ApiError::overloaded())]);
        assert_eq!(done, ['b']);
        let expected = [Some("too_late"), None, Some("too_late"), Some("overloaded")];
        assert_eq!(kinds(early().and(late)), expected);
    }

    #[test]
    fn where_nothing_is_refused_nothing_is_held() {
        let (done, none) = Refusals::split(vec![Ok('a'), Ok('b')]);
        assert_eq!(none.kept(done), ['a', 'b']);
        assert!(kinds(none.and(Refusals::of(2, |_| None))).is_empty());
        let one = || Refusals::of(2, |idx| (idx == 1).then(ApiError::too_late));
        for both in [one().and(Refusals::default()), Refusals::default().and(one())] {
            assert_eq!(kinds(both), [None, Some("too_late")]);
        }
    }
}
