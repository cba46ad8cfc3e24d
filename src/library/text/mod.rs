//! From text to numbers: tokens, n-gram counts, TF-IDF.
//!
//! The crates for it, linfa-preprocessing and vtext, do not scale rows as scikit-learn does, and speed
//! (`just bench tfidf`) is what this room is written for.

#[cfg(feature = "neural")]
mod basic_english;
mod cache_parts;
mod corpus;
mod counter;
mod intern;
mod known;
mod matrix;
#[cfg(feature = "neural")]
mod merges;
mod ngram;
mod occurrence;
mod radix;
#[cfg(feature = "neural")]
mod read_text;
pub mod stop_words;
mod term_counts;
mod term_frequency;
mod text_frequency;
mod token;
mod vectorizer;
mod vocabulary;
mod word_list;
#[cfg(feature = "neural")]
mod wordpiece;

#[cfg(feature = "neural")]
pub use basic_english::{WordIds, basic_english};
pub use matrix::TermMatrix;
pub use stop_words::StopWords;
pub use text_frequency::TextFrequency;
pub use token::{Casing, Html, Tokenizer};
pub use vectorizer::{FittedVectorizer, Vectorizer};
pub use vocabulary::Vocabulary;
#[cfg(feature = "neural")]
pub use wordpiece::{Cleaning, TruncationSide, WordPiece};

pub(crate) use counter::FeatureCounter;
pub(crate) use known::KnownTokens;
pub(crate) use matrix::column_blocks;
#[cfg(feature = "neural")]
pub(crate) use read_text::{ReadText, ReadWord};
pub(crate) use term_counts::TermCounts;
pub(crate) use term_frequency::TermFrequency;
pub(crate) use token::is_word;
pub(crate) use vocabulary::{LocatedText, LookupBuffers, VocabularyEntry, VocabularyParts};
pub(crate) use word_list::{DocumentFrequencies, WordList, WordScratch, count_words};
