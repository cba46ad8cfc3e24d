//! Counting n-grams: which word sequences occur in enough texts, and where. An n-gram is a pair of
//! numbers, the (n-1)-gram it begins with and its last word, so no string is ever built.
//! Occurrences are split by their beginning into parts that fit a core's cache and sorted there,
//! which puts equal n-grams together and all of them in alphabetical order: see [`Gram`].

use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::{
    TermFrequency,
    corpus::Corpus,
    division::{Division, Pieces, bits},
    occurrence::{Occurrences, Positions},
    radix,
};
use crate::{error::Result, progress::Monitor};

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
    /// The end of its postings in its part; their beginning, if it has none.
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
#[derive(Clone, Default)]
struct Part {
    grams: Vec<Gram>,
    texts: Vec<u32>,
    values: Vec<f32>,
}

/// The n-grams that are wanted, and the weight of an occurrence.
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
    /// The factor for the count in a text.
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

    /// The index of each part's first n-gram.
    fn bases(&self) -> Vec<u32> {
        let mut n_grams = 0;
        let next = |part: &Part| {
            n_grams += part.grams.len() as u32;
            n_grams - part.grams.len() as u32
        };
        self.parts.iter().map(next).collect()
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
                let bases = level.bases();
                let base_of = |prefix: u32| bases[level.part_of[prefix as usize] as usize];
                positions = positions.map(|positions| positions.advance(base_of));
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
            .map_init(Buffers::default, |Buffers { entries, spare, part }, part_idx| {
                if monitor.interrupt.is_raised() {
                    return Part::default();
                }
                entries.clear();
                for pieces in &pieces {
                    entries.extend_from_slice(pieces.part(part_idx));
                }
                radix::sort_by_upper_half(entries, spare, division.key_bits(part_idx));
                let group = Grouping { part_idx, division: &division, is_candidate, tracking };
                self.group(entries, &group, part);
                part.clone()
            })
            .collect();
        monitor.interrupt.check()?;
        Ok(Level { parts, part_of: division.part_of })
    }

    /// Turns sorted occurrences into n-grams with their postings, which replace those in `part`.
    fn group(&self, entries: &[u64], grouping: &Grouping<'_>, part: &mut Part) {
        part.grams.clear();
        part.texts.clear();
        part.values.clear();
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
    }
}

/// The buffers that a thread keeps from one part to the next: a part that is copied when it is
/// complete takes as much memory as it needs, and none is left behind where it grew.
#[derive(Default)]
struct Buffers {
    entries: Vec<u64>,
    spare: Vec<u64>,
    part: Part,
}

struct Grouping<'a> {
    part_idx: usize,
    division: &'a Division,
    is_candidate: bool,
    tracking: Option<&'a Positions>,
}
