//! Help with Rust: from whoever understands it, and by name alone while nobody does.

use std::sync::Arc;

use trialbook::display::Content;

use super::{Completion, CompletionKind, Completions};
use crate::syntax::{KEYWORDS, is_word, word_start};

/// Whoever understands the session's Rust. Answers come within a moment, from any thread; nothing
/// of the person's is run for them.
pub trait RustHelp: Send + Sync {
    /// The completions at byte `cursor` of `cell`.
    fn complete(&self, cell: &str, cursor: usize) -> Completions;

    /// The help at byte `cursor` of `cell`.
    fn inspect(&self, cell: &str, cursor: usize, detail: u8) -> Option<Content>;
}

/// The session, as far as the assistant is told about it.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub(super) help: Option<Arc<dyn RustHelp>>,
    pub(super) defined: Arc<[Completion]>,
}

impl Shared {
    pub(super) fn complete(&self, cell: &str, cursor: usize) -> Completions {
        let mut found = match &self.help {
            Some(help) => help.complete(cell, cursor),
            None => Completions { start: cursor, end: cursor, items: Vec::new() },
        };
        let start = word_start(cell, cursor);
        let is_member = cell[..start].trim_end().ends_with(['.', ':']);
        if !is_member && start < cursor && (found.items.is_empty() || found.start == start) {
            // Above a cell there is no module.
            let keywords = KEYWORDS.into_iter().filter(|word| *word != "super");
            let keywords =
                keywords.map(|word| Completion::new(word, CompletionKind::Rust, "keyword"));
            let known = self.defined.iter().cloned().chain(keywords);
            let named = Completions::matching(start, &cell[start..cursor], known);
            for item in named.items {
                if !found.items.iter().any(|other| other.text == item.text) {
                    found.items.push(item);
                }
            }
            found.start = start;
            found.end = cursor;
        }
        found
    }

    pub(super) fn inspect(&self, cell: &str, cursor: usize, detail: u8) -> Option<Content> {
        let known = self.help.as_ref().and_then(|help| help.inspect(cell, cursor, detail));
        known.or_else(|| {
            let rest = cell[cursor..].find(|char| !is_word(char)).unwrap_or(cell.len() - cursor);
            let word = &cell[word_start(cell, cursor)..cursor + rest];
            let item = self.defined.iter().find(|item| item.text == word)?;
            Some(Content::text(format!("{}: {}", item.text, item.detail)))
        })
    }
}
