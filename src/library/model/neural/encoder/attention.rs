//! Scaled dot-product attention of every sequence and head on its own.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::model::neural::simd::{
    blocks::{BLOCK, Blocks, FeatureRow},
    dense::{BlockTask, Dense, Weights},
    math::{DenseActivation, softmax_weights},
    tile::{PANEL, SumStart},
    turned::{gather, panels_of_features, panels_of_tokens},
    vector::{dispatch, n_vectors, vectors, vectors_mut},
};

/// `softmax(Q Kᵀ / √head_width) V` for every sequence and head.
///
/// # Shapes
/// `queries`: `[n_query_tokens, width]`; `keys_values`: `[n_tokens, 2 · width]`, keys first. The
/// sequence of `spans[i]` asks with the tokens `query_spans[i]`. Makes `out` `[n_query_tokens, width]`.
pub(super) fn attention(
    arch: Arch,
    queries: &Blocks,
    keys_values: &Blocks,
    query_spans: &[Range<usize>],
    spans: &[Range<usize>],
    n_heads: usize,
    out: &mut Blocks,
) {
    let width = queries.n_features();
    let head_width = width / n_heads;
    let tasks: Vec<(usize, usize)> =
        (0..spans.len()).flat_map(|idx| (0..n_heads).map(move |head| (idx, head))).collect();
    let contexts: Vec<Vec<FeatureRow>> = tasks
        .into_par_iter()
        .map(|(sequence_idx, head)| {
            let task = HeadTask {
                queries,
                keys_values,
                query_span: query_spans[sequence_idx].clone(),
                span: spans[sequence_idx].clone(),
                first_feature: head * head_width,
                head_width,
            };
            task.run(arch)
        })
        .collect();
    out.reshape(width, queries.n_tokens());
    gather(query_spans, (n_heads, head_width), out, |sequence_idx, head| {
        &contexts[sequence_idx * n_heads + head]
    });
}

struct HeadTask<'a> {
    queries: &'a Blocks,
    keys_values: &'a Blocks,
    query_span: Range<usize>,
    span: Range<usize>,
    first_feature: usize,
    head_width: usize,
}

impl HeadTask<'_> {
    /// The context vectors, in blocks that begin with the sequence: `[n_blocks][head_width][BLOCK]`.
    fn run(&self, arch: Arch) -> Vec<FeatureRow> {
        let features = self.first_feature..self.first_feature + self.head_width;
        let keys = panels_of_tokens(self.keys_values, features.clone(), self.span.clone());
        let first = self.keys_values.n_features() / 2 + features.start;
        let features = first..first + self.head_width;
        let values = panels_of_features(self.keys_values, features, self.span.clone());
        let n_keys = self.span.len();
        let no_bias = vec![[0.0; PANEL]; n_keys.max(self.head_width).div_ceil(PANEL)];
        let n_blocks = self.query_span.len().div_ceil(BLOCK);
        let mut context = vec![FeatureRow::ZERO; n_blocks * self.head_width];
        let mut scores = vec![FeatureRow::ZERO; n_keys];
        let mut query = vec![FeatureRow::ZERO; self.head_width];
        for (block_idx, out) in context.chunks_exact_mut(self.head_width).enumerate() {
            let start = self.query_span.start + block_idx * BLOCK;
            let tokens = start..self.query_span.end.min(start + BLOCK);
            let n_tokens = tokens.len();
            self.read_queries(&tokens, &mut query);
            let bias = &no_bias[..n_keys.div_ceil(PANEL)];
            let weights = Weights { n_in: self.head_width, panels: &keys, bias };
            product(arch, weights, &query, &mut scores, n_tokens);
            let inverse = dispatch(arch, Softmax { scores: &mut scores, n_tokens });
            let bias = &no_bias[..self.head_width.div_ceil(PANEL)];
            product(arch, Weights { n_in: n_keys, panels: &values, bias }, &scores, out, n_tokens);
            dispatch(arch, ScoreScale { rows: out, by: &inverse, n_tokens });
        }
        context
    }

    /// Queries over √head_width, `[head_width][BLOCK]`.
    fn read_queries(&self, tokens: &Range<usize>, query: &mut [FeatureRow]) {
        let scale = 1.0 / (self.head_width as f32).sqrt();
        for (feature, row) in query.iter_mut().enumerate() {
            self.queries.copy_tokens(self.first_feature + feature, tokens.clone(), &mut row.0);
            for value in &mut row.0 {
                *value *= scale;
            }
        }
    }
}

fn product(
    arch: Arch,
    weights: Weights<'_>,
    x: &[FeatureRow],
    out: &mut [FeatureRow],
    n_tokens: usize,
) {
    let (panels, inputs) = (0..weights.bias.len(), 0..weights.n_in);
    let blocks = &mut [BlockTask { x, out, n_tokens }];
    let (start, function) = (SumStart::Bias, DenseActivation::Identity);
    Dense { weights, panels, inputs, start, function, blocks }.run(arch);
}

struct Softmax<'a> {
    scores: &'a mut [FeatureRow],
    n_tokens: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = FeatureRow;

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> FeatureRow {
        softmax_weights(s, self.scores, n_vectors::<S>(self.n_tokens))
    }
}

struct ScoreScale<'a> {
    rows: &'a mut [FeatureRow],
    by: &'a FeatureRow,
    n_tokens: usize,
}

impl WithSimd for ScoreScale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for row in self.rows {
            let scales = vectors(s, self.by).iter().take(n_vectors::<S>(self.n_tokens));
            for (value, scale) in vectors_mut(s, row).iter_mut().zip(scales) {
                *value = s.mul_f32s(*value, *scale);
            }
        }
    }
}
