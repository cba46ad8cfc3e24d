//! Runs one cell after the other: commands in this process, Rust in a child.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    cell::{
        assistant::Assistant,
        command_line::run_command,
        engine::{CellText, Engine, Running},
        failure::Failure,
        front::Front,
        part::{Part, PartKind, parts},
        shell_line, workshop,
    },
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

impl Options {
    /// A store, and the usual two seconds of grace.
    pub fn new(store: Store) -> Self {
        Self { store, grace: Duration::from_secs(2) }
    }
}

/// The state between cells. Making one is instant; the compiler is looked for when first needed.
pub struct Interpreter {
    options: Options,
    assistant: Arc<Assistant>,
    running: Running,
    engine: Arc<Mutex<Option<Engine>>>,
    n_cells: u64,
}

/// Asks the running cell to stop, from any thread. With nothing running it does nothing.
#[derive(Clone)]
pub struct Interrupter(Running);

impl Interrupter {
    /// Asks for the stop.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}

impl Interpreter {
    /// An interpreter over a store.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            assistant: Arc::default(),
            running: Running::default(),
            engine: Arc::default(),
            n_cells: 0,
        }
    }

    /// Help while typing, from any thread.
    pub fn assistant(&self) -> Arc<Assistant> {
        Arc::clone(&self.assistant)
    }

    /// What stops a running cell, from any thread.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.running.clone())
    }

    /// Gets the compiler and the child process ready in the background, so that the first cell
    /// need not wait for them. Where the prelude is not built yet, the first cell builds it.
    pub fn warm_up(&self) {
        let (options, running) = (self.options.clone(), self.running.clone());
        let engine = Arc::clone(&self.engine);
        std::thread::spawn(move || {
            let mut engine = lock(&engine);
            if engine.is_none() {
                // What is missing is told when a cell needs it.
                *engine = workshop::find(&options, &running).ok();
            }
            if let Some(engine) = engine.as_mut() {
                engine.warm_up();
            }
        });
    }

    /// Runs `cell`, part by part, until one fails. Its number is one more than the last one's.
    ///
    /// # Errors
    /// The first part's failure; what ran before it stays done.
    pub fn execute(&mut self, cell: &str, front: &Arc<dyn Front>) -> Result<(), Failure> {
        self.execute_as(self.n_cells + 1, cell, front)
    }

    /// Runs `cell` under the number by which the front end knows it.
    ///
    /// # Errors
    /// The first part's failure; what ran before it stays done.
    pub fn execute_as(
        &mut self,
        number: u64,
        cell: &str,
        front: &Arc<dyn Front>,
    ) -> Result<(), Failure> {
        self.n_cells = number;
        let _busy = self.running.begin();
        let text = Arc::new(CellText { number, text: cell.to_owned() });
        for part in parts(cell) {
            match part.kind {
                PartKind::Command => self.command(&part, front)?,
                PartKind::Shell => shell_line::run(&part.text[1..], &self.running, &**front)?,
                PartKind::Rust => self.rust(&text, &part, front)?,
            }
        }
        Ok(())
    }

    fn command(&mut self, part: &Part<'_>, front: &Arc<dyn Front>) -> Result<(), Failure> {
        let interrupt = Interrupt::default();
        let _part = self.running.command(&interrupt);
        let line = part.text.trim_start_matches(':');
        run_command(line, &self.options.store, &interrupt, front)
    }

    fn rust(
        &mut self,
        cell: &Arc<CellText>,
        part: &Part<'_>,
        front: &Arc<dyn Front>,
    ) -> Result<(), Failure> {
        let mut engine = lock(&self.engine);
        let engine = match &mut *engine {
            Some(engine) => engine,
            none => {
                let interrupt = Interrupt::default();
                let _part = self.running.command(&interrupt);
                let monitor = Monitor { interrupt, ..Monitor::silent() };
                none.insert(workshop::open(&self.options, &self.running, &monitor)?)
            }
        };
        engine.evaluate(cell, part.offset, part.text, &**front)
    }
}

fn lock(engine: &Mutex<Option<Engine>>) -> MutexGuard<'_, Option<Engine>> {
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}
