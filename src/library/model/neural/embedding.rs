//! Where a text lies among others: the mean of its tokens' embeddings, projected on a few random
//! directions. It costs a table of its own and no pass through the net.

use std::array;

use rayon::prelude::*;

use crate::{
    model::{EMBEDDING_DIMS, MIN_EMBEDDED_TOKENS, TextEmbedding},
    random::Random,
};

/// Decides the directions: the same for every model, so that versions can be compared.
const SEED: u64 = 0x7465_7874;

/// A net's token embeddings on the directions: `[vocab_size, EMBEDDING_DIMS]`.
#[derive(Debug)]
pub(super) struct TokenEmbeddings(Vec<TextEmbedding>);

impl TokenEmbeddings {
    /// Projects the rows of `table`, `[vocab_size, width]`. Each direction is a sign for each number of a
    /// row, over the root of their number (Achlioptas 2003, "Database-friendly random projections", JCSS 66).
    pub(super) fn project(table: &[f32], width: usize) -> Self {
        let mut random = Random::new(SEED);
        let signs: Vec<[f32; EMBEDDING_DIMS]> = (0..width)
            .map(|_| {
                let bits = random.next_u64();
                array::from_fn(|dim| if bits >> dim & 1 == 0 { 1.0 } else { -1.0 })
            })
            .collect();
        let scale = 1.0 / (EMBEDDING_DIMS as f32).sqrt();
        let project = |row: &[f32]| {
            let mut projected = [0.0; EMBEDDING_DIMS];
            for (value, signs) in row.iter().zip(&signs) {
                for (sum, sign) in projected.iter_mut().zip(signs) {
                    *sum += value * sign;
                }
            }
            projected.map(|sum| sum * scale)
        };
        Self(table.par_chunks_exact(width.max(1)).map(project).collect())
    }

    /// The mean over the tokens of a text; none for a short one.
    pub(super) fn mean(&self, ids: &[u32]) -> Option<TextEmbedding> {
        if ids.len() < MIN_EMBEDDED_TOKENS {
            return None;
        }
        let mut mean = [0.0; EMBEDDING_DIMS];
        for row in ids.iter().filter_map(|id| self.0.get(*id as usize)) {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        Some(mean.map(|sum| sum / ids.len() as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_keeps_distances_and_short_texts_have_none() {
        let width = 96;
        let table: Vec<f32> = (0..40 * width).map(|n| ((n * n % 97) as f32).sin()).collect();
        let projected = TokenEmbeddings::project(&table, width);
        let distance = |one: &[f32], other: &[f32]| {
            one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
        };
        let mut ratio = 0.0;
        for id in 1..40 {
            let full = distance(&table[..width], &table[id * width..][..width]);
            ratio += distance(&projected.0[0], &projected.0[id]) / full / 39.0;
        }
        assert!((0.85..1.15).contains(&ratio), "{ratio}");
        assert_eq!(projected.mean(&[1; MIN_EMBEDDED_TOKENS - 1]), None);
        let mean = projected.mean(&[7; MIN_EMBEDDED_TOKENS]).unwrap();
        assert!(distance(&mean, &projected.0[7]) < 1e-4);
        assert!(projected.mean(&[1_000; MIN_EMBEDDED_TOKENS]).is_some(), "unknown ids add nothing");
    }
}
