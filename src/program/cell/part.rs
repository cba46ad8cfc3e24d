//! Cuts a cell into its parts: commands, shell lines and Rust, in the order they are written.

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
            let mut depth = Depth::default();
            code.lines().for_each(|line| depth.read(line));
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

/// The depth of a Rust text in brackets, strings and comments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Depth {
    brackets: Vec<char>,
    inside: Inside,
    surplus: Option<char>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Inside {
    #[default]
    Code,
    /// A block comment, nested this deep.
    Comment(usize),
    /// A string with backslash escapes.
    Text,
    /// A raw string with this many `#`.
    Raw(usize),
}

impl Depth {
    /// True if a statement could begin here.
    pub(crate) fn at_rest(&self) -> bool {
        self.brackets.is_empty() && self.inside == Inside::Code
    }

    /// The open brackets, outermost first.
    pub(crate) fn brackets(&self) -> &[char] {
        &self.brackets
    }

    /// The first closing bracket that no bracket of its kind opens.
    pub(crate) fn surplus(&self) -> Option<char> {
        self.surplus
    }

    /// True if the text ended inside a string or a comment.
    pub(crate) fn is_in_text(&self) -> bool {
        self.inside != Inside::Code
    }

    /// Reads one more line, without its newline.
    pub(crate) fn read(&mut self, line: &str) {
        let chars: Vec<char> = line.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            at = match self.inside {
                Inside::Code => self.code(&chars, at),
                Inside::Comment(depth) => self.comment(&chars, at, depth),
                Inside::Text => match chars[at] {
                    '\\' => at + 2,
                    '"' => {
                        self.inside = Inside::Code;
                        at + 1
                    }
                    _ => at + 1,
                },
                Inside::Raw(hashes) => {
                    let closes = chars[at] == '"'
                        && chars[at + 1..].iter().take_while(|next| **next == '#').count()
                            >= hashes;
                    if closes {
                        self.inside = Inside::Code;
                        at + 1 + hashes
                    } else {
                        at + 1
                    }
                }
            };
        }
    }

    fn code(&mut self, chars: &[char], at: usize) -> usize {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '/' if next == Some('/') => chars.len(),
            '/' if next == Some('*') => {
                self.inside = Inside::Comment(1);
                at + 2
            }
            '"' => {
                self.inside = Inside::Text;
                at + 1
            }
            'r' if !at.checked_sub(1).is_some_and(|before| {
                is_word(chars[before]) && !matches!(chars[before], 'b' | 'c')
            }) =>
            {
                let hashes = chars[at + 1..].iter().take_while(|next| **next == '#').count();
                if chars.get(at + 1 + hashes) == Some(&'"') {
                    self.inside = Inside::Raw(hashes);
                    at + 2 + hashes
                } else {
                    at + 1
                }
            }
            '\'' => quote(chars, at),
            open @ ('(' | '[' | '{') => {
                self.brackets.push(open);
                at + 1
            }
            close @ (')' | ']' | '}') => {
                let opens = match close {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if self.brackets.pop() != Some(opens) {
                    self.surplus.get_or_insert(close);
                }
                at + 1
            }
            _ => at + 1,
        }
    }

    fn comment(&mut self, chars: &[char], at: usize, depth: usize) -> usize {
        match (chars[at], chars.get(at + 1)) {
            ('*', Some('/')) => {
                self.inside = if depth == 1 { Inside::Code } else { Inside::Comment(depth - 1) };
                at + 2
            }
            ('/', Some('*')) => {
                self.inside = Inside::Comment(depth + 1);
                at + 2
            }
            _ => at + 1,
        }
    }
}

/// The end of a character literal or a lifetime that begins at `at`.
fn quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            // The escaped character itself may be a quote; `\u{1f600}` is the longest.
            let close = chars[(at + 3).min(chars.len())..].iter().position(|next| *next == '\'');
            close.map_or(chars.len(), |close| at + 4 + close)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
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
