//! `GET /`: what this server is and how to ask it, as JSON for programs and as a page for browsers.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Value, json};

use crate::serve::{http::accept::wants_page, state::ServerState};

use super::{endpoint::Endpoint, page};

/// The answer: the page when `Accept` likes HTML better than JSON.
pub(crate) fn page_or_description(
    endpoints: impl Iterator<Item = &'static Endpoint>,
    state: &ServerState,
    headers: &HeaderMap,
) -> Response {
    let mut response = match wants_page(headers) {
        // Without a model there is none to try. What follows a # goes along.
        true if !state.serves() => Redirect::to("/ui/runs").into_response(),
        true => page::html(),
        false => description(endpoints, state),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// `GET /info`: the JSON, whoever asks.
pub(crate) fn description(
    endpoints: impl Iterator<Item = &'static Endpoint>,
    state: &ServerState,
) -> Response {
    Json(describe(endpoints, state)).into_response()
}

fn describe(endpoints: impl Iterator<Item = &'static Endpoint>, state: &ServerState) -> Value {
    json!({
        "name": crate::NAME,
        "version": env!("CARGO_PKG_VERSION"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "model": state.model_info().as_deref(),
        "models": state.models().map(|(name, _)| name).collect::<Vec<_>>(),
        "endpoints": endpoints.map(Endpoint::describe).collect::<Vec<_>>(),
        "limits": {
            "body_bytes": state.limits().body_bytes,
            "batch_body_bytes": state.limits().batch_body_bytes,
            "batch_texts": state.limits().batch_texts,
            "text_chars": state.limits().text_chars,
            "line_bytes": state.limits().body_bytes,
        },
    })
}
