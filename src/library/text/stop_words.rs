//! Words that carry no opinion. The built-in English list leaves negations (`not`, `no`, `never`,
//! `nor`, `without`) and degrees (`very`, `too`, `most`) in: they turn or weigh what follows.

use serde::{Deserialize, Serialize};

/// The words that are left out before n-grams are formed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopWords {
    /// None.
    #[default]
    None,
    /// [`ENGLISH`].
    English,
    /// These, as the tokenizer yields them.
    List(Vec<String>),
}

/// Articles, pronouns, auxiliaries, prepositions and conjunctions, as the tokenizer cuts them:
/// lower case, contractions split at the apostrophe (`don't` is `don`, its `t` is no word).
pub const ENGLISH: &[&str] = &[
    "about",
    "above",
    "after",
    "again",
    "against",
    "all",
    "also",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "doing",
    "down",
    "during",
    "each",
    "for",
    "from",
    "further",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "here",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "itself",
    "ll",
    "may",
    "me",
    "might",
    "must",
    "my",
    "myself",
    "of",
    "off",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "our",
    "ours",
    "ourselves",
    "out",
    "over",
    "own",
    "re",
    "same",
    "shall",
    "she",
    "should",
    "so",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "under",
    "until",
    "up",
    "upon",
    "us",
    "ve",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whom",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "yours",
    "yourself",
    "yourselves",
];

impl StopWords {
    /// The words themselves.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::English => ENGLISH.iter().map(|word| (*word).to_owned()).collect(),
            Self::List(words) => words.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Tokenizer;

    #[test]
    fn the_list_is_sorted_and_made_of_words_the_tokenizer_yields() {
        assert!(ENGLISH.is_sorted_by(|one, next| one < next));
        assert_eq!(Tokenizer::default().tokens(&ENGLISH.join(" ")), ENGLISH);
    }
}
