//! Runs a compiled cell in the child and keeps the books in step with it.

use std::{sync::Arc, thread::JoinHandle};

use trialbook::{
    error::Result,
    runtime::{Ask, Ended},
};

use crate::cell::{
    engine::{
        Compiled, Engine, child::CellProcess, late::Late, scope::ScopeVariable, show,
        types::TypeName,
    },
    failure::{CellFailure, FailureKind},
    front::Front,
};

/// The hint on stopping a cell without losing anything.
const CHECKPOINT: &str = "  hint: `trialbook::checkpoint()?` in a long loop, or `.await` instead of \
                          a call that blocks, lets an interrupt keep the variables";

impl Engine {
    pub(super) fn run(
        &mut self,
        compiled: &Compiled,
        front: &dyn Front,
    ) -> Result<(), CellFailure> {
        let grace = self.grace;
        let running = self.running.clone();
        let late = self.late_front.clone();
        let child = self.child()?;
        child.set_late(None);
        let marked = compiled.spawns.then_some(compiled.cell);
        if let (Some(late), Some(cell)) = (&late, marked) {
            child.owners().add(cell, Arc::clone(late));
        }
        child.owners().set_running(marked);
        let library = compiled.library.clone();
        let (cell, is_shared) = (marked.unwrap_or_default(), compiled.is_shared);
        let asked = child.ask(&Ask::Run { library, cell, is_shared });
        let listening = child.socket().map(|socket| running.child(socket));
        let ended = match (asked, listening) {
            (Ok(()), Ok(part)) => {
                let ended = show::follow(child, front, &running, grace);
                drop(part);
                child.owners().set_running(None);
                let owners = child.owners().clone();
                child.set_late(late.map(|late| Late::new(late, owners)));
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
                let how = self.child.as_mut().map(CellProcess::end).unwrap_or_default();
                let lost = self.lose_child();
                let message = format!("the process that ran this cell is gone: {how}{lost}");
                Err(CellFailure::new(FailureKind::Died, "died", message))
            }
            show::Finish::Overdue => {
                let lost = self.lose_child();
                let message = format!(
                    "interrupted; the cell did not stop within {} s, so its process was ended{lost}",
                    grace.as_secs_f32()
                );
                let mut failure =
                    CellFailure::new(FailureKind::Interrupted, "interrupted", message);
                failure.traceback.push(CHECKPOINT.to_owned());
                Err(failure)
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
            self.gone.extend(compiled.gone.iter().cloned());
            for declared in &compiled.kept {
                if let Some(TypeName::Named(type_name)) = compiled.types.get(&declared.name) {
                    let variable = ScopeVariable {
                        is_mutable: declared.is_mutable,
                        type_name: type_name.clone(),
                    };
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

    fn finish(&mut self, ended: Ended) -> Result<(), CellFailure> {
        match ended {
            Ended::Well => Ok(()),
            Ended::Error { message } => Err(CellFailure::new(FailureKind::Error, "error", message)),
            Ended::Refused { message } => {
                Err(CellFailure::new(FailureKind::Error, "refused", message))
            }
            Ended::Interrupted => Err(CellFailure::new(
                FailureKind::Interrupted,
                "interrupted",
                "interrupted; all variables are kept",
            )),
            Ended::Panic { message, place } => {
                let lost = if self.keeps_variables { String::new() } else { self.lose_child() };
                let mut failure =
                    CellFailure::new(FailureKind::Panic, "panic", format!("{message}{lost}"));
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

    pub(super) fn child(&mut self) -> Result<&mut CellProcess> {
        let child = match self.child.take() {
            Some(child) => child,
            None => {
                let child = match self.starting.take().map(JoinHandle::join) {
                    Some(Ok(started)) => started?,
                    // A panic there was told when it happened.
                    Some(Err(_)) | None => self.start_of_child()()?,
                };
                for (name, value) in &self.environment {
                    // A child that is gone shows when it is asked to run.
                    let _ = child.ask(&Ask::SetEnv { name: name.clone(), value: value.clone() });
                }
                child
            }
        };
        Ok(self.child.insert(child))
    }

    /// The start of a child, for whatever thread is to wait for it.
    pub(super) fn start_of_child(&self) -> impl FnOnce() -> Result<CellProcess> + Send + use<> {
        let dirs = [&self.library_dirs[..], &self.dependency_dirs].concat();
        let (prelude, dir) = (self.compiler.prelude.clone(), self.compiler.dir.clone());
        let store = self.store.clone();
        move || CellProcess::start(&prelude, &dirs, &dir, &store)
    }

    /// Ends the child, also one that is being started.
    pub(super) fn end_child(&mut self) {
        self.child = None;
        drop(self.starting.take().map(JoinHandle::join));
    }

    /// Forgets the child; says which variables went with it.
    pub(super) fn lose_child(&mut self) -> String {
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

    pub(super) fn forget(&mut self, names: &[String]) {
        for name in names {
            self.scope.variables.remove(name);
        }
        if let Some(child) = &self.child {
            // A child that is gone holds nothing.
            let _ = child.ask(&Ask::Forget { names: names.to_vec() });
        }
    }
}
