//! From counted n-grams to features: which are kept, how they are numbered, and the matrix of
//! weights, column by column, as they were counted.

use std::{iter::Peekable, ops::Range};

use rayon::prelude::*;
use sprs::CsMatI;

use super::{
    corpus::Corpus,
    ngram::{Gram, NgramLevel, Postings},
    vocabulary::{NO_FEATURE, VocabularyEntry, VocabularyParts},
};

/// Weights of terms in texts.
///
/// # Shapes
/// `[n_texts, n_features]`; compressed by columns after fitting, by rows after transforming.
pub type TermMatrix = CsMatI<f32, u32, usize>;

/// The features of a corpus.
pub(super) struct Features<'a> {
    /// The vocabulary's parts.
    pub(super) parts: VocabularyParts,
    /// Texts each feature occurs in.
    pub(super) n_texts: Vec<u32>,
    /// Each feature's column.
    pub(super) columns: Vec<Postings<'a>>,
}

impl<'a> Features<'a> {
    /// Numbers the candidates among all n-grams in the order of their strings: each directly
    /// before those that begin with it. With `max_features`, only the most frequent stay (in all
    /// texts together); the first in order win a tie.
    pub(super) fn new(
        corpus: Corpus,
        levels: &'a [NgramLevel],
        max_features: Option<usize>,
    ) -> Self {
        let mut walk = LevelWalk {
            rest: levels.iter().map(|level| (0, items(level).peekable())).collect(),
            entries: levels.iter().map(|level| Vec::with_capacity(level.len())).collect(),
            candidates: Vec::with_capacity(levels.iter().map(NgramLevel::len).sum()),
        };
        while walk.visit(0, None) {}
        let LevelWalk { mut entries, mut candidates, .. } = walk;
        if let Some(limit) = max_features.filter(|limit| *limit < candidates.len()) {
            let mut order: Vec<usize> = (0..candidates.len()).collect();
            order.sort_by_key(|feature| std::cmp::Reverse(candidates[*feature].0.count));
            let mut numbers = vec![NO_FEATURE; candidates.len()];
            let mut kept = order[..limit].to_vec();
            kept.sort_unstable();
            for (number, feature) in kept.iter().enumerate() {
                numbers[*feature] = number as u32;
            }
            candidates = kept.iter().map(|feature| candidates[*feature]).collect();
            for entry in entries.iter_mut().flatten().filter(|entry| entry.feature != NO_FEATURE) {
                entry.feature = numbers[entry.feature as usize];
            }
        }
        Self {
            parts: prune(corpus.words, entries),
            n_texts: candidates.iter().map(|(gram, _)| gram.n_texts).collect(),
            columns: candidates.into_iter().map(|(_, postings)| postings).collect(),
        }
    }
}

/// The matrix with every row scaled to length 1; rows without a feature stay empty. `indptr` has the
/// end of each column after a 0; `fill` puts a column's texts and weights where they belong.
pub(super) fn assemble(
    indptr: Vec<usize>,
    n_texts: usize,
    fill: impl Fn(usize, &mut [u32], &mut [f32]) + Sync,
) -> TermMatrix {
    let n_columns = indptr.len() - 1;
    let n_values = indptr[n_columns];
    let mut texts = vec![0; n_values];
    let mut values = vec![0.0; n_values];
    let blocks = column_blocks(&indptr, n_texts);
    let squares: Vec<Vec<f64>> = split(&mut texts, &mut values, &indptr, &blocks)
        .into_par_iter()
        .zip(&blocks)
        .map(|((texts, values), block)| {
            let mut squares = vec![0.0; n_texts];
            let first = indptr[block.start];
            for column in block.clone() {
                let span = indptr[column] - first..indptr[column + 1] - first;
                let (texts, values) = (&mut texts[span.clone()], &mut values[span]);
                fill(column, texts, values);
                for (text, value) in texts.iter().zip(&*values) {
                    squares[*text as usize] += f64::from(*value) * f64::from(*value);
                }
            }
            squares
        })
        .collect();
    let scales: Vec<f64> = (0..n_texts)
        .map(|text| {
            let square: f64 = squares.iter().map(|squares| squares[text]).sum();
            if square > 0.0 { square.sqrt().recip() } else { 0.0 }
        })
        .collect();
    split(&mut texts, &mut values, &indptr, &blocks).into_par_iter().for_each(|(texts, values)| {
        for (text, value) in texts.iter().zip(values) {
            *value = (f64::from(*value) * scales[*text as usize]) as f32;
        }
    });
    TermMatrix::new_csc((n_texts, n_columns), indptr, texts, values)
}

/// The matrix of `rows` of features, ascending, with their weights, each row scaled to length 1.
pub(super) fn scaled_rows(rows: Vec<Vec<(u32, f64)>>, n_features: usize) -> TermMatrix {
    let n_values = rows.iter().map(Vec::len).sum();
    let mut starts = Vec::with_capacity(rows.len() + 1);
    starts.push(0);
    let (mut features, mut values) = (Vec::with_capacity(n_values), Vec::with_capacity(n_values));
    for row in &rows {
        let length = row.iter().map(|(_, weight)| weight.powi(2)).sum::<f64>().sqrt();
        features.extend(row.iter().map(|(feature, _)| *feature));
        values.extend(row.iter().map(|(_, weight)| (weight / length) as f32));
        starts.push(features.len());
    }
    TermMatrix::new((rows.len(), n_features), starts, features, values)
}

/// Columns that are worked on together: as many blocks as pay for an accumulator of `n_rows`
/// each, and always the same ones, so that sums do not depend on the number of threads.
pub(crate) fn column_blocks(indptr: &[usize], n_rows: usize) -> Vec<Range<usize>> {
    let n_columns = indptr.len() - 1;
    let n_values = indptr[n_columns];
    let n_blocks = (n_values / (4 * n_rows.max(1))).clamp(1, 16);
    let borders: Vec<usize> = (0..=n_blocks)
        .map(|block| match block {
            0 => 0,
            _ if block == n_blocks => n_columns,
            _ => indptr.partition_point(|start| *start < n_values / n_blocks * block),
        })
        .collect();
    borders.windows(2).map(|pair| pair[0]..pair[1].max(pair[0])).collect()
}

/// The blocks' shares of the matrix.
fn split<'a>(
    mut texts: &'a mut [u32],
    mut values: &'a mut [f32],
    indptr: &[usize],
    blocks: &[Range<usize>],
) -> Vec<(&'a mut [u32], &'a mut [f32])> {
    let mut shares = Vec::with_capacity(blocks.len());
    for block in blocks {
        let n_values = indptr[block.end] - indptr[block.start];
        let (these_texts, other_texts) = texts.split_at_mut(n_values);
        let (these_values, other_values) = values.split_at_mut(n_values);
        shares.push((these_texts, these_values));
        (texts, values) = (other_texts, other_values);
    }
    shares
}

type Item<'a> = (&'a Gram, Option<Postings<'a>>);
type Items<'a> = Box<dyn Iterator<Item = Item<'a>> + 'a>;

/// Goes through all levels at once, every gram directly before those that begin with it.
struct LevelWalk<'a> {
    /// For each level, how many grams are done and which are to come.
    rest: Vec<(u32, Peekable<Items<'a>>)>,
    entries: Vec<Vec<VocabularyEntry>>,
    candidates: Vec<(&'a Gram, Postings<'a>)>,
}

impl LevelWalk<'_> {
    /// Takes the next gram of the level if it begins with `prefix`, and all that begin with it.
    fn visit(&mut self, level_idx: usize, prefix: Option<u32>) -> bool {
        let Some((n_done, rest)) = self.rest.get_mut(level_idx) else { return false };
        let is_next = |(gram, _): &Item<'_>| prefix.is_none_or(|prefix| gram.prefix == prefix);
        let Some((gram, postings)) = rest.next_if(is_next) else { return false };
        let gram_idx = *n_done;
        *n_done += 1;
        let feature = match postings {
            Some(postings) => {
                self.candidates.push((gram, postings));
                self.candidates.len() as u32 - 1
            }
            None => NO_FEATURE,
        };
        self.entries[level_idx].push(VocabularyEntry {
            prefix: gram.prefix,
            word: gram.word,
            feature,
        });
        while self.visit(level_idx + 1, Some(gram_idx)) {}
        true
    }
}

fn items(level: &NgramLevel) -> Items<'_> {
    Box::new(level.iter())
}

/// Drops the grams and words that are no features and that no feature is made of.
fn prune(words: Vec<Box<[u8]>>, levels: Vec<Vec<VocabularyEntry>>) -> VocabularyParts {
    let mut is_used: Vec<Vec<bool>> = levels
        .iter()
        .map(|level| level.iter().map(|entry| entry.feature != NO_FEATURE).collect())
        .collect();
    for level_idx in (1..levels.len()).rev() {
        for (entry_idx, entry) in levels[level_idx].iter().enumerate() {
            if is_used[level_idx][entry_idx] {
                is_used[level_idx - 1][entry.prefix as usize] = true;
                is_used[0][entry.word as usize] = true;
            }
        }
    }
    if is_used.iter().flatten().all(|is_used| *is_used) {
        let mut levels = levels.into_iter();
        let word_features =
            levels.next().unwrap_or_default().iter().map(|entry| entry.feature).collect();
        return VocabularyParts { words, word_features, levels: levels.collect() };
    }
    let numbers: Vec<Vec<u32>> = is_used
        .iter()
        .map(|is_used| {
            let mut n_used = 0;
            let number = |is_used: &bool| {
                n_used += u32::from(*is_used);
                n_used.wrapping_sub(1)
            };
            is_used.iter().map(number).collect()
        })
        .collect();
    let keep = |level_idx: usize, entry_idx: usize| is_used[level_idx][entry_idx];
    let mut kept = levels.into_iter().enumerate().map(|(level_idx, level)| {
        let entries = level.into_iter().enumerate();
        let kept = entries.filter(|(entry_idx, _)| keep(level_idx, *entry_idx));
        let renumbered = kept.map(|(_, entry)| match level_idx {
            0 => entry,
            _ => VocabularyEntry {
                prefix: numbers[level_idx - 1][entry.prefix as usize],
                word: numbers[0][entry.word as usize],
                feature: entry.feature,
            },
        });
        renumbered.collect::<Vec<_>>()
    });
    let word_features = kept.next().unwrap_or_default().iter().map(|entry| entry.feature).collect();
    let levels = kept.collect();
    let words = words.into_iter().enumerate().filter(|(rank, _)| keep(0, *rank));
    VocabularyParts { words: words.map(|(_, word)| word).collect(), word_features, levels }
}
