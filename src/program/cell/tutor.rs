//! Keeps the analyzer up to date with a session: what was defined, which prelude there is, and
//! whom to ask for types.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, TryLockError, Weak},
};

use trialbook::error::Error;

use crate::cell::{
    analyzer::{Analyzer, Index, Known, Sources, Types},
    assistant::Assistant,
    engine::Engine,
    evcxr::Variable,
};

/// The analyzer of one session.
#[derive(Clone)]
pub(crate) struct Tutor(Arc<Analyzer>);

impl Tutor {
    /// One that helps `assistant` and asks `engine` when nothing runs there.
    /// rust-analyzer works below the session's `folder`.
    pub(crate) fn new(
        assistant: &Assistant,
        engine: &Arc<Mutex<Option<Engine>>>,
        folder: &Path,
    ) -> Self {
        // A process that is another program, such as a test's, would not know what to do for it.
        let is_trialbook =
            |program: &PathBuf| program.file_stem().is_some_and(|name| name == crate::NAME);
        let program = std::env::current_exe().ok().filter(is_trialbook);
        let analyzer = Arc::new(Analyzer::new(Index::default(), program, folder.join("analyzer")));
        analyzer.set_types(Arc::new(Compiler(Arc::downgrade(engine))));
        assistant.set_rust_help(Box::new(Arc::clone(&analyzer)));
        Self(analyzer)
    }

    /// Reads what the engine's prelude and the standard library offer, in the background.
    pub(crate) fn learn(&self, engine: &Engine) {
        let prelude = engine.prelude();
        self.0.learn(Sources {
            file: prelude.index_file(),
            packages: prelude.manifest.packages.clone(),
            rustdoc: engine.rustdoc(),
        });
    }

    /// Says that there will soon be an engine to learn from.
    pub(crate) fn expect(&self) {
        self.0.expect();
    }

    /// The engine that was expected is there, or none could be found.
    pub(crate) fn arrived(&self) {
        self.0.arrived();
    }

    /// The reason why there is less help than there should be, said once.
    pub(crate) fn take_problem(&self) -> Option<Error> {
        self.0.take_problem()
    }

    /// Takes over what cells have defined.
    pub(crate) fn tell(&self, engine: &Engine) {
        let scope = engine.scope();
        let variable = |(name, variable): (&String, &crate::cell::engine::Variable)| Variable {
            name: name.clone(),
            type_name: variable.type_name.clone(),
        };
        let variables = scope.variables.iter().map(variable).collect();
        self.0.set_known(Known { variables, items: scope.items_text() });
    }
}

/// The engine, as long as there is one.
struct Compiler(Weak<Mutex<Option<Engine>>>);

impl Types for Compiler {
    fn type_of(&self, expression: &str) -> Option<String> {
        let engine = self.0.upgrade()?;
        // While a cell runs the engine is taken, and nobody waits for a cell.
        let engine = match engine.try_lock() {
            Ok(engine) => engine,
            Err(TryLockError::Poisoned(engine)) => engine.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        engine.as_ref()?.type_of(expression)
    }
}
