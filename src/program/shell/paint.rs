//! Colours for what is typed: Rust, commands, SQL. The text itself stays as it is; only colours that
//! every terminal theme defines are used.
//!
//! The syntect crate colours by themes of its own, which a terminal's background may swallow.

use crate::{
    cell::part::{PartKind, parts},
    syntax::{self, TokenKind, sql},
};

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
            PartKind::Rust => rust(part.text),
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
        ":sql" => query(rest),
        ":timeit" => rust(rest),
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

/// The tokens of Rust that get a colour.
fn rust(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut tokens = syntax::tokens(text).peekable();
    while let Some(token) = tokens.next() {
        let mut end = token.end();
        let paint = match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment => Paint::Remark,
            TokenKind::Text | TokenKind::Character => Paint::Text,
            TokenKind::Number => Paint::Number,
            TokenKind::Word if syntax::KEYWORDS.contains(&token.text) => Paint::Keyword,
            TokenKind::Word if is_macro(&text[end..]) => {
                end += tokens.next().map_or(0, |bang| bang.text.len());
                Paint::Macro
            }
            TokenKind::Word if token.text.starts_with(char::is_uppercase) => Paint::Type,
            _ => continue,
        };
        spans.push((token.start..end, paint));
    }
    spans
}

/// Whether the word before `behind` names a macro.
fn is_macro(behind: &str) -> bool {
    behind.starts_with('!') && !behind.starts_with("!=")
}

/// The tokens of SQL that get a colour.
fn query(text: &str) -> Vec<Span> {
    sql::tokens(text)
        .filter_map(|token| {
            let paint = match token.kind {
                sql::TokenKind::Comment => Paint::Remark,
                sql::TokenKind::Text | sql::TokenKind::QuotedName => Paint::Text,
                sql::TokenKind::Number => Paint::Number,
                sql::TokenKind::Word if sql::is_keyword(token.text) => Paint::Keyword,
                _ => return None,
            };
            Some((token.start..token.end(), paint))
        })
        .collect()
}

/// The bracket at `cursor`, or before it, and its partner, outside of texts and remarks.
fn pair_at(cell: &str, cursor: usize, spans: &[Span]) -> Option<(usize, usize)> {
    // The spans lie in order, and so do the places that are asked for.
    let mut spans = spans.iter().map(|(range, _)| range).peekable();
    let mut is_code = |at: usize| {
        while spans.next_if(|range| range.end <= at).is_some() {}
        spans.peek().is_none_or(|range| at < range.start)
    };
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
            ("/* a /* b */ c */ let", "<r:/* a /* b */ c */> <k:let>"),
            ("br#\"a\"b\"# b'\"' c\"d\"", "<s:br#\"a\"b\"#> <s:b'\"'> <s:c\"d\">"),
            ("&'static str", "&'static str"),
            (
                ":sql select /* a /* b */ c */ 1e-3",
                "<v::sql> <k:select> <r:/* a /* b */ c */> <n:1e-3>",
            ),
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
