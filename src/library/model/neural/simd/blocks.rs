//! Feature-major activations.

use std::ops::Range;

use rayon::prelude::*;

use super::rows::RowBuffer;
pub(crate) use super::rows::{BLOCK, FeatureRow};

/// Activations `[n_blocks][n_features][BLOCK]`; the last block may hold fewer tokens, the lanes
/// behind them hold numbers that nothing reads.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    n_features: usize,
    n_tokens: usize,
    rows: RowBuffer,
}

/// So many rows are copied on one thread; more are worth the others' help.
const MIN_SPREAD: usize = 1 << 13;

/// `work` on each item, on all threads where there are many rows.
fn spread<T: Send>(n_rows: usize, items: impl Iterator<Item = T>, work: impl Fn(T) + Send + Sync) {
    if n_rows < MIN_SPREAD {
        items.for_each(work);
    } else {
        items.collect::<Vec<T>>().into_par_iter().for_each(work);
    }
}

impl Blocks {
    pub(crate) fn zeros(n_features: usize, n_tokens: usize) -> Self {
        let rows = RowBuffer::zeros(n_features * n_tokens.div_ceil(BLOCK));
        Self { n_features, n_tokens, rows }
    }

    /// Any numbers: room that is written before it is read.
    pub(crate) fn room(n_features: usize, n_tokens: usize) -> Self {
        let rows = RowBuffer::room(n_features * n_tokens.div_ceil(BLOCK));
        Self { n_features, n_tokens, rows }
    }

    /// Blocks of what was computed already, `[n_blocks][n_features][BLOCK]`.
    pub(crate) fn of_rows(n_features: usize, n_tokens: usize, rows: RowBuffer) -> Self {
        debug_assert_eq!(rows.len(), n_features * n_tokens.div_ceil(BLOCK));
        Self { n_features, n_tokens, rows }
    }

    /// Rows of a token each, `[n_tokens, width]`, row-major.
    pub(crate) fn of_tokens(rows: &[f32], n_tokens: usize) -> Self {
        let width = rows.len() / n_tokens;
        let mut blocks = Self::room(width, n_tokens);
        let n_rows = blocks.rows.len();
        let parts = blocks.blocks_mut().zip(rows.chunks(BLOCK * width));
        spread(n_rows, parts, |(block, rows)| {
            for (lane, row) in rows.chunks_exact(width).enumerate() {
                for (feature, value) in block.iter_mut().zip(row) {
                    feature.0[lane] = *value;
                }
            }
        });
        blocks
    }

    /// As rows of a token each, `[n_tokens, width]`, row-major.
    pub(crate) fn to_tokens(&self) -> Vec<f32> {
        let width = self.n_features;
        let mut rows = vec![0.0; self.n_tokens * width];
        let parts = rows.chunks_mut(BLOCK * width).zip(self.rows.chunks_exact(width));
        spread(self.rows.len(), parts, |(rows, block)| {
            for (lane, row) in rows.chunks_exact_mut(width).enumerate() {
                for (value, feature) in row.iter_mut().zip(block) {
                    *value = feature.0[lane];
                }
            }
        });
        rows
    }

    /// Adds the numbers of `other`, which has the same sizes.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, other) in self.rows.iter_mut().zip(&*other.rows) {
            sum.0.iter_mut().zip(other.0).for_each(|(sum, other)| *sum += other);
        }
    }

    /// Some features alone.
    pub(crate) fn features(&self, features: Range<usize>) -> Self {
        let mut some = Self::room(features.len(), self.n_tokens);
        let n_rows = some.rows.len();
        let parts = some.blocks_mut().zip(self.rows.chunks_exact(self.n_features));
        spread(n_rows, parts, |(out, block)| out.copy_from_slice(&block[features.clone()]));
        some
    }

    /// The features of both, side by side; both have as many tokens.
    pub(crate) fn beside(&self, other: &Self) -> Self {
        let mut both = Self::room(self.n_features + other.n_features, self.n_tokens);
        let n_rows = both.rows.len();
        let parts = self.rows.chunks_exact(self.n_features);
        let parts = parts.zip(other.rows.chunks_exact(other.n_features));
        spread(n_rows, both.blocks_mut().zip(parts), |(out, (one, two))| {
            let (first, second) = out.split_at_mut(one.len());
            first.copy_from_slice(one);
            second.copy_from_slice(two);
        });
        both
    }

    /// Takes other sizes. The numbers are then any: this is room that is written before it is read.
    pub(crate) fn reshape(&mut self, n_features: usize, n_tokens: usize) {
        (self.n_features, self.n_tokens) = (n_features, n_tokens);
        self.rows.resize(n_features * n_tokens.div_ceil(BLOCK));
    }

    pub(crate) fn n_features(&self) -> usize {
        self.n_features
    }

    pub(crate) fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.n_tokens.div_ceil(BLOCK)
    }

    /// Tokens in one block.
    pub(crate) fn block_tokens(&self, block_idx: usize) -> usize {
        (self.n_tokens - block_idx * BLOCK).min(BLOCK)
    }

    /// All rows of one block, `[n_features][BLOCK]`.
    pub(crate) fn block(&self, block_idx: usize) -> &[FeatureRow] {
        &self.rows[block_idx * self.n_features..][..self.n_features]
    }

    /// All rows of every block.
    pub(crate) fn blocks_mut(&mut self) -> std::slice::ChunksExactMut<'_, FeatureRow> {
        self.rows.chunks_exact_mut(self.n_features)
    }

    /// The rows of all blocks behind each other.
    pub(crate) fn all(&self) -> &[FeatureRow] {
        &self.rows
    }

    /// The rows of all blocks behind each other, for another use.
    pub(crate) fn into_rows(self) -> RowBuffer {
        self.rows
    }

    /// The rows of all blocks behind each other, to write.
    pub(crate) fn all_mut(&mut self) -> &mut [FeatureRow] {
        &mut self.rows
    }

    pub(crate) fn value(&self, feature: usize, token: usize) -> f32 {
        self.block(token / BLOCK)[feature].0[token % BLOCK]
    }

    /// Copies the tokens `from` of `other` to `first` and behind it.
    pub(crate) fn copy_from(&mut self, first: usize, other: &Self, from: Range<usize>) {
        let width = self.n_features;
        let (mut token, mut source) = (first, from.start);
        while source < from.end {
            let (lane, source_lane) = (token % BLOCK, source % BLOCK);
            let n_here = (BLOCK - lane).min(BLOCK - source_lane).min(from.end - source);
            let rows = &mut self.rows[token / BLOCK * width..][..width];
            for (row, from) in rows.iter_mut().zip(other.block(source / BLOCK)) {
                row.0[lane..lane + n_here]
                    .copy_from_slice(&from.0[source_lane..source_lane + n_here]);
            }
            token += n_here;
            source += n_here;
        }
    }

    /// Adds the token `other_token` of `other` to the token `token`.
    pub(crate) fn add_token(&mut self, token: usize, other: &Self, other_token: usize) {
        let (width, from) = (self.n_features, other.block(other_token / BLOCK));
        let rows = &mut self.rows[token / BLOCK * width..][..width];
        for (row, from) in rows.iter_mut().zip(from) {
            row.0[token % BLOCK] += from.0[other_token % BLOCK];
        }
    }

    /// Copies one feature of consecutive tokens.
    pub(crate) fn copy_tokens(&self, feature: usize, tokens: Range<usize>, out: &mut [f32]) {
        let mut token = tokens.start;
        let mut out = &mut out[..tokens.len()];
        while !out.is_empty() {
            let lane = token % BLOCK;
            let n_here = (BLOCK - lane).min(out.len());
            let (here, rest) = out.split_at_mut(n_here);
            here.copy_from_slice(&self.block(token / BLOCK)[feature].0[lane..lane + n_here]);
            token += n_here;
            out = rest;
        }
    }

    /// The given tokens alone, in that order.
    pub(crate) fn select(&self, tokens: &[usize]) -> Self {
        let mut selected = Self::zeros(self.n_features, tokens.len());
        for (block, tokens) in selected.blocks_mut().zip(tokens.chunks(BLOCK)) {
            for (feature, row) in block.iter_mut().enumerate() {
                for (value, token) in row.0.iter_mut().zip(tokens) {
                    *value = self.value(feature, *token);
                }
            }
        }
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_copied_across_blocks() {
        let mut blocks = Blocks::zeros(2, 70);
        for (block_idx, block) in blocks.blocks_mut().enumerate() {
            for (feature, row) in block.iter_mut().enumerate() {
                for (lane, value) in row.0.iter_mut().enumerate() {
                    *value = (1000 * feature + BLOCK * block_idx + lane) as f32;
                }
            }
        }
        let mut copied = [0.0; 40];
        blocks.copy_tokens(1, 30..70, &mut copied);
        assert_eq!(
            copied.to_vec(),
            (30..70).map(|token| (1000 + token) as f32).collect::<Vec<_>>()
        );
        let selected = blocks.select(&[69, 0]);
        assert_eq!((selected.value(0, 0), selected.value(1, 1)), (69.0, 1000.0));
    }
}
