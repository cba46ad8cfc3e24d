//! The panics of cells: the last one is kept for the answer, and one beside the cell's own thread is
//! told.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::PanicHookInfo,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    print::{PrintsTo, is_thread_of_cells, note_thread_of_cells, try_print},
    protocol::Ended,
};

/// The last panic. One that another thread hands on to the cell's own is the cell's panic too.
static PANIC: Mutex<Option<Ended>> = Mutex::new(None);

/// The numbers of cells by the names under which the compiler knew their programs.
static NUMBERS: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

/// Says which cell the code of `library` belongs to.
pub(super) fn note_cell(library: &Path, number: u64) {
    let program = library.with_extension("rs");
    let program = program.file_name().map(PathBuf::from).unwrap_or_default();
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner).insert(program, number);
}

/// Keeps the panics of this process from now on; this thread is the one that runs cells.
pub(super) fn note_all() {
    note_thread_of_cells();
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
    if is_thread_of_cells() {
        return;
    }
    // A panic in another thread does not end the cell; it must not be silent either.
    let name = thread.name().unwrap_or("unnamed").to_owned();
    let numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let number = place.as_ref().and_then(|(file, ..)| numbers.get(Path::new(file)).copied());
    drop(numbers);
    let place = place.map(|(file, line, _)| format!(" at {file}:{line}")).unwrap_or_default();
    let said = format_args!("thread `{name}` panicked{place}: {message}\n");
    let _ = try_print(PrintsTo::Stderr, number.unwrap_or_default(), said);
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
