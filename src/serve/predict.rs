//! `POST /predict` and its batch: from the bytes of a body to the bytes of the answer. Short bodies
//! are answered where they were read, long ones beside the async threads, a few at a time.

use std::{borrow::Cow, time::Instant};

use axum::{
    Extension,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    ask::{Asker, TextField},
    body,
    envelope::RequestId,
    error::ApiError,
    media::MediaType,
    state::ServerState,
    stream,
};

/// How many texts a body holds, and so how many answers there are.
#[derive(Clone, Copy)]
enum Shape {
    One,
    Many { max_texts: usize },
}

/// The route of a single prediction.
pub(crate) fn single(state: &ServerState) -> MethodRouter<ServerState> {
    post(predict).layer(DefaultBodyLimit::max(state.limits().body_bytes))
}

/// The route of a batch.
pub(crate) fn batch(state: &ServerState) -> MethodRouter<ServerState> {
    post(predict_batch).layer(DefaultBodyLimit::max(state.limits().batch_body_bytes))
}

async fn predict(
    State(state): State<ServerState>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, ApiError> {
    if MediaType::of(request.headers()) != Some(MediaType::Json) {
        return Err(ApiError::unsupported_media_type("application/json"));
    }
    let max_bytes = state.limits().body_bytes;
    respond(state, request_id, request, Shape::One, max_bytes).await
}

async fn predict_batch(
    State(state): State<ServerState>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, ApiError> {
    match MediaType::of(request.headers()) {
        Some(MediaType::Json) => {
            let max_bytes = state.limits().batch_body_bytes;
            let shape = Shape::Many { max_texts: state.limits().batch_texts };
            respond(state, request_id, request, shape, max_bytes).await
        }
        Some(MediaType::JsonLines) => {
            let served = state.served()?;
            Ok(stream::respond(state, served, request_id, request.into_body()))
        }
        None => Err(ApiError::unsupported_media_type(
            "application/json, or application/x-ndjson with one text a line",
        )),
    }
}

async fn respond(
    state: ServerState,
    request_id: RequestId,
    request: Request,
    shape: Shape,
    max_bytes: usize,
) -> Result<Response, ApiError> {
    let served = state.served()?;
    let body = read(&state, request, max_bytes).await?;
    let started = Instant::now();
    let is_short = body.len() <= state.limits().inline_body_bytes;
    let work = {
        let state = state.clone();
        move || {
            let request_id = request_id.as_str();
            answer(Asker { state: &state, served: &served, request_id }, &body, shape, started)
        }
    };
    let json = if is_short {
        work()?
    } else {
        let arrived = Instant::now();
        let permit = timeout(state.limits().queue_wait, turn(&state)).await;
        state.metrics().waited(arrived.elapsed());
        beside(permit.map_err(|_| ApiError::overloaded())?, work).await??
    };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json)
        .into_response())
}

/// The whole body, if it is short enough and quick enough.
async fn read(state: &ServerState, request: Request, max_bytes: usize) -> Result<Bytes, ApiError> {
    match timeout(state.limits().body_wait, Bytes::from_request(request, state)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(refusal)) if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::payload_too_large(max_bytes))
        }
        Ok(Err(_)) => Err(ApiError::incomplete_body()),
        Err(_) => Err(ApiError::request_timeout()),
    }
}

/// A permit for long work, once it is there.
pub(crate) async fn turn(state: &ServerState) -> OwnedSemaphorePermit {
    let _queued = state.metrics().queued();
    state.permits().acquire_owned().await.expect("the semaphore is never closed")
}

/// Runs `work` in the blocking pool. The permit stays with the work: a client that hangs up frees it
/// no sooner than the work ends.
pub(crate) async fn beside<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let running = tokio::task::spawn_blocking(move || {
        let outcome = work();
        drop(permit);
        outcome
    });
    running.await.map_err(|error| {
        tracing::error!(%error, "a prediction did not end");
        ApiError::internal()
    })
}

/// Reads the texts, asks the model and writes the answer: all the work that grows with the body.
fn answer(
    asker: Asker<'_>,
    body: &[u8],
    shape: Shape,
    started: Instant,
) -> Result<Vec<u8>, ApiError> {
    let max_chars = asker.state.limits().text_chars;
    let json = match shape {
        Shape::One => {
            let question = body::question(body, max_chars)?;
            let texts = [&*question.text];
            let answers = asker.all(TextField::One, &texts, question.truncate, started)?;
            serde_json::to_vec(&answers[0])
        }
        Shape::Many { max_texts } => {
            let question = body::batch(body, max_texts, max_chars)?;
            let texts: Vec<&str> = question.texts.iter().map(Cow::as_ref).collect();
            let answers = asker.all(TextField::Many, &texts, question.truncate, started)?;
            serde_json::to_vec(&answers)
        }
    };
    Ok(json.expect("texts and numbers serialise"))
}
