//! Rust, cell after cell: takes a cell apart, compiles it against the prelude with one call of
//! rustc, runs it in a child process and keeps what it leaves. What evcxr's users know holds here:
//! items and variables live on, the last expression is shown, `?` and `.await` work.
//!
//! evcxr's own engine builds a crate with cargo for every cell, and links the libraries anew in every
//! session (`just bench cells`).

mod against;
mod ask;
mod attempt;
mod child;
mod compile;
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
    thread::JoinHandle,
    time::Duration,
};

use trialbook::{error::Result, store::Store};

pub use child::serve_if_child;
pub(crate) use compiler::{CompileSettings, Compiler};
pub(crate) use generate::Style;
pub(crate) use program::CellText;
pub(crate) use running::Running;
pub(crate) use scope::{CellScope, ScopeVariable};

use crate::{
    cell::{
        engine::{
            against::{Against, PreludeNames},
            child::CellProcess,
            compiler::CompileJob,
            generate::Draft,
            program::Program,
            source::{DeclaredVariable, ParsedCell},
            types::TypeName,
        },
        evcxr::{Config, Dependencies},
        failure::CellFailure,
        front::{Event, Front, OutputStream},
    },
    toolchain::InstalledPrelude,
};

/// Compiles and runs Rust.
pub(crate) struct Engine {
    compiler: Compiler,
    settings: CompileSettings,
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
    scope: CellScope,
    child: Option<CellProcess>,
    /// The child that is being started.
    starting: Option<JoinHandle<Result<CellProcess>>>,
    compiled: HashMap<(String, CompileSettings), Compiled>,
    programs: BTreeMap<String, Program>,
    n_compiled: usize,
    prelude_names: PreludeNames,
    last_errors: Vec<serde_json::Value>,
    environment: Vec<(String, String)>,
    keeps_variables: bool,
    dependency_dirs: Vec<PathBuf>,
    toolchain: Option<String>,
    late_front: Option<Arc<dyn Front>>,
    /// The reason why a variable that once was is no more.
    gone: BTreeMap<String, String>,
    // While it lives, nobody clears the prelude away.
    prelude: InstalledPrelude,
}

/// The parts of an engine.
pub(crate) struct EngineParts {
    /// The compiler with its prelude.
    pub(crate) compiler: Compiler,
    /// The prelude that the compiler uses.
    pub(crate) prelude: InstalledPrelude,
    /// The folders of the shared objects that a child loads.
    pub(crate) library_dirs: Vec<PathBuf>,
    /// The store that cells open by default.
    pub(crate) store: Store,
    /// The time that a cell may take to stop when asked.
    pub(crate) grace: Duration,
    /// The handle by which others can ask it to stop.
    pub(crate) running: Running,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end_child();
    }
}

/// The changes that a cell leaves once it has run.
struct Prepared {
    scope: CellScope,
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
    kept: Vec<DeclaredVariable>,
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
    pub(crate) fn new(parts: EngineParts) -> Self {
        let settings = CompileSettings { opt_level: "0".to_owned(), ..CompileSettings::default() };
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
            scope: CellScope::default(),
            child: None,
            starting: None,
            compiled: HashMap::new(),
            programs: BTreeMap::new(),
            n_compiled: 0,
            prelude_names: PreludeNames::default(),
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
        self.settings = CompileSettings {
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
                self.end_child();
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

    /// Begins to start the child, which the person's first cell then finds running when it is compiled.
    pub(crate) fn warm_up(&mut self) {
        if self.child.is_none() && self.starting.is_none() {
            let start = self.start_of_child();
            self.starting = Some(std::thread::spawn(start));
        }
    }

    /// Has the compiler read both crates once, so that cells find them in memory. It needs nothing of the
    /// engine: a cell may run meanwhile.
    pub(crate) fn warming(&self) -> impl FnOnce() + Send + use<> {
        let (compiler, settings) = (self.compiler.clone(), self.settings.clone());
        move || {
            let mut program = Program::default();
            program.push("use trialbook::prelude::*;");
            for against in [Against::Facade, Against::Prelude] {
                let running = &Running::default();
                let job = CompileJob {
                    program: &program,
                    name: "warm_up",
                    settings: &settings,
                    against,
                    running,
                };
                // Whatever is wrong shows again, and is told, when a cell needs it.
                let _ = compiler.check(job);
            }
        }
    }

    /// Runs the Rust `text`, which begins at byte `offset` of `cell`.
    pub(crate) fn evaluate(
        &mut self,
        cell: &Arc<CellText>,
        offset: usize,
        text: &str,
        front: &dyn Front,
    ) -> Result<(), CellFailure> {
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
    ) -> Result<Prepared, CellFailure> {
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
        source: &ParsedCell,
        expanded: &[(Arc<CellText>, ParsedCell)],
    ) -> Result<Prepared, CellFailure> {
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
                self.check(&draft)?;
            }
            return Ok(Prepared { scope, lost, hidden, renewed, notes, compiled: None });
        }
        let compiled = Some(self.compile(&mut draft)?);
        Ok(Prepared { scope, lost, hidden, renewed, notes, compiled })
    }

    fn note(&self, front: &dyn Front, note: &str) {
        front.event(Event::Stream(OutputStream::Stderr, format!("note: {note}\n").into_bytes()));
    }

    /// The documentation tool that comes with the compiler.
    pub(crate) fn rustdoc(&self) -> PathBuf {
        let name = format!("rustdoc{}", std::env::consts::EXE_SUFFIX);
        self.compiler.rustc.with_file_name(name)
    }

    /// The prelude that cells are compiled against.
    pub(crate) fn prelude(&self) -> &InstalledPrelude {
        &self.prelude
    }

    /// The names in scope.
    pub(crate) fn scope(&self) -> &CellScope {
        &self.scope
    }

    /// Forgets variables, items and imports; the settings stay.
    pub(crate) fn clear(&mut self) {
        self.end_child();
        self.scope = CellScope::default();
    }

    /// Starts with a new child; items and imports stay, variables go.
    pub(crate) fn restart(&mut self) {
        self.end_child();
        self.scope.variables.clear();
    }

    /// The compiler's own JSON about the last cell that it refused.
    pub(crate) fn last_errors(&self) -> &[serde_json::Value] {
        &self.last_errors
    }
}
