//! The words of the search language. Every token knows where it stands, so that errors can say.

/// One word, with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Characters before it.
    pub(super) at: usize,
    /// True if nothing stands between it and the token before.
    pub(super) adjoins: bool,
    /// As it was written.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits and `_ . - / :`, beginning with a letter or `_`.
    Word,
    /// Digits with an optional sign, point and exponent.
    Number,
    /// Single quotes.
    SingleQuoted,
    /// Double quotes: a value, or a key as in SQL.
    DoubleQuoted,
    /// Backticks: a key.
    Backticked,
    /// `=`, `!=`, `<`, `<=`, `>`, `>=` and what is mistaken for them.
    Operator,
    /// `(`, `)`, `,` and anything else.
    Other,
    /// A quote that is never closed.
    Unclosed,
}

/// The tokens of `input`. Never fails: what makes no sense becomes [`Kind::Other`] or
/// [`Kind::Unclosed`], and the parser says what it expected there.
pub(super) fn tokens(input: &str) -> Vec<Token> {
    let chars: Vec<char> = input.chars().collect();
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    let mut end_of_last = usize::MAX;
    while let Some(&first) = chars.get(at) {
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, len) = scan(&chars[at..], first);
        let text = chars[at..at + len].iter().collect();
        tokens.push(Token { kind, at, adjoins: end_of_last == at, text });
        at += len;
        end_of_last = at;
    }
    tokens
}

/// Kind and length of the token at the beginning of `rest`.
fn scan(rest: &[char], first: char) -> (Kind, usize) {
    match first {
        '\'' => quoted(rest, Kind::SingleQuoted),
        '"' => quoted(rest, Kind::DoubleQuoted),
        '`' => quoted(rest, Kind::Backticked),
        '=' | '!' | '<' | '>' => {
            let len = rest.iter().take_while(|c| matches!(c, '=' | '!' | '<' | '>')).count();
            (Kind::Operator, len)
        }
        c if c.is_alphabetic() || c == '_' => {
            let part = |c: &&char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':');
            (Kind::Word, rest.iter().take_while(part).count())
        }
        c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => (Kind::Number, number(rest)),
        _ => (Kind::Other, 1),
    }
}

/// Length of what is written like a number; at least 1.
fn number(rest: &[char]) -> usize {
    let mut len = 1;
    while let Some(&c) = rest.get(len) {
        let sign_of_exponent = matches!(c, '+' | '-') && matches!(rest[len - 1], 'e' | 'E');
        if !(c.is_alphanumeric() || c == '.' || c == '_' || sign_of_exponent) {
            break;
        }
        len += 1;
    }
    len
}

/// A quoted text; inside, the quote is written twice.
fn quoted(rest: &[char], kind: Kind) -> (Kind, usize) {
    let quote = rest[0];
    let mut len = 1;
    while let Some(&c) = rest.get(len) {
        if c != quote {
            len += 1;
        } else if rest.get(len + 1) == Some(&quote) {
            len += 2;
        } else {
            return (kind, len + 1);
        }
    }
    (Kind::Unclosed, len)
}

impl Token {
    /// The content of a quoted token, without its quotes.
    pub(super) fn unquoted(&self) -> String {
        let mut chars = self.text.chars();
        let Some(quote) = chars.next() else { return String::new() };
        let inner = chars.as_str();
        let inner = inner.strip_suffix(quote).unwrap_or(inner);
        inner.replace(&format!("{quote}{quote}"), &quote.to_string())
    }

    /// True if this is the keyword `word`, in any case.
    pub(super) fn is_keyword(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }
}
