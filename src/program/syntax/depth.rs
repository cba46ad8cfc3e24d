//! How deep a half-written text of Rust is in brackets, strings and comments, read line by line. It
//! judges nothing: who asks knows what a text at rest may be followed by.

use super::rust::{Inside, TokenKind, Tokens};

/// How deep a Rust text is in brackets, strings and comments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Depth {
    brackets: Vec<char>,
    inside: Inside,
    surplus: Option<char>,
}

impl Depth {
    /// That of a whole text.
    pub(crate) fn of(text: &str) -> Self {
        let mut depth = Self::default();
        depth.read(text);
        depth
    }

    /// Whether a statement could begin here.
    pub(crate) fn at_rest(&self) -> bool {
        self.brackets.is_empty() && !self.is_in_text()
    }

    /// The open brackets, outermost first.
    pub(crate) fn brackets(&self) -> &[char] {
        &self.brackets
    }

    /// The first closing bracket that no bracket of its kind opens.
    pub(crate) fn surplus(&self) -> Option<char> {
        self.surplus
    }

    /// Whether the text ended inside a string or a block comment.
    pub(crate) fn is_in_text(&self) -> bool {
        self.inside != Inside::Code
    }

    /// Reads more of the text: one line, without its newline, or several.
    pub(crate) fn read(&mut self, text: &str) {
        let mut tokens = Tokens::after(self.inside, text);
        for token in tokens.by_ref() {
            match token.kind {
                TokenKind::Open(open) => self.brackets.push(open),
                TokenKind::Close(close) => {
                    let opens = match close {
                        ')' => '(',
                        ']' => '[',
                        _ => '{',
                    };
                    if self.brackets.pop() != Some(opens) {
                        self.surplus.get_or_insert(close);
                    }
                }
                _ => {}
            }
        }
        self.inside = tokens.inside();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn brackets_count_outside_of_texts_alone() {
        for (text, open, surplus, is_in_text) in [
            ("f(a, [b", "([", None, false),
            ("{ \"(\" '[' /* { */ // (", "{", None, false),
            ("f)", "", Some(')'), false),
            ("(]", "", Some(']'), false),
            ("(r#\"a\"", "(", None, true),
            ("/* /* */ (", "", None, true),
        ] {
            let depth = Depth::of(text);
            assert_eq!(depth.brackets().iter().collect::<String>(), open, "{text}");
            assert_eq!((depth.surplus(), depth.is_in_text()), (surplus, is_in_text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn lines_add_up_to_the_text(text in "[a({\\[\\])}\"'/*#rb\\\\\n ]{0,60}") {
            let mut by_line = Depth::default();
            text.split('\n').for_each(|line| by_line.read(line));
            let whole = Depth::of(&text);
            prop_assert_eq!(by_line.brackets(), whole.brackets(), "{:?}", text);
            prop_assert_eq!(by_line.inside, whole.inside, "{:?}", text);
        }
    }
}
