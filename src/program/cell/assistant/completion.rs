//! The completions at the cursor.

/// The kind of a completion.
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
    /// The text to put in.
    pub text: String,
    /// Its kind.
    pub kind: CompletionKind,
    /// A signature or a short explanation, empty where there is none.
    pub detail: String,
}

impl Completion {
    /// A completion with an explanation, which may be empty.
    pub fn new(text: impl Into<String>, kind: CompletionKind, detail: impl Into<String>) -> Self {
        Self { text: text.into(), kind, detail: detail.into() }
    }
}

/// The completions that could replace `start..end` (bytes of the cell).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completions {
    /// The beginning of the replaced text.
    pub start: usize,
    /// Its end: the cursor.
    pub end: usize,
    /// The candidates, best first.
    pub items: Vec<Completion>,
}

impl Completions {
    /// Those of `items` that begin as `typed`, the text from `start` to the cursor, does. Where none
    /// does, those that only differ from it in upper and lower case.
    pub(super) fn matching(
        start: usize,
        typed: &str,
        items: impl IntoIterator<Item = Completion>,
    ) -> Self {
        let folded = typed.to_lowercase();
        let (exact, others): (Vec<_>, Vec<_>) = items
            .into_iter()
            .filter(|item| item.text.to_lowercase().starts_with(&folded))
            .partition(|item| item.text.starts_with(typed));
        let items = if exact.is_empty() { others } else { exact };
        Self { start, end: start + typed.len(), items }
    }

    /// The same in a text that begins `offset` bytes earlier, up to its `cursor`.
    pub(super) fn moved(mut self, offset: usize, cursor: usize) -> Self {
        self.start += offset;
        self.end = cursor;
        self
    }
}
