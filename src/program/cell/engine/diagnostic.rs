//! The compiler's messages, told in the lines of the cell they are about.

use std::{fmt::Write as _, ops::Range};

use serde::Deserialize;
use serde_json::Value;

use crate::cell::{
    engine::program::{CellRange, CodeRole, Program},
    failure::{CellFailure, FailureKind},
};

/// One message of rustc. See <https://doc.rust-lang.org/rustc/json.html>.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Diagnostic {
    /// The fault.
    pub(crate) message: String,
    code: Option<ErrorCode>,
    level: String,
    #[serde(default)]
    spans: Vec<DiagnosticSpan>,
    #[serde(default)]
    children: Vec<Diagnostic>,
}

#[derive(Debug, Clone, Deserialize)]
struct ErrorCode {
    code: String,
}

#[derive(Debug, Clone, Deserialize)]
struct DiagnosticSpan {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
    label: Option<String>,
    suggested_replacement: Option<String>,
    expansion: Option<Box<Expansion>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Expansion {
    span: DiagnosticSpan,
}

/// The errors of one compilation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Errors {
    /// The errors, in the compiler's order.
    pub(crate) list: Vec<Diagnostic>,
    /// The compiler's own JSON.
    pub(crate) json: Vec<Value>,
    /// The compiler's output that is not JSON: it crashed, or was not there.
    pub(crate) other: String,
}

impl Errors {
    /// Reads what rustc wrote to stderr with `--error-format=json`.
    pub(crate) fn read(stderr: &str) -> Self {
        let mut errors = Self::default();
        for line in stderr.lines() {
            let Ok(json) = serde_json::from_str::<Value>(line) else {
                errors.other.push_str(line);
                errors.other.push('\n');
                continue;
            };
            match serde_json::from_value::<Diagnostic>(json.clone()) {
                Ok(message) if message.is_error() => {
                    errors.list.push(message);
                    errors.json.push(json);
                }
                _ => {}
            }
        }
        errors
    }

    /// The messages under the lint `lint` in what rustc wrote to stderr with `--error-format=json`.
    pub(crate) fn of_lint(stderr: &str, lint: &str) -> Vec<Diagnostic> {
        let is_of_lint = |message: &Diagnostic| message.code() == Some(lint);
        let mentions = |line: &&str| line.contains(lint);
        let read = |line| serde_json::from_str::<Diagnostic>(line).ok();
        stderr.lines().filter(mentions).filter_map(read).filter(is_of_lint).collect()
    }

    /// The names that the compiler could not find as values.
    pub(crate) fn unknown_names(&self) -> impl Iterator<Item = &str> {
        self.list
            .iter()
            .filter(|error| matches!(error.code(), Some("E0425" | "E0423")))
            .filter_map(|error| error.message.split('`').nth(1))
    }

    /// The failure that these errors of `program`, compiled as `file`, are.
    pub(crate) fn failure(&self, program: &Program, file: &str) -> CellFailure {
        let is_users = |error: &&Diagnostic| error.primary(program, file).is_some();
        let of_user: Vec<&Diagnostic> = self.list.iter().filter(is_users).collect();
        let shown = if of_user.is_empty() { self.list.iter().collect() } else { of_user };
        let Some(first) = shown.first() else {
            let message = "the compiler failed without an error message";
            let mut failure = CellFailure::new(FailureKind::Compile, "compile", message);
            failure.traceback.extend(self.other.lines().map(str::to_owned));
            return failure;
        };
        let name = first.code().unwrap_or("compile").to_owned();
        let mut message = first.message.clone();
        if shown.len() > 1 {
            let _ = write!(message, " (and {} more)", shown.len() - 1);
        }
        let mut failure = CellFailure::new(FailureKind::Compile, name, message);
        failure.traceback = shown
            .iter()
            .flat_map(|error| {
                error.render(program, file).lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        failure
    }
}

impl Diagnostic {
    /// The error's code, such as `E0382`.
    pub(crate) fn code(&self) -> Option<&str> {
        self.code.as_ref().map(|code| code.code.as_str())
    }

    fn is_error(&self) -> bool {
        // "aborting due to 2 previous errors" and "for more information" say nothing new.
        self.level.starts_with("error") && !(self.spans.is_empty() && self.is_summary())
    }

    fn is_summary(&self) -> bool {
        self.message.starts_with("aborting due to") || self.message.starts_with("could not compile")
    }

    /// The words beside the places that it is about.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.spans.iter().filter_map(|span| span.label.as_deref())
    }

    /// The roles of the generated code that the error touches.
    pub(crate) fn roles<'a>(&'a self, program: &'a Program, file: &'a str) -> Vec<&'a CodeRole> {
        let role = |span: &DiagnosticSpan| span.within(file).and_then(|range| program.role(&range));
        self.spans.iter().filter_map(role).collect()
    }

    /// True if the error is about the generated code of `role`, not only mentions it.
    pub(crate) fn is_about(&self, role: &CodeRole, program: &Program, file: &str) -> bool {
        self.spans
            .iter()
            .filter(|span| span.is_primary)
            .filter_map(|span| program.role(&span.within(file)?))
            .any(|about| about == role)
    }

    /// The place in a cell that the error is about. What is wrong with the end of a statement shows
    /// in the generated code behind it.
    fn primary(&self, program: &Program, file: &str) -> Option<CellRange> {
        let primary = || self.spans.iter().filter(|span| span.is_primary);
        primary().find_map(|span| span.place(program, file)).or_else(|| {
            let is_syntax = self.code.is_none();
            primary()
                .filter(|_| is_syntax)
                .find_map(|span| program.place_before(span.within(file)?.start))
        })
    }

    fn render(&self, program: &Program, file: &str) -> String {
        let code = self.code().map(|code| format!("[{code}]")).unwrap_or_default();
        let mut text = format!("{RED}error{code}{RESET}{BOLD}: {}{RESET}\n", self.message);
        let primary = self.primary(program, file);
        if let Some(place) = &primary {
            let (line, column) = place.line_and_column();
            let number = place.cell.number;
            let _ =
                writeln!(text, "  {BLUE}-->{RESET} cell {number}, line {line}, column {column}");
        }
        let mut places: Vec<(CellRange, &DiagnosticSpan)> = self
            .spans
            .iter()
            .filter_map(|span| span.place(program, file).map(|place| (place, span)))
            .collect();
        // What the error is about first; labels in other cells below it, each under its cell.
        let own = primary.as_ref().map(|place| place.cell.number);
        places.sort_by_key(|(place, _)| {
            (Some(place.cell.number) != own, place.cell.number, place.range.start)
        });
        let mut last = own.map(|cell| (cell, 0));
        for (place, span) in &places {
            last = draw(&mut text, place, span, last);
        }
        for child in &self.children {
            let suggestions: Vec<&str> = child
                .spans
                .iter()
                .filter_map(|span| span.suggested_replacement.as_deref())
                .map(str::trim)
                .filter(|replacement| !replacement.is_empty())
                .collect();
            let suggestion = match suggestions.as_slice() {
                [] => String::new(),
                found => format!(": `{}`", found.join("`, `")),
            };
            let about =
                child.primary(program, file).filter(|place| primary.as_ref() != Some(place));
            let about = match about {
                Some(place) if suggestions.is_empty() => format!(" ({})", place.name()),
                _ => String::new(),
            };
            let level = &child.level;
            let message = child.message.replace('\n', "\n          ");
            let _ = writeln!(
                text,
                "  {BLUE}={RESET} {BOLD}{level}{RESET}: {message}{suggestion}{about}"
            );
        }
        text
    }
}

impl DiagnosticSpan {
    /// The span's bytes of the program, or those of the macro call that it comes from.
    fn within(&self, file: &str) -> Option<Range<usize>> {
        let mut span = self;
        loop {
            if span.file_name == file {
                return Some(span.byte_start..span.byte_end);
            }
            span = &span.expansion.as_ref()?.span;
        }
    }

    fn place(&self, program: &Program, file: &str) -> Option<CellRange> {
        let mut span = self;
        loop {
            let range = span.byte_start..span.byte_end;
            if span.file_name == file
                && let Some(place) = program.place(&range)
            {
                return Some(place);
            }
            span = &span.expansion.as_ref()?.span;
        }
    }
}

const RED: &str = "\x1b[1;31m";
const BLUE: &str = "\x1b[1;34m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

/// Draws the line of `place` with a mark under it, below its cell's name where the last line drawn
/// was another cell's; returns the cell and the line that was drawn.
fn draw(
    text: &mut String,
    place: &CellRange,
    span: &DiagnosticSpan,
    last: Option<(u64, usize)>,
) -> Option<(u64, usize)> {
    let (line, column) = place.line_and_column();
    let (_, lines) = place.lines();
    let content = lines.first()?;
    let number = place.cell.number;
    if last.is_some_and(|(cell, _)| cell != number) {
        let _ = writeln!(text, "  {BLUE}:::{RESET} {}", place.name());
    }
    if last != Some((number, line)) {
        let _ = writeln!(text, "{BLUE}{line:>4} |{RESET} {content}");
    }
    let rest = content.chars().count().saturating_sub(column - 1).max(1);
    let inside = place.cell.text.get(place.range.clone()).unwrap_or_default();
    let length = inside.lines().next().unwrap_or_default().chars().count().clamp(1, rest);
    let (color, mark) = if span.is_primary { (RED, "^") } else { (BLUE, "-") };
    let label = span.label.as_deref().unwrap_or_default();
    let _ = writeln!(
        text,
        "{BLUE}     |{RESET} {}{color}{} {label}{RESET}",
        " ".repeat(column - 1),
        mark.repeat(length)
    );
    Some((number, line))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cell::engine::program::CellText;

    fn place(number: u64, text: &str) -> CellRange {
        let cell = Arc::new(CellText { number, text: text.to_owned() });
        CellRange { cell, range: 0..text.len() }
    }

    #[test]
    fn every_line_stands_under_the_cell_it_is_from() {
        let mut program = Program::default();
        program.copy(&place(1, "const C: i32 = 2;"));
        program.copy(&place(2, "v()"));
        let span = |text: &str, length: usize, is_primary: bool, label: &str| {
            let start = program.text().find(text).expect("in the program");
            serde_json::json!({"file_name": "cell.rs", "byte_start": start,
                "byte_end": start + length, "is_primary": is_primary, "label": label})
        };
        let json = serde_json::json!({"message": "cannot find `v`", "level": "error",
            "code": {"code": "E0425"},
            "spans": [span("const", 16, false, "similarly named"), span("v()", 1, true, "not found")]});
        let errors = Errors::read(&json.to_string());
        let story = errors.failure(&program, "cell.rs").traceback.join("\n");
        let plain: String = story
            .split('\x1b')
            .enumerate()
            .map(|(idx, piece)| match idx {
                0 => piece,
                _ => piece.split_once('m').map_or("", |(_, rest)| rest),
            })
            .collect();
        let expected = "error[E0425]: cannot find `v`\n  --> cell 2, line 1, column 1\n   1 | v()\n     | ^ not found\n  ::: cell 1, line 1\n   1 | const C: i32 = 2;\n     | ---------------- similarly named";
        assert_eq!(plain, expected);
    }
}
