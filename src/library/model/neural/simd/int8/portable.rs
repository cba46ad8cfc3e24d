//! Products of bytes in plain arithmetic, which the compiler makes vectors of where it can.

use super::tile::{DotLanes, Quad, QuadRow};
use crate::model::neural::simd::blocks::FeatureRow;

const N_LANES: usize = 8;

/// Plain arithmetic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl DotLanes for Portable {
    type Sums = [i32; N_LANES];
    /// A feature's tokens side by side.
    type Tokens = [[i16; N_LANES]; 4];
    type Weights = Quad;
    const N_STEPS: usize = 1;
    const N_LANES: usize = N_LANES;
    const N_OUTPUTS: usize = 4;

    #[inline(always)]
    fn splat(self, number: i32) -> Self::Sums {
        [number; N_LANES]
    }

    #[inline(always)]
    fn tokens(self, row: &QuadRow, vector_idx: usize, _: usize) -> Self::Tokens {
        let mut tokens = [[0; N_LANES]; 4];
        for (lane, quad) in row.0[vector_idx * N_LANES..][..N_LANES].iter().enumerate() {
            for (feature, byte) in tokens.iter_mut().zip(quad.to_le_bytes()) {
                feature[lane] = i16::from(byte);
            }
        }
        tokens
    }

    #[inline(always)]
    fn add(self, mut sums: Self::Sums, tokens: Self::Tokens, weights: Quad) -> Self::Sums {
        for (feature, weight) in tokens.iter().zip(weights) {
            for (sum, token) in sums.iter_mut().zip(feature) {
                *sum += i32::from(*token) * i32::from(weight);
            }
        }
        sums
    }

    #[inline(always)]
    fn store(self, sums: Self::Sums, row: &mut FeatureRow, vector_idx: usize) {
        for (value, sum) in row.0[vector_idx * N_LANES..].iter_mut().zip(sums) {
            *value = sum as f32;
        }
    }
}
