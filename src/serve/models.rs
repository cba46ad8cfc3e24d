//! `GET /models`: what is served, and how it was made.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::state::ServerState;

/// The handler: a list, empty while no version is in production.
pub(crate) async fn models(State(state): State<ServerState>) -> Json<Value> {
    let served = state.served().ok();
    let models = served.iter().map(|served| {
        json!({
            "model": *served.info,
            "architecture": served.classifier.name(),
            "classes": served.classifier.classes(),
        })
    });
    Json(json!({ "models": models.collect::<Vec<_>>() }))
}
