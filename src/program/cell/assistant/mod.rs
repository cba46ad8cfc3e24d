//! Help while typing: is the cell complete, what could come next, what is this. It never runs
//! anything of the person's, answers while a cell runs, and waits for nobody longer than a moment.

mod command_help;
pub(super) mod completeness;
mod completion;
mod names;
mod path;
mod rust;
mod sql;

use std::sync::{PoisonError, RwLock};

use trialbook::{display::Content, store::Store};

pub use completeness::Completeness;
pub use completion::{Completion, CompletionKind, Completions};
pub use rust::RustHelp;

use self::{names::Names, rust::Shared};
use crate::cell::part::{PartKind, part_at};

/// Answers about cells without running them. Made by [`crate::cell::Interpreter::assistant`],
/// shared between threads.
pub struct Assistant {
    names: Names,
    shared: RwLock<Shared>,
}

impl Assistant {
    /// Help over what is in `store`. Nothing is opened yet.
    pub fn new(store: &Store) -> Self {
        Self { names: Names::new(store), shared: RwLock::default() }
    }

    /// Asks `help` about Rust from now on.
    pub fn set_rust_help(&self, help: Box<dyn RustHelp>) {
        self.shared.write().unwrap_or_else(PoisonError::into_inner).help = Some(help.into());
    }

    /// Replaces what the session has defined: its variables and items, each with its type or
    /// signature as detail.
    pub fn set_defined(&self, defined: Vec<Completion>) {
        self.shared.write().unwrap_or_else(PoisonError::into_inner).defined = defined.into();
    }

    /// The completeness of `cell`.
    pub fn completeness(&self, cell: &str) -> Completeness {
        completeness::of(cell)
    }

    /// The completions at byte `cursor` of `cell`.
    pub fn complete(&self, cell: &str, cursor: usize) -> Completions {
        let Some(cursor) = boundary(cell, cursor) else { return Completions::default() };
        match part_at(cell, cursor) {
            (PartKind::Command, start) => {
                self.complete_command(&cell[start..cursor], start, cell, cursor)
            }
            (PartKind::Shell, start) => path::complete(&cell[start..cursor]).moved(start, cursor),
            (PartKind::Rust, _) => self.complete_rust(cell, cursor),
        }
    }

    /// The help at byte `cursor` of `cell`: documentation, a type, a signature. A `detail` above
    /// zero asks for all there is.
    pub fn inspect(&self, cell: &str, cursor: usize, detail: u8) -> Option<Content> {
        let cursor = boundary(cell, cursor)?;
        match part_at(cell, cursor) {
            (PartKind::Command, start) => {
                // The whole word under the cursor counts, not only what is left of it.
                let rest = cell[cursor..].find(char::is_whitespace).unwrap_or(cell.len() - cursor);
                self.inspect_command(&cell[start..cursor + rest], detail)
            }
            (PartKind::Shell, _) => None,
            (PartKind::Rust, _) => self.shared().inspect(cell, cursor, detail),
        }
    }

    fn complete_rust(&self, cell: &str, cursor: usize) -> Completions {
        self.shared().complete(cell, cursor)
    }

    /// A copy, so that a slow answer never holds the lock that a finished cell needs.
    fn shared(&self) -> Shared {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The place `cursor` of `cell`, or the character before it: a front end may count wrongly, and an
/// answer beside the point is better than none.
fn boundary(cell: &str, cursor: usize) -> Option<usize> {
    (0..=cursor.min(cell.len())).rev().find(|at| cell.is_char_boundary(*at))
}
