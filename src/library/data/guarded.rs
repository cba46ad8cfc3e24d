//! Calling polars where it may panic, and reading what it says.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use polars::error::{PolarsError, PolarsResult};

/// The message for a file at which polars panicked.
pub(super) const GAVE_UP: &str =
    "the reader gave up: damaged content, or a type that it does not know";

/// Runs a polars reader; damaged bytes can make one panic, and a panic is an error here, which is said
/// once.
pub(super) fn guarded<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    static N_GUARDED: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    // Some of polars' work is done in threads of its own, where only a hook for all of them knows.
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_polars = info.location().is_some_and(|place| place.file().contains("polars-"));
            if !is_polars || N_GUARDED.load(Ordering::SeqCst) == 0 {
                told(info);
            }
        }));
    });
    N_GUARDED.fetch_add(1, Ordering::SeqCst);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    N_GUARDED.fetch_sub(1, Ordering::SeqCst);
    outcome.unwrap_or_else(|_| Err(PolarsError::ComputeError(GAVE_UP.into())))
}

/// A polars message without the query plan and stack that may follow it.
pub(super) fn first_line(error: &PolarsError) -> String {
    error.to_string().lines().next().unwrap_or_default().trim().to_owned()
}
