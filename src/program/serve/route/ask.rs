//! Asking the model for one request: how long its texts are, what they are predicted as, and who
//! takes note of it. Handlers meet a model here, or in the queue of one that wants batches.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use serde::Serialize;
use trialbook::{
    error::Result,
    model::{
        TokenCounts,
        prediction::{self, Prediction},
    },
};

use crate::serve::{
    http::error::{ApiError, FieldError},
    model::{
        engine,
        served::{ModelInfo, ServedModel},
        slot::ModelSlot,
    },
};

use super::body::{MAX_FAULTS, Question};

/// One answer.
#[derive(Serialize)]
pub(crate) struct Answer<'a> {
    #[serde(flatten)]
    prediction: Prediction,
    model: &'a ModelInfo,
    /// Whether the model read only the beginning of the text.
    truncated: bool,
    request_id: &'a str,
    /// From the texts received to the predictions made; of a batch, that of all its texts.
    latency_ms: f64,
}

/// One request's texts, read and counted.
pub(crate) struct Queueable {
    pub(crate) question: engine::Question,
    /// Which of the texts the model reads only the beginning of.
    pub(crate) truncated: Vec<bool>,
}

/// One text of several that do not depend on each other, read and counted.
pub(crate) struct QueueableText {
    pub(crate) text: String,
    /// Tokens that the model reads of it.
    pub(crate) n_tokens: usize,
    /// Whether the model reads only its beginning.
    pub(crate) truncated: bool,
}

/// One request, and the version that answers it to its end.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The model that it is for.
    pub(crate) slot: &'a ModelSlot,
    pub(crate) served: &'a ServedModel,
    pub(crate) request_id: &'a str,
}

impl<'a> Asker<'a> {
    /// Predicts all of `texts`, which are the request's field `field`, or none. Time counts from
    /// `started`.
    ///
    /// # Errors
    /// 422 for texts that are longer than the model reads, where `truncate` does not let them be
    /// cut; 500 when the model fails.
    pub(crate) fn all(
        self,
        field: TextField,
        texts: &[&str],
        truncate: bool,
        started: Instant,
    ) -> Result<Vec<Answer<'a>>, ApiError> {
        let counts = self.check(field, texts, truncate)?;
        self.predict(texts, truncated(counts.as_ref(), 0..texts.len()), started)
    }

    /// How long `texts` are, which are the request's field `field`.
    ///
    /// # Errors
    /// 422 for texts that are longer than the model reads, where `truncate` does not let them be
    /// cut; 500 when the model fails.
    fn check(
        self,
        field: TextField,
        texts: &[&str],
        truncate: bool,
    ) -> Result<Option<TokenCounts>, ApiError> {
        let counts = self.count(texts)?;
        if let Some(counts) = counts.as_ref().filter(|_| !truncate) {
            let faults = (0..texts.len()).filter(|idx| counts.is_cut(*idx)).take(MAX_FAULTS);
            let faults: Vec<FieldError> =
                faults.map(|text_idx| field.too_long(counts, text_idx)).collect();
            if !faults.is_empty() {
                return Err(ApiError::validation(faults));
            }
        }
        Ok(counts)
    }

    /// What the queue of a model that wants batches takes: [`Asker::all`] up to where the model is
    /// asked.
    ///
    /// # Errors
    /// As [`Asker::all`].
    pub(crate) fn queueable(
        self,
        field: TextField,
        texts: Vec<Cow<'_, str>>,
        truncate: bool,
    ) -> Result<Queueable, ApiError> {
        let borrowed: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
        let counts = self.check(field, &borrowed, truncate)?;
        let n_tokens = n_tokens(counts.as_ref(), &borrowed);
        let truncated = truncated(counts.as_ref(), 0..borrowed.len());
        let classifier = Arc::clone(&self.served.classifier);
        let texts = texts.into_iter().map(Cow::into_owned).collect();
        Ok(Queueable { question: engine::Question { classifier, texts, n_tokens }, truncated })
    }

    /// [`Asker::all`] from where the model has answered.
    pub(crate) fn answered(
        self,
        texts: &[String],
        predictions: Vec<Prediction>,
        truncated: Vec<bool>,
        started: Instant,
    ) -> Vec<Answer<'a>> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.note(&texts, predictions, truncated, started)
    }

    /// Predicts each of `questions` that can be: one that fails leaves the others alone.
    pub(crate) fn each(
        self,
        questions: &[&Question<'_>],
        started: Instant,
    ) -> Vec<Result<Answer<'a>, ApiError>> {
        let together = self.predict_those_in_bounds(questions, started);
        match (together, questions) {
            (Ok(answers), _) => answers,
            (Err(error), [_]) => vec![Err(error)],
            // One of them is the culprit.
            (Err(_), _) => {
                let alone = questions.iter().map(|question| {
                    self.all(TextField::One, &[&question.text], question.truncate, Instant::now())
                });
                alone.map(|outcome| outcome.map(|mut answers| answers.remove(0))).collect()
            }
        }
    }

    fn predict_those_in_bounds(
        self,
        questions: &[&Question<'_>],
        started: Instant,
    ) -> Result<Vec<Result<Answer<'a>, ApiError>>, ApiError> {
        let texts: Vec<&str> = questions.iter().map(|question| &*question.text).collect();
        let counts = self.count(&texts)?;
        let refusals = refusals(questions, counts.as_ref());
        let taken: Vec<usize> = (0..texts.len()).filter(|idx| refusals[*idx].is_none()).collect();
        let taken_texts: Vec<&str> = taken.iter().map(|idx| texts[*idx]).collect();
        let truncated = truncated(counts.as_ref(), taken.into_iter());
        Ok(unless_refused(refusals, self.predict(&taken_texts, truncated, started)?))
    }

    /// What the queue of a model that wants batches takes of each of `questions`: [`Asker::each`] up
    /// to where the model is asked.
    pub(crate) fn queueable_each(
        self,
        questions: &[&Question<'_>],
    ) -> Vec<Result<QueueableText, ApiError>> {
        let texts: Vec<&str> = questions.iter().map(|question| &*question.text).collect();
        let counts = match (self.count(&texts), questions) {
            (Ok(counts), _) => counts,
            (Err(error), [_]) => return vec![Err(error)],
            // One of them is the culprit.
            (Err(_), _) => {
                return questions.iter().flat_map(|one| self.queueable_each(&[one])).collect();
            }
        };
        let n_tokens = n_tokens(counts.as_ref(), &texts);
        let truncated = truncated(counts.as_ref(), 0..texts.len());
        let queueable =
            texts.into_iter().zip(n_tokens).zip(truncated).map(|((text, n_tokens), truncated)| {
                QueueableText { text: text.to_owned(), n_tokens, truncated }
            });
        let refusals = refusals(questions, counts.as_ref()).into_iter();
        refusals.zip(queueable).map(|(refusal, text)| refusal.map_or(Ok(text), Err)).collect()
    }

    /// [`Asker::each`] from where the model has answered `texts`.
    pub(crate) fn answered_each(
        self,
        texts: &[String],
        outcomes: Vec<Result<Prediction, ApiError>>,
        truncated: &[bool],
        started: Instant,
    ) -> Vec<Result<Answer<'a>, ApiError>> {
        let (mut taken_texts, mut taken_truncated) = (Vec::new(), Vec::new());
        let (mut predictions, mut refusals) = (Vec::new(), Vec::new());
        for ((text, truncated), outcome) in texts.iter().zip(truncated).zip(outcomes) {
            refusals.push(match outcome {
                Ok(prediction) => {
                    taken_texts.push(text.as_str());
                    taken_truncated.push(*truncated);
                    predictions.push(prediction);
                    None
                }
                Err(refusal) => Some(refusal),
            });
        }
        if predictions.is_empty() {
            return unless_refused(refusals, Vec::new());
        }
        unless_refused(refusals, self.note(&taken_texts, predictions, taken_truncated, started))
    }

    fn count(self, texts: &[&str]) -> Result<Option<TokenCounts>, ApiError> {
        self.guarded(|| self.served.classifier.count_tokens(texts))
    }

    fn predict(
        self,
        texts: &[&str],
        truncated: Vec<bool>,
        started: Instant,
    ) -> Result<Vec<Answer<'a>>, ApiError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let predictions =
            self.guarded(|| prediction::predictions(&*self.served.classifier, texts))?;
        Ok(self.note(texts, predictions, truncated, started))
    }

    /// Takes note of predictions, and makes them answers.
    fn note(
        self,
        texts: &[&str],
        predictions: Vec<Prediction>,
        truncated: Vec<bool>,
        started: Instant,
    ) -> Vec<Answer<'a>> {
        let Self { slot, served, request_id } = self;
        let duration = started.elapsed();
        slot.metrics().predicted(&served.info, &predictions, duration);
        slot.monitor().predicted(&served.info, request_id, texts, &predictions, duration);
        let latency_ms = (duration.as_secs_f64() * 1e6).round() / 1e3;
        let answers = predictions.into_iter().zip(truncated).map(|(prediction, truncated)| {
            Answer { prediction, model: &served.info, truncated, request_id, latency_ms }
        });
        answers.collect()
    }

    /// A panicking model must not take the connection, and with it other requests, down.
    fn guarded<T>(self, work: impl FnOnce() -> Result<T>) -> Result<T, ApiError> {
        let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
            tracing::error!(request_id = self.request_id, "the model panicked");
            ApiError::internal()
        })?;
        Ok(outcome?)
    }
}

/// Which of the texts `idxs` are longer than what the model reads.
fn truncated(counts: Option<&TokenCounts>, idxs: impl Iterator<Item = usize>) -> Vec<bool> {
    idxs.map(|idx| counts.is_some_and(|counts| counts.is_cut(idx))).collect()
}

/// Tokens that the model reads of each of `texts`.
fn n_tokens(counts: Option<&TokenCounts>, texts: &[&str]) -> Vec<usize> {
    match counts {
        Some(TokenCounts { n_tokens, max_tokens }) => {
            n_tokens.iter().map(|n| *n.min(max_tokens)).collect()
        }
        // Of English text some five bytes are a token.
        None => texts.iter().map(|text| text.len() / 5 + 1).collect(),
    }
}

/// Of each of `questions` why it cannot be asked, if it cannot: its text is longer than what the
/// model reads, and may not be cut.
fn refusals(questions: &[&Question<'_>], counts: Option<&TokenCounts>) -> Vec<Option<ApiError>> {
    let refusal = |(idx, question): (usize, &&Question<'_>)| {
        let counts = counts?;
        (counts.is_cut(idx) && !question.truncate)
            .then(|| ApiError::validation(vec![TextField::One.too_long(counts, idx)]))
    };
    questions.iter().enumerate().map(refusal).collect()
}

/// `answers` of what was not refused, and the refusals in their places.
fn unless_refused<'a>(
    refusals: Vec<Option<ApiError>>,
    answers: Vec<Answer<'a>>,
) -> Vec<Result<Answer<'a>, ApiError>> {
    let mut answers = answers.into_iter();
    let outcomes = refusals.into_iter().map(|refusal| match refusal {
        Some(refusal) => Err(refusal),
        None => answers.next().ok_or_else(ApiError::internal),
    });
    outcomes.collect()
}

/// Where texts stand in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TextField {
    /// In `text`.
    One,
    /// In `texts`.
    Many,
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
