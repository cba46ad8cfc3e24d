//! The session with a person: one cell after the other until Ctrl-D.

use std::sync::Arc;

use trialbook::error::Result;

use super::{
    Terminal,
    editor::{CellEditor, Line},
    screen::Screen,
    signals::Signals,
};
use crate::cell::{Front, History, Interpreter, Options};

/// Reads and runs cells until the person leaves.
///
/// # Errors
/// When the terminal or the signals cannot be set up.
pub(crate) fn run(options: Options, quiet: bool) -> Result<()> {
    let terminal = Terminal::of_process();
    let mut history = History::new(&options.store);
    let mut interpreter = Interpreter::new(options);
    interpreter.expect_warm_up();
    interpreter.warm_up();
    let signals = Signals::watch(interpreter.interrupter(), false)?;
    let screen = Arc::new(Screen::new(terminal, quiet, true, signals.clone()));
    let entries = history.entries().unwrap_or_else(|error| {
        screen.warn(&error);
        Vec::new()
    });
    let mut editor = CellEditor::new(terminal, interpreter.assistant(), &entries)?;
    if !quiet {
        screen.say(concat!(
            "trialbook ",
            env!("CARGO_PKG_VERSION"),
            " · :help lists the commands, Tab completes, Ctrl-D leaves"
        ));
    }
    let front: Arc<dyn Front> = screen.clone();
    let mut number = 1;
    let mut can_keep = true;
    while !signals.is_leaving() {
        let cell = match editor.read(number)? {
            Line::Cell(cell) if cell.trim().is_empty() => continue,
            Line::Cell(cell) if LEAVE.contains(&cell.trim()) => break,
            Line::Cell(cell) => cell,
            Line::Cleared => continue,
            Line::End => break,
        };
        // As in other shells: what begins with a blank is not remembered.
        if !cell.starts_with(' ') {
            editor.remember(&cell);
            if let Err(error) = history.append(&cell)
                && std::mem::take(&mut can_keep)
            {
                screen.warn(&error.with_context("what you type is not kept"));
            }
        }
        signals.begin();
        let outcome = interpreter.execute(&cell, &front);
        signals.end();
        screen.end_cell();
        if let Err(failure) = outcome {
            screen.fail(&failure);
        }
        if interpreter.wants_to_quit() {
            break;
        }
        number += 1;
    }
    Ok(())
}

/// The words that other shells have taught people to leave by, besides `:quit` and Ctrl-D.
const LEAVE: [&str; 4] = [":q", ":exit", "exit", "quit"];
