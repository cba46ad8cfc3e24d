//! Lines of a stream that arrived together, from their bytes to the bytes that go back. Models that
//! answer at once are asked here, those that want batches in their queue: never on a thread that
//! serves other clients.

use std::{sync::Arc, time::Instant};

use serde::Serialize;

use crate::serve::{
    http::{
        error::{ApiError, ErrorBody},
        lines::Line,
    },
    model::{engine, served::ServedModel},
    state::ServerState,
};

use super::{
    ask::{Answer, Asker, QueueableText},
    body::{self, Id, LineQuestion, Question},
    target::{Target, Versions},
};

/// What goes back for one line.
#[derive(Serialize)]
struct LineAnswer<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id<'a>>,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Answer(&'a Answer<'a>),
    Error(ErrorBody<'a>),
}

/// Which models answer one stream.
pub(crate) struct Models {
    pub(crate) target: Target,
    pub(crate) versions: Versions,
}

/// Lines of which some may still have to be asked in a queue.
pub(crate) struct Begun {
    /// What goes back for all lines but those.
    json: Vec<u8>,
    /// Of each line where its part of `json` ends.
    ends: Vec<usize>,
    queueable: Vec<Queueable>,
}

/// The lines that are for one model which wants batches.
struct Queueable {
    slot_idx: usize,
    question: engine::Question,
    lines: Vec<QueueableLine>,
    started: Instant,
}

struct QueueableLine {
    /// Its place among those that arrived together.
    line_idx: usize,
    number: u64,
    id: Option<Id<'static>>,
    truncated: bool,
}

/// One line's question, and the place of its model among the server's.
struct Addressed<'a> {
    slot_idx: usize,
    question: Question<'a>,
}

/// Reads `lines` and answers those whose models answer at once: all the work that grows with them.
pub(crate) fn begin(
    state: &ServerState,
    models: &Models,
    request_id: &str,
    lines: &[Line],
) -> Begun {
    let started = Instant::now();
    let (max_bytes, max_chars) = (state.limits().body_bytes, state.limits().text_chars);
    let (mut ids, questions): (Vec<_>, Vec<_>) = lines
        .iter()
        .map(|line| match &line.content {
            Some(content) => body::line(content, max_chars),
            None => LineQuestion { id: None, question: Err(ApiError::line_too_long(max_bytes)) },
        })
        .map(|LineQuestion { id, question }| (id, models.address(state, question)))
        .unzip();
    let (outcomes, mut queueable) = models.ask(state, request_id, &questions, started);
    for line in queueable.iter_mut().flat_map(|queueable| &mut queueable.lines) {
        line.number = lines[line.line_idx].number;
        line.id = ids[line.line_idx].take().map(Id::into_owned);
    }
    let (mut json, mut ends) = (Vec::new(), Vec::with_capacity(lines.len()));
    for ((line, id), outcome) in lines.iter().zip(ids).zip(outcomes) {
        if let Some(outcome) = outcome {
            write(state, request_id, (line.number, id), &outcome, &mut json);
        }
        ends.push(json.len());
    }
    Begun { json, ends, queueable }
}

impl Begun {
    /// What goes back for all lines, in their order, once the models have answered that want
    /// batches.
    pub(crate) async fn finish(
        self,
        state: &ServerState,
        models: &Models,
        request_id: &str,
    ) -> Vec<u8> {
        let Self { json, ends, queueable } = self;
        if queueable.is_empty() {
            return json;
        }
        let mut late: Vec<Vec<u8>> = vec![Vec::new(); ends.len()];
        for queueable in queueable {
            for (line_idx, json) in queueable.ask(state, models, request_id).await {
                late[line_idx] = json;
            }
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let parts = starts.zip(&ends).zip(&late);
        parts.fold(Vec::new(), |mut whole, ((start, end), late)| {
            whole.extend_from_slice(&json[start..*end]);
            whole.extend_from_slice(late);
            whole
        })
    }
}

impl Queueable {
    /// Of no line yet.
    fn new(slot_idx: usize, served: &ServedModel, started: Instant) -> Self {
        let classifier = Arc::clone(&served.classifier);
        let question = engine::Question { classifier, texts: [].into(), n_tokens: Vec::new() };
        Self { slot_idx, question, lines: Vec::new(), started }
    }

    /// What goes back for each of these lines, with its place.
    async fn ask(
        self,
        state: &ServerState,
        models: &Models,
        request_id: &str,
    ) -> Vec<(usize, Vec<u8>)> {
        let Self { slot_idx, question, lines, started } = self;
        let texts = Arc::clone(&question.texts);
        let truncated: Vec<bool> = lines.iter().map(|line| line.truncated).collect();
        let predictions = state.engine().ask_each(question).await;
        let outcomes = match models.versions.get(state, slot_idx) {
            Ok(served) => Asker { slot: &state.slots()[slot_idx], served, request_id }
                .answered_each(&texts, predictions, &truncated, started),
            Err(error) => lines.iter().map(|_| Err(error.clone())).collect(),
        };
        let answers = lines.into_iter().zip(outcomes).map(|(line, outcome)| {
            let mut json = Vec::new();
            write(state, request_id, (line.number, line.id), &outcome, &mut json);
            (line.line_idx, json)
        });
        answers.collect()
    }
}

/// Says in place of line `number` why nothing follows.
pub(crate) fn refusal(number: u64, error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut json = Vec::new();
    let outcome = Outcome::Error(error.fields(request_id));
    LineAnswer { line: number, id: None, outcome }.write(&mut json);
    json
}

/// Writes what goes back for the line of this number and id.
fn write(
    state: &ServerState,
    request_id: &str,
    (line, id): (u64, Option<Id<'_>>),
    outcome: &Result<Answer<'_>, ApiError>,
    json: &mut Vec<u8>,
) {
    let outcome = match outcome {
        Ok(answer) => Outcome::Answer(answer),
        Err(error) => {
            state.metrics().refused(error.error_type());
            Outcome::Error(error.fields(request_id))
        }
    };
    LineAnswer { line, id, outcome }.write(json);
}

impl LineAnswer<'_> {
    fn write(&self, json: &mut Vec<u8>) {
        serde_json::to_writer(&mut *json, self).expect("texts and numbers serialise");
        json.push(b'\n');
    }
}

/// What is known of each line; nothing of one that is still to be asked.
type Outcomes<'a> = Vec<Option<Result<Answer<'a>, ApiError>>>;

impl Models {
    /// # Errors
    /// Those of the question itself; 404, 422 and 503 where no model answers it.
    fn address<'a>(
        &self,
        state: &ServerState,
        question: Result<Question<'a>, ApiError>,
    ) -> Result<Addressed<'a>, ApiError> {
        let question = question?;
        let slot_idx = self.target.slot_idx(state, question.model.as_deref())?;
        self.versions.get(state, slot_idx)?;
        Ok(Addressed { slot_idx, question })
    }

    /// The answers to those of `questions` that are questions; each model is asked its own together.
    /// Those for models that want batches come back for their queue.
    fn ask<'a>(
        &'a self,
        state: &'a ServerState,
        request_id: &'a str,
        questions: &[Result<Addressed<'_>, ApiError>],
        started: Instant,
    ) -> (Outcomes<'a>, Vec<Queueable>) {
        let unanswered = |question: &Result<Addressed<'_>, ApiError>| {
            Some(Err(question.as_ref().err().cloned().unwrap_or_else(ApiError::internal)))
        };
        let mut outcomes: Outcomes<'a> = questions.iter().map(unanswered).collect();
        let mut queueable = Vec::new();
        for (slot_idx, slot) in state.slots().iter().enumerate() {
            let own = questions.iter().enumerate().filter_map(|(line_idx, question)| {
                let question = question.as_ref().ok()?;
                (question.slot_idx == slot_idx).then_some((line_idx, &question.question))
            });
            let (line_idxs, own): (Vec<usize>, Vec<&Question<'_>>) = own.unzip();
            if own.is_empty() {
                continue;
            }
            let Ok(served) = self.versions.get(state, slot_idx) else { continue };
            let asker = Asker { slot, served, request_id };
            if served.classifier.batch_tokens().is_none() {
                for (line_idx, answer) in line_idxs.into_iter().zip(asker.each(&own, started)) {
                    outcomes[line_idx] = Some(answer);
                }
                continue;
            }
            let mut lines = Queueable::new(slot_idx, served, started);
            let mut texts = Vec::with_capacity(own.len());
            for (line_idx, text) in line_idxs.into_iter().zip(asker.queueable_each(&own)) {
                match text {
                    Ok(QueueableText { text, n_tokens, truncated }) => {
                        outcomes[line_idx] = None;
                        texts.push(text);
                        lines.question.n_tokens.push(n_tokens);
                        lines.lines.push(QueueableLine {
                            line_idx,
                            number: 0,
                            id: None,
                            truncated,
                        });
                    }
                    Err(refusal) => outcomes[line_idx] = Some(Err(refusal)),
                }
            }
            if !texts.is_empty() {
                lines.question.texts = texts.into();
                queueable.push(lines);
            }
        }
        (outcomes, queueable)
    }
}
