//! The one command layer: a file a verb. A command parses its own arguments, runs against a
//! [`Session`] and returns an [`Output`]; it never prints and never knows who called it. The table
//! below is where parser, help and completion come from.

mod audit;
mod compare;
mod data;
mod demo;
mod device;
mod dialect;
mod errors;
mod evaluate;
mod exchange;
mod explain;
mod gate;
mod gate_policy;
mod health;
mod keys;
mod models;
mod moment;
mod monitor;
mod named;
mod pipeline;
mod plot;
mod predict;
mod prelude;
mod protection;
mod release;
mod runs;
mod serve;
mod session;
mod slices;
mod sql;
mod store;
mod sweep;
mod train;
mod typed;
mod ui;
mod watch;

use clap::{CommandFactory as _, Parser, Subcommand};
use trialbook::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    output::Output,
};

pub use session::{Interim, Servers, Session};
use typed::{CheckWords, Typed};

/// Every verb of the program.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Add, list, look at and question datasets
    #[command(subcommand)]
    Data(data::Data),
    /// Ask in SQL: datasets (imdb, imdb.train, imdb.test) and runs, metrics, params, models, versions, predictions, audit
    Sql(sql::Sql),
    /// Plot columns of a dataset, answers of SQL, and a run's metrics, curves and confusion matrix
    Plot(plot::Plot),
    /// Train a classifier, measure it on the test split and register it
    Train(train::Train),
    /// Try many settings of a model by cross-validation on the same folds, and rank them
    Sweep(sweep::Sweep),
    /// Measure a model version on a dataset's split
    Evaluate(evaluate::Evaluate),
    /// Show the rows that a version predicts wrong, most confident first, with the words that decided
    Errors(errors::ErrorsCommand),
    /// Measure a version on slices of a split, and find the ones on which it is worst
    Slices(slices::SlicesCommand),
    /// Compare two versions row by row: who is right where the other is wrong, and how sure that is
    Compare(compare::CompareCommand),
    /// Explain an answer by what each word adds to it, or a version by its strongest terms
    Explain(explain::Explain),
    /// Classify texts, or every row of a file, with a model version
    Predict(predict::Predict),
    /// List, show, compare, delete and restore runs
    #[command(subcommand)]
    Runs(runs::Runs),
    /// List, show, tag, alias and delete registered models and their versions; set a threshold, calibrate, quantize
    #[command(subcommand)]
    Models(models::Models),
    /// Judge a version against the Production version; exits with 3 when it is blocked
    Gate(gate::Gate),
    /// Move a version to a stage; Production needs a passing verdict
    Promote(gate::Promote),
    /// Bring the previous Production version back
    Rollback(gate::Rollback),
    /// Try a version on the traffic of running servers, as a shadow, a canary or an A/B test; it takes itself back
    #[command(subcommand)]
    Release(release::Release),
    /// Serve Production versions over HTTP
    Serve(Box<serve::Serve>),
    /// Serve MLflow's tracking API on the store, without a model, and open it in the browser
    Ui(ui::Ui),
    /// Make, list and revoke the API keys that servers ask for
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Lend the device of this machine to trainings on other machines
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Show what servers predicted, from their log, and whether it has drifted
    #[command(subcommand)]
    Monitor(monitor::MonitorCommand),
    /// Train a model again when the policy's rule says so, judge it and release it
    Watch(watch::WatchCommand),
    /// List who promoted, overruled, deleted, restored and made keys, newest first
    Audit(audit::Audit),
    /// Compile the lifecycle into a Kubeflow pipeline
    #[command(subcommand)]
    Pipeline(pipeline::Pipeline),
    /// Ask a running server whether it is healthy (for containers and scripts)
    Health(health::Health),
    /// Build the library that Rust cells are compiled against, or show its state
    #[command(subcommand)]
    Prelude(prelude::Prelude),
    /// Take over another tracking store: runs, artifacts, models
    #[command(subcommand)]
    Import(exchange::ImportStore),
    /// Write runs, artifacts and models into another tracking store
    #[command(subcommand)]
    Export(exchange::ExportStore),
    /// Check, clean, back up and restore the store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Walk through the whole lifecycle on a built-in sample
    Demo(demo::Demo),
}

impl Command {
    /// True if the command itself looks at interrupts, to stop at a safe point and tidy up. The
    /// others write whole or not at all: ending them at once does no harm.
    pub fn heeds_interrupts(&self) -> bool {
        match self {
            Self::Predict(predict) => predict.is_long(),
            Self::Models(models) => models.is_long(),
            _ => matches!(
                self,
                Self::Train(_)
                    | Self::Sweep(_)
                    | Self::Serve(_)
                    | Self::Device(_)
                    | Self::Ui(_)
                    | Self::Demo(_)
                    | Self::Watch(_)
                    | Self::Data(_)
                    | Self::Import(_)
                    | Self::Export(_)
                    | Self::Prelude(_)
            ),
        }
    }

    /// The words of a command that takes a store's own registry, and what to do where a server keeps it.
    fn of_stores(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Audit(_) => Some(("audit", "each version's history is kept with the version")),
            Self::Keys(_) => Some(("keys", "make the keys of that server where it runs")),
            Self::Device(_) => Some(("device serve", "its keys are those of a store")),
            Self::Ui(_) => Some(("ui", "open that server's own pages")),
            Self::Store(command) => {
                Some((command.words(), "do it where that server keeps its data"))
            }
            _ => None,
        }
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever the verb can fail with, as one clear error.
    pub fn run(&self, session: &Session) -> Result<Output> {
        if let (Some(address), Some((words, instead))) =
            (session.book.store().registry_address(), self.of_stores())
        {
            return Err(Error::invalid(format!(
                "{words} is for the registry of a store, and the one in use is at {address}"
            ))
            .with_hint(format!("{instead}; or leave --registry and TRIALBOOK_REGISTRY out")));
        }
        match self {
            Self::Data(command) => command.run(session),
            Self::Sql(command) => command.run(session),
            Self::Plot(command) => command.run(session),
            Self::Train(command) => command.run(session),
            Self::Sweep(command) => command.run(session, |words| match parse(words)? {
                Self::Train(train) => Ok(train),
                _ => Err(Error::new(ErrorKind::Internal, "a setting is no training")),
            }),
            Self::Evaluate(command) => command.run(session),
            Self::Errors(command) => command.run(session),
            Self::Slices(command) => command.run(session),
            Self::Compare(command) => command.run(session),
            Self::Explain(command) => command.run(session),
            Self::Predict(command) => command.run(session),
            Self::Runs(command) => command.run(session),
            Self::Models(command) => command.run(session),
            Self::Gate(command) => command.run(session, check),
            Self::Promote(command) => command.run(session),
            Self::Rollback(command) => command.run(session),
            Self::Release(command) => command.run(session),
            Self::Serve(command) => command.run(session),
            Self::Ui(command) => command.run(session),
            Self::Keys(command) => command.run(session),
            Self::Device(command) => command.run(session),
            Self::Monitor(command) => command.run(session),
            Self::Watch(command) => {
                command.run(session, |words, session| parse(words)?.run(session), check)
            }
            Self::Audit(command) => command.run(session),
            Self::Pipeline(command) => command.run(session),
            Self::Health(command) => command.run(session),
            Self::Prelude(command) => command.run(session),
            Self::Import(command) => command.run(session),
            Self::Export(command) => command.run(session),
            Self::Store(command) => command.run(session),
            Self::Demo(command) => {
                command.run(session, |words, session| parse(words)?.run(session))
            }
        }
    }
}

/// One line as a front end reads it, without the program's name.
#[derive(Debug, Parser)]
#[command(
    name = "trialbook",
    no_binary_name = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    disable_version_flag = true
)]
struct Line {
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// The request of a line.
#[derive(Debug, Clone)]
pub enum CommandRequest {
    /// To run a command.
    Run {
        /// The command.
        command: Command,
        /// True if its answer is wanted in JSON.
        json: bool,
    },
    /// To be told about one: the text to show.
    Help(String),
}

/// The request of `words` such as `["data", "list"]` or `["data", "--help"]`.
///
/// # Errors
/// When they spell no command, with the parser's own explanation.
pub fn request(words: &[&str]) -> Result<CommandRequest> {
    match Line::try_parse_from(words) {
        Ok(line) => Ok(CommandRequest::Run { command: line.command, json: line.json }),
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            Ok(CommandRequest::Help(as_typed(&error.to_string())))
        }
        Err(error) => {
            let refused = Error::invalid(as_typed(&error.to_string()));
            Err(match hint_of(&error) {
                Some(hint) => refused.with_hint(hint.clone()),
                None => refused,
            })
        }
    }
}

/// The advice of an error of ours, under what the parser makes of it: that repeats the message
/// alone.
pub(crate) fn hint_of(error: &clap::Error) -> Option<&Hint> {
    std::error::Error::source(error)?.downcast_ref::<Error>()?.hint()
}

/// The command that `words` spell.
///
/// # Errors
/// As [`request`], and when they ask for help.
pub fn parse(words: &[&str]) -> Result<Command> {
    match request(words)? {
        CommandRequest::Run { command, .. } => Ok(command),
        CommandRequest::Help(_) => Err(Error::invalid(format!("{words:?} asks for help"))),
    }
}

/// Refuses words that spell no command, and settings of a training or a release that cannot be meant.
///
/// # Errors
/// As [`parse`], and what those commands would refuse before they begin.
fn check(words: &[&str]) -> Result<()> {
    match parse(words)? {
        Command::Train(train) => match train.model() {
            Some(model) => model.parts()?.1.fit().check_settings(),
            None => Ok(()),
        },
        Command::Release(release) => release.check(),
        _ => Ok(()),
    }
}

/// The parser of lines itself, for help and completion.
pub fn parser() -> clap::Command {
    Line::command()
}

/// The parser's text as it reads where a command begins with a colon.
fn as_typed(text: &str) -> String {
    let text = text.trim_start_matches("error: ").replace(MORE, "");
    match text.trim_end().split_once(USAGE) {
        // The form of the whole program says nothing about a line.
        Some((before, line)) if line.starts_with("trialbook") => before.trim_end().to_owned(),
        Some((before, line)) if line.starts_with(|first: char| first.is_ascii_lowercase()) => {
            format!("{before}{USAGE}:{line}")
        }
        _ => text.trim_end().to_owned(),
    }
}

/// The parser's words before the form of a command.
const USAGE: &str = "Usage: ";
/// The parser's advice to a program's caller.
const MORE: &str = "For more information, try '--help'.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_ask_for_help_or_for_json() {
        let Ok(CommandRequest::Help(help)) = request(&["train", "tfidf", "--help"]) else {
            panic!("--help is no command to run")
        };
        assert!(help.contains("Usage: :train tfidf [OPTIONS] --data <NAME>"), "{help}");
        for (words, expected) in
            [(&["data", "list", "--json"][..], true), (&["data", "list"], false)]
        {
            assert!(
                matches!(request(words), Ok(CommandRequest::Run { json, .. }) if json == expected)
            );
        }
    }

    #[test]
    fn a_mistyped_line_is_told_what_was_meant() {
        for (words, expected) in [
            (&["trian"][..], "'train'"),
            (&["train", "tfidf"], "--data"),
            (&["runs", "list", "--filtr", "x"], "'--filter'"),
        ] {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains(expected), "{words:?}: {error}");
            assert!(!error.contains("trialbook") && !error.starts_with("error"), "{error}");
        }
    }
}
