//! A batch as lines of JSON, without end if need be: answers go out while questions still come in.
//!
//! One line is held, and what the client sent with it. While the client does not take its
//! answers, nothing more is read of its questions. A line that cannot be answered costs its client
//! that line alone.

use std::{io, sync::Arc, time::Instant};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use tokio::{sync::mpsc, time::timeout};

use crate::serve::{
    http::{
        channel::{channel, frame},
        error::ApiError,
        lines::{BodyLine, Lines},
        media::JSON_LINES,
        request_id::RequestId,
        shown::Shown,
    },
    state::ServerState,
};

use super::{
    chunk::{self, StreamModels},
    split::SplitKeys,
    target::{Target, Versions},
    turn::{beside, turn},
};

/// One request and where its answers go.
struct Stream {
    state: ServerState,
    models: Arc<StreamModels>,
    request_id: RequestId,
    /// The key that let the client in: it may be revoked before the stream ends.
    shown: Shown,
    answers: mpsc::Sender<io::Result<Bytes>>,
}

/// The client is gone, or takes no answers for too long.
struct Gone;

/// Begins to answer at once.
pub(crate) fn respond(
    state: ServerState,
    (target, keys): (Target, SplitKeys),
    request_id: RequestId,
    shown: Shown,
    questions: Body,
) -> Response {
    let versions = Versions::of(&state, &target, keys, request_id.as_str());
    let models = Arc::new(StreamModels { target, versions });
    // One chunk waits for the client while the next one is made.
    let (answers, body) = channel(1);
    tokio::spawn(Stream { state, models, request_id, shown, answers }.run(questions));
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
                Ok(Some(Err(_))) => {
                    return self.end(lines.number(), &ApiError::incomplete_body()).await;
                }
                Err(_) => return self.end(lines.number(), &ApiError::request_timeout()).await,
            };
            let Ok(mut data) = frame.into_data() else { continue };
            loop {
                let some = lines.take(&mut data, max_lines);
                if some.is_empty() {
                    break;
                }
                if let Err(refusal) = self.state.guard().still_admits(&self.shown) {
                    return self.end(some[0].number, &refusal).await;
                }
                self.answer(some).await?;
            }
        }
        let Some(last) = lines.finish() else { return Ok(()) };
        match self.state.guard().still_admits(&self.shown) {
            Ok(()) => self.answer(vec![last]).await,
            Err(refusal) => self.end(last.number, &refusal).await,
        }
    }

    /// Answers `lines`, which arrived together.
    async fn answer(&mut self, lines: Vec<BodyLine>) -> Result<(), Gone> {
        let n_bytes: usize =
            lines.iter().filter_map(|line| line.content.as_ref()).map(Bytes::len).sum();
        let work = {
            let (state, models) = (self.state.clone(), Arc::clone(&self.models));
            let request_id = self.request_id.clone();
            move || chunk::begin(&state, &models, request_id.as_str(), &lines, Instant::now())
        };
        let begun = if n_bytes <= self.state.limits().inline_body_bytes {
            work()
        } else {
            // However long it takes: meanwhile the client is not read from.
            let permit = turn(&self.state).await;
            match beside(permit, work).await {
                Ok(begun) => begun,
                // Only a bug outside the model ends here: which lines are lost is not known.
                Err(_) => return Err(Gone),
            }
        };
        let answers = tokio::select! {
            biased;
            answers = begun.finish(&self.state, &self.models, self.request_id.as_str()) => answers,
            // Who hangs up is not asked for.
            () = self.answers.closed() => return Err(Gone),
        };
        self.send(answers).await
    }

    /// Says in place of line `number` why nothing follows.
    async fn end(&mut self, number: u64, error: &ApiError) -> Result<(), Gone> {
        self.state.metrics().refused(error.error_type());
        self.send(chunk::refusal(number, error, self.request_id.as_str())).await
    }

    async fn send(&mut self, answers: Vec<u8>) -> Result<(), Gone> {
        let body_wait = self.state.limits().body_wait;
        match timeout(body_wait, self.answers.send(Ok(answers.into()))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}
