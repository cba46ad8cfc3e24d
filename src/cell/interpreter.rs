//! Runs one cell after the other: commands in this process, Rust in a child.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    book::Book,
    cell::{
        assistant::Assistant,
        failure::{Failure, FailureKind},
        front::{Event, Front},
        part::{Part, PartKind, parts},
    },
    command::{self, Session},
    display::{self, Content},
    error::{Error, Result},
    output::Outcome,
    progress::{Interrupt, Monitor},
    store::Store,
};

/// How an interpreter is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store that commands and `Book::open_default()` use.
    pub store: Store,
    /// How long running Rust may take to stop after an interrupt before its process is ended.
    pub grace: Duration,
}

/// The state between cells. Making one is instant; the compiler is looked for when first needed.
pub struct Interpreter {
    options: Options,
    assistant: Arc<Assistant>,
    running: Arc<Mutex<Running>>,
}

/// What runs right now, for an interrupt to end.
#[derive(Debug, Default)]
enum Running {
    #[default]
    Nothing,
    Command(Interrupt),
}

/// Asks the running cell to stop, from any thread. With nothing running it does nothing.
#[derive(Clone)]
pub struct Interrupter(Arc<Mutex<Running>>);

impl Interrupter {
    /// Asks for the stop.
    pub fn interrupt(&self) {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Running::Nothing => {}
            Running::Command(interrupt) => interrupt.raise(),
        }
    }
}

impl Interpreter {
    /// An interpreter over a store.
    pub fn new(options: Options) -> Self {
        Self { options, assistant: Arc::default(), running: Arc::default() }
    }

    /// Help while typing, from any thread.
    pub fn assistant(&self) -> Arc<Assistant> {
        Arc::clone(&self.assistant)
    }

    /// What stops a running cell, from any thread.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(Arc::clone(&self.running))
    }

    /// Gets the compiler and the child process ready in the background, so that the first cell
    /// need not wait for them.
    pub fn warm_up(&self) {}

    /// Runs `cell`, part by part, until one fails.
    ///
    /// # Errors
    /// The first part's failure; what ran before it stays done.
    pub fn execute(&mut self, cell: &str, front: &Arc<dyn Front>) -> Result<(), Failure> {
        for part in parts(cell) {
            match part.kind {
                PartKind::Command => self.command(&part, front)?,
                PartKind::Shell | PartKind::Rust => {
                    return Err(Failure::new(
                        FailureKind::Unavailable,
                        "unavailable",
                        "this build cannot run Rust yet",
                    ));
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, part: &Part<'_>, front: &Arc<dyn Front>) -> Result<(), Failure> {
        let words = words(part.text.trim_start_matches(':'))?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = command::parse(&words)?;
        let interrupt = Interrupt::default();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) =
            Running::Command(interrupt.clone());
        let shown = Arc::clone(front);
        let session = Session::new(
            Book::with_store(self.options.store.clone()),
            Monitor { interrupt, ..Monitor::silent() },
            move |output, _| {
                for content in display::contents(output) {
                    shown.event(Event::Display { content, id: None });
                }
                Ok(())
            },
        );
        let output = command.run(&session);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Running::Nothing;
        let output = output?;
        if output.outcome() == Outcome::Blocked {
            return Err(Failure::blocked(&output));
        }
        for content in display::contents(&output) {
            front.event(Event::Display { content, id: None });
        }
        Ok(())
    }
}

/// The words of a command line: blanks part them, quotes and backslashes hold them together.
/// `sql` takes the rest of the line as it stands.
fn words(line: &str) -> Result<Vec<String>> {
    let _ = Content::default();
    Ok(line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).and_then(|words| {
        if words.is_empty() { Err(Error::invalid("no command")) } else { Ok(words) }
    })
}
