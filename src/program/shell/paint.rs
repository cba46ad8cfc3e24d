//! Colours for what is typed: Rust, commands, SQL. The text itself stays as it is; only colours that
//! every terminal theme defines are used.

use crate::cell::part::{PartKind, parts};

/// The kind of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Keyword,
    Text,
    Remark,
    Number,
    Type,
    Macro,
    Verb,
    Flag,
}

impl Paint {
    /// The SGR codes: the theme's own colours, readable on dark and on light.
    fn code(self) -> &'static str {
        match self {
            Self::Keyword => "35",
            Self::Text => "32",
            Self::Remark => "2",
            Self::Number => "36",
            Self::Type => "33",
            Self::Macro => "34",
            Self::Verb => "1;34",
            Self::Flag => "36",
        }
    }
}

/// A coloured piece of a text, in bytes.
type Span = (std::ops::Range<usize>, Paint);

/// `cell` with colours; the brackets that belong together at byte `cursor` stand out, if asked for.
pub(super) fn paint(cell: &str, cursor: Option<usize>) -> String {
    let mut spans = Vec::new();
    for part in parts(cell) {
        let mut found = match part.kind {
            PartKind::Rust => tokens(part.text, &RUST, "//"),
            PartKind::Command => command(part.text),
            PartKind::Shell => vec![(0..1, Paint::Verb)],
        };
        for (range, _) in &mut found {
            *range = range.start + part.offset..range.end + part.offset;
        }
        spans.extend(found);
    }
    let pair = cursor.and_then(|cursor| pair_at(cell, cursor, &spans));
    let mut painted = String::with_capacity(cell.len() * 2);
    let mut at = 0;
    let plain = |painted: &mut String, from: usize, to: usize| {
        for (idx, char) in cell[from..to].char_indices() {
            match pair {
                Some((open, close)) if from + idx == open || from + idx == close => {
                    painted.push_str("\u{1b}[1;4m");
                    painted.push(char);
                    painted.push_str("\u{1b}[0m");
                }
                _ => painted.push(char),
            }
        }
    };
    for (range, paint) in spans {
        plain(&mut painted, at, range.start);
        // A newline inside a colour would reach into the next prompt of some terminals.
        for (idx, line) in cell[range.clone()].split('\n').enumerate() {
            if idx > 0 {
                painted.push('\n');
            }
            if !line.is_empty() {
                painted.push_str(&format!("\u{1b}[{}m{line}\u{1b}[0m", paint.code()));
            }
        }
        at = range.end;
    }
    plain(&mut painted, at, cell.len());
    painted
}

/// A command line: verb, flags and quoted words; behind `:sql` SQL.
fn command(text: &str) -> Vec<Span> {
    let verb = text.find(char::is_whitespace).unwrap_or(text.len());
    let mut spans = vec![(0..verb, Paint::Verb)];
    let rest = &text[verb..];
    let found = match &text[..verb] {
        ":sql" => tokens(rest, &SQL, "--"),
        ":timeit" => tokens(rest, &RUST, "//"),
        _ => words(rest),
    };
    spans.extend(
        found.into_iter().map(|(range, paint)| (range.start + verb..range.end + verb, paint)),
    );
    spans
}

fn words(text: &str) -> Vec<Span> {
    let words = crate::cell::words::Words::of(text).words.into_iter();
    words
        .filter_map(|word| {
            let paint = match text[word.start..].chars().next() {
                Some('-') => Paint::Flag,
                Some('\'' | '"') => Paint::Text,
                _ if word.text.parse::<f64>().is_ok() => Paint::Number,
                _ => return None,
            };
            Some((word.start..word.end, paint))
        })
        .collect()
}

/// The tokens of `text` that get a colour. `remark` begins a remark to the end of the line.
fn tokens(text: &str, language: &Language, remark: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, paint) = if rest.starts_with(remark) {
            (rest.find('\n').unwrap_or(rest.len()), Some(Paint::Remark))
        } else if language.is_rust && rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), Some(Paint::Remark))
        } else if first.is_ascii_digit() {
            let is_number = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.');
            let length = rest.find(|char| !is_number(char)).unwrap_or(rest.len());
            // `0..9` is a range, not a number with two points.
            (rest[..length].find("..").unwrap_or(length), Some(Paint::Number))
        } else if first.is_alphabetic() || first == '_' {
            word(rest, language)
        } else if first == '"' || first == '\'' {
            quoted(rest, first, language)
        } else {
            (first.len_utf8(), None)
        };
        if let Some(paint) = paint {
            spans.push((at..at + length, paint));
        }
        at += length;
    }
    spans
}

fn word(rest: &str, language: &Language) -> (usize, Option<Paint>) {
    let length = rest.find(|char: char| !(char.is_alphanumeric() || char == '_'));
    let length = length.unwrap_or(rest.len());
    let (word, behind) = rest.split_at(length);
    if language.is_rust && matches!(word, "r" | "br" | "cr") {
        let n_hashes = behind.len() - behind.trim_start_matches('#').len();
        if behind[n_hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(n_hashes));
            let body = length + n_hashes + 1;
            let end = rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len());
            return (end, Some(Paint::Text));
        }
    }
    let folded = if language.is_rust { word.to_owned() } else { word.to_lowercase() };
    let paint = if language.keywords.contains(&folded.as_str()) {
        Some(Paint::Keyword)
    } else if language.is_rust && behind.starts_with('!') && !behind.starts_with("!=") {
        return (length + 1, Some(Paint::Macro));
    } else if language.is_rust && word.starts_with(char::is_uppercase) {
        Some(Paint::Type)
    } else {
        None
    };
    (length, paint)
}

/// A text in quotes, a character, or a lifetime.
fn quoted(rest: &str, quote: char, language: &Language) -> (usize, Option<Paint>) {
    if language.is_rust && quote == '\'' {
        let mut chars = rest.chars().skip(1);
        let is_char = match (chars.next(), chars.next()) {
            (Some('\\'), _) => true,
            (_, second) => second == Some('\''),
        };
        if !is_char {
            return (1, None);
        }
    }
    let mut is_escaped = true;
    let end = rest.find(|char: char| {
        let ends = char == quote && !is_escaped;
        is_escaped = language.is_rust && char == '\\' && !is_escaped;
        ends
    });
    (end.map_or(rest.len(), |end| end + 1), Some(Paint::Text))
}

/// The bracket at `cursor`, or before it, and its partner, outside of texts and remarks.
fn pair_at(cell: &str, cursor: usize, spans: &[Span]) -> Option<(usize, usize)> {
    let is_code = |at: usize| !spans.iter().any(|(range, _)| range.contains(&at));
    let brackets: Vec<(usize, char)> =
        cell.char_indices().filter(|(at, char)| "()[]{}".contains(*char) && is_code(*at)).collect();
    let is_here = |place: &(usize, char), at: usize| place.0 == at;
    let here = brackets.iter().position(|place| is_here(place, cursor)).or_else(|| {
        let before = cursor.checked_sub(1)?;
        brackets.iter().position(|place| is_here(place, before))
    })?;
    let mut open: Vec<usize> = Vec::new();
    for (idx, (at, bracket)) in brackets.iter().enumerate() {
        if "([{".contains(*bracket) {
            open.push(idx);
        } else {
            let partner = open.pop()?;
            if partner == here || idx == here {
                return Some((brackets[partner].0, *at));
            }
        }
    }
    None
}

/// The differences between two languages here.
struct Language {
    keywords: &'static [&'static str],
    is_rust: bool,
}

const RUST: Language = Language {
    keywords: &[
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum",
        "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move",
        "mut", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
        "type", "unsafe", "use", "where", "while",
    ],
    is_rust: true,
};

const SQL: Language = Language {
    keywords: &[
        "all",
        "and",
        "as",
        "asc",
        "between",
        "by",
        "case",
        "cast",
        "cross",
        "desc",
        "distinct",
        "else",
        "end",
        "exists",
        "explain",
        "from",
        "full",
        "group",
        "having",
        "ilike",
        "in",
        "inner",
        "is",
        "join",
        "left",
        "like",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "or",
        "order",
        "outer",
        "over",
        "partition",
        "right",
        "select",
        "show",
        "tables",
        "then",
        "union",
        "using",
        "when",
        "where",
        "with",
    ],
    is_rust: false,
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shell::terminal::without_colours;

    /// Colours as letters, to be read: `k` keyword, `s` text, …
    #[track_caller]
    fn check(cell: &str, expected: &str) {
        let painted = paint(cell, None);
        let mut seen = painted;
        for (code, letter) in [
            ("35", "k"),
            ("32", "s"),
            ("2", "r"),
            ("36", "n"),
            ("33", "t"),
            ("1;34", "v"),
            ("34", "m"),
        ] {
            seen = seen.replace(&format!("\u{1b}[{code}m"), &format!("<{letter}:"));
        }
        assert_eq!(seen.replace("\u{1b}[0m", ">"), expected, "{cell:?}");
    }

    #[test]
    fn rust_commands_and_sql_have_colours() {
        for (cell, expected) in [
            ("let a = 12;", "<k:let> a = <n:12>;"),
            ("0..9", "<n:0>..<n:9>"),
            ("\"a \\\" b\" + 'c'", "<s:\"a \\\" b\"> + <s:'c'>"),
            ("f::<'a>('\\'')", "f::<'a>(<s:'\\''>)"),
            ("r#\"a\"# // b", "<s:r#\"a\"#> <r:// b>"),
            ("println!(Vec)", "<m:println!>(<t:Vec>)"),
            (":runs list --limit 5", "<v::runs> list <n:--limit> <n:5>"),
            (":sql Select 'x' -- y", "<v::sql> <k:Select> <s:'x'> <r:-- y>"),
            ("/* a\nb */", "<r:/* a>\n<r:b */>"),
        ] {
            check(cell, expected);
        }
    }

    #[test]
    fn brackets_that_belong_together_stand_out() {
        let mark = |text: &str| format!("\u{1b}[1;4m{text}\u{1b}[0m");
        assert_eq!(paint("f(a)", Some(4)), format!("f{}a{}", mark("("), mark(")")));
        assert_eq!(paint("(')')", Some(0)).matches("[1;4m").count(), 2);
        assert_eq!(paint("f(a", Some(2)), "f(a");
    }

    proptest! {
        #[test]
        fn the_text_stays_as_it_is(
            cell in "[a-z0-9:!\"'/*#r\\\\(){}\\n é🦀-]{0,40}",
            cursor in 0_usize..50,
        ) {
            prop_assert_eq!(without_colours(&paint(&cell, Some(cursor))), cell);
        }
    }
}
