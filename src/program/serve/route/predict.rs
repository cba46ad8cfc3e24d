//! `POST /predict` and its batch: from the bytes of a body to the bytes of the answer. Short bodies
//! are answered where they were read, long ones beside the async threads, a few at a time.

use std::{borrow::Cow, time::Instant};

use axum::{
    Extension,
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequest, RawPathParams, Request, State,
        rejection::RawPathParamsRejection,
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use http_body::Body as _;
use tokio::time::timeout;

use crate::serve::{
    http::{error::ApiError, media::MediaType, request_id::RequestId, shown::Shown},
    model::trial::Assigned,
    state::ServerState,
};

use super::{
    answers::PredictedAnswer,
    ask::{Asker, Begun},
    body,
    split::SplitKeys,
    stream,
    target::Target,
    texts::{Policy, TextField, Texts},
    turn::{beside, turn},
};

/// The number of texts in a body, and so of answers.
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

/// The text in place of a path's parameter, where it has one.
pub(super) type Params = Result<RawPathParams, RawPathParamsRejection>;

/// The model that a request is for, as far as its path tells.
///
/// # Errors
/// As [`Target::of`]; 404 for a name that is no UTF-8.
pub(super) fn target(state: &ServerState, params: Params) -> Result<Target, ApiError> {
    let params = params.map_err(|_| ApiError::not_found())?;
    let name = params.iter().next().map(|(_, name)| name);
    Target::of(state, name)
}

async fn predict(
    State(state): State<ServerState>,
    Extension(request_id): Extension<RequestId>,
    params: Params,
    request: Request,
) -> Result<Response, ApiError> {
    if MediaType::of(request.headers()) != Some(MediaType::Json) {
        return Err(ApiError::unsupported_media_type("application/json"));
    }
    let target = target(&state, params)?;
    let max_bytes = state.limits().body_bytes;
    respond(state, target, request_id, request, Shape::One, max_bytes).await
}

async fn predict_batch(
    State(state): State<ServerState>,
    Extension(request_id): Extension<RequestId>,
    params: Params,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(media_type) = MediaType::of(request.headers()) else {
        return Err(ApiError::unsupported_media_type(
            "application/json, or application/x-ndjson with one text a line",
        ));
    };
    let target = target(&state, params)?;
    match media_type {
        MediaType::Json => {
            let max_bytes = state.limits().batch_body_bytes;
            let shape = Shape::Many { max_texts: state.limits().batch_texts };
            respond(state, target, request_id, request, shape, max_bytes).await
        }
        MediaType::JsonLines => {
            let shown = Shown::of(request.headers());
            let keys = SplitKeys::of(&state, &request);
            Ok(stream::respond(state, (target, keys), request_id, shown, request.into_body()))
        }
    }
}

async fn respond(
    state: ServerState,
    target: Target,
    request_id: RequestId,
    request: Request,
    shape: Shape,
    max_bytes: usize,
) -> Result<Response, ApiError> {
    let keys = SplitKeys::of(&state, &request);
    let body = read(&state, request, max_bytes).await?;
    let started = Instant::now();
    let n_bytes = body.len();
    let work = {
        let (state, request_id) = (state.clone(), request_id.clone());
        move || begin(&state, (target, keys), request_id.as_str(), &body, shape, started)
    };
    let (slot_idx, assigned, begun) = in_turn(&state, n_bytes, work).await?;
    let json = match begun {
        Begun::Answered(json) => json,
        Begun::Waiting(waiting) => {
            let slot = &state.slots()[slot_idx];
            let asker = Asker { slot, assigned: &assigned, request_id: request_id.as_str() };
            to_json(shape, &asker.finish(waiting, state.engine()).await?.all())
        }
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
pub(super) async fn in_turn<T: Send + 'static>(
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
pub(super) async fn read(
    state: &ServerState,
    request: Request,
    max_bytes: usize,
) -> Result<Bytes, ApiError> {
    // Before anything of it is read, or a client is told to go on that waits for that.
    if request.body().size_hint().lower() > max_bytes as u64 {
        return Err(ApiError::payload_too_large(max_bytes));
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

/// Reads the question and finds its model; asks it and writes the answer, unless it wants batches:
/// all the work that grows with the body. With it comes the place of the model and who answers.
fn begin(
    state: &ServerState,
    (target, keys): (Target, SplitKeys),
    request_id: &str,
    body: &[u8],
    shape: Shape,
    started: Instant,
) -> Result<(usize, Assigned, Begun<Vec<u8>>), ApiError> {
    let (texts, model) = texts(state, body, shape, started)?;
    let (slot_idx, served) = target.settle(state, model.as_deref())?;
    let assigned = keys.assign(state, slot_idx, served, request_id);
    let asker = Asker { slot: &state.slots()[slot_idx], assigned: &assigned, request_id };
    let begun = match asker.begin(texts)? {
        Begun::Answered(answers) => Begun::Answered(to_json(shape, &answers.all())),
        Begun::Waiting(waiting) => Begun::Waiting(waiting),
    };
    Ok((slot_idx, assigned, begun))
}

/// The texts of a body, and the model that it names.
fn texts<'a>(
    state: &ServerState,
    body: &'a [u8],
    shape: Shape,
    started: Instant,
) -> Result<(Texts<'a>, Option<Cow<'a, str>>), ApiError> {
    let max_chars = state.limits().text_chars;
    let (field, texts, model, truncate) = match shape {
        Shape::One => {
            let body::Question { text, model, truncate } = body::question(body, max_chars)?;
            (TextField::One, vec![text], model, truncate)
        }
        Shape::Many { max_texts } => {
            let body::BatchQuestion { texts, model, truncate } =
                body::batch(body, max_texts, max_chars)?;
            (TextField::Many, texts, model, truncate)
        }
    };
    let indexes = (0..).take(texts.len()).collect();
    Ok((Texts { texts, indexes, policy: Policy::All { field, truncate }, started }, model))
}

fn to_json(shape: Shape, answers: &[PredictedAnswer<'_>]) -> Vec<u8> {
    let json = match shape {
        Shape::One => serde_json::to_vec(&answers[0]),
        Shape::Many { .. } => serde_json::to_vec(answers),
    };
    json.expect("texts and numbers serialise")
}
