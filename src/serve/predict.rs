//! `POST /predict` and its batch: from the bytes of a body to the bytes of the answer. Short bodies
//! are answered where they were read, long ones beside the async threads, a few at a time.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use axum::{
    Extension,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    body,
    envelope::RequestId,
    error::ApiError,
    state::{ModelInfo, ServedModel, ServerState},
};
use crate::model::prediction::{self, Prediction};

/// One answer.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    prediction: &'a Prediction,
    model: &'a ModelInfo,
    request_id: &'a str,
    /// From the whole body received to the prediction made; of a batch, that of all its texts.
    latency_ms: f64,
}

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
    let max_bytes = state.limits().body_bytes;
    respond(state, request_id, request, Shape::One, max_bytes).await
}

async fn predict_batch(
    State(state): State<ServerState>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Result<Response, ApiError> {
    let max_bytes = state.limits().batch_body_bytes;
    let shape = Shape::Many { max_texts: state.limits().batch_texts };
    respond(state, request_id, request, shape, max_bytes).await
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
        move || answer(&state, &served, &body, shape, request_id.as_str(), started)
    };
    let json = if is_short { work()? } else { beside(&state, work).await? };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json)
        .into_response())
}

/// The whole body, if it is announced as JSON, short enough and quick enough.
async fn read(state: &ServerState, request: Request, max_bytes: usize) -> Result<Bytes, ApiError> {
    if !is_json(request.headers()) {
        return Err(ApiError::unsupported_media_type());
    }
    match timeout(state.limits().body_wait, Bytes::from_request(request, state)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(refusal)) if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::payload_too_large(max_bytes))
        }
        Ok(Err(_)) => Err(ApiError::incomplete_body()),
        Err(_) => Err(ApiError::request_timeout()),
    }
}

/// Whether the content type is `application/json` or `application/*+json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(subtype) = essence.strip_prefix("application/") else { return false };
    subtype == "json" || subtype.ends_with("+json")
}

/// Runs `work` in the blocking pool once it has a permit. The permit stays with the work: a client
/// that hangs up frees it no sooner than the work ends.
async fn beside(
    state: &ServerState,
    work: impl FnOnce() -> Result<Vec<u8>, ApiError> + Send + 'static,
) -> Result<Vec<u8>, ApiError> {
    let arrived = Instant::now();
    let queued = state.metrics().queued();
    let turn = timeout(state.limits().queue_wait, state.permits().acquire_owned()).await;
    drop(queued);
    state.metrics().waited(arrived.elapsed());
    let permit = match turn {
        Ok(permit) => permit.expect("the semaphore is never closed"),
        Err(_) => return Err(ApiError::overloaded()),
    };
    let running = tokio::task::spawn_blocking(move || {
        let outcome = work();
        drop(permit);
        outcome
    });
    running.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a prediction did not end");
        Err(ApiError::internal())
    })
}

/// Reads the texts, asks the model and writes the answer: all the work that grows with the body.
fn answer(
    state: &ServerState,
    served: &ServedModel,
    body: &[u8],
    shape: Shape,
    request_id: &str,
    started: Instant,
) -> Result<Vec<u8>, ApiError> {
    let max_chars = state.limits().text_chars;
    let texts = match shape {
        Shape::One => vec![body::text(body, max_chars)?],
        Shape::Many { max_texts } => body::texts(body, max_texts, max_chars)?,
    };
    let texts: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
    // A panicking model must not take the connection, and with it other requests, down.
    let outcome =
        catch_unwind(AssertUnwindSafe(|| prediction::predictions(&*served.classifier, &texts)));
    let predictions = outcome.map_err(|_| {
        tracing::error!(request_id, "the model panicked");
        ApiError::internal()
    })??;
    let duration = started.elapsed();
    state.metrics().predicted(&served.info, &predictions, duration);
    state.watch().predicted(&served.info, request_id, &texts, &predictions, duration);
    let latency_ms = (duration.as_secs_f64() * 1e6).round() / 1e3;
    let answers: Vec<Answer<'_>> = predictions
        .iter()
        .map(|prediction| Answer { prediction, model: &served.info, request_id, latency_ms })
        .collect();
    let json = match shape {
        Shape::One => serde_json::to_vec(&answers[0]),
        Shape::Many { .. } => serde_json::to_vec(&answers),
    };
    Ok(json.expect("texts and numbers serialise"))
}
