//! Lines of a stream that arrived together, from their bytes to the bytes that go back. Models that
//! answer at once are asked here, those that want batches in their queue: never on a thread that
//! serves other clients.

use std::{borrow::Cow, time::Instant};

use serde::Serialize;

use crate::serve::{
    http::{
        error::{ApiError, ErrorBody},
        lines::BodyLine,
    },
    state::ServerState,
};

use super::{
    answers::PredictedAnswer,
    ask::{Asker, Begun, Waiting},
    body::{self, Id, LineQuestion, Question},
    target::{Target, Versions},
    texts::{Policy, Texts},
};

/// The answer to one line.
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
    Answer(&'a PredictedAnswer<'a>),
    Error(ErrorBody<'a>),
}

/// The models that answer one stream.
pub(crate) struct StreamModels {
    pub(crate) target: Target,
    pub(crate) versions: Versions,
}

/// Lines that arrived together, some of which may wait in a queue.
pub(crate) struct Chunk {
    /// The answers to the others.
    json: Vec<u8>,
    /// Of each line where its part of `json` ends.
    ends: Vec<usize>,
    waiting: Vec<WaitingLines>,
}

/// The lines that are for one model which wants batches.
struct WaitingLines {
    slot_idx: usize,
    texts: Waiting,
    lines: Vec<WaitingLine>,
}

struct WaitingLine {
    /// Its place among those that arrived together.
    line_idx: usize,
    number: u64,
    id: Option<Id<'static>>,
}

/// The texts of those lines that are for one model.
#[derive(Default)]
struct ModelTexts<'a> {
    line_idxs: Vec<usize>,
    /// The place of each line in its stream, from 0.
    indexes: Vec<u32>,
    texts: Vec<Cow<'a, str>>,
    truncate: Vec<bool>,
}

/// Reads `lines`, whose time counts from `started`, and answers those whose models answer at once: all the
/// work that grows with them.
pub(crate) fn begin(
    state: &ServerState,
    models: &StreamModels,
    request_id: &str,
    lines: &[BodyLine],
    started: Instant,
) -> Chunk {
    let (max_bytes, max_chars) = (state.limits().body_bytes, state.limits().text_chars);
    let (mut ids, questions): (Vec<_>, Vec<_>) = lines
        .iter()
        .map(|line| match &line.content {
            Some(content) => body::line(content, max_chars),
            None => LineQuestion { id: None, question: Err(ApiError::line_too_long(max_bytes)) },
        })
        .map(|LineQuestion { id, question }| (id, question))
        .unzip();
    let (outcomes, queued) = models.ask(state, request_id, lines, questions, started);
    let waiting = queued.into_iter().map(|Queued { slot_idx, texts, line_idxs }| {
        let lines = line_idxs.into_iter().map(|line_idx| WaitingLine {
            line_idx,
            number: lines[line_idx].number,
            id: ids[line_idx].take().map(Id::into_owned),
        });
        WaitingLines { slot_idx, texts, lines: lines.collect() }
    });
    let waiting = waiting.collect();
    let (mut json, mut ends) = (Vec::new(), Vec::with_capacity(lines.len()));
    for ((line, id), outcome) in lines.iter().zip(ids).zip(outcomes) {
        if let Some(outcome) = outcome {
            write(state, request_id, (line.number, id), &outcome, &mut json);
        }
        ends.push(json.len());
    }
    Chunk { json, ends, waiting }
}

impl Chunk {
    /// The answers to all lines, in their order, once the models have answered that want
    /// batches.
    pub(crate) async fn finish(
        self,
        state: &ServerState,
        models: &StreamModels,
        request_id: &str,
    ) -> Vec<u8> {
        let Self { json, ends, waiting } = self;
        if waiting.is_empty() {
            return json;
        }
        let mut late: Vec<Vec<u8>> = vec![Vec::new(); ends.len()];
        for lines in waiting {
            for (line_idx, json) in lines.finish(state, models, request_id).await {
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

impl WaitingLines {
    /// The answer to each of these lines, with its place.
    async fn finish(
        self,
        state: &ServerState,
        models: &StreamModels,
        request_id: &str,
    ) -> Vec<(usize, Vec<u8>)> {
        let Self { slot_idx, texts, lines } = self;
        let answers = match models.versions.get(state, slot_idx) {
            Ok(assigned) => {
                let asker = Asker { slot: &state.slots()[slot_idx], assigned, request_id };
                asker.finish(texts, state.engine()).await
            }
            Err(error) => Err(error),
        };
        let outcomes = match answers {
            Ok(answers) => answers.each(),
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
    outcome: &Result<PredictedAnswer<'_>, ApiError>,
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

/// The outcome of each line; none of one that is still to be asked.
type Outcomes<'a> = Vec<Option<Result<PredictedAnswer<'a>, ApiError>>>;

/// Texts of one model that wait, and the places of their lines.
struct Queued {
    slot_idx: usize,
    texts: Waiting,
    line_idxs: Vec<usize>,
}

impl StreamModels {
    /// The place of the model that is to answer `question`.
    ///
    /// # Errors
    /// 404, 422 and 503 where no model answers it.
    fn slot_idx(&self, state: &ServerState, question: &Question<'_>) -> Result<usize, ApiError> {
        let slot_idx = self.target.slot_idx(state, question.model.as_deref())?;
        self.versions.get(state, slot_idx)?;
        Ok(slot_idx)
    }

    /// The answers to those of `questions` that are questions; each model is asked its own together.
    /// Those for models that want batches come back for their queue.
    fn ask<'a>(
        &'a self,
        state: &'a ServerState,
        request_id: &'a str,
        lines: &[BodyLine],
        questions: Vec<Result<Question<'_>, ApiError>>,
        started: Instant,
    ) -> (Outcomes<'a>, Vec<Queued>) {
        let mut of_models: Vec<ModelTexts<'_>> =
            state.slots().iter().map(|_| ModelTexts::default()).collect();
        let mut outcomes: Outcomes<'a> = Vec::with_capacity(questions.len());
        for (line_idx, question) in questions.into_iter().enumerate() {
            let addressed = question.and_then(|question| {
                let slot_idx = self.slot_idx(state, &question)?;
                Ok((slot_idx, question))
            });
            outcomes.push(match addressed {
                Ok((slot_idx, question)) => {
                    let index = lines[line_idx].number.saturating_sub(1);
                    let index = u32::try_from(index).unwrap_or(u32::MAX);
                    of_models[slot_idx].push(line_idx, index, question);
                    None
                }
                Err(refusal) => Some(Err(refusal)),
            });
        }
        let mut queued = Vec::new();
        let asked = of_models.into_iter().enumerate().filter(|(_, own)| !own.texts.is_empty());
        for (slot_idx, ModelTexts { line_idxs, indexes, texts, truncate }) in asked {
            let texts = Texts { texts, indexes, policy: Policy::Each { truncate }, started };
            let begun = self.versions.get(state, slot_idx).and_then(|assigned| {
                Asker { slot: &state.slots()[slot_idx], assigned, request_id }.begin(texts)
            });
            match begun {
                Ok(Begun::Answered(answers)) => {
                    for (line_idx, outcome) in line_idxs.into_iter().zip(answers.each()) {
                        outcomes[line_idx] = Some(outcome);
                    }
                }
                Ok(Begun::Waiting(texts)) => queued.push(Queued { slot_idx, texts, line_idxs }),
                Err(error) => {
                    for line_idx in line_idxs {
                        outcomes[line_idx] = Some(Err(error.clone()));
                    }
                }
            }
        }
        (outcomes, queued)
    }
}

impl<'a> ModelTexts<'a> {
    fn push(&mut self, line_idx: usize, index: u32, Question { text, truncate, .. }: Question<'a>) {
        self.line_idxs.push(line_idx);
        self.indexes.push(index);
        self.texts.push(text);
        self.truncate.push(truncate);
    }
}
