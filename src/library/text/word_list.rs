//! A short list of words, and which of them a text has: what is counted of texts whose words are not
//! kept. Words are cut as TF-IDF cuts them by default.

use super::{
    intern::{Interner, NO_TOKEN},
    token::{Tokenizer, WordToken},
};

/// Words with numbers from 0, in a fixed order.
#[derive(Debug, Clone)]
pub(crate) struct WordList {
    words: Interner<()>,
}

/// Memory for counting that is used again from text to text.
#[derive(Debug, Clone, Default)]
pub(crate) struct WordScratch {
    /// A bit for each word of the list that the text has.
    seen: Vec<u64>,
    found: Vec<u32>,
}

impl WordScratch {
    /// The numbers of the listed words that the text has, each once.
    pub(crate) fn found(&self) -> &[u32] {
        &self.found
    }
}

impl WordList {
    /// The list of `words`; one that is there twice has the number of its first place.
    pub(crate) fn new<'a>(words: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let mut list = Interner::with_capacity(words.len());
        words.for_each(|word| {
            list.intern(WordToken::new(word.as_bytes()));
        });
        Self { words: list }
    }

    /// The number of words.
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// The number of words that `text` has, listed or not; which listed ones these are is in `scratch`
    /// from then on.
    pub(crate) fn count(&self, text: &str, scratch: &mut WordScratch) -> usize {
        let WordScratch { seen, found } = scratch;
        seen.clear();
        seen.resize(self.words.len().div_ceil(64), 0);
        found.clear();
        let mut n_words = 0;
        Tokenizer::default().for_each(text, |token| {
            n_words += 1;
            let id = self.words.get(token);
            if id == NO_TOKEN {
                return;
            }
            let (place, bit) = (id as usize / 64, 1 << (id % 64));
            if seen[place] & bit == 0 {
                seen[place] |= bit;
                found.push(id);
            }
        });
        n_words
    }
}

/// The number of words of `text`.
pub(crate) fn count_words(text: &str) -> usize {
    let mut n_words = 0;
    Tokenizer::default().for_each(text, |_| n_words += 1);
    n_words
}

/// The number of texts that each word occurs in, and the number of words of each text.
#[derive(Debug)]
pub(crate) struct DocumentFrequencies {
    /// Beside each word the last text that had it, from 1, and the number of texts.
    words: Interner<(u32, u32)>,
    n_texts: u32,
}

impl DocumentFrequencies {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        Self { words: Interner::with_capacity(1 << 12), n_texts: 0 }
    }

    /// Counts one text. Returns the number of its words.
    pub(crate) fn add(&mut self, text: &str) -> usize {
        self.n_texts += 1;
        let (number, words) = (self.n_texts, &mut self.words);
        let mut n_words = 0;
        Tokenizer::default().for_each(text, |token| {
            n_words += 1;
            let (_, (last, n_texts)) = words.intern(token);
            if *last != number {
                (*last, *n_texts) = (number, *n_texts + 1);
            }
        });
        n_words
    }

    /// The counts of both, which are of different texts.
    pub(crate) fn merged(mut self, other: &Self) -> Self {
        for (word, n_of_other) in other.iter() {
            let (_, (_, n_texts)) = self.words.intern(WordToken::new(word));
            *n_texts += n_of_other;
        }
        self.n_texts += other.n_texts;
        self
    }

    /// Each word with the number of texts that have it, in no useful order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        self.words.values().map(|(id, (_, n_texts))| (self.words.bytes(id as usize), n_texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_words_are_found_once_and_all_words_are_counted() {
        let words = ["good", "film", "uncharacteristically"];
        let list = WordList::new(words.iter().copied());
        assert_eq!(list.len(), 3);
        let mut scratch = WordScratch::default();
        let text = "Film, GOOD film<br />uncharacteristically other x";
        assert_eq!(list.count(text, &mut scratch), 5);
        assert_eq!(scratch.found(), [1, 0, 2]);
        assert_eq!(count_words(text), 5);
        assert_eq!(list.count("", &mut scratch), 0);
        assert_eq!(scratch.found(), [0_u32; 0]);
    }

    #[test]
    fn a_word_counts_once_a_text() {
        let mut counted = DocumentFrequencies::new();
        let mut other = DocumentFrequencies::new();
        assert_eq!((counted.add("bb aa aa"), other.add("aa cc")), (3, 2));
        let mut counted = counted.merged(&other);
        assert_eq!(counted.add("cc bb zz"), 3);
        let mut found: Vec<(&[u8], u32)> = counted.iter().collect();
        found.sort_unstable();
        let expected = [("aa", 2), ("bb", 2), ("cc", 2), ("zz", 1)];
        assert_eq!(found, expected.map(|(word, n)| (word.as_bytes(), n)));
    }
}
