//! `GET /metrics`: what the server did, in Prometheus' text format.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::serve::state::ServerState;

/// The handler.
pub(crate) async fn metrics(State(state): State<ServerState>) -> Response {
    let text = state.metrics().text(state.uptime_s(), state.n_not_logged());
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
