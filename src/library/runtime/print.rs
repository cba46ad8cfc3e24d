//! `println!` and its kin for cells. Two streams keep no order between them, so whenever a cell turns
//! from one to the other both get a mark, and who reads them can tell which came first. What a thread
//! prints is marked with the number of the cell whose code it runs: that cell may be over by then.

use std::{
    fmt::Arguments,
    io::{self, Write},
    sync::{Mutex, OnceLock, PoisonError},
    thread::{self, ThreadId},
};

use super::{input::is_served, protocol::MARK};

/// The thread that runs cells. Its name does not tell: this library did not start the process.
static CELLS: OnceLock<ThreadId> = OnceLock::new();

/// Says that the calling thread is the one that runs cells.
pub(super) fn note_thread_of_cells() {
    CELLS.get_or_init(|| thread::current().id());
}

/// True if the calling thread is the one that runs cells.
pub(super) fn is_thread_of_cells() -> bool {
    CELLS.get() == Some(&thread::current().id())
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintsTo {
    /// `print!`.
    Stdout,
    /// `eprint!`.
    Stderr,
}

/// Prints as the standard library's macros do. `cell` is the number of the cell whose code this is, 0
/// where that does not matter.
///
/// # Panics
/// When the stream cannot be written, as they do.
pub fn print(stream: PrintsTo, cell: u64, text: Arguments<'_>) {
    if let Err(error) = try_print(stream, cell, text) {
        let name = if stream == PrintsTo::Stdout { "stdout" } else { "stderr" };
        panic!("failed printing to {name}: {error}");
    }
}

/// As [`print`], without the panic.
pub(super) fn try_print(stream: PrintsTo, cell: u64, text: Arguments<'_>) -> io::Result<()> {
    let is_served = is_served();
    if is_served {
        turn(stream);
    }
    match stream {
        _ if is_served && cell != 0 && !is_thread_of_cells() => of_cell(stream, cell, text),
        PrintsTo::Stdout => io::stdout().write_fmt(text),
        PrintsTo::Stderr => io::stderr().write_fmt(text),
    }
}

/// Prints between two marks, whole: what is formatted may print as well, and is done before.
fn of_cell(stream: PrintsTo, cell: u64, text: Arguments<'_>) -> io::Result<()> {
    let marked = format!("{MARK}of {cell}\n{text}{MARK}of 0\n");
    match stream {
        PrintsTo::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(marked.as_bytes())?;
            stdout.flush()
        }
        PrintsTo::Stderr => io::stderr().lock().write_all(marked.as_bytes()),
    }
}

/// Marks that what is printed next goes to `stream`.
fn turn(stream: PrintsTo) {
    static LAST: Mutex<(PrintsTo, u64)> = Mutex::new((PrintsTo::Stdout, 0));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.0 == stream {
        return;
    }
    *last = (stream, last.1 + 1);
    let mark = format!("{MARK}turn {}\n", last.1);
    let mut stdout = io::stdout().lock();
    let mut stderr = io::stderr().lock();
    // With a closed stream there is nobody to tell.
    let _ = stdout.write_all(mark.as_bytes()).and_then(|()| stdout.flush());
    let _ = stderr.write_all(mark.as_bytes()).and_then(|()| stderr.flush());
}
