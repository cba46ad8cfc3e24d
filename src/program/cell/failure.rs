//! The reason why a cell failed, in the form that Jupyter and the shell both show.

use trialbook::{
    error::{Error, ErrorKind},
    hint::Spelling,
    output::Output,
};

/// The kind of failure that ended a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A command failed, or could not be understood.
    Command,
    /// A gate said no.
    Blocked,
    /// The Rust does not compile.
    Compile,
    /// A `?` met an error.
    Error,
    /// The code panicked.
    Panic,
    /// The process that ran the cell ended; its variables are gone.
    Died,
    /// The person asked for the stop.
    Interrupted,
    /// There is no compiler or no prelude.
    Unavailable,
}

/// A cell that did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// A short name, Jupyter's `ename`: `E0425`, `panic`, `not_found`.
    pub name: String,
    /// One line that says what failed, Jupyter's `evalue`.
    pub message: String,
    /// The whole story, line by line, with ANSI colours; its lines point into the cell.
    pub traceback: Vec<String>,
}

impl Failure {
    /// A failure whose story is its message.
    pub fn new(kind: FailureKind, name: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let traceback = message.lines().map(str::to_owned).collect();
        Self { kind, name: name.into(), message, traceback }
    }

    /// The failure that a blocked gate is.
    pub fn blocked(output: &Output) -> Self {
        let told = output.clone().spelled(Spelling::Cell);
        Self::new(FailureKind::Blocked, "blocked", told.to_text(None))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Interrupted => FailureKind::Interrupted,
            ErrorKind::Blocked => FailureKind::Blocked,
            _ => FailureKind::Command,
        };
        let mut failure = Self::new(kind, error.kind().name(), error.chain());
        let hint = error.hint().map(|hint| hint.spelled(Spelling::Cell));
        failure.traceback.extend(hint.map(|hint| format!("  hint: {hint}")));
        failure
    }
}
