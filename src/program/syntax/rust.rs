//! The tokens of Rust that may be half-written. Together they are the text: nothing is left out, and
//! nothing is refused. A comment or a string that nothing ends goes on to the end of the text, and a
//! text that is read in pieces goes on where the last one ended. proc-macro2 would do for complete Rust
//! alone; it refuses a string without its end.

use std::iter::FusedIterator;

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// The piece itself.
    pub(crate) text: &'a str,
    /// Where it begins, in bytes.
    pub(crate) start: usize,
}

impl Token<'_> {
    /// Where it ends, in bytes.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// White space.
    Blank,
    /// `// …` up to the end of the line.
    LineComment,
    /// `/* … */`, with those inside it.
    BlockComment,
    /// A string of any kind: `"…"`, `r#"…"#`, `b"…"`, `c"…"`, `br"…"`.
    Text,
    /// A character or a byte: `'a'`, `b'\n'`.
    Character,
    /// `'a`.
    Lifetime,
    /// `12_u8`, `0.5`, `1e-3`.
    Number,
    /// A name or a keyword, `r#raw` too.
    Word,
    /// `(`, `[` or `{`.
    Open(char),
    /// `)`, `]` or `}`.
    Close(char),
    /// Any other character.
    Sign,
}

/// What the end of a text stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Inside {
    /// Code.
    #[default]
    Code,
    /// A block comment, nested this deep.
    Comment(usize),
    /// A string with backslash escapes.
    Text,
    /// A raw string with this many `#`.
    Raw(usize),
}

/// The keywords of Rust.
pub(crate) const KEYWORDS: [&str; 37] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use",
    "where", "while",
];

/// Whether a word may hold this character.
pub(crate) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Where the word begins that ends at byte `end` of `text`; `end` where there is none.
pub(crate) fn word_start(text: &str, end: usize) -> usize {
    text[..end].trim_end_matches(is_word).len()
}

/// The tokens of `text`.
pub(crate) fn tokens(text: &str) -> Tokens<'_> {
    Tokens::after(Inside::Code, text)
}

/// Reads the tokens of a text, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    inside: Inside,
}

impl<'a> Tokens<'a> {
    /// Those of a text that goes on where another one ended `inside` something.
    pub(super) fn after(inside: Inside, text: &'a str) -> Self {
        Self { text, at: 0, inside }
    }

    /// What the text stands in, as far as it was read.
    pub(super) fn inside(&self) -> Inside {
        self.inside
    }

    /// Whether the text, as far as it was read, ends inside a string or a block comment.
    pub(crate) fn ends_in_text(&self) -> bool {
        self.inside != Inside::Code
    }

    /// The kind and length of what `rest`, which is not empty, begins with.
    fn first(&mut self, rest: &str) -> (TokenKind, usize) {
        let first = rest.chars().next().unwrap_or_default();
        match (first, rest.as_bytes().get(1)) {
            ('/', Some(b'/')) => (TokenKind::LineComment, rest.find('\n').unwrap_or(rest.len())),
            ('/', Some(b'*')) => {
                self.inside = Inside::Comment(1);
                (TokenKind::BlockComment, 2 + self.rest_of_comment(&rest[2..], 1))
            }
            ('"', _) => self.string(rest, 1, Inside::Text),
            ('\'', _) => quoted(rest),
            ('b', Some(b'\'')) => match quoted(&rest[1..]) {
                (TokenKind::Character, length) => (TokenKind::Character, length + 1),
                _ => (TokenKind::Word, 1),
            },
            ('b' | 'c' | 'r', _) => match opening(rest) {
                Some((length, inside)) => self.string(rest, length, inside),
                None => (TokenKind::Word, word_length(rest)),
            },
            ('(' | '[' | '{', _) => (TokenKind::Open(first), 1),
            (')' | ']' | '}', _) => (TokenKind::Close(first), 1),
            _ if first.is_whitespace() => {
                let blanks = rest.find(|char: char| !char.is_whitespace());
                (TokenKind::Blank, blanks.unwrap_or(rest.len()))
            }
            _ if first.is_ascii_digit() => (TokenKind::Number, number_length(rest)),
            _ if is_word(first) => (TokenKind::Word, word_length(rest)),
            _ => (TokenKind::Sign, first.len_utf8()),
        }
    }

    /// A string that begins with `length` bytes.
    fn string(&mut self, rest: &str, length: usize, inside: Inside) -> (TokenKind, usize) {
        self.inside = inside;
        (TokenKind::Text, length + self.rest_of_string(&rest[length..]))
    }

    /// How many bytes of `rest` belong to the string that was begun.
    fn rest_of_string(&mut self, rest: &str) -> usize {
        let end = match self.inside {
            Inside::Raw(hashes) => raw_end(rest, hashes),
            _ => string_end(rest),
        };
        if end.is_some() {
            self.inside = Inside::Code;
        }
        end.unwrap_or(rest.len())
    }

    /// How many bytes of `rest` belong to the comment that was begun.
    fn rest_of_comment(&mut self, rest: &str, mut depth: usize) -> usize {
        let bytes = rest.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            at += match (bytes[at], bytes.get(at + 1)) {
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    2
                }
                (b'/', Some(b'*')) => {
                    depth += 1;
                    2
                }
                _ => 1,
            };
            if depth == 0 {
                self.inside = Inside::Code;
                return at;
            }
        }
        self.inside = Inside::Comment(depth);
        rest.len()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let text = self.text;
        let rest = &text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let (kind, length) = match self.inside {
            Inside::Code => self.first(rest),
            Inside::Comment(depth) => (TokenKind::BlockComment, self.rest_of_comment(rest, depth)),
            Inside::Text | Inside::Raw(_) => (TokenKind::Text, self.rest_of_string(rest)),
        };
        let token = Token { kind, text: &rest[..length], start: self.at };
        self.at += length;
        Some(token)
    }
}

impl FusedIterator for Tokens<'_> {}

/// The length of what opens a string with a prefix, and what is inside then.
fn opening(rest: &str) -> Option<(usize, Inside)> {
    let prefix = ["br", "cr", "r", "b", "c"].iter().find(|prefix| rest.starts_with(**prefix))?;
    let behind = &rest[prefix.len()..];
    if !prefix.ends_with('r') {
        return behind.starts_with('"').then_some((prefix.len() + 1, Inside::Text));
    }
    let hashes = behind.bytes().take_while(|byte| *byte == b'#').count();
    let length = prefix.len() + hashes + 1;
    (behind.as_bytes().get(hashes) == Some(&b'"')).then_some((length, Inside::Raw(hashes)))
}

/// Behind the quote that ends a string with escapes.
fn string_end(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Behind the quote and the `hashes` that end a raw string.
fn raw_end(rest: &str, hashes: usize) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(quote) = rest[at..].find('"') {
        let behind = at + quote + 1;
        let found = bytes[behind..].iter().take(hashes).take_while(|byte| **byte == b'#').count();
        if found == hashes {
            return Some(behind + hashes);
        }
        at = behind + found;
    }
    None
}

/// A character or a lifetime; a quote that begins neither stands for itself.
fn quoted(rest: &str) -> (TokenKind, usize) {
    let mut chars = rest.char_indices().skip(1);
    let Some((_, first)) = chars.next() else { return (TokenKind::Sign, 1) };
    if first == '\\' {
        return (TokenKind::Character, escaped_length(rest));
    }
    match chars.next() {
        Some((at, '\'')) if first != '\n' => (TokenKind::Character, at + 1),
        _ if is_word(first) && !first.is_numeric() => {
            (TokenKind::Lifetime, 1 + word_length(&rest[1..]))
        }
        _ => (TokenKind::Sign, 1),
    }
}

/// The length of a character that begins `'\`: to its quote, or to the end of its line.
fn escaped_length(rest: &str) -> usize {
    let ends = |(at, byte): &(usize, u8)| match byte {
        // What is escaped may be a quote itself.
        b'\'' => *at > 2,
        byte => *byte == b'\n',
    };
    match rest.bytes().enumerate().skip(2).find(ends) {
        Some((at, b'\'')) => at + 1,
        Some((at, _)) => at,
        None => rest.len(),
    }
}

/// The length of the word that `rest` begins with, its `r#` included.
fn word_length(rest: &str) -> usize {
    let begins = |text: &str| text.starts_with(|char: char| is_word(char) && !char.is_numeric());
    let start = match rest.strip_prefix("r#") {
        Some(raw) if begins(raw) => 2,
        _ => 0,
    };
    rest[start..].find(|char| !is_word(char)).map_or(rest.len(), |length| start + length)
}

/// The length of the number that `rest` begins with. `0..9` is a range and `1.max(2)` a call: a point
/// belongs to a number where a digit follows.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let word = |from: usize| {
        rest[from..].find(|char| !is_word(char)).map_or(rest.len(), |length| from + length)
    };
    let is_decimal = |text: &str| !text.starts_with("0x") && !text.starts_with("0X");
    let mut end = word(0);
    if bytes.get(end) == Some(&b'.') && is_digit(end + 1) {
        end = word(end + 1);
    }
    let is_exponent = rest[..end].ends_with(['e', 'E']) && is_decimal(rest);
    if is_exponent && matches!(bytes.get(end), Some(b'+' | b'-')) && is_digit(end + 1) {
        end = word(end + 1);
    }
    end
}

#[cfg(test)]
mod tests;
