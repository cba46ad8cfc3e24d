//! Which path leads to which handler. Everything a client can reach stands here.

use axum::{Router, middleware, routing::get};

use super::{
    envelope::envelope,
    error::ApiError,
    health::{health, live, ready},
    info::{self, info},
    metrics::metrics,
    models::models,
    page, predict,
    state::ServerState,
};

/// The whole service, ready to be served or asked directly in tests.
pub fn app(state: ServerState) -> Router {
    Router::new()
        .route("/", get(info))
        .route("/info", get(info::description))
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/models", get(models))
        .route("/predict", predict::single(&state))
        .route("/predict/batch", predict::batch(&state))
        .route("/batch_predict", predict::batch(&state))
        .merge(page::assets())
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(middleware::from_fn_with_state(state.clone(), envelope))
        .with_state(state)
}
