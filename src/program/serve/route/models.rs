//! `GET /models`: what is served, and how it was made.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::serve::state::ServerState;

/// The handler: a list of the versions that answer, the default model's first.
pub(crate) async fn models(State(state): State<ServerState>) -> Json<Value> {
    let served = state.slots().iter().filter_map(|slot| slot.served().ok());
    let models = served.map(|served| {
        json!({
            "model": *served.info,
            "architecture": served.classifier.name(),
            "classes": served.classifier.classes(),
        })
    });
    Json(json!({ "models": models.collect::<Vec<_>>() }))
}
