//! The output of cells, as a terminal, a pipe or a file shows it: plain text, never markup.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use trialbook::{
    display::Content,
    error::{Error, Result},
    progress::{Progress, Silent},
};

use super::{
    Bar, Terminal, picture::picture, question::ask, signals::Signals, terminal::without_colours,
};
use crate::cell::{Event, Failure, FailureKind, Front, InputRequest, Stream};

/// The place where cells show themselves.
pub(super) struct Screen {
    terminal: Terminal,
    bar: Option<Arc<Bar>>,
    signals: Signals,
    /// True if stdin is free for answers.
    answers: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A stream stopped within a line.
    is_mid_line: bool,
    /// The display that can be drawn again because nothing stands below it.
    last: Option<Shown>,
    /// The newest content of displays that could not be drawn again, by their ids.
    late: Vec<(String, Content)>,
}

struct Shown {
    id: Option<String>,
    n_lines: usize,
}

impl Screen {
    /// A screen on `terminal`; `answers` says whether cells may ask through stdin.
    pub(super) fn new(terminal: Terminal, quiet: bool, answers: bool, signals: Signals) -> Self {
        let has_bar = !quiet && io::IsTerminal::is_terminal(&io::stderr());
        let bar = has_bar.then(Arc::default);
        Self { terminal, bar, signals, answers, state: Mutex::default() }
    }

    /// Ends a cell: late updates come out, the next line begins at the left.
    pub(super) fn end_cell(&self) {
        let late = std::mem::take(&mut self.state().late);
        for (_, content) in late {
            self.show(&content, None);
        }
        let mut state = self.state();
        if std::mem::take(&mut state.is_mid_line) && self.terminal.is_interactive {
            print(&mut io::stdout(), b"\n");
        }
        state.last = None;
    }

    /// Says which cell the failure that follows is about, for those who have not typed it just now.
    pub(super) fn name_cell(&self, number: usize, cell: &str) {
        let mut lines = cell.lines();
        let first: Vec<&str> = lines.by_ref().take(SHOWN_LINES).collect();
        let more = match lines.count() {
            0 => String::new(),
            n_more => format!("\n  … {n_more} more lines"),
        };
        let text = format!("cell {number} failed:\n  {}{more}\n", first.join("\n  "));
        print(&mut io::stderr(), text.as_bytes());
    }

    /// One line to the person.
    pub(super) fn say(&self, line: &str) {
        print(&mut io::stdout(), format!("{line}\n").as_bytes());
    }

    /// One line about something that went wrong beside the cells.
    pub(super) fn warn(&self, error: &Error) {
        print(&mut io::stderr(), format!("warning: {}\n", error.chain()).as_bytes());
    }

    /// Says why a cell failed. A gate's no is an answer and goes where answers go.
    pub(super) fn fail(&self, failure: &Failure) {
        let story = failure.traceback.join("\n");
        let story = if story.is_empty() { failure.message.clone() } else { story };
        let (text, colours) = match failure.kind {
            FailureKind::Blocked => (story, self.terminal.colours),
            FailureKind::Command | FailureKind::Unavailable => {
                (format!("\u{1b}[1;31merror\u{1b}[0m: {story}"), self.terminal.error_colours)
            }
            _ => (story, self.terminal.error_colours),
        };
        let text = if colours { text } else { without_colours(&text) };
        match failure.kind {
            FailureKind::Blocked => print(&mut io::stdout(), format!("{text}\n").as_bytes()),
            _ => print(&mut io::stderr(), format!("{text}\n").as_bytes()),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work`, which prints, with the bar out of its way.
    fn beside_bar(&self, work: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(work),
            None => work(),
        }
    }

    fn stream(&self, stream: Stream, bytes: &[u8]) {
        self.beside_bar(|| {
            let mut state = self.state();
            state.last = None;
            match stream {
                Stream::Stdout => {
                    state.is_mid_line = bytes.last().is_some_and(|last| *last != b'\n');
                    print(&mut io::stdout(), bytes);
                }
                Stream::Stderr => print(&mut io::stderr(), bytes),
            }
        });
    }

    fn show(&self, content: &Content, id: Option<String>) {
        self.beside_bar(|| {
            let mut text = self.drawn(content);
            if text.is_empty() {
                return;
            }
            if !text.ends_with('\n') {
                text.push('\n');
            }
            let mut state = self.state();
            if std::mem::take(&mut state.is_mid_line) {
                text.insert(0, '\n');
            }
            state.last = Some(Shown { id, n_lines: n_rows(&text) });
            print(&mut io::stdout(), text.as_bytes());
        });
    }

    /// Draws `content` in the place of what was shown last under `id`, or keeps it for the end.
    fn update(&self, content: Content, id: &str) {
        let is_last = {
            let state = self.state();
            let last = state.last.as_ref();
            self.terminal.redraws && last.is_some_and(|last| last.id.as_deref() == Some(id))
        };
        if is_last {
            self.erase();
            self.show(&content, Some(id.to_owned()));
            return;
        }
        let mut state = self.state();
        state.late.retain(|(other, _)| other != id);
        state.late.push((id.to_owned(), content));
    }

    /// Takes the last thing shown away again, where that can be done.
    fn erase(&self) {
        let last = self.state().last.take();
        if let Some(last) = last.filter(|_| self.terminal.redraws) {
            let up = format!("\u{1b}[{}F\u{1b}[J", last.n_lines);
            self.beside_bar(|| print(&mut io::stdout(), up.as_bytes()));
        }
    }

    /// `content` as bytes for this terminal: a picture where it shows pictures, else plain text.
    fn drawn(&self, content: &Content) -> String {
        if let Some(picture) = self.terminal.pictures.and_then(|how| picture(how, content)) {
            return picture;
        }
        match self.terminal.colours {
            true => content.plain().to_owned(),
            false => without_colours(content.plain()),
        }
    }
}

impl Front for Screen {
    fn event(&self, event: Event) {
        match event {
            Event::Stream(stream, bytes) => self.stream(stream, &bytes),
            Event::Display { content, id } => self.show(&content, id),
            Event::Result(content) | Event::Page(content) => self.show(&content, None),
            Event::Update { content, id } => self.update(content, &id),
            // Commands show their progress in the bar; a display that cannot be drawn again stays.
            Event::Withdraw { id } => self.state().late.retain(|(late, _)| *late != id),
            Event::Clear { .. } => self.erase(),
        }
    }

    fn input(&self, request: &InputRequest) -> Result<String> {
        ask(request, self.answers, &self.signals)
    }

    fn progress(&self) -> Arc<dyn Progress> {
        match &self.bar {
            Some(bar) => Arc::clone(bar) as Arc<dyn Progress>,
            None => Arc::new(Silent),
        }
    }

    fn width(&self) -> Option<u16> {
        Terminal::width()
    }
}

/// So much of a cell is enough to find it.
const SHOWN_LINES: usize = 5;

/// The rows that `text` takes on the terminal.
fn n_rows(text: &str) -> usize {
    let width = usize::from(Terminal::width().unwrap_or(u16::MAX));
    text.lines().map(|line| without_colours(line).chars().count().max(1).div_ceil(width)).sum()
}

/// Writes to a stream whose reader may be gone: `| head` closes early and nothing is wrong.
fn print(stream: &mut dyn Write, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_count_as_the_rows_they_take() {
        assert_eq!(n_rows("a\nb\n"), 2);
        assert_eq!(n_rows("\u{1b}[1ma\u{1b}[0m\n\n"), 2);
    }
}
