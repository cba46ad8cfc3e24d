//! The tokens of a query in SQL, which may be half-written. All tokens together are the query, so that a
//! rewritten one keeps its blanks and comments. Block comments nest, as polars' parser has them.

use std::borrow::Cow;

/// A piece of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// The piece itself.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Whether the query ends before the text, the name or the comment does.
    pub is_open: bool,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// White space.
    Blank,
    /// `-- …` up to the end of the line, or `/* … */` with those inside it.
    Comment,
    /// `'…'`; a doubled quote belongs to it.
    Text,
    /// `"…"` or `` `…` ``; a doubled quote belongs to it.
    QuotedName,
    /// A name or a word of SQL.
    Word,
    /// `12`, `0.5`, `1e-3`.
    Number,
    /// Any other character.
    Sign,
}

impl<'a> Token<'a> {
    /// White space or a comment.
    pub fn is_blank(self) -> bool {
        matches!(self.kind, TokenKind::Blank | TokenKind::Comment)
    }

    /// The name that this token spells, bare or in double quotes.
    pub fn identifier(self) -> Option<&'a str> {
        match self.kind {
            TokenKind::Word => Some(self.text),
            TokenKind::QuotedName => self.text.strip_prefix('"')?.strip_suffix('"'),
            _ => None,
        }
    }

    /// What stands between single quotes, doubled ones as one.
    pub fn string(self) -> Option<Cow<'a, str>> {
        if self.kind != TokenKind::Text || self.is_open {
            return None;
        }
        let inner = &self.text[1..self.text.len() - 1];
        Some(match inner.contains('\'') {
            true => Cow::Owned(inner.replace("''", "'")),
            false => Cow::Borrowed(inner),
        })
    }

    /// A number, such as `12`, `0.5` or `1e-3`.
    pub fn is_number(self) -> bool {
        self.kind == TokenKind::Number
    }

    /// Whether this is the word `word`, which is in lower case, and not a quoted name.
    pub fn is(self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    /// Where it ends, in bytes.
    pub fn end(self) -> usize {
        self.start + self.text.len()
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// The tokens of `query`.
pub fn tokens(query: &str) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &query[start..];
        let (kind, length) = first(rest)?;
        let text = &rest[..length.unwrap_or(rest.len())];
        let token = Token { kind, text, start, is_open: length.is_none() };
        start += text.len();
        Some(token)
    })
}

/// What `rest` begins with, and how many bytes it takes; `None` when nothing ends it.
fn first(rest: &str) -> Option<(TokenKind, Option<usize>)> {
    let first = rest.chars().next()?;
    let until = |ends: fn(char) -> bool| Some(rest.find(ends).unwrap_or(rest.len()));
    Some(match first {
        '\'' => (TokenKind::Text, quoted_length(rest)),
        '"' | '`' => (TokenKind::QuotedName, quoted_length(rest)),
        '-' if rest.starts_with("--") => (TokenKind::Comment, rest.find('\n')),
        '/' if rest.starts_with("/*") => (TokenKind::Comment, comment_length(rest)),
        _ if first.is_whitespace() => (TokenKind::Blank, until(|c| !c.is_whitespace())),
        _ if is_name_start(first) => {
            (TokenKind::Word, until(|c| !(c.is_alphanumeric() || c == '_')))
        }
        _ if first.is_ascii_digit() => (TokenKind::Number, Some(number_length(rest))),
        _ => (TokenKind::Sign, Some(first.len_utf8())),
    })
}

/// How many bytes the text or name takes whose quote `rest` begins with.
fn quoted_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 1;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == bytes[0])? + 1;
        match bytes.get(at) {
            Some(next) if *next == bytes[0] => at += 1,
            _ => return Some(at),
        }
    }
}

/// How many bytes the block comment takes that `rest` begins with.
fn comment_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        at += match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                2
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// How many bytes the number takes that `text` begins with.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    if text[length..].starts_with('.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        match digits(length + 1 + sign) {
            0 => {}
            n_digits => length += 1 + sign + n_digits,
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &str) {
        let found: Vec<String> = tokens(query)
            .map(|token| {
                let letter = match token.kind {
                    TokenKind::Blank => '_',
                    TokenKind::Comment => '*',
                    TokenKind::Text => 't',
                    TokenKind::QuotedName => 'q',
                    TokenKind::Word => 'w',
                    TokenKind::Number => 'n',
                    TokenKind::Sign => '.',
                };
                format!("{letter}{}{}", token.text, if token.is_open { "…" } else { "" })
            })
            .collect();
        assert_eq!(found.join("|"), expected, "{query:?}");
    }

    #[test]
    fn tokens_end_where_sql_ends_them() {
        for (query, expected) in [
            ("a.b>=12.5e2", "wa|..|wb|.>|.=|n12.5e2"),
            ("1e-3 t1 1.x 2e 3e+", "n1e-3|_ |wt1|_ |n1|..|wx|_ |n2|we|_ |n3|we|.+"),
            ("'it''s' ''", "t'it''s'|_ |t''"),
            ("'it''", "t'it''…"),
            ("\"a\"\"b\"c `d`", "q\"a\"\"b\"|wc|_ |q`d`"),
            ("\"my", "q\"my…"),
            ("-- 'x\n1", "*-- 'x|_\n|n1"),
            ("1-- x", "n1|*-- x…"),
            ("/* a /* ' */ b */c", "*/* a /* ' */ b */|wc"),
            ("/* /* */", "*/* /* */…"),
            ("'/*' -1", "t'/*'|_ |.-|n1"),
            ("naïve_1", "wnaïve_1"),
        ] {
            check(query, expected);
        }
    }

    #[test]
    fn names_and_texts_are_read() {
        let first = |query: &'static str| tokens(query).next().unwrap();
        assert_eq!(first("'it''s'").string().as_deref(), Some("it's"));
        assert_eq!(first("'it").string(), None);
        assert_eq!(first("\"a b\"").identifier(), Some("a b"));
        assert_eq!(first("\"a b").identifier(), None);
        assert_eq!(first("label").identifier(), Some("label"));
        assert!(first("Select").is("select") && first("\"select\"").kind != TokenKind::Word);
    }

    /// A token that ends by itself, with its kind.
    fn token() -> impl Strategy<Value = (TokenKind, String)> {
        prop_oneof![
            "[a-z'\"/*]{0,5}".prop_map(|text| (TokenKind::Comment, format!("--{text}"))),
            ("[a-z'\" ]{0,4}", "[a-z'\"-]{0,4}").prop_map(|(before, inside)| {
                (TokenKind::Comment, format!("/*{before}/*{inside}*/{before}*/"))
            }),
            "[a-z\"/*é🦀-]{0,5}".prop_map(|text| (TokenKind::Text, format!("'{text}''{text}'"))),
            "[a-z'/*é🦀-]{0,5}".prop_map(|text| (TokenKind::QuotedName, format!("\"{text}\""))),
            "[a-zé_][a-z0-9_]{0,5}".prop_map(|text| (TokenKind::Word, text)),
            "[0-9]{1,3}(\\.[0-9]{1,2})?(e-?[0-9])?".prop_map(|text| (TokenKind::Number, text)),
            "[.,;()*=<>+-]".prop_map(|text| (TokenKind::Sign, text)),
        ]
    }

    proptest! {
        #[test]
        fn tokens_come_back_from_any_mix_of_them(mix in proptest::collection::vec(token(), 0..20)) {
            let query: String = mix.iter().map(|(_, text)| format!("{text}\n")).collect();
            let found: Vec<(TokenKind, String)> = tokens(&query)
                .filter(|token| token.kind != TokenKind::Blank)
                .map(|token| (token.kind, token.text.to_owned()))
                .collect();
            prop_assert_eq!(found, mix, "{:?}", query);
        }

        #[test]
        fn tokens_are_the_query_and_what_comes_behind_changes_none(
            query in "[a-c0-2.e'\"`/*()\n é🦀-]{0,50}",
            cut in 0_usize..50,
        ) {
            let mut end = 0;
            for token in tokens(&query) {
                prop_assert_eq!(token.start, end);
                prop_assert!(!token.text.is_empty());
                end = token.end();
            }
            prop_assert_eq!(end, query.len());
            let cut = query.floor_char_boundary(cut.min(query.len()));
            let place = |token: &Token<'_>| (token.kind, token.start, token.end());
            let whole: Vec<_> =
                tokens(&query).filter(|token| token.end() <= cut).map(|it| place(&it)).collect();
            let half = tokens(&query[..cut]).take(whole.len()).map(|it| place(&it));
            prop_assert_eq!(half.collect::<Vec<_>>(), whole, "{:?} cut at {}", query, cut);
        }
    }
}
