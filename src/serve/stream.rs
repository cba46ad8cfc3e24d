//! A batch as lines of JSON, without end if need be: answers go out while questions still come in.
//!
//! What is held is one line and what the client sent with it. While the client does not take its
//! answers, nothing more is read of its questions. A line that cannot be answered costs its client
//! that line alone.

use std::{io, time::Instant};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};

use super::{
    ask::{Answer, Asker},
    body::{self, Id, LineQuestion},
    channel::{channel, frame},
    envelope::RequestId,
    error::{ApiError, ErrorBody},
    lines::{Line, Lines},
    media::JSON_LINES,
    predict::{beside, turn},
    state::{ServedModel, ServerState},
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
    served: ServedModel,
    request_id: RequestId,
    answers: mpsc::Sender<io::Result<Bytes>>,
}

/// The client is gone, or takes no answers for too long.
struct Gone;

/// Begins to answer at once.
pub(crate) fn respond(
    state: ServerState,
    served: ServedModel,
    request_id: RequestId,
    questions: Body,
) -> Response {
    // One chunk waits for the client while the next one is made.
    let (answers, body) = channel(1);
    tokio::spawn(Stream { state, served, request_id, answers }.run(questions));
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
            let (state, served) = (self.state.clone(), self.served.clone());
            let request_id = self.request_id.clone();
            move || {
                let request_id = request_id.as_str();
                answers(Asker { state: &state, served: &served, request_id }, &lines)
            }
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

/// The answers to `lines`, in their order.
fn answers(asker: Asker<'_>, lines: &[Line]) -> Vec<u8> {
    let started = Instant::now();
    let (max_bytes, max_chars) = (asker.state.limits().body_bytes, asker.state.limits().text_chars);
    let questions: Vec<LineQuestion<'_>> = lines
        .iter()
        .map(|line| match &line.content {
            Some(content) => body::line(content, max_chars),
            None => LineQuestion { id: None, question: Err(ApiError::line_too_long(max_bytes)) },
        })
        .collect();
    let good: Vec<_> = questions.iter().filter_map(|line| line.question.as_ref().ok()).collect();
    let mut predicted = asker.each(&good, started).into_iter();
    let mut json = Vec::new();
    for (line, LineQuestion { id, question }) in lines.iter().zip(questions) {
        let outcome = match question {
            Ok(_) => predicted.next().unwrap_or_else(|| Err(ApiError::internal())),
            Err(error) => Err(error),
        };
        let outcome = match &outcome {
            Ok(answer) => Outcome::Answer(answer),
            Err(error) => {
                asker.state.metrics().refused(error.error_type());
                Outcome::Error(error.fields(asker.request_id))
            }
        };
        LineAnswer { line: line.number, id, outcome }.write(&mut json);
    }
    json
}
