//! `POST /predict` and its batch: from the bytes of a body to the bytes of the answer. Short bodies
//! are answered where they were read, long ones beside the async threads, a few at a time.

use std::{borrow::Cow, sync::Arc, time::Instant};

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
    ask::{Answer, Asker, Queueable, TextField},
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
    let n_bytes = body.len();
    let json = if served.classifier.wants_batches() {
        let reading = {
            let (state, served, request_id) = (state.clone(), served.clone(), request_id.clone());
            move || {
                let request_id = request_id.as_str();
                queueable(Asker { state: &state, served: &served, request_id }, &body, shape)
            }
        };
        let Queueable { question, truncated } = in_turn(&state, n_bytes, reading).await?;
        let texts = Arc::clone(&question.texts);
        let predictions = state.engine().ask(question).await?;
        let asker = Asker { state: &state, served: &served, request_id: request_id.as_str() };
        to_json(shape, &asker.answered(&texts, predictions, truncated, started))
    } else {
        let work = {
            let state = state.clone();
            move || {
                let request_id = request_id.as_str();
                answer(Asker { state: &state, served: &served, request_id }, &body, shape, started)
            }
        };
        in_turn(&state, n_bytes, work).await?
    };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json)
        .into_response())
}

/// Does the `work` for a body of `n_bytes`: here when that is short, else in the blocking pool when
/// its turn comes.
///
/// # Errors
/// 429 at once where too many wait already, 503 when its turn did not come in time; those of the
/// work.
async fn in_turn<T: Send + 'static>(
    state: &ServerState,
    n_bytes: usize,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if n_bytes <= state.limits().inline_body_bytes {
        return work();
    }
    let _place = state.place().ok_or_else(ApiError::overloaded)?;
    let arrived = Instant::now();
    let permit = timeout(state.limits().queue_wait, turn(state)).await;
    state.metrics().waited(arrived.elapsed());
    beside(permit.map_err(|_| ApiError::too_late())?, work).await?
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
    let (field, texts, truncate) = texts(asker, body, shape)?;
    let texts: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
    Ok(to_json(shape, &asker.all(field, &texts, truncate, started)?))
}

/// Reads the texts for the queue of a model that wants batches.
fn queueable(asker: Asker<'_>, body: &[u8], shape: Shape) -> Result<Queueable, ApiError> {
    let (field, texts, truncate) = texts(asker, body, shape)?;
    asker.queueable(field, texts, truncate)
}

/// The texts of `body`, and whether they may be cut.
fn texts<'a>(
    asker: Asker<'_>,
    body: &'a [u8],
    shape: Shape,
) -> Result<(TextField, Vec<Cow<'a, str>>, bool), ApiError> {
    let max_chars = asker.state.limits().text_chars;
    match shape {
        Shape::One => {
            let question = body::question(body, max_chars)?;
            Ok((TextField::One, vec![question.text], question.truncate))
        }
        Shape::Many { max_texts } => {
            let question = body::batch(body, max_texts, max_chars)?;
            Ok((TextField::Many, question.texts, question.truncate))
        }
    }
}

fn to_json(shape: Shape, answers: &[Answer<'_>]) -> Vec<u8> {
    let json = match shape {
        Shape::One => serde_json::to_vec(&answers[0]),
        Shape::Many { .. } => serde_json::to_vec(answers),
    };
    json.expect("texts and numbers serialise")
}
