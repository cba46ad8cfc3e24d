//! Dropout (Srivastava et al., 2014) whose masks are drawn anew on the way back: kept, they would be as
//! large as what they mask.

use rayon::prelude::*;

use crate::{
    model::neural::simd::blocks::{BLOCK, Blocks, FeatureRow},
    random::Random,
};

/// A share that is dropped, and where its draws come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout {
    /// Of 65,536: the probability is exact to that.
    threshold: u16,
    /// What the others are multiplied with, to keep the mean.
    kept: f32,
    seed: u64,
}

impl Dropout {
    pub(super) fn new(probability: f64, seed: u64) -> Self {
        let threshold = (probability * 65_536.0).round() as u16;
        Self { threshold, kept: (1.0 / (1.0 - probability)) as f32, seed }
    }

    /// True if nothing is dropped.
    fn is_none(self) -> bool {
        self.threshold == 0
    }

    /// Masks rows of a block. The stream and the place in it decide what is dropped.
    pub(super) fn mask(self, (stream, place): (u64, u64), rows: &mut [FeatureRow]) {
        if self.is_none() {
            return;
        }
        let mut random = Random::new(
            self.seed
                ^ stream.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ place.wrapping_add(1).wrapping_mul(0xd6e8_feb8_6659_fd93),
        );
        for row in rows {
            for four in row.0.as_chunks_mut::<4>().0 {
                let bits = random.next_u64();
                for (lane, value) in four.iter_mut().enumerate() {
                    let is_kept = (bits >> (16 * lane)) as u16 >= self.threshold;
                    *value *= if is_kept { self.kept } else { 0.0 };
                }
            }
        }
    }
}

const _: () = assert!(BLOCK.is_multiple_of(4));

/// Masks every block.
pub(super) fn apply(dropout: Option<Dropout>, stream: u64, blocks: &mut Blocks) {
    let Some(dropout) = dropout.filter(|dropout| !dropout.is_none()) else { return };
    let width = blocks.n_features();
    let blocks = blocks.all_mut().par_chunks_exact_mut(width).enumerate();
    blocks.for_each(|(block_idx, rows)| dropout.mask((stream, block_idx as u64), rows));
}
