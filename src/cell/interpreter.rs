//! Runs one cell after the other: commands in this process, Rust in a child.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    cell::{
        assistant::Assistant,
        command_line::run_command,
        failure::{Failure, FailureKind},
        front::Front,
        part::{Part, PartKind, parts},
    },
    progress::Interrupt,
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
        let interrupt = Interrupt::default();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) =
            Running::Command(interrupt.clone());
        let line = part.text.trim_start_matches(':');
        let outcome = run_command(line, &self.options.store, &interrupt, front);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Running::Nothing;
        outcome
    }
}
