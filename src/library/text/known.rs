//! The share of a text that a vocabulary knows: counted where its tokens are looked up anyway.

/// A text's tokens, and those of them that the vocabulary has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KnownTokens {
    /// Tokens of the text; stop words and what a model adds itself are none.
    pub(crate) n_tokens: usize,
    /// Those of them that are in the vocabulary.
    pub(crate) n_known: usize,
}

impl KnownTokens {
    /// The known share, from 0 to 1; 0 for a text without tokens: nothing of it is known.
    pub(crate) fn share(self) -> f64 {
        if self.n_tokens == 0 { 0.0 } else { self.n_known as f64 / self.n_tokens as f64 }
    }
}
