//! Counting n-grams: which word sequences occur in enough texts, and where. An n-gram is a pair of
//! numbers, the (n-1)-gram it begins with and its last word, so no string is ever built.
//! Occurrences are split by their beginning into parts that fit a core's cache and sorted there,
//! which puts equal n-grams together and all of them in alphabetical order: see [`Gram`].

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rayon::prelude::*;

use super::{
    TermFrequency,
    corpus::{Chunk, Corpus},
    intern::NO_TOKEN,
    radix,
};
use crate::{error::Result, progress::Monitor};

/// No n-gram has this number.
pub(crate) const NO_GRAM: u32 = u32::MAX;

/// Occurrences sorted together, unless that makes more than `MAX_PARTS` parts or one word alone
/// has more: eight bytes each, with the sort's second buffer, fit a second-level cache.
const PART_OCCURRENCES: u64 = 1 << 15;
const MAX_PARTS: u64 = 1024;

/// An n-gram that occurs in enough texts. A blank sorts below every word character, so the order
/// of n-grams as strings is that of the number pairs: by beginning, then by last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gram {
    /// The index of its first n-1 words among the (n-1)-grams; for a single word, the word.
    pub(crate) prefix: u32,
    /// The rank of its last word; 0 for a single word.
    pub(crate) word: u32,
    /// Texts it occurs in.
    pub(crate) n_texts: u32,
    /// Occurrences in all texts together.
    pub(crate) count: u64,
    /// Where its postings end in its part; where they begin, if it has none.
    end: usize,
}

/// A gram's texts in ascending order, and its weight in each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postings<'a> {
    /// Indices of texts.
    pub(crate) texts: &'a [u32],
    /// Weights, one a text.
    pub(crate) values: &'a [f32],
}

/// All n-grams of one length that occur in enough texts, in order.
pub(crate) struct Level {
    parts: Vec<Part>,
    /// The part of each (n-1)-gram.
    part_of: Vec<u32>,
}

/// Consecutive n-grams.
#[derive(Default)]
struct Part {
    grams: Vec<Gram>,
    texts: Vec<u32>,
    values: Vec<f32>,
}

/// Which n-grams are wanted and what an occurrence weighs.
pub(crate) struct Counting<F> {
    /// Shortest n-grams with postings.
    pub(crate) min_words: usize,
    /// Longest n-grams.
    pub(crate) max_words: usize,
    /// N-grams in fewer texts are dropped.
    pub(crate) min_texts: f64,
    /// N-grams in more texts get no postings, yet longer ones may begin with them.
    pub(crate) max_texts: f64,
    /// The weight of a gram that occurs in so many texts.
    pub(crate) idf: F,
    /// What that is multiplied by for the count in a text.
    pub(crate) tf: TermFrequency,
}

impl Level {
    /// Number of n-grams.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.grams.len()).sum()
    }

    /// Every n-gram, in order, with its postings; `None` for one that is no candidate.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Gram, Option<Postings<'_>>)> {
        self.parts.iter().flat_map(|part| {
            let mut start = 0;
            part.grams.iter().map(move |gram| {
                let span = start..gram.end;
                start = gram.end;
                let postings = (!span.is_empty()).then(|| Postings {
                    texts: &part.texts[span.clone()],
                    values: &part.values[span],
                });
                (gram, postings)
            })
        })
    }

    fn counts(&self) -> Vec<u64> {
        self.parts.iter().flat_map(|part| part.grams.iter().map(|gram| gram.count)).collect()
    }
}

impl<F: Fn(u32) -> f64 + Sync> Counting<F> {
    /// All levels, single words first.
    ///
    /// # Errors
    /// When interrupted.
    pub(crate) fn run(&self, corpus: &Corpus, monitor: &Monitor) -> Result<Vec<Level>> {
        let mut levels = vec![self.level(corpus, 1, &corpus.counts, None, None, monitor)?];
        if self.max_words == 1 {
            return Ok(levels);
        }
        // Levels between the first and the last must know where each of their n-grams begins.
        let mut positions = (self.max_words > 2).then(|| Positions::new(corpus));
        let mut counts = corpus.counts.clone();
        for n_words in 2..=self.max_words {
            let places = positions.as_ref().filter(|_| n_words > 2);
            let tracking = positions.as_ref().filter(|_| n_words < self.max_words);
            let level = self.level(corpus, n_words, &counts, places, tracking, monitor)?;
            counts = level.counts();
            if n_words < self.max_words {
                positions = positions.map(|positions| positions.advance(&level));
            }
            levels.push(level);
        }
        Ok(levels)
    }

    /// N-grams of `n_words` words. `counts` says how often each (n-1)-gram occurs, `places` where
    /// (for words, the corpus itself does); `tracking` is told where the new ones begin.
    fn level(
        &self,
        corpus: &Corpus,
        n_words: usize,
        counts: &[u64],
        places: Option<&Positions>,
        tracking: Option<&Positions>,
        monitor: &Monitor,
    ) -> Result<Level> {
        let word_bits = if n_words == 1 { 0 } else { bits(corpus.words.len()) };
        let division = Division::new(counts, word_bits);
        let occurrences = Occurrences { n_words, places, by_position: tracking.is_some() };
        let pieces: Vec<Pieces> = corpus
            .chunks
            .par_iter()
            .map(|chunk| {
                monitor.progress.advance(chunk.ends.len() as u64);
                match monitor.interrupt.is_raised() {
                    true => Pieces::default(),
                    false => division.split(chunk, &occurrences),
                }
            })
            .collect();
        monitor.interrupt.check()?;
        let is_candidate = n_words >= self.min_words;
        let parts: Vec<Part> = (0..division.n_parts())
            .into_par_iter()
            .map_init(Default::default, |(entries, spare): &mut (Vec<u64>, Vec<u64>), part_idx| {
                if monitor.interrupt.is_raised() {
                    return Part::default();
                }
                entries.clear();
                for pieces in &pieces {
                    entries.extend_from_slice(pieces.part(part_idx));
                }
                radix::sort_by_upper_half(entries, spare, division.key_bits(part_idx));
                let group = Grouping { part_idx, division: &division, is_candidate, tracking };
                self.group(entries, &group)
            })
            .collect();
        monitor.interrupt.check()?;
        Ok(Level { parts, part_of: division.part_of })
    }

    /// Turns sorted occurrences into n-grams with their postings.
    fn group(&self, entries: &[u64], grouping: &Grouping<'_>) -> Part {
        let mut part = Part::default();
        let text_of = |entry: u64| match grouping.tracking {
            Some(positions) => positions.text_of[entry as u32 as usize],
            None => entry as u32,
        };
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let key = first >> 32;
            let length = rest.iter().take_while(|entry| **entry >> 32 == key).count();
            let (group, after) = rest.split_at(length);
            rest = after;
            if (length as f64) < self.min_texts {
                continue;
            }
            let n_texts =
                1 + group.windows(2).filter(|pair| text_of(pair[0]) != text_of(pair[1])).count();
            if (n_texts as f64) < self.min_texts {
                continue;
            }
            if let Some(positions) = grouping.tracking {
                for entry in group {
                    positions.next[*entry as u32 as usize].store(part.grams.len() as u32, Relaxed);
                }
            }
            let n_texts_u32 = n_texts as u32;
            if grouping.is_candidate && n_texts as f64 <= self.max_texts {
                let idf = (self.idf)(n_texts_u32);
                let mut count = 0;
                let mut text = text_of(group[0]);
                for entry in group {
                    let next_text = text_of(*entry);
                    if next_text != text {
                        part.texts.push(text);
                        part.values.push((self.tf.of(count) * idf) as f32);
                        (text, count) = (next_text, 0);
                    }
                    count += 1;
                }
                part.texts.push(text);
                part.values.push((self.tf.of(count) * idf) as f32);
            }
            let (prefix, word) = grouping.division.unpack(grouping.part_idx, key as u32);
            let (n_texts, count, end) = (n_texts_u32, length as u64, part.texts.len());
            part.grams.push(Gram { prefix, word, n_texts, count, end });
        }
        part
    }
}

struct Grouping<'a> {
    part_idx: usize,
    division: &'a Division,
    is_candidate: bool,
    tracking: Option<&'a Positions>,
}

/// Which (n-1)-grams share a part: consecutive ones.
///
/// An occurrence is a `u64`: the upper half is its n-gram (the beginning, counted from the part's
/// first, then `word_bits` bits of the last word), the lower half the text, or the position where
/// the n-gram begins. Occurrences arrive in the order of their lower halves.
struct Division {
    /// The part of each (n-1)-gram.
    part_of: Vec<u32>,
    /// The first (n-1)-gram of each part, and the number of all at the end.
    firsts: Vec<u32>,
    word_bits: u32,
}

impl Division {
    fn new(counts: &[u64], word_bits: u32) -> Self {
        let total: u64 = counts.iter().sum();
        let target = PART_OCCURRENCES.max(total / MAX_PARTS);
        let max_prefixes = 1u64 << (32 - word_bits);
        let mut division =
            Self { part_of: Vec::with_capacity(counts.len()), firsts: vec![0], word_bits };
        let (mut n_occurrences, mut n_prefixes) = (0, 0);
        for (prefix, count) in counts.iter().enumerate() {
            let is_full = n_occurrences + count > target || n_prefixes == max_prefixes;
            if n_prefixes > 0 && is_full {
                division.firsts.push(prefix as u32);
                (n_occurrences, n_prefixes) = (0, 0);
            }
            (n_occurrences, n_prefixes) = (n_occurrences + count, n_prefixes + 1);
            division.part_of.push(division.firsts.len() as u32 - 1);
        }
        division.firsts.push(counts.len() as u32);
        division
    }

    fn n_parts(&self) -> usize {
        self.firsts.len() - 1
    }

    /// How many bits of an occurrence's upper half are used in a part.
    fn key_bits(&self, part_idx: usize) -> u32 {
        bits((self.firsts[part_idx + 1] - self.firsts[part_idx]) as usize) + self.word_bits
    }

    fn unpack(&self, part_idx: usize, key: u32) -> (u32, u32) {
        let word_mask = ((1u64 << self.word_bits) - 1) as u32;
        let prefix = (u64::from(key) >> self.word_bits) as u32;
        (self.firsts[part_idx] + prefix, key & word_mask)
    }

    /// One chunk's occurrences, by part.
    fn split(&self, chunk: &Chunk, occurrences: &Occurrences<'_>) -> Pieces {
        let mut starts = vec![0u32; self.n_parts() + 1];
        occurrences.for_each(chunk, |prefix, _, _| {
            starts[self.part_of[prefix as usize] as usize + 1] += 1;
        });
        for part_idx in 0..self.n_parts() {
            starts[part_idx + 1] += starts[part_idx];
        }
        let mut entries = vec![0; starts[self.n_parts()] as usize];
        let mut cursors = starts.clone();
        occurrences.for_each(chunk, |prefix, word, place| {
            let part_idx = self.part_of[prefix as usize] as usize;
            let key = u64::from(prefix - self.firsts[part_idx]) << self.word_bits | u64::from(word);
            entries[cursors[part_idx] as usize] = key << 32 | u64::from(place);
            cursors[part_idx] += 1;
        });
        Pieces { entries, starts }
    }
}

/// Bits that hold every number below `n`.
fn bits(n: usize) -> u32 {
    usize::BITS - n.saturating_sub(1).leading_zeros()
}

/// One chunk's occurrences, part after part.
#[derive(Default)]
struct Pieces {
    entries: Vec<u64>,
    starts: Vec<u32>,
}

impl Pieces {
    fn part(&self, part_idx: usize) -> &[u64] {
        match self.starts.get(part_idx..part_idx + 2) {
            Some(&[start, end]) => &self.entries[start as usize..end as usize],
            _ => &[],
        }
    }
}

/// How to find the occurrences of n-grams in a chunk.
struct Occurrences<'a> {
    n_words: usize,
    places: Option<&'a Positions>,
    /// Report the position where each begins rather than the text.
    by_position: bool,
}

impl Occurrences<'_> {
    /// Calls `sink` with beginning, last word and place of every n-gram that may be frequent.
    #[inline]
    fn for_each(&self, chunk: &Chunk, mut sink: impl FnMut(u32, u32, u32)) {
        for (text, span) in chunk.texts() {
            let place = |position: usize| match self.by_position {
                true => (chunk.first_position + position) as u32,
                false => text,
            };
            let ranks = &chunk.ranks[span.clone()];
            match (self.n_words, self.places) {
                (1, _) => {
                    for (first, rank) in ranks.iter().enumerate().filter(is_known) {
                        sink(*rank, 0, place(span.start + first));
                    }
                }
                (_, None) => {
                    for (first, pair) in ranks.windows(2).enumerate() {
                        if pair[0] != NO_TOKEN && pair[1] != NO_TOKEN {
                            sink(pair[0], pair[1], place(span.start + first));
                        }
                    }
                }
                (n_words, Some(positions)) => {
                    let grams = &positions.gram_at[chunk.first_position + span.start..];
                    for (first, words) in ranks.windows(n_words).enumerate() {
                        // Both its (n-1)-grams must be frequent for the n-gram to be.
                        let prefix = grams[first].load(Relaxed);
                        if prefix != NO_GRAM && grams[first + 1].load(Relaxed) != NO_GRAM {
                            sink(prefix, words[n_words - 1], place(span.start + first));
                        }
                    }
                }
            }
        }
    }
}

fn is_known(item: &(usize, &u32)) -> bool {
    *item.1 != NO_TOKEN
}

/// Which n-gram begins at each position of the corpus.
struct Positions {
    /// The text each position belongs to.
    text_of: Vec<u32>,
    /// The (n-1)-gram, or [`NO_GRAM`].
    gram_at: Vec<AtomicU32>,
    /// The n-gram, counted from its part's first, written while its level is counted. Atomic only
    /// because parts write to scattered places; no place is written twice.
    next: Vec<AtomicU32>,
}

impl Positions {
    /// The state after the first level.
    fn new(corpus: &Corpus) -> Self {
        let n_positions = corpus.chunks.iter().map(|chunk| chunk.ranks.len()).sum();
        let mut text_of = Vec::with_capacity(n_positions);
        let mut gram_at = Vec::with_capacity(n_positions);
        for chunk in &corpus.chunks {
            for (text, span) in chunk.texts() {
                text_of.resize(text_of.len() + span.len(), text);
            }
            gram_at.extend(chunk.ranks.iter().map(|rank| AtomicU32::new(*rank)));
        }
        let next = (0..n_positions).map(|_| AtomicU32::new(NO_GRAM)).collect();
        Self { text_of, gram_at, next }
    }

    /// Makes the n-grams just counted the beginnings of the next level.
    fn advance(self, level: &Level) -> Self {
        let mut n_grams = 0;
        let bases: Vec<u32> = level
            .parts
            .iter()
            .map(|part| {
                n_grams += part.grams.len() as u32;
                n_grams - part.grams.len() as u32
            })
            .collect();
        self.gram_at.par_iter().zip(&self.next).for_each(|(gram, next)| {
            let within_part = next.load(Relaxed);
            next.store(NO_GRAM, Relaxed);
            gram.store(
                match within_part {
                    NO_GRAM => NO_GRAM,
                    _ => within_part + bases[level.part_of[gram.load(Relaxed) as usize] as usize],
                },
                Relaxed,
            );
        });
        self
    }
}
