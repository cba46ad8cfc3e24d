//! Activations in other orders: as the weights of a product, token by token, and of parts side by side.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    blocks::{BLOCK, Blocks, FeatureRow},
    rows::RowBuffer,
    tile::PANEL,
};

/// The runs of `tokens` that lie in one block each: the block, its lanes, and the place of the first.
fn runs(tokens: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>, usize)> {
    let (first, last) = (tokens.start / BLOCK, tokens.end.div_ceil(BLOCK));
    (first..last).map(move |block_idx| {
        let start = tokens.start.max(block_idx * BLOCK);
        let end = tokens.end.min((block_idx + 1) * BLOCK);
        (block_idx, start - block_idx * BLOCK..end - block_idx * BLOCK, start - tokens.start)
    })
}

/// Some tokens as the weights of a layer with an output for each and an input for each feature,
/// `[n_panels][n_features][PANEL]`.
pub(crate) fn panels_of_tokens(
    blocks: &Blocks,
    features: Range<usize>,
    tokens: Range<usize>,
) -> Vec<[f32; PANEL]> {
    let n_features = features.len();
    let mut panels = vec![[0.0; PANEL]; tokens.len().div_ceil(PANEL) * n_features];
    for (panel_idx, panel) in panels.chunks_exact_mut(n_features).enumerate() {
        let start = tokens.start + panel_idx * PANEL;
        let here = start..tokens.end.min(start + PANEL);
        for (values, feature) in panel.iter_mut().zip(features.clone()) {
            blocks.copy_tokens(feature, here.clone(), values);
        }
    }
    panels
}

/// Some tokens as the weights of a layer with an input for each and an output for each feature,
/// `[n_panels][n_tokens][PANEL]`.
pub(crate) fn panels_of_features(
    blocks: &Blocks,
    features: Range<usize>,
    tokens: Range<usize>,
) -> Vec<[f32; PANEL]> {
    let n_tokens = tokens.len();
    if n_tokens == 0 {
        return Vec::new();
    }
    let mut panels = vec![[0.0; PANEL]; features.len().div_ceil(PANEL) * n_tokens];
    let fill = |(panel_idx, panel): (usize, &mut [[f32; PANEL]])| {
        let first = features.start + panel_idx * PANEL;
        let n_here = (features.end - first).min(PANEL);
        for (block_idx, lanes, place) in runs(tokens.clone()) {
            let rows = &blocks.block(block_idx)[first..first + n_here];
            let panel = &mut panel[place..place + lanes.len()];
            if let Ok(rows) = <&[FeatureRow; PANEL]>::try_from(rows) {
                for (values, lane) in panel.iter_mut().zip(lanes) {
                    *values = std::array::from_fn(|output| rows[output].0[lane]);
                }
            } else {
                for (values, lane) in panel.iter_mut().zip(lanes) {
                    for (value, row) in values.iter_mut().zip(rows) {
                        *value = row.0[lane];
                    }
                }
            }
        }
    };
    if panels.len() > 1 << 13 {
        panels.par_chunks_exact_mut(n_tokens).enumerate().for_each(fill);
    } else {
        panels.chunks_exact_mut(n_tokens).enumerate().for_each(fill);
    }
    panels
}

/// All tokens one after the other, in rows of as many features, `[n_feature_blocks][n_tokens][BLOCK]`; the lanes
/// behind the last feature hold numbers that nothing reads.
pub(crate) fn rows_of_tokens(blocks: &Blocks) -> RowBuffer {
    let (n_features, n_tokens) = (blocks.n_features(), blocks.n_tokens());
    let mut turned = RowBuffer::room(n_features.div_ceil(BLOCK) * n_tokens);
    turned.par_chunks_exact_mut(n_tokens).enumerate().for_each(|(part_idx, out)| {
        let first = part_idx * BLOCK;
        for (block_idx, out) in out.chunks_mut(BLOCK).enumerate() {
            let rows = &blocks.block(block_idx)[first..n_features.min(first + BLOCK)];
            turn(rows, out);
        }
    });
    turned
}

/// Turns rows of a feature each, one lane a token, into rows of a token each, one lane a feature.
pub(crate) fn turn(rows: &[FeatureRow], out: &mut [FeatureRow]) {
    // Eight at a time: a cache line's half on either side.
    for (first, rows) in rows.chunks(8).enumerate() {
        let lanes = first * 8..first * 8 + rows.len();
        for (lane, out) in out.iter_mut().enumerate() {
            for (value, row) in out.0[lanes.clone()].iter_mut().zip(rows) {
                *value = row.0[lane];
            }
        }
    }
}

/// What was computed of parts of the tokens, each in blocks that begin with its tokens, into blocks of all
/// tokens: the features of the parts of `spans[i]`, `n_parts` of them, lie side by side.
///
/// # Shapes
/// `part`: for each span and part `[n_blocks][part_width][BLOCK]`; `out`:
/// `[n_tokens, n_parts · part_width]`.
pub(crate) fn gather<'a>(
    spans: &[Range<usize>],
    (n_parts, part_width): (usize, usize),
    out: &mut Blocks,
    part: impl Fn(usize, usize) -> &'a [FeatureRow] + Sync,
) {
    debug_assert_eq!(out.n_features(), n_parts * part_width);
    let n_tokens = out.n_tokens();
    let blocks: Vec<&mut [FeatureRow]> = out.blocks_mut().collect();
    blocks.into_par_iter().enumerate().for_each(|(block_idx, block)| {
        let tokens = block_idx * BLOCK..((block_idx + 1) * BLOCK).min(n_tokens);
        let first = spans.partition_point(|span| span.end <= tokens.start);
        for (span_idx, span) in spans.iter().enumerate().skip(first) {
            if span.start >= tokens.end {
                break;
            }
            let shared = span.start.max(tokens.start)..span.end.min(tokens.end);
            let place = shared.start - tokens.start;
            for (source, lanes, offset) in runs(shared.start - span.start..shared.end - span.start)
            {
                let to = place + offset..place + offset + lanes.len();
                for (part_idx, rows) in block.chunks_exact_mut(part_width).enumerate() {
                    let from = &part(span_idx, part_idx)[source * part_width..][..part_width];
                    for (row, from) in rows.iter_mut().zip(from) {
                        row.0[to.clone()].copy_from_slice(&from.0[lanes.clone()]);
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The feature `f` of the token `t` is `1000 f + t`.
    fn numbered(n_features: usize, n_tokens: usize) -> Blocks {
        let mut blocks = Blocks::zeros(n_features, n_tokens);
        for (block_idx, block) in blocks.blocks_mut().enumerate() {
            for (feature, row) in block.iter_mut().enumerate() {
                for (lane, value) in row.0.iter_mut().enumerate() {
                    *value = (1000 * feature + BLOCK * block_idx + lane) as f32;
                }
            }
        }
        blocks
    }

    #[test]
    fn every_order_has_every_number_at_its_place() {
        let blocks = numbered(45, 70);
        let tokens = panels_of_tokens(&blocks, 3..40, 5..67);
        let features = panels_of_features(&blocks, 3..40, 5..67);
        for (feature, token) in (3..40).flat_map(|feature| (5..67).map(move |t| (feature, t))) {
            let (f, t, value) = (feature - 3, token - 5, (1000 * feature + token) as f32);
            assert_eq!(tokens[t / PANEL * 37 + f][t % PANEL], value);
            assert_eq!(features[f / PANEL * 62 + t][f % PANEL], value);
        }
        let rows = rows_of_tokens(&blocks);
        assert_eq!(rows.len(), 2 * 70);
        for (feature, token) in (0..45).flat_map(|feature| (0..70).map(move |t| (feature, t))) {
            let value = rows[feature / BLOCK * 70 + token].0[feature % BLOCK];
            assert_eq!(value, (1000 * feature + token) as f32);
        }
    }

    #[test]
    fn parts_of_the_tokens_are_put_side_by_side() {
        let spans = [0..40, 40..41, 41..100];
        let all = numbered(6, 100);
        let parts: Vec<Vec<FeatureRow>> = spans
            .iter()
            .flat_map(|span| [0, 1].map(|part| (span.clone(), part * 3)))
            .map(|(span, first)| {
                let tokens: Vec<usize> = span.collect();
                let part = all.select(&tokens);
                part.all()
                    .chunks_exact(6)
                    .flat_map(|block| block[first..first + 3].to_vec())
                    .collect()
            })
            .collect();
        let mut found = Blocks::zeros(6, 100);
        gather(&spans, (2, 3), &mut found, |span_idx, part| &parts[span_idx * 2 + part]);
        for (feature, token) in (0..6).flat_map(|feature| (0..100).map(move |t| (feature, t))) {
            assert_eq!(found.value(feature, token), (1000 * feature + token) as f32);
        }
    }
}
