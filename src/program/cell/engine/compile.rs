//! Compiling a cell: against the facade where that will do, else against the prelude, and once more where
//! variables turn out not to be kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use crate::cell::{
    engine::{
        Compiled, Compiler, Engine, Running,
        against::Against,
        attempt::{Attempted, Attempts, attempts},
        compiler::{CompileJob, Refusal},
        generate::Draft,
        program::{CellText, CodeRole, Program},
        source::ParsedCell,
        types::{self, TypeName},
    },
    failure::{CellFailure, FailureKind},
};

impl Engine {
    pub(super) fn compile(&mut self, draft: &mut Draft<'_>) -> Result<Compiled, CellFailure> {
        let first = draft.program();
        let key = (first.text().to_owned(), self.settings.clone());
        if let Some(compiled) = self.compiled.get(&key) {
            return Ok(compiled.clone());
        }
        self.n_compiled += 1;
        let number = self.n_compiled;
        let (outcome, types) = if draft.tells_types() || draft.kept().next().is_none() {
            (self.attempt(draft, first, number), None)
        } else {
            self.attempt_beside_probe(draft, first, number)
        };
        let (library, program, mut notes) = match outcome {
            Ok(done) => done,
            Err(refused) => {
                let (refusal, program, name) = *refused;
                return Err(self.failure(refusal, &program, &name));
            }
        };
        let file = Compiler::file(&file_stem(&library.file));
        let types = types.unwrap_or_else(|| types::told(&library.said, &program, &file));
        let library = library.file;
        self.programs.insert(file, program);
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
            .filter(|name| draft.left_out.contains(&CodeRole::Restore((*name).to_owned())))
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

    /// Compiles a draft against the facade if that may do, and else against the prelude.
    fn attempt(&mut self, draft: &mut Draft<'_>, first: Program, number: usize) -> Attempted {
        let needs_prelude = self.needs_prelude(draft, &first);
        let (compiler, settings, running) = (&self.compiler, &self.settings, &self.running);
        let with = Attempts { compiler, settings, running, number };
        if needs_prelude {
            return attempts(&with, draft, first, Against::Prelude);
        }
        let refused = match attempts(&with, draft, first, Against::Facade) {
            Ok(done) => return Ok(done),
            Err(refused) => refused,
        };
        let (Refusal::Errors(errors), ..) = &*refused else { return Err(refused) };
        draft.left_out.clear();
        let again = draft.program();
        let outcome = attempts(&with, draft, again, Against::Prelude);
        if outcome.is_ok() {
            self.prelude_names.learn(errors);
        }
        outcome
    }

    /// As [`Engine::attempt`], for a cell that cannot tell the types of its variables: another program
    /// does, which is compiled at the same time.
    fn attempt_beside_probe(
        &mut self,
        draft: &mut Draft<'_>,
        first: Program,
        number: usize,
    ) -> (Attempted, Option<BTreeMap<String, TypeName>>) {
        let probe = draft.probe(None);
        let name = format!("probe_{number}");
        let (compiler, settings) = (self.compiler.clone(), self.settings.clone());
        let running = self.running.clone();
        std::thread::scope(|threads| {
            let types = threads.spawn(|| {
                let (settings, running) = (&settings, &running);
                let against = Against::Prelude;
                match compiler.check(CompileJob {
                    program: &probe,
                    name: &name,
                    settings,
                    against,
                    running,
                }) {
                    Err(Refusal::Errors(errors)) => {
                        types::read(&errors, &probe, &Compiler::file(&name))
                    }
                    _ => BTreeMap::new(),
                }
            });
            let outcome = self.attempt(draft, first, number);
            (outcome, Some(types.join().unwrap_or_default()))
        })
    }

    fn needs_prelude(&self, draft: &Draft<'_>, program: &Program) -> bool {
        !self.compiler.has_facade(&self.settings) || self.prelude_names.are_in(draft, program)
    }

    pub(super) fn check(&mut self, draft: &Draft<'_>) -> Result<(), CellFailure> {
        let program = draft.program();
        self.n_compiled += 1;
        let name = format!("check_{}", self.n_compiled);
        let (settings, running) = (&self.settings, &self.running);
        let job = CompileJob {
            program: &program,
            name: &name,
            settings,
            against: Against::Facade,
            running,
        };
        let mut lacking = None;
        if !self.needs_prelude(draft, &program) {
            match self.compiler.check(job) {
                Ok(()) => return Ok(()),
                Err(Refusal::Errors(errors)) => lacking = Some(errors),
                Err(refusal) => return Err(self.failure(refusal, &program, &name)),
            }
        }
        match self.compiler.check(CompileJob { against: Against::Prelude, ..job }) {
            Ok(()) => {
                lacking.iter().for_each(|errors| self.prelude_names.learn(errors));
                Ok(())
            }
            Err(refusal) => Err(self.failure(refusal, &program, &name)),
        }
    }

    fn failure(&mut self, refusal: Refusal, program: &Program, name: &str) -> CellFailure {
        match refusal {
            Refusal::Errors(errors) => {
                self.last_errors.clone_from(&errors.json);
                let mut failure = errors.failure(program, &Compiler::file(name));
                failure
                    .traceback
                    .extend(errors.unknown_names().filter_map(|name| self.gone.get(name).cloned()));
                failure
            }
            Refusal::Interrupted => CellFailure::new(
                FailureKind::Interrupted,
                "interrupted",
                "interrupted while compiling; nothing ran and all variables are as they were",
            ),
            Refusal::Failed(error) => error.into(),
        }
    }

    /// The type of `expression` among the session's variables, found out without running anything.
    pub(crate) fn type_of(&self, expression: &str) -> Option<String> {
        let cell = Arc::new(CellText { number: 0, text: expression.to_owned() });
        let source = ParsedCell::default();
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
        let both = [Against::Facade, Against::Prelude];
        let skipped = usize::from(self.needs_prelude(&draft, &program));
        let (settings, running) = (&self.settings, &Running::default());
        both[skipped..].iter().find_map(|&against| {
            let job = CompileJob { program: &program, name: "type_of", settings, against, running };
            let Err(Refusal::Errors(errors)) = self.compiler.check(job) else {
                return None;
            };
            match types::read(&errors, &program, &Compiler::file("type_of")).remove("")? {
                TypeName::Named(name) | TypeName::Nameless(name) => Some(name),
            }
        })
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
        CodeRole::Put(name) => Some((name.clone(), story(name))),
        _ => None,
    });
    left_out.collect()
}

fn file_stem(library: &Path) -> String {
    library.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
