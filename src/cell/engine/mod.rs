//! Rust, cell after cell: takes a cell apart, compiles it against the prelude with one call of
//! rustc, runs it in a child process and keeps what it leaves. What evcxr's users know holds here:
//! items and variables live on, the last expression is shown, `?` and `.await` work.

mod child;
mod compiler;
mod diagnostic;
mod generate;
mod program;
mod running;
mod scope;
mod show;
mod source;
mod stream;
mod types;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

pub use child::serve_if_child;
pub(crate) use compiler::{Compiler, Settings};
pub(crate) use generate::Style;
pub(crate) use program::CellText;
pub(crate) use running::Running;
pub(crate) use scope::{Scope, Variable};

use crate::{
    cell::{
        engine::{
            child::Child,
            compiler::Refusal,
            diagnostic::Diagnostic,
            generate::Draft,
            program::{Program, Role},
            source::{Declared, Source},
            types::TypeName,
        },
        evcxr::{Config, Dependencies},
        failure::{Failure, FailureKind},
        front::{Event, Front, Stream},
    },
    error::Result,
    runtime::{Ask, Ended},
    store::Store,
    toolchain::Prelude,
};

/// How often a cell is compiled again without a variable that it turned out to move.
const MAX_ATTEMPTS: usize = 6;

/// Compiles and runs Rust.
pub(crate) struct Engine {
    compiler: Compiler,
    settings: Settings,
    style: Style,
    own_tokio: bool,
    header: Option<String>,
    library_dirs: Vec<PathBuf>,
    store: Store,
    grace: Duration,
    running: Running,
    scope: Scope,
    child: Option<Child>,
    compiled: HashMap<(String, Settings), Compiled>,
    programs: BTreeMap<String, Program>,
    n_compiled: usize,
    last_errors: Vec<serde_json::Value>,
    environment: Vec<(String, String)>,
    keeps_variables: bool,
    dependency_dirs: Vec<PathBuf>,
    toolchain: Option<String>,
    /// Why a variable that once was is no more.
    gone: BTreeMap<String, String>,
    // While it lives, nobody clears the prelude away.
    prelude: Prelude,
}

/// What an engine is made of.
pub(crate) struct Parts {
    /// The compiler with its prelude.
    pub(crate) compiler: Compiler,
    /// The prelude that the compiler uses.
    pub(crate) prelude: Prelude,
    /// Where the shared objects are that a child loads.
    pub(crate) library_dirs: Vec<PathBuf>,
    /// The store that cells open by default.
    pub(crate) store: Store,
    /// How long a cell may take to stop when asked.
    pub(crate) grace: Duration,
    /// Who else can ask it to stop.
    pub(crate) running: Running,
}

/// A cell that is ready to run.
#[derive(Debug, Clone)]
struct Compiled {
    library: PathBuf,
    kept: Vec<Declared>,
    /// The number of the cell that was compiled.
    cell: u64,
    not_restored: Vec<String>,
    types: BTreeMap<String, TypeName>,
    notes: Vec<String>,
}

impl Engine {
    /// An engine that has run nothing yet. Its child starts with the first cell, or with
    /// [`Engine::warm_up`].
    pub(crate) fn new(parts: Parts) -> Self {
        let settings = Settings { opt_level: "0".to_owned(), ..Settings::default() };
        Self {
            compiler: parts.compiler,
            settings,
            style: Style::default(),
            own_tokio: false,
            header: None,
            library_dirs: parts.library_dirs,
            store: parts.store,
            grace: parts.grace,
            running: parts.running,
            scope: Scope::default(),
            child: None,
            compiled: HashMap::new(),
            programs: BTreeMap::new(),
            n_compiled: 0,
            last_errors: Vec::new(),
            environment: Vec::new(),
            keeps_variables: true,
            dependency_dirs: Vec::new(),
            toolchain: None,
            gone: BTreeMap::new(),
            prelude: parts.prelude,
        }
    }

    /// Takes over what the person has set and added since the last cell.
    pub(crate) fn configure(&mut self, config: &Config, dependencies: &Dependencies) {
        let built = dependencies.built();
        let mut arguments: Vec<_> =
            config.rustc_flags().into_iter().map(std::ffi::OsString::from).collect();
        // The usual flags choose the linker that is called directly anyway.
        let is_usual = config.rustc_flags() == Config::default().rustc_flags();
        let is_plain = is_usual && built.externs.is_empty();
        if is_plain {
            arguments.clear();
        }
        arguments.extend(built.rustc_args());
        self.settings = Settings {
            opt_level: config.opt_level().to_owned(),
            arguments,
            environment: config
                .build_env
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            // The crates that the person added are linked in by rustc, which knows how.
            full_link: !is_plain,
        };
        self.style = Style {
            value: config.output_format().to_owned(),
            error: config.error_format().format().to_owned(),
            types: config.display_types,
        };
        self.own_tokio = dependencies.has("tokio");
        self.header = built.header();
        self.keeps_variables = config.preserve_vars_on_panic;
        self.environment =
            config.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let dependency_dirs = built.library_folders();
        if dependency_dirs != self.dependency_dirs {
            // The loader reads its path once, when a process starts.
            self.dependency_dirs = dependency_dirs;
            if self.scope.variables.is_empty() {
                self.child = None;
            }
        }
    }

    /// The toolchain's name, where one was chosen.
    pub(crate) fn toolchain(&self) -> Option<&str> {
        self.toolchain.as_deref()
    }

    /// Notes which toolchain this engine is of.
    pub(crate) fn set_toolchain(&mut self, name: Option<&str>) {
        self.toolchain = name.map(str::to_owned);
    }

    /// Starts the child and has the compiler read the prelude once, so that the person's first cell
    /// finds both in memory.
    pub(crate) fn warm_up(&mut self) {
        // Whatever is wrong shows again, and is told, when the first cell needs it.
        let _ = self.child();
        let cell = Arc::new(CellText { number: 0, text: "1 + 1".to_owned() });
        let _ = self.prepare(&cell, 0, "1 + 1");
    }

    /// Runs the Rust `text`, which begins at byte `offset` of `cell`.
    pub(crate) fn evaluate(
        &mut self,
        cell: &Arc<CellText>,
        offset: usize,
        text: &str,
        front: &dyn Front,
    ) -> Result<(), Failure> {
        let (scope, changed, compiled) = self.prepare(cell, offset, text)?;
        let lost = scope.variables_of(&changed);
        self.scope = scope;
        if !lost.is_empty() {
            self.forget(&lost);
            self.note(front, &format!("lost with their redefined types: {}", lost.join(", ")));
        }
        let Some(compiled) = compiled else {
            return Ok(());
        };
        self.run(&compiled, front)?;
        for note in &compiled.notes {
            self.note(front, note);
        }
        Ok(())
    }

    /// Compiles a cell; what has no statements is only checked.
    fn prepare(
        &mut self,
        cell: &Arc<CellText>,
        offset: usize,
        text: &str,
    ) -> Result<(Scope, Vec<String>, Option<Compiled>), Failure> {
        let source = Source::parse(text);
        let (scope, changed) = self.scope.with(cell, offset, &source);
        // A variable of a type that is redefined here cannot be taken any more.
        let mut visible = scope.clone();
        for name in scope.variables_of(&changed) {
            visible.variables.remove(&name);
        }
        let header = self.header.clone();
        let mut draft = Draft {
            cell,
            offset,
            text,
            source: &source,
            scope: &visible,
            style: &self.style.clone(),
            own_tokio: self.own_tokio,
            header: header.as_deref(),
            left_out: BTreeSet::new(),
        };
        if source.statements.is_empty() && source.shown.is_none() {
            let has_items = !source.items.is_empty()
                || !source.imports.is_empty()
                || !source.attributes.is_empty();
            if has_items {
                let program = draft.program();
                self.check(&program)?;
            }
            return Ok((scope, changed, None));
        }
        let compiled = self.compile(&mut draft)?;
        Ok((scope, changed, Some(compiled)))
    }

    fn compile(&mut self, draft: &mut Draft<'_>) -> Result<Compiled, Failure> {
        let first = draft.program();
        let key = (first.text().to_owned(), self.settings.clone());
        if let Some(compiled) = self.compiled.get(&key) {
            return Ok(compiled.clone());
        }
        self.n_compiled += 1;
        let number = self.n_compiled;
        let probe = draft.probe(None);
        let asks_types = draft.kept().next().is_some();
        let (compiler, settings, running) = (&self.compiler, &self.settings, &self.running);
        // The types are asked for while the cell itself is compiled: they are needed only later.
        let (outcome, types) = std::thread::scope(|threads| {
            let types = asks_types.then(|| {
                threads.spawn(|| {
                    let name = format!("probe_{number}");
                    match compiler.check(&probe, &name, settings, running) {
                        Err(Refusal::Errors(errors)) => {
                            types::read(&errors, &probe, &Compiler::file(&name))
                        }
                        _ => BTreeMap::new(),
                    }
                })
            });
            let outcome = attempts(compiler, settings, running, draft, first, number);
            let types = types.and_then(|types| types.join().ok()).unwrap_or_default();
            (outcome, types)
        });
        let (library, program, mut notes) = match outcome {
            Ok(done) => done,
            Err((refusal, program, name)) => return Err(self.failure(refusal, &program, &name)),
        };
        self.programs.insert(Compiler::file(&file_stem(&library)), program);
        let mut kept = Vec::new();
        for name in draft.kept() {
            let declared = draft.source.declared.iter().find(|declared| declared.name == name);
            match (types.get(name), declared) {
                (Some(TypeName::Named(_)), Some(declared)) => kept.push(declared.clone()),
                (Some(TypeName::Nameless(what)), _) => notes.push(format!(
                    "`{name}` lives only in this cell: its type, {what}, has no name that a later \
                     cell could use; a `Box<dyn …>` or an `Arc<dyn …>` around it has one"
                )),
                _ => notes.push(format!(
                    "`{name}` lives only in this cell: its type could not be found out; declare it \
                     with one, as in `let {name}: TYPE = …`"
                )),
            }
        }
        let not_restored = draft
            .taken()
            .into_iter()
            .filter(|name| draft.left_out.contains(&Role::Restore((*name).to_owned())))
            .map(str::to_owned)
            .collect();
        let cell = draft.cell.number;
        let compiled = Compiled { library, kept, cell, not_restored, types, notes };
        self.compiled.insert(key, compiled.clone());
        Ok(compiled)
    }

    fn check(&mut self, program: &Program) -> Result<(), Failure> {
        self.n_compiled += 1;
        let name = format!("check_{}", self.n_compiled);
        match self.compiler.check(program, &name, &self.settings, &self.running) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.failure(refusal, program, &name)),
        }
    }

    fn failure(&mut self, refusal: Refusal, program: &Program, name: &str) -> Failure {
        match refusal {
            Refusal::Errors(errors) => {
                self.last_errors.clone_from(&errors.json);
                let mut failure = errors.failure(program, &Compiler::file(name));
                failure
                    .traceback
                    .extend(errors.unknown_names().filter_map(|name| self.gone.get(name).cloned()));
                failure
            }
            Refusal::Interrupted => Failure::new(
                FailureKind::Interrupted,
                "interrupted",
                "interrupted while compiling; nothing ran and all variables are as they were",
            ),
            Refusal::Failed(error) => error.into(),
        }
    }

    fn run(&mut self, compiled: &Compiled, front: &dyn Front) -> Result<(), Failure> {
        let grace = self.grace;
        let running = self.running.clone();
        let child = self.child()?;
        let asked = child.ask(&Ask::Run { library: compiled.library.clone() });
        let listening = child.socket().map(|socket| running.child(socket));
        let ended = match (asked, listening) {
            (Ok(()), Ok(part)) => {
                let ended = show::follow(child, front, &running, grace);
                drop(part);
                ended
            }
            _ => show::Finish::Gone,
        };
        match ended {
            show::Finish::Done(ended, names) => {
                self.settle(compiled, ended == Ended::Well, &names);
                self.finish(ended)
            }
            show::Finish::Gone => {
                let how = self.child.as_mut().map(Child::end).unwrap_or_default();
                let lost = self.lose_child();
                let message = format!("the process that ran this cell is gone: {how}{lost}");
                Err(Failure::new(FailureKind::Died, "died", message))
            }
            show::Finish::Overdue => {
                let lost = self.lose_child();
                let message = format!(
                    "interrupted; the cell did not stop within {} s, so its process was ended{lost}",
                    grace.as_secs_f32()
                );
                Err(Failure::new(FailureKind::Interrupted, "interrupted", message))
            }
        }
    }

    /// Keeps the books in step with the child.
    fn settle(&mut self, compiled: &Compiled, went_well: bool, names: &[String]) {
        for name in compiled.not_restored.iter().filter(|name| !names.contains(name)) {
            let cell = compiled.cell;
            let story = format!("  = note: `{name}` was moved by cell {cell}");
            self.gone.insert(name.clone(), story);
        }
        if went_well {
            for declared in &compiled.kept {
                if let Some(TypeName::Named(type_name)) = compiled.types.get(&declared.name) {
                    let variable =
                        Variable { is_mutable: declared.is_mutable, type_name: type_name.clone() };
                    self.scope.variables.insert(declared.name.clone(), variable);
                }
            }
        }
        self.scope.variables.retain(|name, _| names.contains(name));
        let nameless: Vec<String> = names
            .iter()
            .filter(|name| !self.scope.variables.contains_key(*name))
            .cloned()
            .collect();
        if !nameless.is_empty() {
            self.forget(&nameless);
        }
        for name in self.scope.variables.keys() {
            self.gone.remove(name);
        }
    }

    fn finish(&mut self, ended: Ended) -> Result<(), Failure> {
        match ended {
            Ended::Well => Ok(()),
            Ended::Error { message } => Err(Failure::new(FailureKind::Error, "error", message)),
            Ended::Refused { message } => Err(Failure::new(FailureKind::Error, "refused", message)),
            Ended::Interrupted => Err(Failure::new(
                FailureKind::Interrupted,
                "interrupted",
                "interrupted; all variables are kept",
            )),
            Ended::Panic { message, place } => {
                let lost = if self.keeps_variables { String::new() } else { self.lose_child() };
                let mut failure =
                    Failure::new(FailureKind::Panic, "panic", format!("{message}{lost}"));
                failure.traceback = self.panic_story(&message, place);
                Err(failure)
            }
        }
    }

    fn panic_story(&self, message: &str, place: Option<(String, u32, u32)>) -> Vec<String> {
        let mut story: Vec<String> =
            format!("panicked: {message}").lines().map(Into::into).collect();
        let Some((file, line, column)) = place else {
            return story;
        };
        let own = self.programs.get(&file).and_then(|program| program.place_of(line, column));
        match own {
            Some(place) => {
                let (line, column) = place.line_and_column();
                story.push(format!(
                    "  --> cell {}, line {line}, column {column}",
                    place.cell.number
                ));
                let (_, lines) = place.lines();
                story.extend(lines.first().map(|text| format!("{line:>4} | {text}")));
            }
            None => story.push(format!("  --> {file}:{line}:{column}")),
        }
        story
    }

    fn child(&mut self) -> Result<&mut Child> {
        let child = match self.child.take() {
            Some(child) => child,
            None => {
                let dirs = [&self.library_dirs[..], &self.dependency_dirs].concat();
                let child =
                    Child::start(&self.compiler.prelude, &dirs, &self.compiler.dir, &self.store)?;
                for (name, value) in &self.environment {
                    // A child that is gone shows when it is asked to run.
                    let _ = child.ask(&Ask::SetEnv { name: name.clone(), value: value.clone() });
                }
                child
            }
        };
        Ok(self.child.insert(child))
    }

    /// Forgets the child; says which variables went with it.
    fn lose_child(&mut self) -> String {
        self.child = None;
        let names: Vec<String> = std::mem::take(&mut self.scope.variables).into_keys().collect();
        for name in &names {
            let story = format!("  = note: `{name}` went with the process that held it");
            self.gone.insert(name.clone(), story);
        }
        match names.as_slice() {
            [] => "; no variables were lost".to_owned(),
            names => format!("; these variables are gone: {}", names.join(", ")),
        }
    }

    fn forget(&mut self, names: &[String]) {
        for name in names {
            self.scope.variables.remove(name);
        }
        if let Some(child) = &self.child {
            // A child that is gone holds nothing.
            let _ = child.ask(&Ask::Forget { names: names.to_vec() });
        }
    }

    fn note(&self, front: &dyn Front, note: &str) {
        front.event(Event::Stream(Stream::Stderr, format!("note: {note}\n").into_bytes()));
    }

    /// The type of `expression` among the session's variables, found out without running anything.
    pub(crate) fn type_of(&self, expression: &str) -> Option<String> {
        let cell = Arc::new(CellText { number: 0, text: expression.to_owned() });
        let source = Source::default();
        let draft = Draft {
            cell: &cell,
            offset: 0,
            text: expression,
            source: &source,
            scope: &self.scope,
            style: &self.style,
            own_tokio: self.own_tokio,
            header: self.header.as_deref(),
            left_out: BTreeSet::new(),
        };
        let program = draft.probe(Some(expression));
        let refusal = self.compiler.check(&program, "type_of", &self.settings, &Running::default());
        let Err(Refusal::Errors(errors)) = refusal else {
            return None;
        };
        match types::read(&errors, &program, &Compiler::file("type_of")).remove("")? {
            TypeName::Named(name) | TypeName::Nameless(name) => Some(name),
        }
    }

    /// The prelude that cells are compiled against.
    pub(crate) fn prelude(&self) -> &Prelude {
        &self.prelude
    }

    /// What can be named.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Forgets variables, items and imports; the settings stay.
    pub(crate) fn clear(&mut self) {
        self.child = None;
        self.scope = Scope::default();
    }

    /// Starts with a new child; items and imports stay, variables go.
    pub(crate) fn restart(&mut self) {
        self.child = None;
        self.scope.variables.clear();
    }

    /// The compiler's own JSON about the last cell that it refused.
    pub(crate) fn last_errors(&self) -> &[serde_json::Value] {
        &self.last_errors
    }
}

type Attempted = std::result::Result<(PathBuf, Program, Vec<String>), (Refusal, Program, String)>;

/// Compiles a draft, each time without the variables that the compiler says cannot be put back.
fn attempts(
    compiler: &Compiler,
    settings: &Settings,
    running: &Running,
    draft: &mut Draft<'_>,
    first: Program,
    number: usize,
) -> Attempted {
    let mut program = first;
    let mut notes = Vec::new();
    let mut attempt = 1;
    loop {
        let name = format!("cell_{number}_{attempt}");
        let errors = match compiler.compile(&program, &name, settings, running) {
            Ok(library) => return Ok((library, program, notes)),
            Err(Refusal::Errors(errors)) => errors,
            Err(refusal) => return Err((refusal, program, name)),
        };
        let file = Compiler::file(&name);
        let before = draft.left_out.len();
        for error in &errors.list {
            leave_out(error, &program, &file, draft, &mut notes);
        }
        if draft.left_out.len() == before || attempt == MAX_ATTEMPTS {
            return Err((Refusal::Errors(errors), program, name));
        }
        program = draft.program();
        attempt += 1;
    }
}

fn leave_out(
    error: &Diagnostic,
    program: &Program,
    file: &str,
    draft: &mut Draft<'_>,
    notes: &mut Vec<String>,
) {
    const MOVED: [&str; 3] = ["E0381", "E0382", "E0505"];
    const BORROWED: [&str; 9] =
        ["E0310", "E0373", "E0499", "E0502", "E0506", "E0515", "E0521", "E0597", "E0716"];
    let code = error.code().unwrap_or_default();
    let roles = error.roles(program, file);
    let borrower = roles
        .iter()
        .find(|role| matches!(role, Role::Put(_)) && !error.is_about(role, program, file));
    let (role, borrows) = match (roles.as_slice(), borrower) {
        // A variable cannot be kept because another one, kept after it, still borrows from it.
        (_, Some(borrower)) if code == "E0505" => (*borrower, true),
        ([role, ..], _) if MOVED.contains(&code) => (*role, false),
        (roles, _) if BORROWED.contains(&code) || code.is_empty() => {
            match roles.iter().find(|role| matches!(role, Role::Put(_))) {
                Some(role) => (*role, true),
                None => return,
            }
        }
        _ => return,
    };
    if matches!(role, Role::Take(_) | Role::Probe(_)) || !draft.left_out.insert(role.clone()) {
        return;
    }
    if let (Role::Put(name), true) = (role, borrows) {
        notes.push(format!(
            "`{name}` lives only in this cell: it borrows from something that does not outlive it; \
             clone what it points to if a later cell needs it"
        ));
    }
}

fn file_stem(library: &std::path::Path) -> String {
    library.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
