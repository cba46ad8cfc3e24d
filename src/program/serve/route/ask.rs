//! The way from texts to answers, one for all requests: they are counted, predicted, at once or in the
//! queue of a model that wants batches, and taken note of. Whether they stand or fall together is a
//! value, the [`Policy`]. It knows neither bodies nor lines.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use axum::http::StatusCode;
use trialbook::{
    error::Result,
    model::{
        TokenCounts,
        prediction::{self, Prediction},
    },
    monitor::Arm,
};

use crate::serve::{
    http::error::ApiError,
    model::{
        engine::{self, BatchEngine},
        release_metrics::arm_name,
        served::ServedModel,
        slot::ModelSlot,
        trial::{Assigned, Trial},
    },
};

use super::{
    answers::{Answers, PredictedAnswer, Refusals},
    texts::{Policy, Texts},
};

/// The state of texts where they are read.
pub(crate) enum Begun<T> {
    Answered(T),
    /// [`Asker::finish`] asks the model in its queue.
    Waiting(Waiting),
}

/// Texts for a model that wants batches, counted.
pub(crate) struct Waiting {
    question: engine::QueuedTexts,
    policy: Policy,
    counted: Counted,
    started: Instant,
    /// The version that is to be asked.
    arm: Arm,
}

/// Texts whose model was asked, or will be.
enum AskedTexts<'t> {
    Predicted { texts: Vec<Cow<'t, str>>, counted: Counted, predicted: Predicted, started: Instant },
    Waiting(Waiting),
}

/// The texts that the model may be asked, and their lengths.
#[derive(Default)]
struct Counted {
    refusals: Refusals,
    /// Of each text that is not refused, whether the model reads only its beginning.
    truncated: Vec<bool>,
    /// Of each text that is not refused, how many tokens the model reads; nothing for a model that is
    /// asked at once.
    n_tokens: Vec<usize>,
    /// The place in the request of each text that is not refused.
    indexes: Vec<u32>,
}

/// The predictions for some texts, but for those that are refused.
type Predicted = (Vec<Prediction>, Refusals);

/// One request, and who answers it to its end: where that is the candidate of a release, Production
/// answers what the candidate fails.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The model that it is for.
    pub(crate) slot: &'a ModelSlot,
    pub(crate) assigned: &'a Assigned,
    pub(crate) request_id: &'a str,
}

/// One of the versions that may answer a request.
#[derive(Clone, Copy)]
struct Way<'a> {
    asker: Asker<'a>,
    served: &'a ServedModel,
    arm: Arm,
}

impl<'a> Asker<'a> {
    /// Counts texts, and asks the model unless it wants batches: all the work that grows with them.
    ///
    /// # Errors
    /// Under [`Policy::All`] 422 for texts that are longer than the model reads and may not be cut, and
    /// 500 when the model fails.
    pub(crate) fn begin(self, texts: Texts<'_>) -> Result<Begun<Answers<'a>>, ApiError> {
        let Some((trial, candidate)) = self.candidate() else {
            return self.production().begin(texts);
        };
        let n_texts = texts.texts.len();
        match candidate.ask(texts.clone()) {
            Ok(asked) if asked.n_refused() == 0 => Ok(candidate.answer(asked)),
            asked => {
                let n_refused = asked.map_or(n_texts, |asked| asked.n_refused());
                let asked = self.production().ask(texts)?;
                // What both refuse is no fault of the candidate's.
                if asked.n_refused() < n_refused {
                    self.failed(trial);
                }
                Ok(self.production().answer(asked))
            }
        }
    }

    /// Asks the model in its queue.
    ///
    /// # Errors
    /// Under [`Policy::All`] 429 when the queue is full, 503 when it takes too long, and 422 and 500 as
    /// the model says.
    pub(crate) async fn finish(
        self,
        waiting: Waiting,
        engine: &BatchEngine,
    ) -> Result<Answers<'a>, ApiError> {
        let trial = match (waiting.arm, &self.assigned.trial) {
            (Arm::Candidate, Some(trial)) => trial,
            _ => return self.production().finish(waiting, engine).await,
        };
        let Waiting { question, policy, counted, started, .. } = waiting;
        let candidate = Way { asker: self, served: trial.candidate(), arm: Arm::Candidate };
        let own = Arc::clone(&question.texts);
        match predicted(question, &policy, engine).await {
            Ok((predictions, refusals)) if refusals.n() == 0 => {
                let texts = own.iter().map(String::as_str).collect();
                Ok(candidate.note(texts, counted, (predictions, refusals), started))
            }
            // A full queue is full for both.
            Err(error) if is_for_want_of_room(&error) => Err(error),
            outcome => {
                let n_refused = outcome.map_or(own.len(), |(_, refusals)| refusals.n());
                let texts = own.iter().map(|text| Cow::Borrowed(text.as_str())).collect();
                let production = self.production();
                let indexes = counted.indexes;
                let again = Texts { texts, indexes, policy, started };
                let answers = match production.ask(again)? {
                    AskedTexts::Waiting(waiting) => production.finish(waiting, engine).await?,
                    asked @ AskedTexts::Predicted { .. } => match production.answer(asked) {
                        Begun::Answered(answers) => answers,
                        Begun::Waiting(_) => return Err(ApiError::internal()),
                    },
                };
                if answers.refusals.n() < n_refused {
                    self.failed(trial);
                }
                Ok(answers)
            }
        }
    }

    /// The candidate, if this request falls to it and its release still holds.
    fn candidate(self) -> Option<(&'a Trial, Way<'a>)> {
        let trial = self.assigned.trial.as_deref().filter(|trial| trial.is_live())?;
        let served = trial.candidate();
        let way = Way { asker: self, served, arm: Arm::Candidate };
        (self.assigned.arm == Arm::Candidate).then_some((trial, way))
    }

    fn production(self) -> Way<'a> {
        Way { asker: self, served: &self.assigned.served, arm: Arm::Production }
    }

    /// Takes note that the candidate failed what Production answered.
    fn failed(self, trial: &Trial) {
        trial.tally().failed(Arm::Candidate);
        let info = &trial.candidate().info;
        tracing::warn!(
            model = info.name,
            version = info.version,
            request_id = self.request_id,
            "the candidate of a release failed: Production answered"
        );
    }

    /// A panicking model must not take the connection, and with it other requests, down.
    pub(super) fn guarded<T>(self, work: impl FnOnce() -> Result<T>) -> Result<T, ApiError> {
        let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
            tracing::error!(request_id = self.request_id, "the model panicked");
            ApiError::internal()
        })?;
        Ok(outcome?)
    }
}

impl AskedTexts<'_> {
    /// Texts that are refused so far.
    fn n_refused(&self) -> usize {
        match self {
            Self::Predicted { counted, predicted, .. } => counted.refusals.n() + predicted.1.n(),
            Self::Waiting(waiting) => waiting.counted.refusals.n(),
        }
    }
}

/// True for a refusal that says nothing of the model.
fn is_for_want_of_room(error: &ApiError) -> bool {
    matches!(error.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// The predictions of a model that is asked in its queue.
async fn predicted(
    question: engine::QueuedTexts,
    policy: &Policy,
    engine: &BatchEngine,
) -> Result<Predicted, ApiError> {
    Ok(match policy {
        Policy::All { .. } => (engine.ask(question).await?, Refusals::default()),
        Policy::Each { .. } => Refusals::split(engine.ask_each(question).await),
    })
}

impl<'a> Way<'a> {
    fn begin(self, texts: Texts<'_>) -> Result<Begun<Answers<'a>>, ApiError> {
        Ok(self.answer(self.ask(texts)?))
    }

    /// Counts texts, and asks the model unless it wants batches.
    ///
    /// # Errors
    /// As [`Asker::begin`].
    fn ask<'t>(self, texts: Texts<'t>) -> Result<AskedTexts<'t>, ApiError> {
        let Texts { texts, indexes, policy, started } = texts;
        let mut counted = {
            let borrowed: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
            self.count(&borrowed, &policy)?
        };
        counted.indexes = counted.refusals.kept(indexes);
        let texts = counted.refusals.kept(texts);
        if self.wants_batches() && !counted.truncated.is_empty() {
            let texts = texts.into_iter().map(Cow::into_owned).collect();
            let classifier = Arc::clone(&self.served.classifier);
            let n_tokens = std::mem::take(&mut counted.n_tokens);
            let question = engine::QueuedTexts { classifier, texts, n_tokens };
            return Ok(AskedTexts::Waiting(Waiting {
                question,
                policy,
                counted,
                started,
                arm: self.arm,
            }));
        }
        let predicted = {
            let borrowed: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
            self.predict(&borrowed, &policy)?
        };
        Ok(AskedTexts::Predicted { texts, counted, predicted, started })
    }

    /// Makes what was predicted answers.
    fn answer(self, asked: AskedTexts<'_>) -> Begun<Answers<'a>> {
        match asked {
            AskedTexts::Waiting(waiting) => Begun::Waiting(waiting),
            AskedTexts::Predicted { texts, counted, predicted, started } => {
                let texts = texts.iter().map(Cow::as_ref).collect();
                Begun::Answered(self.note(texts, counted, predicted, started))
            }
        }
    }

    async fn finish(self, waiting: Waiting, engine: &BatchEngine) -> Result<Answers<'a>, ApiError> {
        let Waiting { question, policy, counted, started, .. } = waiting;
        let texts = Arc::clone(&question.texts);
        let predicted = predicted(question, &policy, engine).await?;
        let texts = texts.iter().map(String::as_str).collect();
        Ok(self.note(texts, counted, predicted, started))
    }

    /// The lengths of `texts`, and those that are refused for theirs.
    ///
    /// # Errors
    /// As [`Asker::begin`].
    fn count(self, texts: &[&str], policy: &Policy) -> Result<Counted, ApiError> {
        let counts =
            match (self.asker.guarded(|| self.served.classifier.count_tokens(texts)), policy) {
                (Ok(counts), _) => counts,
                (Err(error), Policy::All { .. }) => return Err(error),
                (Err(error), Policy::Each { .. }) if texts.len() == 1 => {
                    let refusals = Refusals::of(1, |_| Some(error.clone()));
                    return Ok(Counted { refusals, ..Counted::default() });
                }
                // One of them is the culprit.
                (Err(_), Policy::Each { truncate }) => return self.count_each(texts, truncate),
            };
        let refusals = policy.refusals(counts.as_ref())?;
        let truncated = refusals.kept(prediction::truncated(counts.as_ref(), texts.len()));
        let n_tokens = match self.wants_batches() {
            true => refusals.kept(n_tokens(counts.as_ref(), texts)),
            false => Vec::new(),
        };
        Ok(Counted { refusals, truncated, n_tokens, indexes: Vec::new() })
    }

    /// As [`Asker::count`], one text after the other.
    fn count_each(self, texts: &[&str], truncate: &[bool]) -> Result<Counted, ApiError> {
        let (mut all, mut outcomes) = (Counted::default(), Vec::with_capacity(texts.len()));
        for (text, truncate) in texts.iter().zip(truncate) {
            let alone = self.count(&[text], &Policy::Each { truncate: vec![*truncate] })?;
            all.truncated.extend(alone.truncated);
            all.n_tokens.extend(alone.n_tokens);
            outcomes.push(alone.refusals.first().map_or(Ok(()), Err));
        }
        (_, all.refusals) = Refusals::split(outcomes);
        Ok(all)
    }

    /// Asks the model at once.
    ///
    /// # Errors
    /// As [`Asker::begin`].
    fn predict(self, texts: &[&str], policy: &Policy) -> Result<Predicted, ApiError> {
        if texts.is_empty() {
            return Ok(Predicted::default());
        }
        let ask = |texts: &[&str]| {
            self.asker.guarded(|| prediction::predictions(&*self.served.classifier, texts))
        };
        match (ask(texts), policy) {
            (Ok(predictions), _) => Ok((predictions, Refusals::default())),
            (Err(error), Policy::All { .. }) => Err(error),
            (Err(error), Policy::Each { .. }) if texts.len() == 1 => {
                Ok(Refusals::split(vec![Err(error)]))
            }
            // One of them is the culprit.
            (Err(_), Policy::Each { .. }) => {
                let alone = |text: &&str| ask(&[text])?.pop().ok_or_else(ApiError::internal);
                Ok(Refusals::split(texts.iter().map(alone).collect()))
            }
        }
    }

    /// Takes note of what is predicted for `texts`, those that were not refused before, and makes it
    /// answers.
    fn note(
        self,
        texts: Vec<&str>,
        counted: Counted,
        (predictions, refusals): Predicted,
        started: Instant,
    ) -> Answers<'a> {
        let (texts, truncated) = (refusals.kept(texts), refusals.kept(counted.truncated));
        let texts: Vec<(u32, &str)> =
            refusals.kept(counted.indexes).into_iter().zip(texts).collect();
        let refusals = counted.refusals.and(refusals);
        if predictions.is_empty() {
            return Answers { answers: Vec::new(), refusals };
        }
        let Self { asker: Asker { slot, assigned, request_id }, served, arm } = self;
        let duration = started.elapsed();
        slot.metrics().predicted(&served.info, &predictions, duration);
        slot.monitor().predicted((served, arm), request_id, &texts, &predictions, duration);
        let trial = assigned.trial.as_deref().filter(|trial| trial.is_live());
        if let Some(trial) = trial {
            trial.answered(arm, request_id, &texts, &predictions, duration);
        }
        let arm = trial.filter(|trial| trial.splits()).map(|_| arm_name(arm));
        let latency_ms = (duration.as_secs_f64() * 1e6).round() / 1e3;
        let answers =
            predictions.into_iter().zip(truncated).map(|(prediction, truncated)| PredictedAnswer {
                prediction,
                model: &served.info,
                arm,
                truncated,
                request_id,
                latency_ms,
            });
        Answers { answers: answers.collect(), refusals }
    }

    fn wants_batches(self) -> bool {
        self.served.classifier.batch_tokens().is_some()
    }
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

#[cfg(test)]
mod tests;
