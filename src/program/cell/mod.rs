//! The inputs that a person submits and gets answered: commands (`:runs list`), shell lines (`!ls`)
//! and Rust. The shell, the kernel and `trialbook run` share this room; it knows none of them and
//! never prints.

mod assistant;
mod command_line;
pub mod document;
mod engine;
pub mod evcxr;
mod failure;
mod front;
mod history;
mod host;
mod interpreter;
mod log;
mod mistyped;
mod options;
pub(crate) mod part;
mod progress;
mod session_command;
mod shell_line;
mod tutor;
mod type_name;
mod verbs;
pub(crate) mod words;
mod workshop;

pub mod analyzer;

pub use assistant::{Assistant, Completeness, Completion, CompletionKind, Completions, RustHelp};
pub use engine::serve_if_child;
pub use failure::{Failure, FailureKind};
pub use front::{Event, Front, InputRequest, Stream};
pub use history::{Entry, History};
pub use interpreter::{Interpreter, Interrupter};
pub use options::Options;
pub use progress::DisplayProgress;
