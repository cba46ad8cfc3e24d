//! The texts of a request, and how they depend on each other: which of them are refused for their length is
//! decided here, before any model is asked. It knows neither bodies nor lines.

use std::{borrow::Cow, time::Instant};

use trialbook::model::TokenCounts;

use crate::serve::http::error::{ApiError, FieldError};

use super::{answers::Refusals, body::MAX_FAULTS};

/// Texts for one model, at least one.
#[derive(Clone)]
pub(crate) struct Texts<'t> {
    pub(crate) texts: Vec<Cow<'t, str>>,
    /// The place of each in its request, from 0.
    pub(crate) indexes: Vec<u32>,
    pub(crate) policy: Policy,
    /// The moment at which they were received.
    pub(crate) started: Instant,
}

/// The way in which texts that are asked together depend on each other, and the texts that may be cut.
#[derive(Clone)]
pub(crate) enum Policy {
    /// All are answered or none: they are the `field` of one request.
    All { field: TextField, truncate: bool },
    /// Each is answered that can be, whatever becomes of the others.
    Each { truncate: Vec<bool> },
}

/// The place of texts in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TextField {
    /// In `text`.
    One,
    /// In `texts`.
    Many,
}

impl Policy {
    /// Refuses the texts that are longer than what the model reads and may not be cut.
    pub(super) fn refusals(&self, counts: Option<&TokenCounts>) -> Result<Refusals, ApiError> {
        let Some(counts) = counts else { return Ok(Refusals::default()) };
        let n_texts = counts.n_tokens.len();
        match self {
            Self::All { truncate: true, .. } => Ok(Refusals::default()),
            Self::All { field, truncate: false } => {
                let faults = (0..n_texts).filter(|idx| counts.is_cut(*idx)).take(MAX_FAULTS);
                let faults: Vec<FieldError> =
                    faults.map(|text_idx| field.too_long(counts, text_idx)).collect();
                match faults.is_empty() {
                    true => Ok(Refusals::default()),
                    false => Err(ApiError::validation(faults)),
                }
            }
            Self::Each { truncate } => Ok(Refusals::of(n_texts, |text_idx| {
                let is_refused = counts.is_cut(text_idx) && !truncate[text_idx];
                is_refused
                    .then(|| ApiError::validation(vec![TextField::One.too_long(counts, text_idx)]))
            })),
        }
    }
}

impl TextField {
    fn too_long(self, counts: &TokenCounts, text_idx: usize) -> FieldError {
        let TokenCounts { n_tokens, max_tokens } = counts;
        let msg = format!(
            "Text has {} tokens, the model reads {max_tokens}: shorten it, or leave truncate at true",
            n_tokens[text_idx]
        );
        match self {
            Self::One => FieldError::of_field("text", "too_many_tokens", msg),
            Self::Many => FieldError::of_field("texts", "too_many_tokens", msg).at(text_idx),
        }
    }
}
