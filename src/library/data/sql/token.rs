//! The pieces of a query in SQL. All pieces together are the query, so that a rewritten one keeps its
//! blanks and comments. It knows words, quotes, numbers and comments, and no grammar.

/// A piece of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
}

impl<'a> Token<'a> {
    /// White space or a comment.
    pub(super) fn is_blank(self) -> bool {
        self.text.starts_with(char::is_whitespace)
            || self.text.starts_with("--")
            || self.text.starts_with("/*")
    }

    /// The name that this piece spells, bare or in double quotes.
    pub(super) fn identifier(self) -> Option<&'a str> {
        if let Some(inner) = self.text.strip_prefix('"') {
            return inner.strip_suffix('"');
        }
        self.text.starts_with(is_name_start).then_some(self.text)
    }

    /// The text between single quotes.
    pub(super) fn string(self) -> Option<&'a str> {
        self.text.strip_prefix('\'')?.strip_suffix('\'')
    }

    /// A number, such as `12`, `0.5` or `1e-3`.
    pub(super) fn is_number(self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }

    /// True if this is the word `word`, which is in lower case, and not a quoted name.
    pub(super) fn is(self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// The pieces of `query`.
pub(super) fn tokens(query: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = query;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = if first == '\'' || first == '"' || first == '`' {
            // A doubled quote ends one token and begins the next: nothing between them to find.
            rest[1..].find(first).map_or(rest.len(), |at| at + 2)
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if first.is_whitespace() {
            rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len())
        } else if is_name_start(first) {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
        } else if first.is_ascii_digit() {
            number_length(rest)
        } else {
            first.len_utf8()
        };
        let (text, after) = rest.split_at(length);
        rest = after;
        Some(Token { text })
    })
}

/// The number of bytes of the number that `text` begins with.
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
    use super::*;

    #[test]
    fn a_query_is_its_pieces() {
        let query = "select 1e-3, a.b /* 'x' */ from \"it\"\"s\" where t1 >= 12.5e2 -- end";
        let pieces: Vec<&str> = tokens(query).map(|token| token.text).collect();
        assert_eq!(pieces.concat(), query);
        for piece in ["1e-3", "12.5e2", "t1", "/* 'x' */", "\"it\"", "-- end"] {
            assert!(pieces.contains(&piece), "{piece}: {pieces:?}");
        }
        let pieces: Vec<&str> = tokens("1.x 2e 3e+ 4.5").map(|token| token.text).collect();
        assert_eq!(pieces.join("|"), "1|.|x| |2|e| |3|e|+| |4.5");
    }
}
