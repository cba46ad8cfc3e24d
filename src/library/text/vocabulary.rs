//! The terms a vectoriser knows: words by number and, for each length, the n-grams as sorted number
//! pairs. It finds the features of a text without building a string.

mod locate;

pub(crate) use locate::LocatedText;

use super::{
    intern::{Interner, NO_TOKEN, TokenBatch, mix},
    known::KnownTokens,
    occurrence::NO_GRAM,
    token::{Tokenizer, WordToken},
};

/// Stands where a gram is no feature itself; longer ones begin with it.
pub(crate) const NO_FEATURE: u32 = u32::MAX;

/// One n-gram of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VocabularyEntry {
    /// The index of its first n-1 words in the level before.
    pub(crate) prefix: u32,
    /// The rank of its last word.
    pub(crate) word: u32,
    /// The feature it is, or [`NO_FEATURE`].
    pub(crate) feature: u32,
}

/// Terms and their features, in scikit-learn's order: that of the terms' code points.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Every word, in order; its number is its rank.
    words: Interner<()>,
    /// The feature of each word, or [`NO_FEATURE`].
    word_features: Vec<u32>,
    /// The n-grams of two words, of three and so on.
    levels: Vec<VocabularyLevel>,
    n_features: usize,
    /// Words that count as if they were not there. Their numbers are no ranks.
    stop_words: Interner<()>,
}

#[derive(Debug, Clone)]
struct VocabularyLevel {
    entries: Vec<VocabularyEntry>,
    index: PairIndex,
}

/// Everything a vocabulary consists of, as it is counted and stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VocabularyParts {
    /// The words in order.
    pub(crate) words: Vec<Box<[u8]>>,
    /// The feature of each word, or [`NO_FEATURE`].
    pub(crate) word_features: Vec<u32>,
    /// The n-grams of two words, of three and so on, each in order.
    pub(crate) levels: Vec<Vec<VocabularyEntry>>,
}

/// Buffers for finding the features of a text, kept from one text to the next.
#[derive(Debug, Default)]
pub(crate) struct LookupBuffers {
    tokens: TokenBatch,
    ranks: Vec<u32>,
    grams: Vec<u32>,
    slots: Vec<LookupSlot>,
}

impl Vocabulary {
    /// Bytes of its tables.
    pub(crate) fn n_bytes(&self) -> usize {
        let of_level = |level: &VocabularyLevel| {
            level.entries.capacity() * size_of::<VocabularyEntry>()
                + level.index.slots.capacity() * size_of::<LookupSlot>()
        };
        self.words.n_bytes()
            + self.stop_words.n_bytes()
            + self.word_features.capacity() * size_of::<u32>()
            + self.levels.iter().map(of_level).sum::<usize>()
    }

    /// Checks and indexes `parts`.
    ///
    /// # Errors
    /// Names the first thing that is wrong with them.
    pub(crate) fn new(parts: VocabularyParts, stop_words: &[String]) -> Result<Self, String> {
        let n_features = check(&parts)?;
        let VocabularyParts { words, word_features, levels } = parts;
        let (words, levels) = rayon::join(
            || {
                let mut interner = Interner::with_capacity(words.len());
                for word in &words {
                    interner.intern(WordToken::new(word));
                }
                interner
            },
            || levels.into_iter().map(VocabularyLevel::new).collect(),
        );
        let mut stops = Interner::with_capacity(stop_words.len());
        for word in stop_words {
            stops.intern(WordToken::new(word.as_bytes()));
        }
        Ok(Self { words, word_features, levels, n_features, stop_words: stops })
    }

    /// Number of terms that are features.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Number of different words in all terms.
    pub fn n_words(&self) -> usize {
        self.words.len()
    }

    /// Its parts, for storing.
    pub(crate) fn parts(&self) -> VocabularyParts {
        VocabularyParts {
            words: (0..self.words.len()).map(|rank| self.words.bytes(rank).into()).collect(),
            word_features: self.word_features.clone(),
            levels: self.levels.iter().map(|level| level.entries.clone()).collect(),
        }
    }

    /// All terms, in the order of their features.
    pub fn terms(&self) -> Vec<String> {
        self.terms_of(|_| true).into_iter().map(|(_, term)| term).collect()
    }

    /// The wanted features' numbers and terms, in the order of features.
    pub(crate) fn terms_of(&self, wanted: impl Fn(u32) -> bool) -> Vec<(u32, String)> {
        let is_wanted = |feature: u32| feature != NO_FEATURE && wanted(feature);
        let mut terms = Vec::new();
        for (rank, feature) in self.word_features.iter().enumerate() {
            if is_wanted(*feature) {
                terms.push((*feature, self.word(rank).to_owned()));
            }
        }
        for (level_idx, level) in self.levels.iter().enumerate() {
            for entry in level.entries.iter().filter(|entry| is_wanted(entry.feature)) {
                terms.push((entry.feature, self.term(level_idx, *entry)));
            }
        }
        terms.sort_unstable_by_key(|(feature, _)| *feature);
        terms
    }

    fn word(&self, rank: usize) -> &str {
        std::str::from_utf8(self.words.bytes(rank)).expect("words are UTF-8: checked in new")
    }

    fn term(&self, level_idx: usize, entry: VocabularyEntry) -> String {
        let mut words = vec![self.word(entry.word as usize)];
        let mut prefix = entry.prefix as usize;
        for level in self.levels[..level_idx].iter().rev() {
            words.push(self.word(level.entries[prefix].word as usize));
            prefix = level.entries[prefix].prefix as usize;
        }
        words.push(self.word(prefix));
        words.reverse();
        words.join(" ")
    }

    /// Calls `sink` with the feature of every known term of `text`, once an occurrence. Returns how
    /// many of its words are known.
    #[inline]
    pub(crate) fn for_each_feature(
        &self,
        text: &str,
        tokenizer: Tokenizer,
        scratch: &mut LookupBuffers,
        mut sink: impl FnMut(u32),
    ) -> KnownTokens {
        let LookupBuffers { tokens, ranks, grams, slots } = scratch;
        tokens.clear();
        tokenizer.for_each(text, |token| tokens.push(token));
        self.words.fetch(tokens);
        ranks.clear();
        let has_stop_words = self.stop_words.len() > 0;
        for token in tokens.iter() {
            let rank = self.words.get(token);
            if rank == NO_TOKEN && has_stop_words && self.stop_words.get(token) != NO_TOKEN {
                continue;
            }
            ranks.push(rank);
        }
        let mut known = KnownTokens { n_tokens: ranks.len(), n_known: 0 };
        for rank in ranks.iter().filter(|rank| **rank != NO_TOKEN) {
            known.n_known += 1;
            let feature = self.word_features[*rank as usize];
            if feature != NO_FEATURE {
                sink(feature);
            }
        }
        if self.levels.is_empty() {
            return known;
        }
        grams.clear();
        grams.extend_from_slice(ranks);
        for (level_idx, level) in self.levels.iter().enumerate() {
            // `grams[i]` is the gram of the level before that begins at word i.
            let last_words = ranks.get(level_idx + 1..).unwrap_or_default();
            grams.truncate(last_words.len());
            // Most slots are not in the cache. Fetching all of them before looking at any lets the
            // processor wait for many at a time.
            slots.clear();
            slots.extend(
                grams.iter().zip(last_words).map(|(gram, word)| level.index.peek(*gram, *word)),
            );
            for ((gram, word), slot) in grams.iter_mut().zip(last_words).zip(slots.iter()) {
                let slot = level.index.find(*gram, *word, *slot);
                *gram = slot.entry;
                if slot.feature != NO_FEATURE {
                    sink(slot.feature);
                }
            }
        }
        known
    }
}

/// Checks that `parts` fit together; returns the number of features.
fn check(parts: &VocabularyParts) -> Result<usize, String> {
    if parts.words.len() >= NO_TOKEN as usize || parts.word_features.len() != parts.words.len() {
        return Err("the number of words does not match their features".to_owned());
    }
    if parts.words.iter().any(|word| std::str::from_utf8(word).is_err()) {
        return Err("a word is not UTF-8".to_owned());
    }
    if parts.words.iter().any(|word| word.is_empty() || word.contains(&0)) {
        return Err("a word is empty or contains a zero byte".to_owned());
    }
    if !parts.words.is_sorted_by(|one, next| one < next) {
        return Err("the words are not in order".to_owned());
    }
    let mut n_prefixes = parts.words.len();
    for level in &parts.levels {
        if level.len() >= NO_GRAM as usize {
            return Err("too many n-grams".to_owned());
        }
        let is_known = |entry: &VocabularyEntry| {
            (entry.prefix as usize) < n_prefixes && (entry.word as usize) < parts.words.len()
        };
        if !level.iter().all(is_known) {
            return Err("an n-gram refers to an unknown word".to_owned());
        }
        if !level.is_sorted_by(|one, next| (one.prefix, one.word) < (next.prefix, next.word)) {
            return Err("the n-grams are not in order".to_owned());
        }
        n_prefixes = level.len();
    }
    let features = || {
        let entries = parts.levels.iter().flatten().map(|entry| entry.feature);
        parts.word_features.iter().copied().chain(entries).filter(|feature| *feature != NO_FEATURE)
    };
    let n_features = features().count();
    let mut seen = vec![false; n_features];
    for feature in features() {
        match seen.get_mut(feature as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err("the features are not numbered one by one".to_owned()),
        }
    }
    Ok(n_features)
}

impl VocabularyLevel {
    fn new(entries: Vec<VocabularyEntry>) -> Self {
        let index = PairIndex::new(&entries);
        Self { entries, index }
    }
}

/// From (prefix, word) to an entry: open addressing with one 16-byte slot, so one cache line, a
/// look-up. At most half of the slots are taken.
#[derive(Debug, Clone)]
struct PairIndex {
    slots: Vec<LookupSlot>,
    shift: u32,
}

#[derive(Debug, Clone, Copy)]
struct LookupSlot {
    prefix: u32,
    word: u32,
    entry: u32,
    feature: u32,
}

const VACANT: LookupSlot =
    LookupSlot { prefix: NO_GRAM, word: NO_TOKEN, entry: NO_GRAM, feature: NO_FEATURE };

impl PairIndex {
    fn new(entries: &[VocabularyEntry]) -> Self {
        let n_slots = (entries.len() * 2).next_power_of_two().max(2);
        let mut index = Self { slots: vec![VACANT; n_slots], shift: 64 - n_slots.ilog2() };
        for (entry_idx, entry) in entries.iter().enumerate() {
            let mut slot_idx = index.home(entry.prefix, entry.word);
            while index.slots[slot_idx].entry != NO_GRAM {
                slot_idx = (slot_idx + 1) & (n_slots - 1);
            }
            let VocabularyEntry { prefix, word, feature } = *entry;
            index.slots[slot_idx] = LookupSlot { prefix, word, entry: entry_idx as u32, feature };
        }
        index
    }

    /// The slot where this pair belongs.
    #[inline]
    fn peek(&self, prefix: u32, word: u32) -> LookupSlot {
        self.slots[self.home(prefix, word)]
    }

    /// The slot of this pair, or a vacant one, given what [`PairIndex::peek`] said.
    #[inline]
    fn find(&self, prefix: u32, word: u32, mut slot: LookupSlot) -> LookupSlot {
        if prefix == NO_GRAM || word == NO_TOKEN {
            return VACANT;
        }
        let mut slot_idx = self.home(prefix, word);
        while (slot.prefix, slot.word) != (prefix, word) && slot.entry != NO_GRAM {
            slot_idx = (slot_idx + 1) & (self.slots.len() - 1);
            slot = self.slots[slot_idx];
        }
        slot
    }

    #[inline]
    fn home(&self, prefix: u32, word: u32) -> usize {
        let key = u64::from(prefix) << 32 | u64::from(word);
        (mix(key ^ 0x2d35_8dcc_aa6c_78a5, 0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<Box<[u8]>> {
        words.iter().map(|word| word.as_bytes().into()).collect()
    }

    fn example() -> VocabularyParts {
        let entry = |prefix, word, feature| VocabularyEntry { prefix, word, feature };
        VocabularyParts {
            words: words(&["bad", "good", "not", "very"]),
            word_features: vec![0, 1, NO_FEATURE, 5],
            levels: vec![
                vec![entry(2, 1, 2), entry(2, 3, 3), entry(3, 1, 6)],
                vec![entry(1, 1, 4)],
            ],
        }
    }

    #[test]
    fn terms_are_spelled_from_their_words() {
        let vocabulary = Vocabulary::new(example(), &[]).unwrap();
        let terms = ["bad", "good", "not good", "not very", "not very good", "very", "very good"];
        assert_eq!(vocabulary.terms(), terms);
        assert!(terms.is_sorted());
        assert_eq!(vocabulary.parts(), example());
    }

    #[test]
    fn unknown_words_separate_and_stop_words_vanish() {
        let features = |text: &str, stop_words: &[String]| {
            let vocabulary = Vocabulary::new(example(), stop_words).unwrap();
            let mut features = Vec::new();
            let mut scratch = LookupBuffers::default();
            vocabulary.for_each_feature(text, Tokenizer::default(), &mut scratch, |feature| {
                features.push(feature);
            });
            features
        };
        assert_eq!(features("Not very good", &[]), [5, 1, 3, 6, 4]);
        assert_eq!(features("not at all very the good", &[]), [5, 1]);
        assert_eq!(features("not at very the good", &["at".into(), "the".into()]), [5, 1, 3, 6, 4]);
        assert!(features("", &[]).is_empty());
    }

    #[test]
    fn known_words_are_counted_and_stop_words_are_none() {
        let known = |text: &str, stop_words: &[String]| {
            let vocabulary = Vocabulary::new(example(), stop_words).unwrap();
            let mut scratch = LookupBuffers::default();
            let known =
                vocabulary.for_each_feature(text, Tokenizer::default(), &mut scratch, |_| {});
            (known.n_known, known.n_tokens)
        };
        assert_eq!(known("Not very good", &[]), (3, 3));
        // "not" is a part of terms alone.
        assert_eq!(known("not at all good", &[]), (2, 4));
        assert_eq!(known("not at all good", &["at".into()]), (2, 3));
        assert_eq!(known("zzz qqq", &[]), (0, 2));
        // Words of one letter are no tokens.
        assert_eq!(known("a !", &[]), (0, 0));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let refuse = |damage: fn(&mut VocabularyParts), expected: &str| {
            let mut parts = example();
            damage(&mut parts);
            let message = Vocabulary::new(parts, &[]).unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        refuse(|parts| parts.words.swap(0, 1), "not in order");
        refuse(|parts| parts.words[0] = [0xff, 0x00].into(), "UTF-8");
        refuse(|parts| parts.words[0] = [b'a', 0].into(), "zero byte");
        refuse(|parts| drop(parts.words.pop()), "does not match");
        refuse(|parts| parts.word_features[0] = 1, "one by one");
        refuse(|parts| parts.word_features[0] = 70, "one by one");
        refuse(|parts| parts.levels[0][0].prefix = 9, "unknown word");
        refuse(|parts| parts.levels[1][0].prefix = 3, "unknown word");
        refuse(|parts| parts.levels[0].swap(0, 1), "n-grams are not in order");
    }
}
