//! The messages between the interpreter and its child: JSON lines over a socket, and one mark in
//! each output stream, so that nothing a cell wrote before its end is read after it.

use serde::{Deserialize, Serialize};

/// The environment variable that tells a child where its interpreter listens.
pub const SOCKET_ENV: &str = "TRIALBOOK_CELL_SOCKET";

/// The function of every cell.
pub(crate) const ENTRY: &str = "trialbook_cell";

/// The function of the prelude that a child calls once.
pub const RUNTIME_SYMBOL: &str = "trialbook_runtime";

/// The separator between the bytes of a stream and what is not meant for the person. A NUL and a
/// word that no program prints by chance.
pub const MARK: &str = "\0trialbook-mark:";

/// A question of the interpreter to its child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Load this shared object and run its cell.
    Run {
        /// The compiled cell.
        library: std::path::PathBuf,
        /// The cell's number, where what its threads print is marked with it; 0 otherwise.
        cell: u64,
        /// True if cells to come mean its statics by theirs.
        is_shared: bool,
    },
    /// Set the flag that loops look at.
    Interrupt,
    /// Set an environment variable for the cells to come.
    SetEnv {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The answer to a question, or to a read of standard input.
    Answer {
        /// A line without its end; none where nobody answers.
        line: Option<String>,
        /// The reason why nobody answers.
        reason: String,
        /// True if that is because the person asked for the stop.
        is_interrupted: bool,
    },
    /// Forget these variables.
    Forget {
        /// Their names.
        names: Vec<String>,
    },
}

/// A message of the child to its interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tell {
    /// The prelude is loaded.
    Ready,
    /// The cell waits for a line of standard input, without having asked a question.
    WantsInput {
        /// The number of answers it has had.
        n_answers: u64,
    },
    /// The cell is over.
    Done {
        /// The way it ended.
        ended: Ended,
        /// The variables the child holds now.
        variables: Vec<String>,
    },
}

/// The end of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// It ran to its end.
    Well,
    /// A `?` met an error.
    Error {
        /// The error, as `:efmt` shows it.
        message: String,
    },
    /// It panicked.
    Panic {
        /// The message of the panic.
        message: String,
        /// The file, line and column of the panic, where it is known.
        place: Option<(String, u32, u32)>,
    },
    /// It saw that the person asked for the stop.
    Interrupted,
    /// It could not be run at all.
    Refused {
        /// The reason.
        message: String,
    },
}
