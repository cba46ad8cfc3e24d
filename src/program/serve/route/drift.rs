//! `GET /drift`: how far what a model is asked has moved from what it was judged by.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::Value;

use crate::serve::{
    http::{error::ApiError, waiting::waiting},
    state::ServerState,
};

/// The handler of the default model.
pub(crate) async fn of_default(State(state): State<ServerState>) -> Result<Json<Value>, ApiError> {
    report(state, 0).await
}

/// The handler of the model that the path names.
pub(crate) async fn of_model(
    State(state): State<ServerState>,
    Path(model): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let slot_idx = state.slot_idx(&model)?;
    report(state, slot_idx).await
}

async fn report(state: ServerState, slot_idx: usize) -> Result<Json<Value>, ApiError> {
    let looked = waiting(move || state.drift(slot_idx)).await.map_err(|_| ApiError::internal())?;
    let json = serde_json::to_value(&*looked?).map_err(|_| ApiError::internal())?;
    Ok(Json(json))
}
