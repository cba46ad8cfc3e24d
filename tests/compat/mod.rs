//! What evcxr can do, asked of a session that runs no cells.

use std::path::PathBuf;

use trialbook::{Error, Result, display::Content};
use trialbook_program::cell::{
    CellFailure,
    evcxr::{CellVariable, Config, Dependencies, EvcxrCommand, Host, Watch},
};

mod commands;
mod completion;
mod dependencies;
mod startup;

/// A session without an engine: it keeps what commands set and remembers what they asked for.
struct Session {
    config: Config,
    dependencies: Dependencies,
    errors: Vec<String>,
    asked: Vec<&'static str>,
    folder: tempfile::TempDir,
}

impl Session {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Self {
            config: Config::default(),
            dependencies: Dependencies::new(folder.path().join("session")),
            errors: Vec::new(),
            asked: Vec::new(),
            folder,
        };
        session.config.offline = true;
        session.config.cache_folder = Some(session.folder.path().join("cache"));
        session
    }

    /// What the command says, or its error.
    fn says(&mut self, line: &str) -> String {
        match EvcxrCommand::parse(line).expect(line).apply(self) {
            Ok(content) => content.as_ref().map_or("", Content::plain).to_owned(),
            Err(error) => format!("error: {error}"),
        }
    }
}

impl Host for Session {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn dependencies(&mut self) -> &mut Dependencies {
        &mut self.dependencies
    }

    fn watch(&self) -> Watch {
        Watch::silent()
    }

    fn variables(&self) -> Vec<CellVariable> {
        let variable = |name: &str, type_name: &str| CellVariable {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
        };
        vec![variable("n", "i32"), variable("rows", "Vec<String>")]
    }

    fn type_of(&mut self, expression: &str) -> Result<String> {
        match expression {
            "n + 1" => Ok("i32".to_owned()),
            _ => Err(Error::invalid("cannot find it in this scope")),
        }
    }

    fn document(&mut self, expression: &str) -> Option<Content> {
        (expression == "Vec").then(|| Content::text("a growable array"))
    }

    fn clear(&mut self) -> Result<()> {
        self.asked.push("clear");
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.asked.push("restart");
        Ok(())
    }

    fn last_compile_dir(&self) -> PathBuf {
        PathBuf::from("/session/cell")
    }

    fn last_errors(&self) -> &[String] {
        &self.errors
    }

    fn run(&mut self, _: &str) -> std::result::Result<(), CellFailure> {
        self.asked.push("run");
        Ok(())
    }

    fn quit(&mut self) {
        self.asked.push("quit");
    }
}
