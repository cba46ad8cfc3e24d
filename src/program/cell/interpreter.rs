//! Runs one cell after the other: commands in this process, Rust in a child.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use trialbook::{
    error::Result,
    hint::Spelling,
    progress::{Interrupt, Monitor},
};

use crate::{
    cell::{
        assistant::{Assistant, Completion, CompletionKind},
        command_line::run_command,
        document::OutputRecorder,
        engine::{CellText, Engine, Running},
        engine_setup::{self, SessionFolder},
        evcxr::{Config, Dependencies, EvcxrCommand, Startup, extern_crates},
        failure::{CellFailure, FailureKind},
        front::{Event, Front, OutputStream},
        log::SessionLog,
        mistyped::check_colon,
        options::Options,
        part::{CellPart, PartKind, parts},
        session_analyzer::SessionAnalyzer,
        session_command::{SessionCommand, SessionHost},
        shell_line,
        type_name::short,
    },
    command::Servers,
};

/// The state between cells. Making one is instant; the compiler is looked for when first needed.
pub struct Interpreter {
    pub(super) options: Options,
    pub(super) assistant: Arc<Assistant>,
    running: Running,
    // Before the folder: the engine's child works there.
    engine: Arc<Mutex<Option<Engine>>>,
    pub(super) folder: Arc<SessionFolder>,
    pub(super) config: Config,
    pub(super) dependencies: Dependencies,
    /// The content of the startup files, or their fault, until the first cell.
    startup: Option<Result<Startup>>,
    pub(super) front: Option<Arc<dyn Front>>,
    /// The front that shows what threads write after their cell.
    late_front: Option<Arc<dyn Front>>,
    pub(super) interrupt: Interrupt,
    pub(super) last_errors: Vec<String>,
    pub(super) wants_to_quit: bool,
    log: SessionLog,
    servers: Servers,
    analyzer: SessionAnalyzer,
    n_cells: u64,
    warming: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Interpreter {
    /// Waits for what still gets ready: it would leave its child and its folder behind.
    fn drop(&mut self) {
        if let Some(warming) = lock(&self.warming).take() {
            // A panic there was told when it happened.
            let _ = warming.join();
        }
    }
}

/// Asks the running cell to stop, from any thread. With nothing running it does nothing.
#[derive(Clone)]
pub struct Interrupter(Running);

impl Interrupter {
    /// Asks for the stop.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }

    /// Stops the running cell without grace: the session ends.
    pub fn end(&self) {
        self.0.end();
    }
}

impl Interpreter {
    /// An interpreter over a store.
    pub fn new(options: Options) -> Self {
        let startup = Startup::find();
        let root = startup.as_ref().ok().and_then(|startup| startup.folder.clone());
        let folder = Arc::new(SessionFolder::new(root.as_deref()));
        let assistant = Arc::new(Assistant::new(&options.store));
        let engine = Arc::default();
        Self {
            analyzer: SessionAnalyzer::new(&assistant, &engine, folder.path()),
            assistant,
            options,
            running: Running::default(),
            engine,
            config: Config::default(),
            dependencies: Dependencies::new(folder.path().join("dependencies")),
            folder,
            startup: Some(startup),
            front: None,
            late_front: None,
            interrupt: Interrupt::default(),
            last_errors: Vec::new(),
            wants_to_quit: false,
            log: SessionLog::default(),
            servers: Servers::default(),
            n_cells: 0,
            warming: Mutex::default(),
        }
    }

    /// Help while typing, from any thread.
    pub fn assistant(&self) -> Arc<Assistant> {
        Arc::clone(&self.assistant)
    }

    /// The handle that stops a running cell, from any thread.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.running.clone())
    }

    /// True if a cell asked for the session's end.
    pub fn wants_to_quit(&self) -> bool {
        self.wants_to_quit
    }

    /// Says that [`Interpreter::warm_up`] will be called soon: the first question about Rust waits for
    /// it.
    pub fn expect_warm_up(&self) {
        self.analyzer.expect();
    }

    /// Gets the compiler and the child process ready in the background, so that the first cell
    /// need not wait for them. Where the prelude is not built yet, the first cell builds it.
    pub fn warm_up(&self) {
        let (options, running) = (self.options.clone(), self.running.clone());
        let (engine, folder) = (Arc::clone(&self.engine), Arc::clone(&self.folder));
        let analyzer = self.analyzer.clone();
        *lock(&self.warming) = Some(std::thread::spawn(move || {
            let mut engine = lock(&engine);
            if engine.is_some() {
                return analyzer.arrived();
            }
            // What is missing is told when a cell needs it.
            *engine = engine_setup::find(&options, &running, &folder).ok();
            if let Some(engine) = engine.as_mut() {
                engine.warm_up();
                analyzer.learn(engine);
            }
            analyzer.arrived();
            let warming = engine.as_ref().map(Engine::warming);
            // The person's first cell need not wait for what only makes later ones faster.
            drop(engine);
            warming.into_iter().for_each(|warm| warm());
        }));
    }

    /// Runs `cell`, part by part, until one fails. Its number is one more than the last one's.
    ///
    /// # Errors
    /// The first part's failure; what ran before it stays done.
    pub fn execute(&mut self, cell: &str, front: &Arc<dyn Front>) -> Result<(), CellFailure> {
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
    ) -> Result<(), CellFailure> {
        self.n_cells = number;
        let clock = Instant::now();
        let _busy = self.running.begin();
        self.log.begin(cell);
        let recorder = OutputRecorder::new(front);
        let recorded: Arc<dyn Front> = recorder.clone();
        self.front = Some(Arc::clone(&recorded));
        self.late_front = front.takes_late_output().then(|| Arc::clone(front));
        let outcome = self.start_up(&recorded).and_then(|()| self.run_parts(cell, &recorded));
        self.front = None;
        let outputs = recorder.take(self.log.n_cells(), outcome.as_ref().err());
        self.log.end(outputs, outcome.is_err());
        self.tell_assistant();
        if let Some(problem) = self.analyzer.take_problem() {
            let hint = problem.hint().map(|hint| hint.spelled(Spelling::Cell));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            let text = format!("note: {}{hint}\n", problem.chain());
            front.event(Event::Stream(OutputStream::Stderr, text.into_bytes()));
        }
        if self.config.timing {
            let text = format!("took {} ms\n", clock.elapsed().as_millis());
            front.event(Event::Stream(OutputStream::Stderr, text.into_bytes()));
        }
        outcome
    }

    /// Runs what the startup files ask for, once, before the first cell.
    fn start_up(&mut self, front: &Arc<dyn Front>) -> Result<(), CellFailure> {
        let Some(startup) = self.startup.take() else {
            return Ok(());
        };
        let startup = startup?;
        startup.apply(&mut self.config)?;
        for cell in startup.cells() {
            self.run_parts(cell, front)?;
        }
        Ok(())
    }

    pub(super) fn run_parts(
        &mut self,
        cell: &str,
        front: &Arc<dyn Front>,
    ) -> Result<(), CellFailure> {
        let text = Arc::new(CellText { number: self.n_cells, text: cell.to_owned() });
        for part in parts(cell) {
            match part.kind {
                PartKind::Command => self.command(&part, front)?,
                PartKind::Shell => shell_line::run(&part.text[1..], &self.running, &**front)?,
                PartKind::Rust => self.rust(&text, &part, front)?,
            }
        }
        Ok(())
    }

    fn command(&mut self, part: &CellPart<'_>, front: &Arc<dyn Front>) -> Result<(), CellFailure> {
        let interrupt = Interrupt::default();
        let _part = self.running.command(&interrupt);
        self.interrupt = interrupt.clone();
        let line = part.text.trim_start_matches(':');
        // Two commands of one name are one command: ours says what evcxr's would, and more.
        if let Some(command) = SessionCommand::parse(line) {
            return command?.run(self, front);
        }
        if let Some(command) = EvcxrCommand::parse(part.text) {
            if let Some(content) = command.apply(self)? {
                front.event(Event::Display { content, id: None });
            }
            return Ok(());
        }
        run_command(line, &self.options.store, &self.servers, &interrupt, front)
    }

    fn rust(
        &mut self,
        cell: &Arc<CellText>,
        part: &CellPart<'_>,
        front: &Arc<dyn Front>,
    ) -> Result<(), CellFailure> {
        let interrupt = Interrupt::default();
        {
            let _part = self.running.command(&interrupt);
            self.interrupt = interrupt.clone();
            check_colon(part.text, |name| {
                let is_in_scope = |engine: &mut Engine| {
                    let scope = engine.scope();
                    scope.variables.contains_key(name)
                        || scope.item_names().iter().any(|item| item == name)
                };
                self.with_engine(is_in_scope).unwrap_or(false)
            })?;
            self.add_extern_crates(part.text)?;
            self.ready_engine(&interrupt).map_err(unavailable)?;
        }
        let mut engine = lock(&self.engine);
        let Some(engine) = engine.as_mut() else {
            return Err(CellFailure::new(FailureKind::Unavailable, "unavailable", "no compiler"));
        };
        engine.configure(&self.config, &self.dependencies);
        engine.set_late_front(self.late_front.clone());
        let outcome = engine.evaluate(cell, part.offset, part.text, &**front);
        self.last_errors = engine.last_errors().iter().map(ToString::to_string).collect();
        outcome
    }

    /// `extern crate` asks for a crate as `:dep` does.
    fn add_extern_crates(&mut self, text: &str) -> Result<()> {
        if !text.contains("extern crate") {
            return Ok(());
        }
        let mut wanted = extern_crates(text);
        wanted.retain(|wanted| {
            wanted.crate_name() != "trialbook" && !self.dependencies.has(&wanted.crate_name())
        });
        if wanted.is_empty() {
            return Ok(());
        }
        let watch = crate::cell::evcxr::Host::watch(self);
        let config = self.config.clone();
        self.dependencies.add(wanted, &config, &watch)
    }

    /// Sees to it that there is an engine, and that it is of the toolchain that was chosen.
    pub(super) fn ready_engine(&self, interrupt: &Interrupt) -> Result<()> {
        let mut engine = lock(&self.engine);
        let chosen = Some(self.config.toolchain()).filter(|name| !name.is_empty());
        if engine.as_ref().is_some_and(|engine| engine.toolchain() == chosen) {
            return Ok(());
        }
        let progress = self.front.as_ref().map(|front| front.progress());
        let mut monitor = Monitor { interrupt: interrupt.clone(), ..Monitor::silent() };
        if let Some(progress) = progress {
            monitor.progress = progress;
        }
        let mut made =
            engine_setup::open(&self.options, &self.running, &self.folder, chosen, &monitor)?;
        made.set_toolchain(chosen);
        self.analyzer.learn(&made);
        *engine = Some(made);
        Ok(())
    }

    /// Lets the assistant know what can be named now.
    fn tell_assistant(&self) {
        let defined = self.with_engine(|engine| {
            self.analyzer.tell(engine);
            let scope = engine.scope();
            let variables = scope.variables.iter().map(|(name, variable)| Completion {
                text: name.clone(),
                kind: CompletionKind::Rust,
                detail: short(&variable.type_name),
            });
            let items = scope.item_names().into_iter().map(|name| Completion {
                text: name,
                kind: CompletionKind::Rust,
                detail: String::new(),
            });
            variables.chain(items).collect()
        });
        if let Some(defined) = defined {
            self.assistant.set_defined(defined);
        }
    }

    /// Asks the engine something, where there is one.
    pub(super) fn with_engine<T>(&self, ask: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        lock(&self.engine).as_mut().map(ask)
    }
}

impl SessionHost for Interpreter {
    fn variables(&mut self) -> Vec<(String, String)> {
        crate::cell::evcxr::Host::variables(self)
            .into_iter()
            .map(|variable| (variable.name, variable.type_name))
            .collect()
    }

    fn run(&mut self, cell: &str, front: &Arc<dyn Front>) -> Result<(), CellFailure> {
        self.run_parts(cell, front)
    }

    fn log(&mut self) -> &mut SessionLog {
        &mut self.log
    }
}

/// Whatever keeps Rust from running, commands still do.
fn unavailable(error: trialbook::error::Error) -> CellFailure {
    let mut failure = CellFailure::from(error);
    if failure.kind == FailureKind::Command {
        failure.kind = FailureKind::Unavailable;
    }
    failure
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
