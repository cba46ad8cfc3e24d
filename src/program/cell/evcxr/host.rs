//! The trait that evcxr's commands ask of whoever runs cells.

use std::path::PathBuf;

use trialbook::{display::Content, error::Result};

use crate::cell::{
    Failure,
    evcxr::{Config, Dependencies, Watch},
};

/// One variable that a cell left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type as a cell would write it.
    pub type_name: String,
}

/// A session that runs cells.
///
/// A command changes settings through [`Host::config`] at once; the host reads them at its next
/// compile. Dependencies are built inside the command, so a cell below finds them.
pub trait Host {
    /// The session's settings.
    fn config(&mut self) -> &mut Config;

    /// The dependencies that `:dep` added.
    fn dependencies(&mut self) -> &mut Dependencies;

    /// The watcher of the running cell.
    fn watch(&self) -> Watch;

    /// The variables, in the order in which they should be listed.
    fn variables(&self) -> Vec<Variable>;

    /// The type of an expression, found without running it.
    ///
    /// # Errors
    /// When it does not compile.
    fn type_of(&mut self, expression: &str) -> Result<String>;

    /// Documentation of what `expression` ends in, where some is known.
    fn document(&mut self, expression: &str) -> Option<Content>;

    /// Forgets variables and items and starts a fresh process. The settings stay.
    ///
    /// # Errors
    /// When no process can be started.
    fn clear(&mut self) -> Result<()>;

    /// Starts a fresh process with [`Config::env`]; variables are gone, items stay.
    ///
    /// # Errors
    /// When no process can be started.
    fn restart(&mut self) -> Result<()>;

    /// The folder that holds the source of the last compiled cell.
    fn last_compile_dir(&self) -> PathBuf;

    /// The errors of the last cell that did not compile, as rustc's JSON, one object each.
    fn last_errors(&self) -> &[String];

    /// Runs `source` as a cell of its own: startup files do.
    ///
    /// # Errors
    /// When the cell fails.
    fn run(&mut self, source: &str) -> std::result::Result<(), Failure>;

    /// Ends the session once the running cell is over.
    fn quit(&mut self);
}
