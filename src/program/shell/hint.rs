//! What is offered behind the cursor: the rest of something typed before, or how a command goes on.

use rustyline::{Context, history::SearchDirection};

use crate::cell::Assistant;

/// One offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    /// What is shown, dimmed.
    text: String,
    /// Whether it can be taken over; the form of a command cannot.
    is_input: bool,
}

impl rustyline::hint::Hint for Hint {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.is_input.then_some(self.text.as_str())
    }
}

/// The offer for `line` when the cursor is at byte `cursor` of it.
pub(super) fn hint(
    line: &str,
    cursor: usize,
    context: &Context<'_>,
    assistant: &Assistant,
) -> Option<Hint> {
    if line.trim().is_empty() || cursor < line.len() {
        return None;
    }
    from_history(line, context).or_else(|| {
        let form = assistant.form(line)?;
        Some(Hint { text: form, is_input: false })
    })
}

/// The rest of the newest entry that begins as `line` does, up to its first line.
fn from_history(line: &str, context: &Context<'_>) -> Option<Hint> {
    let history = context.history();
    let newest = history.len().checked_sub(1)?;
    let found = history.starts_with(line, newest, SearchDirection::Reverse).ok()??;
    let rest = found.entry.get(line.len()..)?;
    // Lines below the cursor would be drawn over what stands there.
    let rest = rest.split('\n').next().unwrap_or_default();
    (!rest.is_empty()).then(|| Hint { text: rest.to_owned(), is_input: true })
}
