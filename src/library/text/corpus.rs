//! A collection of texts as sequences of word numbers. Words are cut and numbered in parallel, a
//! map per worker; the maps are then merged and the words renumbered in the order of their code
//! points, so that nothing depends on the number of threads.

use std::sync::{
    Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;

use super::{
    intern::{Interner, NO_TOKEN, TokenBatch},
    token::{Token, Tokenizer},
};
use crate::{
    error::{Error, Result},
    progress::Monitor,
};

/// Texts in a chunk, at most: small enough to share the work evenly.
const CHUNK_TEXTS: usize = 256;

/// All texts, cut into words.
pub(crate) struct Corpus {
    /// Consecutive texts.
    pub(crate) chunks: Vec<Chunk>,
    /// The words that occur in enough texts, in the order of their bytes, which is that of their
    /// code points. A word's index here is its rank.
    pub(crate) words: Vec<Box<[u8]>>,
    /// The number of occurrences of each of `words`.
    pub(crate) counts: Vec<u64>,
    /// True if there were any words at all, before the rare ones were dropped.
    pub(crate) has_words: bool,
}

/// Consecutive texts as word ranks.
#[derive(Default)]
pub(crate) struct Chunk {
    /// The index of the first text.
    pub(crate) first_text: usize,
    /// The number of words in the chunks before this one.
    pub(crate) first_position: usize,
    /// Ranks of the words of all texts, one text after the other; [`NO_TOKEN`] for a rare one.
    pub(crate) ranks: Vec<u32>,
    /// The end of each text in `ranks`.
    pub(crate) ends: Vec<usize>,
}

impl Chunk {
    /// Each text's index and the span of its words in `ranks`.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (u32, std::ops::Range<usize>)> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(idx, end)| {
            let span = start..*end;
            start = *end;
            ((self.first_text + idx) as u32, span)
        })
    }
}

/// A worker's statistics of a word.
#[derive(Clone, Copy, Default)]
struct WordStats {
    count: u32,
    n_texts: u32,
    /// One more than the index of the last text with this word.
    last_text: u32,
}

/// A word in one worker's map.
type Words = Interner<WordStats>;

impl Corpus {
    /// Cuts `texts` into words without the `stop_words`; words in fewer than `min_texts` texts
    /// keep their places but lose their numbers, because no n-gram with them can be frequent.
    ///
    /// # Errors
    /// When interrupted, or for 2^32 - 1 texts or more.
    pub(crate) fn read<S: AsRef<str> + Sync>(
        texts: &[S],
        tokenizer: Tokenizer,
        stop_words: &[String],
        min_texts: f64,
        monitor: &Monitor,
    ) -> Result<Self> {
        if texts.len() >= u32::MAX as usize {
            return Err(Error::invalid(format!("too many texts: found {}", texts.len())));
        }
        let n_chunks = texts.len().div_ceil(CHUNK_TEXTS);
        let local: Vec<OnceLock<(usize, Chunk)>> = (0..n_chunks).map(|_| OnceLock::new()).collect();
        let next_chunk = AtomicUsize::new(0);
        let n_workers = rayon::current_num_threads().min(n_chunks).max(1);
        let maps: Vec<Mutex<Words>> =
            (0..n_workers).map(|_| Mutex::new(Words::with_capacity(1 << 15))).collect();
        rayon::scope(|scope| {
            for (worker_idx, map) in maps.iter().enumerate() {
                let (local, next_chunk) = (&local, &next_chunk);
                scope.spawn(move |_| {
                    let mut words = map.lock().expect("each worker has its own map");
                    loop {
                        let chunk_idx = next_chunk.fetch_add(1, Ordering::Relaxed);
                        if chunk_idx >= local.len() || monitor.interrupt.is_raised() {
                            return;
                        }
                        let chunk = read_chunk(texts, chunk_idx, tokenizer, &mut words);
                        monitor.progress.advance(chunk.ends.len() as u64);
                        let _ = local[chunk_idx].set((worker_idx, chunk));
                    }
                });
            }
        });
        monitor.interrupt.check()?;
        let maps: Vec<Words> = maps
            .into_iter()
            .map(|map| map.into_inner().expect("a worker's panic has already spread"))
            .collect();
        let merged = Merged::new(&maps, stop_words, min_texts);
        let mut chunks: Vec<Chunk> = local
            .into_par_iter()
            .map(|chunk| {
                let (worker_idx, mut chunk) = chunk.into_inner().expect("every chunk was read");
                chunk.renumber(&merged.ranks[worker_idx]);
                chunk
            })
            .collect();
        let mut n_positions = 0;
        for chunk in &mut chunks {
            chunk.first_position = n_positions;
            n_positions += chunk.ranks.len();
        }
        if n_positions >= u32::MAX as usize {
            return Err(Error::invalid(format!(
                "too many words: found {n_positions}, at most 2^32 - 2 can be counted"
            )));
        }
        Ok(Self { chunks, words: merged.words, counts: merged.counts, has_words: merged.has_words })
    }
}

fn read_chunk<S: AsRef<str>>(
    texts: &[S],
    chunk_idx: usize,
    tokenizer: Tokenizer,
    words: &mut Words,
) -> Chunk {
    let first_text = chunk_idx * CHUNK_TEXTS;
    let texts = &texts[first_text..texts.len().min(first_text + CHUNK_TEXTS)];
    // English has about one word in six bytes; a short vector grows, a long one wastes little.
    let n_bytes: usize = texts.iter().map(|text| text.as_ref().len()).sum();
    let mut chunk = Chunk {
        first_text,
        first_position: 0,
        ranks: Vec::with_capacity(n_bytes / 6),
        ends: Vec::with_capacity(texts.len()),
    };
    let mut tokens = TokenBatch::default();
    for (idx, text) in texts.iter().enumerate() {
        let stamp = (first_text + idx + 1) as u32;
        tokens.clear();
        tokenizer.for_each(text.as_ref(), |token| tokens.push(token));
        words.fetch(&tokens);
        for token in tokens.iter() {
            let (id, stats) = words.intern(token);
            stats.count += 1;
            stats.n_texts += u32::from(stats.last_text != stamp);
            stats.last_text = stamp;
            chunk.ranks.push(id);
        }
        chunk.ends.push(chunk.ranks.len());
    }
    chunk
}

/// Stands for a stop word while a chunk is renumbered.
const STOP: u32 = NO_TOKEN - 1;

impl Chunk {
    /// Replaces a worker's numbers by ranks and takes the stop words out.
    fn renumber(&mut self, ranks: &[u32]) {
        let mut n_kept = 0;
        let mut start = 0;
        for end in &mut self.ends {
            for position in start..*end {
                let rank = ranks[self.ranks[position] as usize];
                if rank != STOP {
                    self.ranks[n_kept] = rank;
                    n_kept += 1;
                }
            }
            start = *end;
            *end = n_kept;
        }
        self.ranks.truncate(n_kept);
    }
}

/// All workers' words together.
struct Merged {
    words: Vec<Box<[u8]>>,
    counts: Vec<u64>,
    has_words: bool,
    /// For each worker, the rank of each of its numbers.
    ranks: Vec<Vec<u32>>,
}

impl Merged {
    fn new(maps: &[Words], stop_words: &[String], min_texts: f64) -> Self {
        let largest = maps.iter().map(Words::len).max().unwrap_or(0);
        let mut merged = Interner::<()>::with_capacity(largest + largest / 2);
        let mut totals: Vec<(u64, u32)> = Vec::new();
        let mut ranks: Vec<Vec<u32>> = Vec::with_capacity(maps.len());
        for map in maps {
            let mut stats = vec![WordStats::default(); map.len()];
            map.values().for_each(|(id, value)| stats[id as usize] = value);
            let ids = stats.iter().enumerate().map(|(local_id, stats)| {
                let (id, ()) = merged.intern(Token::new(map.bytes(local_id)));
                totals.resize(merged.len(), (0, 0));
                totals[id as usize].0 += u64::from(stats.count);
                totals[id as usize].1 += stats.n_texts;
                id
            });
            ranks.push(ids.collect());
        }
        let mut rank_of = vec![NO_TOKEN; merged.len()];
        let mut has_words = merged.len() > 0;
        if !stop_words.is_empty() {
            let mut n_left = merged.len();
            for word in stop_words {
                let id = merged.get(Token::new(word.as_bytes()));
                if id != NO_TOKEN && rank_of[id as usize] != STOP {
                    rank_of[id as usize] = STOP;
                    n_left -= 1;
                }
            }
            has_words = n_left > 0;
        }
        let mut kept: Vec<u32> = (0..merged.len() as u32)
            .filter(|id| {
                rank_of[*id as usize] != STOP && f64::from(totals[*id as usize].1) >= min_texts
            })
            .collect();
        kept.par_sort_unstable_by_key(|id| merged.bytes(*id as usize));
        for (rank, id) in kept.iter().enumerate() {
            rank_of[*id as usize] = rank as u32;
        }
        for id in ranks.iter_mut().flatten() {
            *id = rank_of[*id as usize];
        }
        Self {
            words: kept.iter().map(|id| merged.bytes(*id as usize).into()).collect(),
            counts: kept.iter().map(|id| totals[*id as usize].0).collect(),
            has_words,
            ranks,
        }
    }
}
