//! Long work beside the async threads: whose turn it is, and where it is done.

use tokio::sync::OwnedSemaphorePermit;

use crate::serve::{http::error::ApiError, state::ServerState};

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
