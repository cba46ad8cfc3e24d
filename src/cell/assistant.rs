//! Help while typing: is the cell complete, what could come next, what is this. It never runs
//! anything of the person's and answers while a cell runs.

use crate::{cell::part, display::Content};

/// Whether a cell can be submitted as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// It can.
    Complete,
    /// More must come; the next line begins with `indent`.
    Incomplete {
        /// Blanks for the next line.
        indent: String,
    },
    /// No continuation can make it right.
    Invalid {
        /// What is wrong.
        message: String,
    },
}

/// What a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionKind {
    /// A command's verb.
    Command,
    /// A flag of a command.
    Flag,
    /// A dataset, run, model or another name in the store.
    Name,
    /// A file or folder.
    Path,
    /// A word of SQL, a table or a column.
    Sql,
    /// Something of Rust.
    Rust,
}

/// One thing that could stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What would be put in.
    pub text: String,
    /// What it is.
    pub kind: CompletionKind,
    /// A signature or a short explanation, empty where there is none.
    pub detail: String,
}

/// What could replace `start..end` (bytes of the cell).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completions {
    /// Where the replaced text begins.
    pub start: usize,
    /// Where it ends: the cursor.
    pub end: usize,
    /// The candidates, best first.
    pub items: Vec<Completion>,
}

/// Answers about cells without running them. Made by [`crate::cell::Interpreter::assistant`],
/// shared between threads.
#[derive(Debug, Default)]
pub struct Assistant {}

impl Assistant {
    /// Whether `cell` can be submitted.
    pub fn completeness(&self, cell: &str) -> Completeness {
        let mut depth = part::Depth::default();
        cell.lines().for_each(|line| depth.read(line));
        if depth.at_rest() {
            Completeness::Complete
        } else {
            Completeness::Incomplete { indent: "    ".repeat(depth.brackets().len()) }
        }
    }

    /// What could come at byte `cursor` of `cell`.
    pub fn complete(&self, _cell: &str, cursor: usize) -> Completions {
        Completions { start: cursor, end: cursor, items: Vec::new() }
    }

    /// What stands at byte `cursor` of `cell`: documentation, a type, a signature.
    pub fn inspect(&self, _cell: &str, _cursor: usize, _detail: u8) -> Option<Content> {
        None
    }
}
