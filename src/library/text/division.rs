//! Splitting the occurrences of n-grams into parts that fit a core's cache, by what they begin
//! with, so that parts hold consecutive n-grams. What an occurrence is, is its neighbour's business.

use super::{corpus::Chunk, occurrence::Occurrences};

/// Occurrences sorted together, unless that makes more than `MAX_PARTS` parts or one word alone
/// has more: eight bytes each, with the sort's second buffer, fit a second-level cache.
const PART_OCCURRENCES: u64 = 1 << 15;
const MAX_PARTS: u64 = 1024;

/// The parts into which (n-1)-grams are divided: consecutive ones share a part.
///
/// An occurrence is a `u64`: the upper half is its n-gram (the beginning, counted from the part's
/// first, then `word_bits` bits of the last word), the lower half the text, or the position where
/// the n-gram begins. Occurrences arrive in the order of their lower halves.
pub(super) struct Division {
    /// The part of each (n-1)-gram.
    pub(super) part_of: Vec<u32>,
    /// The first (n-1)-gram of each part, and the number of all at the end.
    firsts: Vec<u32>,
    word_bits: u32,
}

impl Division {
    pub(super) fn new(counts: &[u64], word_bits: u32) -> Self {
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

    pub(super) fn n_parts(&self) -> usize {
        self.firsts.len() - 1
    }

    /// The number of bits of an occurrence's upper half that are used in a part.
    pub(super) fn key_bits(&self, part_idx: usize) -> u32 {
        bits((self.firsts[part_idx + 1] - self.firsts[part_idx]) as usize) + self.word_bits
    }

    pub(super) fn unpack(&self, part_idx: usize, key: u32) -> (u32, u32) {
        let word_mask = ((1u64 << self.word_bits) - 1) as u32;
        let prefix = (u64::from(key) >> self.word_bits) as u32;
        (self.firsts[part_idx] + prefix, key & word_mask)
    }

    /// One chunk's occurrences, by part.
    pub(super) fn split(&self, chunk: &Chunk, occurrences: &Occurrences<'_>) -> Pieces {
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
pub(super) fn bits(n: usize) -> u32 {
    usize::BITS - n.saturating_sub(1).leading_zeros()
}

/// One chunk's occurrences, part after part.
#[derive(Default)]
pub(super) struct Pieces {
    entries: Vec<u64>,
    starts: Vec<u32>,
}

impl Pieces {
    pub(super) fn part(&self, part_idx: usize) -> &[u64] {
        match self.starts.get(part_idx..part_idx + 2) {
            Some(&[start, end]) => &self.entries[start as usize..end as usize],
            _ => &[],
        }
    }
}
