//! Rust, cell after cell: takes a cell apart, compiles it against the prelude with one call of
//! rustc, runs it in a child process and keeps what it leaves. What evcxr's users know holds here:
//! items and variables live on, the last expression is shown, `?` and `.await` work.
//!
//! evcxr's own engine builds a crate with cargo for every cell, and links the libraries anew in every
//! session (`just bench cells`).

mod ask;
mod attempt;
mod child;
mod compiler;
mod diagnostic;
mod expand;
mod generate;
mod late;
mod macros;
mod owners;
mod program;
mod run;
mod running;
mod scope;
mod show;
mod source;
mod statics;
mod stream;
mod types;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use trialbook::{error::Result, store::Store};

pub use child::serve_if_child;
pub(crate) use compiler::{Compiler, Settings};
pub(crate) use generate::Style;
pub(crate) use program::CellText;
pub(crate) use running::Running;
pub(crate) use scope::{Scope, Variable};

use crate::{
    cell::{
        engine::{
            attempt::attempts,
            child::Child,
            compiler::Refusal,
            generate::Draft,
            program::{Program, Role},
            source::{Declared, Source},
            types::TypeName,
        },
        evcxr::{Config, Dependencies},
        failure::{Failure, FailureKind},
        front::{Event, Front, Stream},
    },
    toolchain::Prelude,
};

/// Compiles and runs Rust.
pub(crate) struct Engine {
    compiler: Compiler,
    settings: Settings,
    style: Style,
    own_tokio: bool,
    header: Option<String>,
    /// True if the person has added crates.
    has_crates: bool,
    /// For each path by which a macro of those crates was called, true if it makes items.
    macros: BTreeMap<String, bool>,
    /// Those that the present cell calls and that do not seem to.
    undecided: Vec<String>,
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
    late_front: Option<Arc<dyn Front>>,
    /// The reason why a variable that once was is no more.
    gone: BTreeMap<String, String>,
    // While it lives, nobody clears the prelude away.
    prelude: Prelude,
}

/// The parts of an engine.
pub(crate) struct Parts {
    /// The compiler with its prelude.
    pub(crate) compiler: Compiler,
    /// The prelude that the compiler uses.
    pub(crate) prelude: Prelude,
    /// The folders of the shared objects that a child loads.
    pub(crate) library_dirs: Vec<PathBuf>,
    /// The store that cells open by default.
    pub(crate) store: Store,
    /// The time that a cell may take to stop when asked.
    pub(crate) grace: Duration,
    /// The handle by which others can ask it to stop.
    pub(crate) running: Running,
}

/// The changes that a cell leaves once it has run.
struct Prepared {
    scope: Scope,
    /// The variables whose types it redefines.
    lost: Vec<String>,
    /// The variables whose names its items take.
    hidden: Vec<String>,
    /// The statics that begin anew, since their types are redefined.
    renewed: Vec<String>,
    /// Further notes for the person.
    notes: Vec<String>,
    /// The program to run, where there are statements.
    compiled: Option<Compiled>,
}

/// A cell that is ready to run.
#[derive(Debug, Clone)]
struct Compiled {
    library: PathBuf,
    kept: Vec<Declared>,
    /// The number of the cell that was compiled.
    cell: u64,
    not_restored: Vec<String>,
    /// The variables that it declares and does not keep, with why.
    gone: Vec<(String, String)>,
    /// True if what it prints is marked with its number.
    spawns: bool,
    /// True if it has statics that the loader binds to those of earlier cells.
    is_shared: bool,
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
            has_crates: false,
            macros: BTreeMap::new(),
            undecided: Vec::new(),
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
            late_front: None,
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
        if arguments != self.settings.arguments {
            self.macros.clear();
        }
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
        self.has_crates = !built.externs.is_empty();
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

    /// Shows what threads write after their cell at `front`; with the next cell where there is none.
    pub(crate) fn set_late_front(&mut self, front: Option<Arc<dyn Front>>) {
        self.late_front = front;
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
        let Prepared { scope, lost, hidden, renewed, notes, compiled } =
            self.prepare(cell, offset, text)?;
        self.decide();
        self.scope = scope;
        if !renewed.is_empty() {
            let names = renewed.join(", ");
            self.note(front, &format!("statics that begin anew with their types: {names}"));
        }
        for note in notes {
            self.note(front, &note);
        }
        for name in &lost {
            let story = format!(
                "  = note: `{name}` went with its type, which cell {} redefined",
                cell.number
            );
            self.gone.insert(name.clone(), story);
        }
        for (names, why) in [
            (lost, "lost with their redefined types"),
            (hidden, "variables whose names items have taken over"),
        ] {
            if !names.is_empty() {
                self.forget(&names);
                self.note(front, &format!("{why}: {}", names.join(", ")));
            }
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
    ) -> Result<Prepared, Failure> {
        let mut source = self.parse(cell, offset, text);
        let Some(expanded) = self.expand_items(cell, offset, text, &mut source) else {
            return self.prepare_source(cell, offset, text, &source, &[]);
        };
        let items = &expanded.items;
        if let Ok(prepared) = self.prepare_source(cell, offset, text, &expanded.source, items) {
            return Ok(prepared);
        }
        // What a macro makes may mean something inside of the macro alone.
        let mut prepared = self.prepare_source(cell, offset, text, &source, &[])?;
        let names = expanded.names.join("!`, `");
        prepared.notes.push(format!(
            "the statics that `{names}!` makes begin anew in every cell: only a `static` that is \
             written in a cell, or whose text a macro makes, is one for all"
        ));
        Ok(prepared)
    }

    fn prepare_source(
        &mut self,
        cell: &Arc<CellText>,
        offset: usize,
        text: &str,
        source: &Source,
        expanded: &[(Arc<CellText>, Source)],
    ) -> Result<Prepared, Failure> {
        let (mut scope, mut changed) = self.scope.with(cell, offset, source);
        let mut hidden = scope.hidden_by(source);
        for (text, items) in expanded {
            let more;
            (scope, more) = scope.with(text, 0, items);
            changed.extend(more);
            hidden.extend(scope.hidden_by(items));
        }
        let items = source.items.iter().chain(expanded.iter().flat_map(|(_, made)| &made.items));
        let forgotten: Vec<&str> =
            items.flat_map(|item| &item.forgotten).map(String::as_str).collect();
        let notes: Vec<String> = match forgotten.as_slice() {
            [] => Vec::new(),
            names => Vec::from([format!(
                "`{}` begins anew in every cell: a `static mut` inside of an item does; move it \
                 out of there, or use an atomic or a lock",
                names.join("`, `")
            )]),
        };
        let renewed =
            scope.renew(&[&changed[..], &self.scope.reimported(source)].concat(), cell.number);
        // A variable of a type that is redefined here cannot be taken any more.
        let lost = scope.variables_of(&changed);
        let mut visible = scope.clone();
        visible.variables.retain(|name, _| !lost.contains(name) && !hidden.contains(name));
        let header = self.header.clone();
        let mut draft = Draft {
            cell,
            offset,
            text,
            source,
            scope: &visible,
            style: &self.style.clone(),
            own_tokio: self.own_tokio,
            header: header.as_deref(),
            left_out: BTreeSet::new(),
        };
        if source.statements.is_empty() && source.shown.is_none() {
            let has_items = !source.items.is_empty()
                || !source.imports.is_empty()
                || !source.attributes.is_empty()
                || !source.lints.is_empty()
                || !expanded.is_empty();
            if has_items {
                let program = draft.program();
                self.check(&program)?;
            }
            return Ok(Prepared { scope, lost, hidden, renewed, notes, compiled: None });
        }
        let compiled = Some(self.compile(&mut draft)?);
        Ok(Prepared { scope, lost, hidden, renewed, notes, compiled })
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
            Err(refused) => {
                let (refusal, program, name) = *refused;
                return Err(self.failure(refusal, &program, &name));
            }
        };
        self.programs.insert(Compiler::file(&file_stem(&library)), program);
        let cell = draft.cell.number;
        let mut gone = gone(draft, &notes);
        let mut kept = Vec::new();
        for name in draft.kept() {
            let declared = draft.source.declared.iter().find(|declared| declared.name == name);
            if !matches!(types.get(name), Some(TypeName::Named(_))) {
                gone.push((
                    name.to_owned(),
                    format!("  = note: `{name}` lived only in cell {cell}"),
                ));
            }
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
        let compiled = Compiled {
            library,
            kept,
            cell,
            not_restored,
            gone,
            spawns: draft.spawns(),
            is_shared: draft.scope.shared().next().is_some(),
            types,
            notes,
        };
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

    /// The documentation tool that comes with the compiler.
    pub(crate) fn rustdoc(&self) -> PathBuf {
        let name = format!("rustdoc{}", std::env::consts::EXE_SUFFIX);
        self.compiler.rustc.with_file_name(name)
    }

    /// The prelude that cells are compiled against.
    pub(crate) fn prelude(&self) -> &Prelude {
        &self.prelude
    }

    /// The names in scope.
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

/// The variables that the cell declares and that cannot be kept, each with what later cells that name it
/// are told.
fn gone(draft: &Draft<'_>, notes: &[String]) -> Vec<(String, String)> {
    let cell = draft.cell.number;
    let story = |name: &str| match notes.iter().any(|note| note.starts_with(&format!("`{name}` ")))
    {
        true => format!("  = note: `{name}` lived only in cell {cell}"),
        false => format!("  = note: `{name}` was moved by cell {cell}"),
    };
    let left_out = draft.left_out.iter().filter_map(|role| match role {
        Role::Put(name) => Some((name.clone(), story(name))),
        _ => None,
    });
    left_out.collect()
}

fn file_stem(library: &std::path::Path) -> String {
    library.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
