//! A batch as lines of JSON, without end if need be: answers go out while questions still come in.
//!
//! What is held is one line and what the client sent with it. While the client does not take its
//! answers, nothing more is read of its questions. A line that cannot be answered costs its client
//! that line alone.

use std::{io, sync::Arc, time::Instant};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};

use super::{
    ask::{Answer, Asker},
    body::{self, Id, LineQuestion, Question},
    channel::{channel, frame},
    choice::{Addressee, Versions},
    envelope::RequestId,
    error::{ApiError, ErrorBody},
    lines::{Line, Lines},
    media::JSON_LINES,
    predict::{beside, turn},
    state::ServerState,
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

/// One request and where its answers go.
struct Stream {
    state: ServerState,
    models: Arc<Models>,
    request_id: RequestId,
    answers: mpsc::Sender<io::Result<Bytes>>,
}

/// Which models answer one stream.
struct Models {
    addressee: Addressee,
    versions: Versions,
}

/// The client is gone, or takes no answers for too long.
struct Gone;

/// Begins to answer at once.
pub(crate) fn respond(
    state: ServerState,
    addressee: Addressee,
    request_id: RequestId,
    questions: Body,
) -> Response {
    let versions = Versions::of(&state, &addressee);
    let models = Arc::new(Models { addressee, versions });
    // One chunk waits for the client while the next one is made.
    let (answers, body) = channel(1);
    tokio::spawn(Stream { state, models, request_id, answers }.run(questions));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON_LINES))], body).into_response()
}

impl Stream {
    /// Answers to the end of `questions`, or to what ends the stream before.
    async fn run(mut self, questions: Body) {
        let state = self.state.clone();
        let _in_flight = state.metrics().request();
        let mut lines = Lines::new(state.limits().body_bytes);
        let outcome = self.answer_all(questions, &mut lines).await;
        let n_lines = lines.number() - 1;
        tracing::info!(n_lines, request_id = self.request_id.as_str(), "stream ended");
        if outcome.is_err() {
            // The client must not take what it got for all there is. It may be gone.
            let _ = self.answers.send(Err(io::Error::other("not every answer was taken"))).await;
        }
    }

    async fn answer_all(&mut self, mut questions: Body, lines: &mut Lines) -> Result<(), Gone> {
        let body_wait = self.state.limits().body_wait;
        let max_lines = self.state.limits().stream_lines;
        loop {
            let frame = match timeout(body_wait, frame(&mut questions)).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => break,
                Ok(Some(Err(_))) => return self.end(lines, &ApiError::incomplete_body()).await,
                Err(_) => return self.end(lines, &ApiError::request_timeout()).await,
            };
            let Ok(mut data) = frame.into_data() else { continue };
            loop {
                let some = lines.take(&mut data, max_lines);
                if some.is_empty() {
                    break;
                }
                self.answer(some).await?;
            }
        }
        match lines.finish() {
            Some(last) => self.answer(vec![last]).await,
            None => Ok(()),
        }
    }

    /// Answers `lines`, which arrived together.
    async fn answer(&mut self, lines: Vec<Line>) -> Result<(), Gone> {
        let n_bytes: usize =
            lines.iter().filter_map(|line| line.content.as_ref()).map(Bytes::len).sum();
        let work = {
            let (state, models) = (self.state.clone(), Arc::clone(&self.models));
            let request_id = self.request_id.clone();
            move || answers(&state, &models, request_id.as_str(), &lines)
        };
        let answers = if n_bytes <= self.state.limits().inline_body_bytes {
            work()
        } else {
            // However long it takes: meanwhile the client is not read from.
            let permit = turn(&self.state).await;
            match beside(permit, work).await {
                Ok(answers) => answers,
                // Only a bug outside the model ends here: which lines are lost is not known.
                Err(_) => return Err(Gone),
            }
        };
        self.send(answers).await
    }

    /// Says in place of the next line why nothing follows.
    async fn end(&mut self, lines: &Lines, error: &ApiError) -> Result<(), Gone> {
        self.state.metrics().refused(error.error_type());
        let outcome = Outcome::Error(error.fields(self.request_id.as_str()));
        let mut json = Vec::new();
        LineAnswer { line: lines.number(), id: None, outcome }.write(&mut json);
        self.send(json).await
    }

    async fn send(&mut self, answers: Vec<u8>) -> Result<(), Gone> {
        let body_wait = self.state.limits().body_wait;
        match timeout(body_wait, self.answers.send(Ok(answers.into()))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}

impl LineAnswer<'_> {
    fn write(&self, json: &mut Vec<u8>) {
        serde_json::to_writer(&mut *json, self).expect("texts and numbers serialise");
        json.push(b'\n');
    }
}

/// One line's question, and the place of its model among the server's.
struct Addressed<'a> {
    slot_idx: usize,
    question: Question<'a>,
}

impl Models {
    /// # Errors
    /// Those of the question itself; 404, 422 and 503 where no model answers it.
    fn address<'a>(
        &self,
        state: &ServerState,
        question: Result<Question<'a>, ApiError>,
    ) -> Result<Addressed<'a>, ApiError> {
        let question = question?;
        let slot_idx = self.addressee.slot_idx(state, question.model.as_deref())?;
        self.versions.get(state, slot_idx)?;
        Ok(Addressed { slot_idx, question })
    }

    /// The answers to those of `questions` that are questions; each model is asked its own together.
    fn ask<'a>(
        &'a self,
        state: &'a ServerState,
        request_id: &'a str,
        questions: &[Result<Addressed<'_>, ApiError>],
        started: Instant,
    ) -> Vec<Result<Answer<'a>, ApiError>> {
        let refusals = questions.iter().map(|question| question.as_ref().err().cloned().map(Err));
        let mut outcomes: Vec<Option<Result<Answer<'a>, ApiError>>> = refusals.collect();
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
            let answers = Asker { slot, served, request_id }.each(&own, started);
            for (line_idx, answer) in line_idxs.into_iter().zip(answers) {
                outcomes[line_idx] = Some(answer);
            }
        }
        let outcomes = outcomes.into_iter();
        outcomes.map(|outcome| outcome.unwrap_or_else(|| Err(ApiError::internal()))).collect()
    }
}

/// The answers to `lines`, in their order.
fn answers(state: &ServerState, models: &Models, request_id: &str, lines: &[Line]) -> Vec<u8> {
    let started = Instant::now();
    let (max_bytes, max_chars) = (state.limits().body_bytes, state.limits().text_chars);
    let (ids, questions): (Vec<_>, Vec<_>) = lines
        .iter()
        .map(|line| match &line.content {
            Some(content) => body::line(content, max_chars),
            None => LineQuestion { id: None, question: Err(ApiError::line_too_long(max_bytes)) },
        })
        .map(|LineQuestion { id, question }| (id, models.address(state, question)))
        .unzip();
    let mut json = Vec::new();
    let outcomes = models.ask(state, request_id, &questions, started);
    for ((line, id), outcome) in lines.iter().zip(ids).zip(outcomes) {
        let outcome = match &outcome {
            Ok(answer) => Outcome::Answer(answer),
            Err(error) => {
                state.metrics().refused(error.error_type());
                Outcome::Error(error.fields(request_id))
            }
        };
        LineAnswer { line: line.number, id, outcome }.write(&mut json);
    }
    json
}
