//! The session as evcxr's commands see it: what they set and ask is the interpreter's.

use std::{path::PathBuf, sync::Arc};

use trialbook::{
    display::Content,
    error::{Error, Result},
    progress::Interrupt,
};

use crate::cell::{
    evcxr::{CellVariable, Config, Dependencies, Host, Watch},
    failure::CellFailure,
    front::{Event, OutputStream},
    interpreter::Interpreter,
    type_name::short,
};

impl Host for Interpreter {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn dependencies(&mut self) -> &mut Dependencies {
        &mut self.dependencies
    }

    fn watch(&self) -> Watch {
        let front = self.front.clone();
        let line = move |line: &str| {
            if let Some(front) = &front {
                front.event(Event::Stream(OutputStream::Stderr, format!("{line}\n").into_bytes()));
            }
        };
        Watch { line: Arc::new(line), interrupt: self.interrupt.clone() }
    }

    fn variables(&self) -> Vec<CellVariable> {
        self.with_engine(|engine| {
            let variable = |(name, variable): (&String, &crate::cell::engine::ScopeVariable)| {
                CellVariable { name: name.clone(), type_name: short(&variable.type_name) }
            };
            engine.scope().variables.iter().map(variable).collect()
        })
        .unwrap_or_default()
    }

    fn type_of(&mut self, expression: &str) -> Result<String> {
        self.ready_engine(&Interrupt::default())?;
        self.with_engine(|engine| engine.type_of(expression))
            .flatten()
            .map(|name| short(&name))
            .ok_or_else(|| {
                Error::invalid(format!("cannot find out the type of `{expression}`"))
                    .with_hint("it has to be an expression that compiles as it stands")
            })
    }

    fn document(&mut self, expression: &str) -> Option<Content> {
        self.assistant().inspect(expression, expression.len(), 1)
    }

    fn clear(&mut self) -> Result<()> {
        self.with_engine(|engine| engine.clear());
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.with_engine(|engine| engine.restart());
        Ok(())
    }

    fn last_compile_dir(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn last_errors(&self) -> &[String] {
        &self.last_errors
    }

    fn run(&mut self, source: &str) -> std::result::Result<(), CellFailure> {
        match self.front.clone() {
            Some(front) => self.run_parts(source, &front),
            None => Ok(()),
        }
    }

    fn quit(&mut self) {
        self.wants_to_quit = true;
    }
}
