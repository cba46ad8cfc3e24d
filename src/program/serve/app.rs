//! The service: every endpoint of the table, and what goes round all of them.

use axum::{Router, middleware};

use super::{
    http::error::ApiError, middleware::wrap, route::table, state::ServerState, tracking, ui,
};

/// The whole service, ready to be served or asked directly in tests.
pub fn app(state: ServerState) -> Router {
    let tracking = match state.allowed_hosts() {
        Some(_) => tracking::router(&state),
        None => Router::new(),
    };
    table::offered(&state)
        .fold(tracking.merge(ui::router()), |router, endpoint| {
            router.route(endpoint.path, (endpoint.handler)(&state))
        })
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(middleware::from_fn_with_state(state.clone(), wrap))
        .with_state(state)
}
