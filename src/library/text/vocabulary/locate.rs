//! The places of the known terms in a text, for people who want to see them there. Predicting
//! counts without places, which is faster.

use std::ops::Range;

use super::{NO_FEATURE, NO_GRAM, NO_TOKEN, Tokenizer, Vocabulary, WordToken};

/// The words of a text and the places of its known terms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LocatedText {
    /// The words that count, in order: stop words are none.
    pub(crate) words: Vec<LocatedWord>,
    /// Every occurrence of a known term.
    pub(crate) terms: Vec<LocatedTerm>,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocatedWord {
    /// As the vocabulary spells it.
    pub(crate) word: String,
    /// Its bytes in the text.
    pub(crate) span: Range<usize>,
}

/// One occurrence of a known term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocatedTerm {
    pub(crate) feature: u32,
    /// The indices of its words.
    pub(crate) words: Range<usize>,
}

impl LocatedText {
    /// The term as the vocabulary spells it.
    pub(crate) fn spell(&self, term: &LocatedTerm) -> String {
        let words = self.words[term.words.clone()].iter().map(|word| word.word.as_str());
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Vocabulary {
    /// The places of the same terms that [`Vocabulary::for_each_feature`] names.
    pub(crate) fn locate(&self, text: &str, tokenizer: Tokenizer) -> LocatedText {
        let mut located = LocatedText::default();
        let mut ranks = Vec::new();
        for (word, span) in tokenizer.tokens(text).into_iter().zip(tokenizer.spans(text)) {
            let token = WordToken::new(word.as_bytes());
            let rank = self.words.get(token);
            let is_stop_word = self.stop_words.len() > 0 && self.stop_words.get(token) != NO_TOKEN;
            if rank == NO_TOKEN && is_stop_word {
                continue;
            }
            ranks.push(rank);
            located.words.push(LocatedWord { word, span });
        }
        for first in 0..ranks.len() {
            let mut push = |feature: u32, n_words: usize| {
                if feature != NO_FEATURE {
                    located.terms.push(LocatedTerm { feature, words: first..first + n_words });
                }
            };
            let mut gram = ranks[first];
            if gram == NO_TOKEN {
                continue;
            }
            push(self.word_features[gram as usize], 1);
            for (level, (word_idx, word)) in
                self.levels.iter().zip(ranks.iter().enumerate().skip(first + 1))
            {
                let slot = level.index.find(gram, *word, level.index.peek(gram, *word));
                if slot.entry == NO_GRAM {
                    break;
                }
                gram = slot.entry;
                push(slot.feature, word_idx + 1 - first);
            }
        }
        located
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{
        progress::Monitor,
        text::{FeatureCounter, FittedVectorizer, LookupBuffers, StopWords, Vectorizer},
    };

    fn fitted() -> FittedVectorizer {
        let vectorizer = Vectorizer {
            ngram_max: 3,
            stop_words: StopWords::List(vec!["the".to_owned()]),
            ..Vectorizer::default()
        };
        let texts = ["not the very good", "very good film", "a bad film", "not bad not good"];
        vectorizer.fit_transform(&texts, &Monitor::silent()).unwrap().0
    }

    #[test]
    fn a_term_stands_where_its_words_stand() {
        let text = "Not the VERY good, unknown film";
        let located = fitted().locate(text);
        let found: Vec<(String, &str)> = located
            .terms
            .iter()
            .map(|term| {
                let words = &located.words[term.words.clone()];
                let bytes = words[0].span.start..words[words.len() - 1].span.end;
                (located.spell(term), &text[bytes])
            })
            .collect();
        let expected = [
            ("not", "Not"),
            ("not very", "Not the VERY"),
            ("not very good", "Not the VERY good"),
            ("very", "VERY"),
            ("very good", "VERY good"),
            ("good", "good"),
            ("film", "film"),
        ];
        assert_eq!(found, expected.map(|(term, bytes)| (term.to_owned(), bytes)));
    }

    proptest! {
        #[test]
        fn what_is_located_is_what_is_counted(
            words in prop::collection::vec("(not|the|very|good|bad|film|zzz|x|é)", 0..30)
        ) {
            let (fitted, text) = (fitted(), words.join(" "));
            let mut counter = FeatureCounter::default();
            fitted.count(&text, &mut LookupBuffers::default(), &mut counter);
            let mut counted = counter.counts().to_vec();
            counted.sort_unstable();
            let mut located: Vec<u32> =
                fitted.locate(&text).terms.iter().map(|term| term.feature).collect();
            located.sort_unstable();
            let located: Vec<(u32, u32)> =
                located.chunk_by(|one, next| one == next).map(|run| (run[0], run.len() as u32)).collect();
            prop_assert_eq!(counted, located);
        }
    }
}
