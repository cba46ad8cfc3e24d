//! The occurrences of n-grams: every place in a chunk of texts where one may begin that is frequent
//! enough to count.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rayon::prelude::*;

use super::{
    corpus::{Chunk, Corpus},
    intern::NO_TOKEN,
};

/// No n-gram has this number.
pub(crate) const NO_GRAM: u32 = u32::MAX;

/// A finder of the occurrences of n-grams in a chunk.
pub(super) struct Occurrences<'a> {
    pub(super) n_words: usize,
    pub(super) places: Option<&'a Positions>,
    /// Report the position where each begins rather than the text.
    pub(super) by_position: bool,
}

impl Occurrences<'_> {
    /// Calls `sink` with beginning, last word and place of every n-gram that may be frequent.
    #[inline]
    pub(super) fn for_each(&self, chunk: &Chunk, mut sink: impl FnMut(u32, u32, u32)) {
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

/// The n-gram at each position of the corpus.
pub(super) struct Positions {
    /// The text each position belongs to.
    pub(super) text_of: Vec<u32>,
    /// The (n-1)-gram, or [`NO_GRAM`].
    pub(super) gram_at: Vec<AtomicU32>,
    /// The n-gram, counted from its part's first, written while its level is counted. Atomic only
    /// because parts write to scattered places; no place is written twice.
    pub(super) next: Vec<AtomicU32>,
}

impl Positions {
    /// The state after the first level.
    pub(super) fn new(corpus: &Corpus) -> Self {
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

    /// Makes the n-grams just counted the beginnings of the next level. `base_of` says for an
    /// (n-1)-gram the number of the first n-gram in the part of those that begin with it.
    pub(super) fn advance(self, base_of: impl Fn(u32) -> u32 + Sync) -> Self {
        self.gram_at.par_iter().zip(&self.next).for_each(|(gram, next)| {
            let within_part = next.load(Relaxed);
            if within_part == NO_GRAM {
                return gram.store(NO_GRAM, Relaxed);
            }
            next.store(NO_GRAM, Relaxed);
            gram.store(base_of(gram.load(Relaxed)) + within_part, Relaxed);
        });
        self
    }
}
