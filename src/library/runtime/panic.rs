//! The panics of cells: the last one is kept for the answer, and one beside the cell's own thread is
//! told.

use std::{
    any::Any,
    io::{self, Write},
    panic::PanicHookInfo,
    sync::{Mutex, OnceLock, PoisonError},
    thread::ThreadId,
};

use super::protocol::Ended;

/// The last panic. One that another thread hands on to the cell's own is the cell's panic too.
static PANIC: Mutex<Option<Ended>> = Mutex::new(None);

/// The thread that runs cells. Its name does not tell: this library did not start the process.
static CELLS: OnceLock<ThreadId> = OnceLock::new();

/// Keeps the panics of this process from now on; this thread is the one that runs cells.
pub(super) fn note_all() {
    CELLS.get_or_init(|| std::thread::current().id());
    std::panic::set_hook(Box::new(note_panic));
}

/// Forgets the last one.
pub(super) fn forget() {
    drop(PANIC.lock().unwrap_or_else(PoisonError::into_inner).take());
}

fn note_panic(panic: &PanicHookInfo<'_>) {
    let message = panic_message(panic.payload());
    let place =
        panic.location().map(|place| (place.file().to_owned(), place.line(), place.column()));
    let thread = std::thread::current();
    *PANIC.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(Ended::Panic { message: message.clone(), place: place.clone() });
    if CELLS.get() == Some(&thread.id()) {
        return;
    }
    // A panic in another thread does not end the cell; it must not be silent either.
    let name = thread.name().unwrap_or("unnamed").to_owned();
    let place = place.map(|(file, line, _)| format!(" at {file}:{line}")).unwrap_or_default();
    let _ = writeln!(io::stderr(), "thread `{name}` panicked{place}: {message}");
}

fn panic_message(payload: &dyn Any) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned())
}

/// The panic that the cell just caught.
pub(crate) fn taken_panic() -> Ended {
    PANIC
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .unwrap_or(Ended::Panic { message: "without a message".to_owned(), place: None })
}
