//! Cuts a cell into its parts: commands, shell lines and Rust, in the order they are written.

use crate::syntax::Depth;

/// A run of lines of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// Its kind.
    pub(crate) kind: PartKind,
    /// Its text, without the newline that ends it.
    pub(crate) text: &'a str,
    /// Its beginning in the cell, in bytes.
    pub(crate) offset: usize,
}

impl Part<'_> {
    /// True if the line below belongs to it, too.
    fn goes_on(&self) -> bool {
        let command = self.text.split('\n').next().unwrap_or_default().trim_end();
        self.text.ends_with('\\') || TAKES_THE_REST.contains(&command)
    }
}

/// The kind of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartKind {
    /// `:name arguments`.
    Command,
    /// `!program arguments`, for the system's shell.
    Shell,
    /// Rust.
    Rust,
}

/// Commands that take everything below their own line when nothing else stands on it.
const TAKES_THE_REST: [&str; 2] = [":sql", ":timeit"];
/// The command whose Rust may go on below its line.
const TAKES_RUST: &str = ":timeit ";

/// Cuts `cell` into parts. A line that begins with `:` or `!` is a command where a Rust statement
/// could begin, and not inside a string, a comment or brackets. A backslash at its end continues it.
pub(crate) fn parts(cell: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rust_start = 0;
    let mut offset = 0;
    let mut depth = Depth::default();
    while offset < cell.len() {
        let end = line_end(cell, offset);
        let line = &cell[offset..end];
        let kind = match line.as_bytes().first() {
            Some(b':') if depth.at_rest() && !line.starts_with("::") => PartKind::Command,
            Some(b'!') if depth.at_rest() => PartKind::Shell,
            _ => {
                depth.read(line);
                offset = (end + 1).min(cell.len());
                continue;
            }
        };
        push_rust(&mut parts, cell, rust_start, offset);
        let mut end = end;
        while cell[offset..end].ends_with('\\') && end < cell.len() {
            end = line_end(cell, end + 1);
        }
        if TAKES_THE_REST.contains(&cell[offset..end].trim_end()) {
            end = cell.len();
        } else if let Some(code) = cell[offset..end].strip_prefix(TAKES_RUST) {
            let mut depth = Depth::of(code);
            while !depth.at_rest() && end < cell.len() {
                let next = line_end(cell, end + 1);
                depth.read(&cell[end + 1..next]);
                end = next;
            }
        }
        parts.push(Part { kind, text: cell[offset..end].trim_end(), offset });
        offset = (end + 1).min(cell.len());
        rust_start = offset;
    }
    push_rust(&mut parts, cell, rust_start, cell.len());
    parts
}

/// The kind of the part in which byte `cursor` of `cell` lies, and its beginning, behind the sign
/// of a command.
pub(crate) fn part_at(cell: &str, cursor: usize) -> (PartKind, usize) {
    // What stands behind the cursor has no say in how the text before it is cut.
    let before = &cell[..cursor];
    match parts(before).last() {
        Some(last) if last.kind == PartKind::Rust => (PartKind::Rust, last.offset),
        // Blanks behind a command belong to it, a new line does not.
        Some(last) if !before[last.offset + last.text.len()..].contains('\n') || last.goes_on() => {
            (last.kind, last.offset + 1)
        }
        _ => (PartKind::Rust, cursor),
    }
}

fn line_end(cell: &str, from: usize) -> usize {
    cell[from..].find('\n').map_or(cell.len(), |length| from + length)
}

fn push_rust<'a>(parts: &mut Vec<Part<'a>>, cell: &'a str, start: usize, end: usize) {
    let text = &cell[start..end];
    if !text.trim().is_empty() {
        parts.push(Part { kind: PartKind::Rust, text, offset: start });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cell: &str, expected: &[(PartKind, &str)]) {
        let found: Vec<_> = parts(cell).iter().map(|part| (part.kind, part.text)).collect();
        assert_eq!(found, expected, "{cell:?}");
        for part in parts(cell) {
            assert!(cell[part.offset..].starts_with(part.text), "{cell:?}");
        }
    }

    #[test]
    fn commands_and_rust_take_turns() {
        use PartKind::{Command, Rust, Shell};
        check("", &[]);
        check("1 + 1", &[(Rust, "1 + 1")]);
        check(":runs list", &[(Command, ":runs list")]);
        check("!ls -l", &[(Shell, "!ls -l")]);
        check(
            "let a = 1;\n:vars\nlet b = 2;",
            &[(Rust, "let a = 1;\n"), (Command, ":vars"), (Rust, "let b = 2;")],
        );
        check(":dep a\n:dep b\n", &[(Command, ":dep a"), (Command, ":dep b")]);
    }

    #[test]
    fn a_colon_inside_rust_is_rust() {
        use PartKind::Rust;
        for cell in [
            "f(\n:x\n)",
            "let s = \"\n:quit\n\";",
            "/*\n:quit\n*/",
            "let s = r#\"\n:quit \"\n\"#;",
            "::std::mem::drop(1)",
            "let c = '\"';",
            "let c = '\\'';\nlet d = '{';",
            "fn f<'a>(x: &'a str) {\n:a }",
        ] {
            check(cell, &[(Rust, cell)]);
        }
    }

    #[test]
    fn a_command_may_go_on_below() {
        use PartKind::Command;
        check(":train tfidf \\\n --data sample", &[(Command, ":train tfidf \\\n --data sample")]);
        check(":sql\nselect 1\nfrom x\n", &[(Command, ":sql\nselect 1\nfrom x")]);
        check(":timeit {\n 1\n}\n:runs", &[(Command, ":timeit {\n 1\n}"), (Command, ":runs")]);
    }

    #[test]
    fn the_part_at_the_cursor_is_judged_by_what_stands_before_it() {
        use PartKind::{Command, Rust, Shell};
        for (before, behind, expected) in [
            (":runs ", "list", (Command, 1)),
            ("let a = 1;\n:r", "", (Command, 12)),
            (":runs list\n", "x", (Rust, 11)),
            (":runs \\\nli", "", (Command, 1)),
            (":sql\nsel", "", (Command, 1)),
            ("!ls ", "", (Shell, 1)),
            ("", ":runs", (Rust, 0)),
            ("f(\n:x", "", (Rust, 0)),
        ] {
            let cell = format!("{before}{behind}");
            assert_eq!(part_at(&cell, before.len()), expected, "{cell:?}");
        }
    }
}
