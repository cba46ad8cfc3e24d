//! The one place where the library waits for asynchronous work: a small runtime of its own, which any
//! thread may wait for, also one that serves another runtime.

use std::{
    future::Future,
    sync::{OnceLock, mpsc},
};

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind, Result};

/// Its threads copy bytes between sockets and buffers; two keep a fast network busy.
const N_THREADS: usize = 2;

/// The result of `work`, which runs on the runtime while this thread waits.
///
/// # Errors
/// When the system gives no threads, or the work panics.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let (done, result) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Nobody waits any more once the thread is gone.
        let _ = done.send(work.await);
    });
    result.recv().map_err(|_| {
        Error::new(ErrorKind::Internal, "the transfer panicked")
            .with_hint("this is a bug: please report the message above")
    })
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread()
        .worker_threads(N_THREADS)
        .thread_name("s3")
        .enable_io()
        .enable_time()
        .build()
        .map_err(|source| {
            Error::new(ErrorKind::Io, "cannot start threads for transfers").with_source(source)
        })?;
    Ok(RUNTIME.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_another_runtime_may_wait() {
        let other = Builder::new_current_thread().build().unwrap();
        let found = other.block_on(async { wait(async { 7 }) });
        assert_eq!(found.unwrap(), 7);
    }

    #[test]
    fn work_that_panics_is_an_error() {
        let error = wait(async { assert!(std::env::args().count() == 0, "stop") }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
