//! Scaled dot-product attention with dropout of its weights, and its derivative. Scores are computed anew
//! on the way back: kept, they would be the largest part of the trace.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::mask::Dropout;
use crate::model::neural::simd::{
    blocks::{BLOCK, Blocks, FeatureRow},
    dense::{BlockTask, Dense, Weights},
    derivative::SoftmaxBack,
    math::{DenseActivation, softmax_weights},
    tile::{PANEL, SumStart},
    turned::{gather, panels_of_features, panels_of_tokens, turn},
    vector::{dispatch, n_vectors},
};

/// The attention of all sequences.
pub(super) struct Attention<'a> {
    pub(super) queries: &'a Blocks,
    /// Keys, then values.
    pub(super) keys_values: &'a Blocks,
    /// The tokens of each sequence that ask.
    pub(super) query_spans: &'a [Range<usize>],
    pub(super) spans: &'a [Range<usize>],
    pub(super) n_heads: usize,
    /// Of the weights, with the stream of its draws.
    pub(super) dropout: Option<(Dropout, u64)>,
}

/// One sequence and head.
struct Head<'a> {
    attention: &'a Attention<'a>,
    idx: usize,
    query_span: Range<usize>,
    span: Range<usize>,
    /// Of queries and keys.
    features: Range<usize>,
    /// Of values.
    value_features: Range<usize>,
}

/// The gradients of a head's queries, keys and values, each in blocks that begin with its tokens.
struct HeadGradients {
    queries: Vec<FeatureRow>,
    keys: Vec<FeatureRow>,
    values: Vec<FeatureRow>,
}

impl Attention<'_> {
    fn head_width(&self) -> usize {
        self.queries.n_features() / self.n_heads
    }

    fn heads(&self) -> impl IndexedParallelIterator<Item = Head<'_>> {
        let (width, head_width) = (self.queries.n_features(), self.head_width());
        (0..self.spans.len() * self.n_heads).into_par_iter().map(move |idx| {
            let (sequence_idx, first) = (idx / self.n_heads, idx % self.n_heads * head_width);
            Head {
                attention: self,
                idx,
                query_span: self.query_spans[sequence_idx].clone(),
                span: self.spans[sequence_idx].clone(),
                features: first..first + head_width,
                value_features: width + first..width + first + head_width,
            }
        })
    }

    /// The weighted means of the values.
    ///
    /// # Shapes
    /// `[n_query_tokens, width]`.
    pub(super) fn forward(&self, arch: Arch) -> Blocks {
        let contexts: Vec<_> = self.heads().map(|head| head.forward(arch)).collect();
        let mut out = Blocks::zeros(self.queries.n_features(), self.queries.n_tokens());
        let parts = (self.n_heads, self.head_width());
        gather(self.query_spans, parts, &mut out, |sequence_idx, head| {
            &contexts[sequence_idx * self.n_heads + head]
        });
        out
    }

    /// The gradients of queries and of keys and values from that of the results.
    pub(super) fn backward(&self, arch: Arch, gradient: &Blocks) -> (Blocks, Blocks) {
        let heads: Vec<_> = self.heads().map(|head| head.backward(arch, gradient)).collect();
        let (n_heads, head_width) = (self.n_heads, self.head_width());
        let like = |blocks: &Blocks| Blocks::zeros(blocks.n_features(), blocks.n_tokens());
        let (mut queries, mut keys_values) = (like(self.queries), like(self.keys_values));
        gather(self.query_spans, (n_heads, head_width), &mut queries, |idx, head| {
            &heads[idx * n_heads + head].queries
        });
        gather(self.spans, (2 * n_heads, head_width), &mut keys_values, |idx, part| {
            let head = &heads[idx * n_heads + part % n_heads];
            if part < n_heads { &head.keys } else { &head.values }
        });
        (queries, keys_values)
    }
}

impl Head<'_> {
    fn scale(&self) -> f32 {
        1.0 / (self.features.len() as f32).sqrt()
    }

    /// The blocks of queries: their places in the sequence and their tokens.
    fn query_blocks(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let span = self.query_span.clone();
        span.clone()
            .step_by(BLOCK)
            .enumerate()
            .map(move |(block_idx, start)| (block_idx, start..span.end.min(start + BLOCK)))
    }

    /// `e^{score - largest}` of the queries, `[n_keys][BLOCK]`; returns one over the sums.
    fn weights(
        &self,
        arch: Arch,
        keys: &[[f32; PANEL]],
        tokens: &Range<usize>,
        query: &mut [FeatureRow],
        weights: &mut [FeatureRow],
    ) -> FeatureRow {
        read(self.attention.queries, &self.features, tokens, query);
        scale_rows(query, self.scale());
        product(arch, keys, query, weights, tokens.len());
        dispatch(arch, AttentionSoftmax { scores: weights, n_tokens: tokens.len() })
    }

    fn drop(&self, block_idx: usize, rows: &mut [FeatureRow]) {
        if let Some((dropout, stream)) = self.attention.dropout {
            dropout.mask((stream, (self.idx as u64) << 32 | block_idx as u64), rows);
        }
    }

    /// The weighted means, in blocks that begin with the sequence: `[n_blocks][head_width][BLOCK]`.
    fn forward(&self, arch: Arch) -> Vec<FeatureRow> {
        let (head_width, n_keys) = (self.features.len(), self.span.len());
        let from = self.attention.keys_values;
        let keys = panels_of_tokens(from, self.features.clone(), self.span.clone());
        let values = panels_of_features(from, self.value_features.clone(), self.span.clone());
        let mut out = vec![FeatureRow::ZERO; self.query_span.len().div_ceil(BLOCK) * head_width];
        let mut weights = vec![FeatureRow::ZERO; n_keys];
        let mut query = vec![FeatureRow::ZERO; head_width];
        for ((block_idx, tokens), out) in self.query_blocks().zip(out.chunks_exact_mut(head_width))
        {
            let inverse = self.weights(arch, &keys, &tokens, &mut query, &mut weights);
            self.drop(block_idx, &mut weights);
            product(arch, &values, &weights, out, tokens.len());
            scale_lanes(out, &inverse);
        }
        out
    }

    fn backward(&self, arch: Arch, gradient: &Blocks) -> HeadGradients {
        let (head_width, n_keys, n_queries) =
            (self.features.len(), self.span.len(), self.query_span.len());
        let from = self.attention.keys_values;
        let keys = panels_of_tokens(from, self.features.clone(), self.span.clone());
        let by_key = panels_of_features(from, self.features.clone(), self.span.clone());
        let values = panels_of_tokens(from, self.value_features.clone(), self.span.clone());
        let mut queries = vec![FeatureRow::ZERO; n_queries.div_ceil(BLOCK) * head_width];
        let mut weights = vec![FeatureRow::ZERO; n_keys];
        let mut scores = vec![FeatureRow::ZERO; n_keys];
        let mut query = vec![FeatureRow::ZERO; head_width];
        let n_key_blocks = n_keys.div_ceil(BLOCK);
        // One row a query, its keys in lanes: `[n_key_blocks][n_queries][BLOCK]`.
        let mut turned_weights = vec![FeatureRow::ZERO; n_key_blocks * n_queries];
        let mut turned_scores = turned_weights.clone();
        let turn_into = |rows: &[FeatureRow], place: usize, n: usize, out: &mut [FeatureRow]| {
            for (rows, out) in rows.chunks(BLOCK).zip(out.chunks_exact_mut(n_queries)) {
                turn(rows, &mut out[place..place + n]);
            }
        };
        for ((block_idx, tokens), out) in
            self.query_blocks().zip(queries.chunks_exact_mut(head_width))
        {
            let (n, place) = (tokens.len(), tokens.start - self.query_span.start);
            let inverse = self.weights(arch, &keys, &tokens, &mut query, &mut weights);
            read(gradient, &self.features, &tokens, &mut query);
            product(arch, &values, &query, &mut scores, n);
            self.drop(block_idx, &mut scores);
            let (gradient, inverse) = (&mut scores, &inverse);
            SoftmaxBack { weights: &mut weights, inverse, gradient, n_tokens: n }.run(arch);
            product(arch, &by_key, &scores, out, n);
            self.drop(block_idx, &mut weights);
            turn_into(&weights, place, n, &mut turned_weights);
            turn_into(&scores, place, n, &mut turned_scores);
        }
        let sums = |blocks: &Blocks, rows: &[FeatureRow]| {
            let panels = panels_of_features(blocks, self.features.clone(), self.query_span.clone());
            let mut out = vec![FeatureRow::ZERO; n_key_blocks * head_width];
            let parts = rows.chunks_exact(n_queries).zip(out.chunks_exact_mut(head_width));
            parts.for_each(|(rows, out)| product(arch, &panels, rows, out, BLOCK));
            out
        };
        let values = sums(gradient, &turned_weights);
        let mut keys = sums(self.attention.queries, &turned_scores);
        scale_rows(&mut keys, self.scale());
        scale_rows(&mut queries, self.scale());
        HeadGradients { queries, keys, values }
    }
}

/// Some features of some tokens as one block.
fn read(blocks: &Blocks, features: &Range<usize>, tokens: &Range<usize>, rows: &mut [FeatureRow]) {
    for (feature, row) in features.clone().zip(rows) {
        blocks.copy_tokens(feature, tokens.clone(), &mut row.0);
    }
}

fn scale_rows(rows: &mut [FeatureRow], by: f32) {
    rows.iter_mut().flat_map(|row| &mut row.0).for_each(|value| *value *= by);
}

fn scale_lanes(rows: &mut [FeatureRow], by: &FeatureRow) {
    for row in rows {
        row.0.iter_mut().zip(by.0).for_each(|(value, by)| *value *= by);
    }
}

/// The products of a block and the weights, `[n_panels][x.len()][PANEL]`.
fn product(
    arch: Arch,
    panels: &[[f32; PANEL]],
    x: &[FeatureRow],
    out: &mut [FeatureRow],
    n_tokens: usize,
) {
    let bias = vec![[0.0; PANEL]; out.len().div_ceil(PANEL)];
    Dense {
        weights: Weights { n_in: x.len(), panels, bias: &bias },
        panels: 0..bias.len(),
        inputs: 0..x.len(),
        start: SumStart::Bias,
        function: DenseActivation::Identity,
        blocks: &mut [BlockTask { x, out, n_tokens }],
    }
    .run(arch);
}

struct AttentionSoftmax<'a> {
    scores: &'a mut [FeatureRow],
    n_tokens: usize,
}

impl WithSimd for AttentionSoftmax<'_> {
    type Output = FeatureRow;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> FeatureRow {
        softmax_weights(s, self.scores, n_vectors::<S>(self.n_tokens))
    }
}
