//! Scaled dot-product attention of every sequence and head on its own.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::model::neural::simd::{
    blocks::{BLOCK, Blocks, FeatureRow},
    dense::{BlockTask, Dense, Weights},
    math::{DenseActivation, softmax_weights},
    tile::{PANEL, SumStart},
    vector::{dispatch, n_vectors, vectors, vectors_mut},
};

/// The context vectors of one sequence and head, in blocks that begin with the sequence.
struct ContextVectors {
    /// `[n_blocks][head_width][BLOCK]`.
    rows: Vec<FeatureRow>,
}

/// `softmax(Q Kᵀ / √head_width) V` for every sequence and head.
///
/// # Shapes
/// `queries`: `[n_query_tokens, width]`; `keys_values`: `[n_tokens, 2 · width]`, keys first. The
/// sequence of `spans[i]` asks with the tokens `query_spans[i]`. Returns `[n_query_tokens, width]`.
pub(super) fn attention(
    arch: Arch,
    queries: &Blocks,
    keys_values: &Blocks,
    query_spans: &[Range<usize>],
    spans: &[Range<usize>],
    n_heads: usize,
) -> Blocks {
    let width = queries.n_features();
    let head_width = width / n_heads;
    let tasks: Vec<(usize, usize)> =
        (0..spans.len()).flat_map(|idx| (0..n_heads).map(move |head| (idx, head))).collect();
    let contexts: Vec<ContextVectors> = tasks
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
    gather(&contexts, query_spans, queries.n_tokens(), n_heads, head_width)
}

/// Puts the contexts of all sequences and heads side by side.
fn gather(
    contexts: &[ContextVectors],
    query_spans: &[Range<usize>],
    n_tokens: usize,
    n_heads: usize,
    head_width: usize,
) -> Blocks {
    let mut out = Blocks::zeros(n_heads * head_width, n_tokens);
    let blocks: Vec<&mut [FeatureRow]> = out.blocks_mut().collect();
    blocks.into_par_iter().enumerate().for_each(|(block_idx, block)| {
        let tokens = block_idx * BLOCK..((block_idx + 1) * BLOCK).min(n_tokens);
        let first = query_spans.partition_point(|span| span.end <= tokens.start);
        for (sequence_idx, span) in query_spans.iter().enumerate().skip(first) {
            if span.start >= tokens.end {
                break;
            }
            let shared = span.start.max(tokens.start)..span.end.min(tokens.end);
            for (feature, row) in block.iter_mut().enumerate() {
                let context = &contexts[sequence_idx * n_heads + feature / head_width].rows;
                for token in shared.clone() {
                    let (source, lane) =
                        ((token - span.start) / BLOCK, (token - span.start) % BLOCK);
                    row.0[token - tokens.start] =
                        context[source * head_width + feature % head_width].0[lane];
                }
            }
        }
    });
    out
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
    fn run(&self, arch: Arch) -> ContextVectors {
        let (keys, values) = (self.pack_keys(), self.pack_values());
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
        ContextVectors { rows: context }
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

    /// Keys as the weights of a layer with an output for each, `[n_panels][head_width][PANEL]`.
    fn pack_keys(&self) -> Vec<[f32; PANEL]> {
        let n_panels = self.span.len().div_ceil(PANEL);
        let mut panels = vec![[0.0; PANEL]; n_panels * self.head_width];
        for (panel_idx, panel) in panels.chunks_exact_mut(self.head_width).enumerate() {
            let start = self.span.start + panel_idx * PANEL;
            let tokens = start..self.span.end.min(start + PANEL);
            for (feature, values) in panel.iter_mut().enumerate() {
                self.keys_values.copy_tokens(self.first_feature + feature, tokens.clone(), values);
            }
        }
        panels
    }

    /// Values as the weights of a layer with an input for each token, `[n_panels][n_keys][PANEL]`.
    fn pack_values(&self) -> Vec<[f32; PANEL]> {
        let n_keys = self.span.len();
        let n_panels = self.head_width.div_ceil(PANEL);
        let mut panels = vec![[0.0; PANEL]; n_panels * n_keys];
        let mut row = vec![0.0; n_keys];
        let first = self.keys_values.n_features() / 2 + self.first_feature;
        for feature in 0..self.head_width {
            self.keys_values.copy_tokens(first + feature, self.span.clone(), &mut row);
            let panel = &mut panels[feature / PANEL * n_keys..][..n_keys];
            for (values, value) in panel.iter_mut().zip(&row) {
                values[feature % PANEL] = *value;
            }
        }
        panels
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
