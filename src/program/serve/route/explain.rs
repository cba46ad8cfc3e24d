//! `POST /explain`: one text like a prediction's, answered with what each word adds. It is asked for
//! when a server starts, has a prediction's limits, and is neither counted nor logged as one.

use std::time::Instant;

use axum::{
    Extension,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use serde::Serialize;
use trialbook::model::{Explanation, prediction::BatchPrediction};

use crate::serve::{
    http::{
        error::{ApiError, FieldError},
        media::MediaType,
        request_id::RequestId,
    },
    model::trial::Assigned,
    state::ServerState,
};

use super::{
    answers::PredictedAnswer,
    ask::Asker,
    body,
    predict::{Params, in_turn, read, target},
    target::Target,
};

/// Terms that an answer lists, at most: a long text has thousands.
const MAX_TERMS: usize = 100;

/// A prediction with its reasons.
#[derive(Serialize)]
struct ExplainedAnswer<'a> {
    #[serde(flatten)]
    answer: PredictedAnswer<'a>,
    explanation: Explanation,
}

/// The route.
pub(crate) fn explain(state: &ServerState) -> MethodRouter<ServerState> {
    post(respond).layer(DefaultBodyLimit::max(state.limits().body_bytes))
}

async fn respond(
    State(state): State<ServerState>,
    Extension(request_id): Extension<RequestId>,
    params: Params,
    request: Request,
) -> Result<Response, ApiError> {
    if MediaType::of(request.headers()) != Some(MediaType::Json) {
        return Err(ApiError::unsupported_media_type("application/json"));
    }
    let target = target(&state, params)?;
    let body = read(&state, request, state.limits().body_bytes).await?;
    let (started, n_bytes) = (Instant::now(), body.len());
    let work = {
        let state = state.clone();
        move || answer(&state, target, request_id.as_str(), &body, started)
    };
    let json = in_turn(&state, n_bytes, work).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json)
        .into_response())
}

/// Reads the question, asks its model, and writes the answer.
fn answer(
    state: &ServerState,
    target: Target,
    request_id: &str,
    body: &[u8],
    started: Instant,
) -> Result<Vec<u8>, ApiError> {
    // What a model does not read is not explained: the answer says so, as a prediction does.
    let body::Question { text, model, .. } = body::question(body, state.limits().text_chars)?;
    let (slot_idx, served) = target.settle(state, model.as_deref())?;
    let assigned = Assigned::alone(served);
    let served = &assigned.served;
    let asker = Asker { slot: &state.slots()[slot_idx], assigned: &assigned, request_id };
    let classifier = &served.classifier;
    let (BatchPrediction { mut predictions, truncated }, explanation) = asker.guarded(|| {
        let explanation = classifier.explain(&text, None, MAX_TERMS)?;
        Ok((BatchPrediction::of(&**classifier, &[text.as_ref()])?, explanation))
    })?;
    let Some(explanation) = explanation else {
        let msg = format!(
            "This {} cannot be explained: {}",
            classifier.name(),
            classifier.unexplained_because()
        );
        return Err(ApiError::validation(vec![FieldError::of_field("model", "unexplained", msg)]));
    };
    let answer = PredictedAnswer {
        prediction: predictions.pop().ok_or_else(ApiError::internal)?,
        model: &served.info,
        arm: None,
        truncated: truncated.contains(&true),
        request_id,
        latency_ms: (started.elapsed().as_secs_f64() * 1e6).round() / 1e3,
    };
    Ok(serde_json::to_vec(&ExplainedAnswer { answer, explanation })
        .expect("texts and numbers serialise"))
}
