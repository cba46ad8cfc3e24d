//! A text as a net reads it: its tokens, and which characters each word of them stands at. The
//! tokenizers fill it; what the tokens weigh is not known here.

use std::ops::Range;

/// The tokens of a text, and the words that they are parts of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadText {
    /// Token ids, at least one.
    pub(crate) ids: Vec<u32>,
    /// The words, in order; a token that is part of none was added by the tokenizer.
    pub(crate) words: Vec<ReadWord>,
}

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadWord {
    /// Its tokens.
    pub(crate) tokens: Range<usize>,
    /// Its characters in the text.
    pub(crate) chars: Range<usize>,
}
