//! The one command layer: a file a verb. A command parses its own arguments, runs against a
//! [`Session`] and returns an [`Output`]; it never prints and never knows who called it. The table
//! below is where parser, help and completion come from.

mod data;
mod demo;
mod evaluate;
mod gate;
mod health;
mod models;
mod predict;
mod runs;
mod serve;
mod session;
mod sql;
mod store;
mod train;

use clap::{Parser, Subcommand};

pub use session::{Interim, Session};

use crate::{
    error::{Error, Result},
    output::Output,
};

/// Every verb of the program.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Add, list and look at datasets
    #[command(subcommand)]
    Data(data::Data),
    /// Ask in SQL: datasets (imdb, imdb.train, imdb.test) and runs, metrics, params, models, versions
    Sql(sql::Sql),
    /// Train a classifier, measure it on the test split and register it
    #[command(subcommand)]
    Train(train::Train),
    /// Measure a model version on a dataset's split
    Evaluate(evaluate::Evaluate),
    /// Classify texts with a model version
    Predict(predict::Predict),
    /// List, show, compare, delete and restore runs
    #[command(subcommand)]
    Runs(runs::Runs),
    /// List, show, tag, alias and delete registered models and their versions
    #[command(subcommand)]
    Models(models::Models),
    /// Judge a version against the Production version; exits with 3 when it is blocked
    Gate(gate::Gate),
    /// Move a version to a stage; Production wants a passing verdict
    Promote(gate::Promote),
    /// Bring the previous Production version back
    Rollback(gate::Rollback),
    /// Serve the Production version over HTTP
    Serve(serve::Serve),
    /// Ask a running server whether it is healthy (for containers and scripts)
    Health(health::Health),
    /// Check, clean, back up and restore the store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Walk through the whole lifecycle on a built-in sample
    Demo(demo::Demo),
}

impl Command {
    /// Whether the command itself looks at interrupts, to stop at a safe point and tidy up. The
    /// others write whole or not at all: ending them at once does no harm.
    pub fn heeds_interrupts(&self) -> bool {
        matches!(self, Self::Train(_) | Self::Serve(_) | Self::Demo(_) | Self::Data(_))
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever the verb can fail with, as one clear error.
    pub fn run(&self, session: &Session) -> Result<Output> {
        match self {
            Self::Data(command) => command.run(session),
            Self::Sql(command) => command.run(session),
            Self::Train(command) => command.run(session),
            Self::Evaluate(command) => command.run(session),
            Self::Predict(command) => command.run(session),
            Self::Runs(command) => command.run(session),
            Self::Models(command) => command.run(session),
            Self::Gate(command) => command.run(session),
            Self::Promote(command) => command.run(session),
            Self::Rollback(command) => command.run(session),
            Self::Serve(command) => command.run(session),
            Self::Health(command) => command.run(session),
            Self::Store(command) => command.run(session),
            Self::Demo(command) => command.run(session),
        }
    }
}

/// One line as a front end reads it, without the program's name.
#[derive(Debug, Parser)]
#[command(name = "trialbook", no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// The command that `words` spell, such as `["data", "list"]`.
///
/// # Errors
/// When they spell none, with the parser's own explanation.
pub fn parse(words: &[&str]) -> Result<Command> {
    Line::try_parse_from(words).map(|line| line.command).map_err(|error| {
        let text = error.to_string();
        Error::invalid(text.trim_start_matches("error: ").trim_end().to_owned())
    })
}
