//! Learning the tokens of a WordPiece vocabulary by merging the most frequent pair, again and again
//! (Sennrich et al., 2016). The `tokenizers` crate's own trainer walks over a randomly seeded map,
//! so that the same texts give another vocabulary each time; here they decide it alone.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

/// The prefix of a token that continues a word.
const CONTINUED: &str = "##";

type Pair = (u32, u32);

/// The characters of `words` (with how often each occurs) and what merging gives, `size` tokens at
/// most, the characters first. A pair that occurs less than `min_freq` times is not merged.
pub(super) fn learn(words: &BTreeMap<String, u64>, size: usize, min_freq: u64) -> Vec<String> {
    let mut pieces = Pieces::new(words);
    while pieces.tokens.len() < size {
        let Some(pair) = pieces.most_frequent(min_freq) else { break };
        pieces.merge(pair);
    }
    pieces.tokens.truncate(size);
    pieces.tokens
}

/// Every word as it is cut now.
struct Pieces {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    words: Vec<(Vec<u32>, u64)>,
    counts: HashMap<Pair, u64>,
    /// Words that have, or had, the pair.
    places: HashMap<Pair, Vec<usize>>,
    /// Pairs by a count that may be out of date: then it is too high.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Pieces {
    fn new(words: &BTreeMap<String, u64>) -> Self {
        let mut characters: BTreeMap<String, u64> = BTreeMap::new();
        let cut = |word: &str| -> Vec<String> {
            let piece = |(idx, letter): (usize, char)| match idx {
                0 => letter.to_string(),
                _ => format!("{CONTINUED}{letter}"),
            };
            word.chars().enumerate().map(piece).collect()
        };
        for (word, count) in words {
            cut(word).into_iter().for_each(|piece| *characters.entry(piece).or_default() += count);
        }
        let mut tokens: Vec<(String, u64)> = characters.into_iter().collect();
        // Where there is no room for all, the rare ones go.
        tokens.sort_by_key(|(_, count)| Reverse(*count));
        let tokens: Vec<String> = tokens.into_iter().map(|(token, _)| token).collect();
        let ids: HashMap<String, u32> =
            tokens.iter().enumerate().map(|(id, token)| (token.clone(), id as u32)).collect();
        let words = words
            .iter()
            .map(|(word, count)| (cut(word).iter().map(|piece| ids[piece]).collect(), *count))
            .collect();
        let mut pieces = Self {
            tokens,
            ids,
            words,
            counts: HashMap::new(),
            places: HashMap::new(),
            queue: BinaryHeap::new(),
        };
        for word_idx in 0..pieces.words.len() {
            pieces.count(word_idx);
        }
        let counted = pieces.counts.iter().map(|(pair, count)| (*count, Reverse(*pair)));
        pieces.queue = counted.collect();
        pieces
    }

    /// Adds the pairs of one word.
    fn count(&mut self, word_idx: usize) {
        let (ids, count) = &self.words[word_idx];
        for pair in ids.windows(2).map(|pair| (pair[0], pair[1])) {
            *self.counts.entry(pair).or_default() += count;
            let places = self.places.entry(pair).or_default();
            if places.last() != Some(&word_idx) {
                places.push(word_idx);
            }
        }
    }

    /// The lowest ids win a tie.
    fn most_frequent(&mut self, min_freq: u64) -> Option<Pair> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            let now = self.counts.get(&pair).copied().unwrap_or(0);
            if now == count {
                return (count >= min_freq.max(1)).then_some(pair);
            }
            if now > 0 {
                self.queue.push((now, Reverse(pair)));
            }
        }
        None
    }

    fn merge(&mut self, pair: Pair) {
        let (left, right) = (&self.tokens[pair.0 as usize], &self.tokens[pair.1 as usize]);
        let token = format!("{left}{}", right.strip_prefix(CONTINUED).unwrap_or(right));
        // Two ways of merging may give the same token.
        let id = *self.ids.entry(token.clone()).or_insert_with(|| {
            self.tokens.push(token);
            self.tokens.len() as u32 - 1
        });
        let mut changed: Vec<Pair> = Vec::new();
        for word_idx in self.places.remove(&pair).unwrap_or_default() {
            let (ids, count) = &mut self.words[word_idx];
            if !ids.windows(2).any(|found| (found[0], found[1]) == pair) {
                continue;
            }
            for found in ids.windows(2) {
                if let Some(total) = self.counts.get_mut(&(found[0], found[1])) {
                    *total -= *count;
                }
            }
            let mut merged = Vec::with_capacity(ids.len());
            let mut at = 0;
            while at < ids.len() {
                let is_pair = ids.get(at + 1).is_some_and(|next| (ids[at], *next) == pair);
                merged.push(if is_pair { id } else { ids[at] });
                at += if is_pair { 2 } else { 1 };
            }
            *ids = merged;
            changed.extend(ids.windows(2).map(|found| (found[0], found[1])));
            self.count(word_idx);
        }
        self.counts.remove(&pair);
        changed.sort_unstable();
        changed.dedup();
        for pair in changed {
            if let Some(count) = self.counts.get(&pair) {
                self.queue.push((*count, Reverse(pair)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(counted: &[(&str, u64)]) -> BTreeMap<String, u64> {
        counted.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
    }

    #[test]
    fn the_most_frequent_pair_is_merged_first() {
        let words = words(&[("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)]);
        let tokens = learn(&words, 100, 9);
        let n_characters = tokens.iter().filter(|token| token.trim_start_matches('#').len() == 1);
        assert_eq!(n_characters.count(), 11);
        // "es" and "st" occur 9 times each, then "est".
        assert!(tokens.contains(&"##est".to_owned()), "{tokens:?}");
        assert!(!tokens.contains(&"low".to_owned()), "{tokens:?}");
    }

    #[test]
    fn merging_goes_on_to_whole_words_and_stops_at_the_size() {
        let words = words(&[("banana", 3), ("bandana", 2), ("ananas", 1)]);
        let all = learn(&words, 1000, 1);
        assert!(["banana", "bandana", "ananas"].iter().all(|word| all.contains(&(*word).into())));
        let few = learn(&words, 12, 1);
        assert_eq!((few.len(), &few[..]), (12, &all[..12]));
        assert_eq!(learn(&words, 1000, 1), all);
        assert!(learn(&BTreeMap::new(), 10, 1).is_empty());
    }
}
