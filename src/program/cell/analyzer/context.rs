//! The context of the cursor in a half-written cell: a member of an expression, a name of a path, a
//! name. Text alone; half-written Rust does not parse.

use crate::syntax::{TokenKind, is_word, tokens};

/// The word at the cursor and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context<'a> {
    /// The place in front of the word.
    pub(super) place: Place<'a>,
    /// The beginning of the word.
    pub(super) start: usize,
    /// The word up to the cursor.
    pub(super) typed: &'a str,
}

/// The place that a word belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The expression before a dot, which begins at `start`.
    Member { receiver: &'a str, start: usize },
    /// The path before `::`.
    Path(&'a str),
    /// Nothing.
    Free,
    /// A string or a comment: no code at all.
    Text,
}

impl<'a> Context<'a> {
    /// The context at byte `cursor` of `cell`, which must be a boundary of a character.
    pub(super) fn at(cell: &'a str, cursor: usize) -> Self {
        let before = &cell[..cursor];
        let mask = Mask::new(before);
        let start = mask.word_start(cursor);
        let typed = &cell[start..cursor];
        let place = if mask.ends_in_text {
            Place::Text
        } else if let Some(dot) =
            mask.trimmed(start).filter(|at| mask.ends(*at, ".") && !mask.ends(*at, ".."))
        {
            let end = mask.trimmed(dot - 1).unwrap_or(0);
            let from = mask.expression_start(end);
            Place::Member { receiver: &cell[from..end], start: from }
        } else if let Some(colons) = mask.trimmed(start).filter(|at| mask.ends(*at, "::")) {
            let end = colons - 2;
            Place::Path(&cell[mask.path_start(end)..end])
        } else if let Some(path) = mask.use_path(start) {
            Place::Path(&cell[path])
        } else {
            Place::Free
        };
        Self { place, start, typed }
    }

    /// The context in the middle or at the end of the word at `cursor`; where no word is, of the
    /// function whose arguments are being written.
    pub(super) fn around(cell: &'a str, cursor: usize) -> Self {
        let end = cell[cursor..].find(|char| !is_word(char)).map_or(cell.len(), |n| cursor + n);
        let touches = end > cursor || cell[..cursor].ends_with(is_word);
        if touches {
            return Self::at(cell, end);
        }
        let mask = Mask::new(&cell[..cursor]);
        match mask.open_call(cursor) {
            Some(open) if !mask.ends_in_text => Self::at(cell, open),
            _ => Self::at(cell, cursor),
        }
    }
}

/// The text with strings, characters and comments painted over, byte for byte.
struct Mask {
    bytes: Vec<u8>,
    ends_in_text: bool,
}

/// Stands for a string: a value, but no word and no bracket.
const STRING: u8 = b'"';

impl Mask {
    fn new(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        let mut tokens = tokens(text);
        let mut ends_in_comment = false;
        for token in tokens.by_ref() {
            let paint = match token.kind {
                TokenKind::LineComment | TokenKind::BlockComment => b' ',
                TokenKind::Text | TokenKind::Character => STRING,
                _ => continue,
            };
            // One whose line ended is over.
            ends_in_comment = token.kind == TokenKind::LineComment && token.end() == text.len();
            bytes[token.start..token.end()].fill(paint);
        }
        Self { bytes, ends_in_text: ends_in_comment || tokens.ends_in_text() }
    }

    fn ends(&self, at: usize, with: &str) -> bool {
        self.bytes[..at].ends_with(with.as_bytes())
    }

    /// The end of what stands before `at`, blanks left out.
    fn trimmed(&self, at: usize) -> Option<usize> {
        self.bytes[..at].iter().rposition(|byte| !byte.is_ascii_whitespace()).map(|last| last + 1)
    }

    fn word_start(&self, end: usize) -> usize {
        self.bytes[..end].iter().rposition(|byte| !is_word_byte(*byte)).map_or(0, |last| last + 1)
    }

    fn path_start(&self, end: usize) -> usize {
        let mut start = self.word_start(end);
        while self.ends(start, "::") {
            start = self.word_start(start - 2);
        }
        start
    }

    /// The path before the braces of a `use` in which `at` stands: `std::fs` of `use std::fs::{File, `.
    fn use_path(&self, at: usize) -> Option<std::ops::Range<usize>> {
        let open = self.bytes[..at].iter().rposition(|byte| matches!(byte, b'{' | b'}' | b';'))?;
        if self.bytes[open] != b'{' || !self.ends(open, "::") {
            return None;
        }
        let end = open - 2;
        let start = self.path_start(end);
        let before = self.trimmed(start)?;
        let word = self.word_start(before);
        (&self.bytes[word..before] == b"use").then_some(start..end)
    }

    /// The place where the bracket that ends at `end` was opened.
    fn opening(&self, end: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (0..end).rev() {
            match self.bytes[at] {
                b')' | b']' | b'}' => depth += 1,
                b'(' | b'[' | b'{' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The beginning of the arguments before `cursor`, if the cursor stands among some.
    fn open_call(&self, cursor: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (0..cursor).rev() {
            match self.bytes[at] {
                b')' | b']' | b'}' => depth += 1,
                b'(' if depth == 0 => return Some(at),
                b'[' | b'{' if depth == 0 => return None,
                b'(' | b'[' | b'{' => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// The beginning of the `::<…>` that ends at `end`.
    fn turbofish(&self, end: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (0..end).rev() {
            match self.bytes[at] {
                b'>' if at > 0 && self.bytes[at - 1] == b'-' => {}
                b'>' => depth += 1,
                b'<' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return self.ends(at, "::").then(|| at - 2);
                    }
                }
                b';' | b'{' | b'}' => return None,
                _ => {}
            }
        }
        None
    }

    /// The beginning of the chain of calls, fields and paths that ends at `end`.
    fn expression_start(&self, end: usize) -> usize {
        let mut start = end;
        loop {
            let Some(last) = start.checked_sub(1).map(|at| self.bytes[at]) else { return start };
            start = match last {
                b'?' => start - 1,
                b')' | b']' => match self.opening(start) {
                    Some(open) => open,
                    None => return start,
                },
                b'>' => match self.turbofish(start) {
                    Some(colons) => colons,
                    None => return start,
                },
                b'!' => start - 1,
                STRING => {
                    let other = self.bytes[..start].iter().rposition(|byte| *byte != STRING);
                    return other.map_or(0, |last| last + 1);
                }
                byte if is_word_byte(byte) => {
                    start = self.path_start(start);
                    match self.trimmed(start) {
                        Some(dot) if self.ends(dot, ".") && !self.ends(dot, "..") => {
                            self.trimmed(dot - 1).unwrap_or(0)
                        }
                        _ => return start,
                    }
                }
                _ => return start,
            };
            // A bracket begins an expression of its own unless something is called or indexed.
            let is_whole = match start.checked_sub(1).map(|at| self.bytes[at]) {
                Some(byte) => {
                    !is_word_byte(byte)
                        && !matches!(byte, b')' | b']' | b'>' | b'?' | b'!' | STRING)
                }
                None => true,
            };
            if is_whole {
                return start;
            }
        }
    }
}

/// Bytes of characters beyond ASCII only occur in words, once strings and comments are gone.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` marks the cursor.
    #[track_caller]
    fn check(marked: &str, place: &Place<'_>, typed: &str) {
        let cursor = marked.find('|').expect("a cursor");
        let cell = marked.replacen('|', "", 1);
        let found = Context::at(&cell, cursor);
        let same = match (&found.place, place) {
            (Place::Member { receiver, .. }, Place::Member { receiver: expected, .. }) => {
                receiver == expected
            }
            (found, expected) => found == expected,
        };
        assert!(same && found.typed == typed, "{marked:?}: {found:?}");
    }

    fn member(receiver: &str) -> Place<'_> {
        Place::Member { receiver, start: 0 }
    }

    #[test]
    fn a_dot_belongs_to_the_whole_chain_before_it() {
        check("df.|", &member("df"), "");
        check("let a = df.fil|ter(x)", &member("df"), "fil");
        check("df\n    .lazy()\n    .|", &member("df\n    .lazy()"), "");
        check("f(df.filter(col(\"a.b\").gt(1))?.|)", &member("df.filter(col(\"a.b\").gt(1))?"), "");
        check("if a.b.|", &member("a.b"), "");
        check("x + LazyFrame::scan(p, ())?.|", &member("LazyFrame::scan(p, ())?"), "");
        check("v[0].collect::<Vec<_>>().|", &member("v[0].collect::<Vec<_>>()"), "");
        check("(a + b).|", &member("(a + b)"), "");
        check("return (a).|", &member("(a)"), "");
        check("df!(\"a\" => [1])?.|", &member("df!(\"a\" => [1])?"), "");
        check("\"text\".le|", &member("\"text\""), "le");
        check("naïve.|", &member("naïve"), "");
    }

    #[test]
    fn paths_names_and_text_are_told_apart() {
        check("DataFrame::n|", &Place::Path("DataFrame"), "n");
        check("a.f(polars::prelude::|)", &Place::Path("polars::prelude"), "");
        check("use std::fs::{Fi|", &Place::Path("std::fs"), "Fi");
        check("use std::fs::{File, Re|", &Place::Path("std::fs"), "Re");
        check("use a::b; { let c = d|", &Place::Free, "d");
        check("let a = Da|", &Place::Free, "Da");
        check("0..n|", &Place::Free, "n");
        check("|", &Place::Free, "");
        check("// df.|", &Place::Text, "");
        check("// over\ndf.|", &member("df"), "");
        check("/* df.|", &Place::Text, "");
        check("f(\"df.|", &Place::Text, "");
        check("r#\"df.\" |", &Place::Text, "");
        check("/* /* a */ df.|", &Place::Text, "");
        check("f(br\"\\\").|", &member("f(br\"\\\")"), "");
        check("let c = '\"'; df.|", &member("df"), "");
        check("fn f<'a>(x: &'a str) { x.|", &member("x"), "");
    }

    #[test]
    fn arguments_belong_to_their_function() {
        let around = |marked: &str| {
            let cursor = marked.find('|').expect("a cursor");
            let cell = marked.replacen('|', "", 1);
            let found = Context::around(&cell, cursor);
            found.typed.to_owned()
        };
        assert_eq!(around("df.fil|ter(x)"), "filter");
        assert_eq!(around("df.filter(|"), "filter");
        assert_eq!(around("df.join(a, b(1), |)"), "join");
        assert_eq!(around("|df"), "df");
        assert_eq!(around("{ |"), "");
    }
}
