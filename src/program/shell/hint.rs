//! The offer behind the cursor: the rest of something typed before, or how a command goes on.

use rustyline::{
    Cmd, ConditionalEventHandler, Context, Event, EventContext, EventHandler, KeyCode, KeyEvent,
    Modifiers, RepeatCount, history::SearchDirection,
};

use crate::cell::Assistant;

/// The keys that take an offer over, which go to the end of the line otherwise, or one character or
/// word on. Right is among rustyline's own.
pub(super) fn bindings() -> impl Iterator<Item = (KeyEvent, EventHandler)> {
    let end = KeyEvent(KeyCode::End, Modifiers::NONE);
    let whole = [end, KeyEvent::ctrl('E'), KeyEvent::ctrl('F')];
    let right = |modifiers| KeyEvent(KeyCode::Right, modifiers);
    let word = [KeyEvent::alt('f'), right(Modifiers::ALT), right(Modifiers::CTRL)];
    let of = |keys: [KeyEvent; 3], take| {
        keys.map(|key| (key, EventHandler::Conditional(Box::new(Accept(take)))))
    };
    of(whole, Take::All).into_iter().chain(of(word, Take::Word))
}

/// The part of an offer that a key takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Take {
    /// All of it.
    All,
    /// Its first word.
    Word,
}

/// Takes an offer over where one is shown; the key does what it always does otherwise.
struct Accept(Take);

impl ConditionalEventHandler for Accept {
    fn handle(
        &self,
        _event: &Event,
        _count: RepeatCount,
        _is_positive: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        // The form of a command is shown too, and is nothing to take over.
        let offer = context.hint_text().filter(|_| context.pos() == context.line().len())?;
        Some(match self.0 {
            Take::All => Cmd::CompleteHint,
            Take::Word => Cmd::Insert(1, first_word(offer).to_owned()),
        })
    }
}

/// The text before the first word of `text`, with that word.
fn first_word(text: &str) -> &str {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    let start = text.find(is_part).unwrap_or(text.len());
    let length = text[start..].find(|char| !is_part(char)).unwrap_or(text.len() - start);
    &text[..start + length]
}

/// One offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    /// The text that is shown, dimmed.
    text: String,
    /// True if it can be taken over; the form of a command cannot.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_taken_with_what_stands_before_it() {
        for (text, expected) in [
            ("iews.len()", "iews"),
            (".len() + 1", ".len"),
            (" é_1 b", " é_1"),
            ("()", "()"),
            ("", ""),
        ] {
            assert_eq!(first_word(text), expected, "{text}");
        }
    }
}
