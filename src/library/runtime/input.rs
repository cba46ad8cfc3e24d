//! Questions a cell asks the person, in the way of the crate `evcxr_input`: a line on stdout that
//! the front end understands. The answer comes from the interpreter, or on stdin where the process
//! is another one's, such as stock evcxr's.

use std::{
    io::{self, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
};

use crate::error::{Error, ErrorKind, Result};

/// Asks the person for a line.
///
/// # Errors
/// When nobody can answer, and when the person interrupts the question.
pub fn input(prompt: &str) -> Result<String> {
    ask("EVCXR_INPUT_REQUEST", prompt)
}

/// Asks the person for a line that is not shown while it is typed.
///
/// # Errors
/// When nobody can answer, and when the person interrupts the question.
pub fn password(prompt: &str) -> Result<String> {
    ask("EVCXR_INPUT_REQUEST_PASSWORD", prompt)
}

/// True if an interpreter answers this process's questions.
static IS_SERVED: AtomicBool = AtomicBool::new(false);

/// From now on an interpreter answers this process's questions.
pub(super) fn begin_to_serve() {
    IS_SERVED.store(true, Ordering::Relaxed);
}

/// True if an interpreter answers this process's questions.
pub(super) fn is_served() -> bool {
    IS_SERVED.load(Ordering::Relaxed)
}

/// The answer to a question.
pub(super) type Answer = Result<String>;

/// The question that waits in [`ask`]. One is open at a time: the second one waits for the first.
static WAITING: Mutex<Option<Sender<Answer>>> = Mutex::new(None);

/// Hands an answer to whoever asked; hands it back where nobody did.
pub(super) fn answer(answer: Answer) -> Option<Answer> {
    match WAITING.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(waiting) => waiting.send(answer).err().map(|unsent| unsent.0),
        None => Some(answer),
    }
}

fn ask(request: &str, prompt: &str) -> Result<String> {
    static QUESTION: Mutex<()> = Mutex::new(());
    let _one_at_a_time = QUESTION.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |source: io::Error| {
        Error::new(ErrorKind::Io, format!("cannot ask {prompt:?}")).with_source(source)
    };
    let (sender, answered) = channel();
    let is_served = is_served();
    if is_served {
        *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{request}:{}", prompt.replace('\n', " "))
        .and_then(|()| stdout.flush())
        .map_err(failed)?;
    drop(stdout);
    if is_served {
        return answered.recv().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "the session is gone: nobody can answer"))
        });
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
