//! The standard input of cells: a pipe whose other end this process holds itself. A cell that reads it
//! waits; that is noticed, the person is asked, and the answer is what it reads. Where nobody answers
//! it reads the end of the input instead of waiting for ever.

use std::{
    fs,
    io::{self, PipeWriter, Write},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The time between two looks whether a cell waits. It must wait twice in a row, since a question
/// that it has just asked on its standard output goes first.
const LOOK: Duration = Duration::from_millis(100);

/// The system call `read`, as the kernel numbers it.
#[cfg(target_arch = "x86_64")]
const READ: &str = "0 0x0 ";
/// The system call `read`, as the kernel numbers it.
#[cfg(not(target_arch = "x86_64"))]
const READ: &str = "63 0x0 ";

static WRITER: OnceLock<Mutex<PipeWriter>> = OnceLock::new();
static N_ANSWERS: AtomicU64 = AtomicU64::new(0);
/// True while a cell runs: between cells nobody is asked.
static IS_BUSY: AtomicBool = AtomicBool::new(false);

/// Takes the place of the standard input that the process was started with. `wants_input` is called
/// whenever a cell waits for a line, with the number of answers that were given so far.
///
/// # Errors
/// When the process has no file descriptors left.
pub(super) fn install(wants_input: impl Fn(u64) + Send + 'static) -> io::Result<()> {
    // Where it cannot be seen who waits, nobody must: the input stays the empty one that it is.
    if fs::read_to_string("/proc/self/syscall").is_err() {
        return Ok(());
    }
    let writer = replaced()?;
    WRITER.get_or_init(|| Mutex::new(writer));
    thread::Builder::new().name("standard input".to_owned()).spawn(move || {
        let mut n_seen = 0;
        let mut told = None;
        loop {
            thread::sleep(LOOK);
            let n_answers = N_ANSWERS.load(Ordering::Relaxed);
            n_seen = if IS_BUSY.load(Ordering::Relaxed) && is_awaited() { n_seen + 1 } else { 0 };
            if n_seen == 0 {
                told = None;
            } else if n_seen >= 2 && told != Some(n_answers) {
                wants_input(n_answers);
                told = Some(n_answers);
            }
        }
    })?;
    Ok(())
}

/// Notes whether a cell runs.
pub(super) fn set_busy(is_busy: bool) {
    IS_BUSY.store(is_busy, Ordering::Relaxed);
}

/// Counts an answer, whoever gets it.
pub(super) fn count_answer() {
    N_ANSWERS.fetch_add(1, Ordering::Relaxed);
}

/// Has the cell read `line`, or the end of its input.
pub(super) fn answer(line: Option<&str>) {
    let Some(writer) = WRITER.get() else { return };
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    match line {
        // A reader that is gone has no use for it.
        Some(line) => drop(writer.write_all(format!("{line}\n").as_bytes())),
        // The pipe it waits at ends with its other end; later reads find a new one.
        None => {
            if let Ok(fresh) = replaced() {
                *writer = fresh;
            }
        }
    }
}

/// Makes a new pipe the standard input; returns its other end.
fn replaced() -> io::Result<PipeWriter> {
    let (reader, writer) = io::pipe()?;
    rustix::stdio::dup2_stdin(&reader)?;
    Ok(writer)
}

/// True if a thread of this process waits in a read of standard input.
fn is_awaited() -> bool {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("syscall")).ok())
        .any(|call| call.starts_with(READ))
}
