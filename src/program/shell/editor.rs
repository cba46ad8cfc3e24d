//! The line editor: rustyline, told what this shell knows about cells.

use std::{
    borrow::Cow::{self, Borrowed, Owned},
    cell::Cell,
    sync::Arc,
};

use rustyline::{
    ColorMode, CompletionType, Config, Context, Editor, Helper,
    completion::{Candidate, Completer},
    error::ReadlineError,
    highlight::{CmdKind, Highlighter},
    hint::Hinter,
    history::MemHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use trialbook::error::{Error, ErrorKind, Result};

use super::{Terminal, hint, paint::paint};
use crate::cell::{Assistant, Completeness, Completion, CompletionKind, Entry, History};

/// Reads cells from a person.
pub(super) struct CellEditor {
    editor: Editor<Knowledge, MemHistory>,
    colours: bool,
}

/// The result of reading a line.
pub(super) enum Line {
    /// A cell to run.
    Cell(String),
    /// Ctrl-C: forget what was typed.
    Cleared,
    /// Ctrl-D: leave.
    End,
}

impl CellEditor {
    /// An editor on `terminal` that remembers `entries`.
    ///
    /// # Errors
    /// When the terminal cannot be set up.
    pub(super) fn new(
        terminal: Terminal,
        assistant: Arc<Assistant>,
        entries: &[Entry],
    ) -> Result<Self> {
        let set_up = || -> rustyline::Result<Editor<Knowledge, MemHistory>> {
            let colours = if terminal.colours { ColorMode::Enabled } else { ColorMode::Disabled };
            let config = Config::builder()
                .max_history_size(History::MAX_ENTRIES)?
                .history_ignore_dups(true)?
                .completion_type(CompletionType::List)
                .completion_show_all_if_ambiguous(true)
                .color_mode(colours)
                .tab_stop(4)
                .indent_size(4)
                .build();
            let history = MemHistory::with_config(&config);
            let mut editor = Editor::with_history(config, history)?;
            editor.set_helper(Some(Knowledge { assistant, is_final: Cell::new(false) }));
            for (key, handler) in hint::bindings() {
                editor.bind_sequence(key, handler);
            }
            for entry in entries {
                editor.add_history_entry(entry.source.as_str())?;
            }
            Ok(editor)
        };
        let editor = set_up().map_err(fail)?;
        Ok(Self { editor, colours: terminal.colours })
    }

    /// Asks for cell `number`.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(super) fn read(&mut self, number: usize) -> Result<Line> {
        let plain = format!("[{number}] ");
        let read = if self.colours {
            let styled = format!("\u{1b}[1;32m[{number}]\u{1b}[0m ");
            self.editor.readline(&(plain, styled))
        } else {
            self.editor.readline(&plain)
        };
        match read {
            Ok(line) => Ok(Line::Cell(line)),
            Err(ReadlineError::Interrupted) => Ok(Line::Cleared),
            Err(ReadlineError::Eof) => Ok(Line::End),
            // The terminal is gone, and whoever sat there with it.
            Err(ReadlineError::Io(error)) if error.raw_os_error() == Some(EIO) => Ok(Line::End),
            Err(error) => Err(fail(error)),
        }
    }

    /// Remembers `cell` for this session.
    pub(super) fn remember(&mut self, cell: &str) {
        // Memory does not fail; a doubled line is simply not kept.
        let _ = self.editor.add_history_entry(cell);
    }
}

/// The error of reading from a terminal that was closed, on every Unix.
const EIO: i32 = 5;

fn fail(source: ReadlineError) -> Error {
    Error::new(ErrorKind::Io, "cannot read from the terminal").with_source(source)
}

/// The knowledge of the editor while a person types.
struct Knowledge {
    assistant: Arc<Assistant>,
    /// The line is submitted: nothing about the cursor is shown any more.
    is_final: Cell<bool>,
}

impl Helper for Knowledge {}

impl Validator for Knowledge {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match self.assistant.completeness(context.input()) {
            Completeness::Incomplete { .. } => ValidationResult::Incomplete,
            // What is wrong is said better by who runs it than by a line that cannot be left.
            Completeness::Complete | Completeness::Invalid { .. } => ValidationResult::Valid(None),
        })
    }
}

impl Hinter for Knowledge {
    type Hint = hint::Hint;

    fn hint(&self, line: &str, cursor: usize, context: &Context<'_>) -> Option<hint::Hint> {
        hint::hint(line, cursor, context, &self.assistant)
    }
}

impl Highlighter for Knowledge {
    fn highlight<'l>(&self, line: &'l str, cursor: usize) -> Cow<'l, str> {
        if line.is_empty() {
            return Borrowed(line);
        }
        Owned(paint(line, (!self.is_final.get()).then_some(cursor)))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Owned(format!("\u{1b}[2m{hint}\u{1b}[0m"))
    }

    fn highlight_char(&self, _line: &str, _cursor: usize, kind: CmdKind) -> bool {
        self.is_final.set(kind == CmdKind::ForcedRefresh);
        // One character may change the colour of all that follow.
        true
    }
}

impl Completer for Knowledge {
    type Candidate = Offer;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Offer>)> {
        let found = self.assistant.complete(line, cursor);
        let is_alone = found.items.len() == 1;
        let explains = (2..=MAX_EXPLAINED).contains(&found.items.len());
        let longest = found.items.iter().map(|item| item.text.chars().count()).max();
        let width = explains.then_some(longest.unwrap_or_default());
        let offers = found.items.into_iter().map(|item| Offer::new(item, width, is_alone));
        Ok((found.start, offers.collect()))
    }
}

/// More candidates than this are listed without explanations, in columns.
const MAX_EXPLAINED: usize = 24;

/// One candidate in the list.
struct Offer {
    replacement: String,
    display: String,
}

impl Offer {
    /// `width` is that of the longest candidate when each gets its explanation.
    fn new(item: Completion, width: Option<usize>, is_alone: bool) -> Self {
        let display = match width {
            Some(width) if !item.detail.is_empty() => {
                let detail = item.detail.lines().next().unwrap_or_default();
                let text = format!("{:width$}  {detail}", item.text);
                // As wide as the terminal, so that each stands on its own line.
                let columns = usize::from(Terminal::width().unwrap_or(80)).saturating_sub(2);
                format!("{:columns$}", text.chars().take(columns).collect::<String>())
            }
            _ => item.text.clone(),
        };
        // A word that cannot go on is over.
        let is_over = match item.kind {
            CompletionKind::Command | CompletionKind::Flag => true,
            CompletionKind::Name => !item.text.contains('/'),
            CompletionKind::Path => !item.text.ends_with('/'),
            CompletionKind::Sql | CompletionKind::Rust => false,
        };
        let blank = if is_alone && is_over { " " } else { "" };
        Self { replacement: format!("{}{blank}", item.text), display }
    }
}

impl Candidate for Offer {
    fn display(&self) -> &str {
        &self.display
    }

    fn replacement(&self) -> &str {
        &self.replacement
    }
}
