//! The innermost product of bytes: a panel's outputs of a few registers of tokens, kept in registers.
//! It knows no instruction set; what a processor has for four products and their sum is a [`DotLanes`].

use crate::model::neural::simd::{
    blocks::{BLOCK, FeatureRow},
    tile::PANEL,
};

/// The distance at which weights are asked for: with few tokens they come from far away faster than the
/// processor itself looks ahead.
const PREFETCH_BYTES: usize = 2048;

/// Four weights of one output, for four features in their order.
pub(crate) type Quad = [i8; 4];

/// Four features of the tokens of a block: each feature a byte that is 128 above its number, the first the
/// lowest of a token's word. Aligned so that no register's load crosses a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct QuadRow(pub(crate) [u32; BLOCK]);

impl QuadRow {
    pub(crate) const ZERO: Self = Self([0; BLOCK]);
}

/// The registers of an instruction set, and its way to the products of four features and their sum, in one
/// step or in two. Sums are whole numbers of 32 bits that never saturate, so that all instruction sets have
/// the same ones.
pub(super) trait DotLanes: Copy {
    /// A sum for each of some tokens.
    type Sums: Copy;
    /// The features of as many tokens that one step multiplies.
    type Tokens: Copy;
    /// The weights of one output for them.
    type Weights: Copy;
    /// Steps for four features.
    const N_STEPS: usize;
    /// Tokens of a register.
    const N_LANES: usize;
    /// Outputs of two registers of tokens whose sums the registers have room for: 12, 6 or 4.
    const N_OUTPUTS: usize;

    /// The same number for all tokens.
    fn splat(self, number: i32) -> Self::Sums;
    /// What the step multiplies of the register `vector_idx` of a row.
    fn tokens(self, row: &QuadRow, vector_idx: usize, step: usize) -> Self::Tokens;
    /// `sums` and the products of each token.
    fn add(self, sums: Self::Sums, tokens: Self::Tokens, weights: Self::Weights) -> Self::Sums;
    /// Asks for memory that is read soon, where the processor can be asked.
    fn prefetch<T>(self, _address: *const T) {}
    /// Rounds the sums to `f32` and writes them as the register `vector_idx` of a row.
    fn store(self, sums: Self::Sums, row: &mut FeatureRow, vector_idx: usize);
}

/// A panel's sums for the first `n_tokens` tokens of a block, each rounded to `f32`.
///
/// # Shapes
/// `panel`: `[n_quads][N_STEPS][PANEL]`; `starts`: what each output's sum begins with; `x`: `[n_quads]`.
#[inline(always)]
pub(super) fn panel_sums<L: DotLanes>(
    lanes: L,
    panel: &[[L::Weights; PANEL]],
    starts: &[i32; PANEL],
    x: &[QuadRow],
    out: &mut [FeatureRow; PANEL],
    n_tokens: usize,
) {
    let n_vectors = n_tokens.div_ceil(L::N_LANES);
    let mut vector_idx = 0;
    while vector_idx + 2 <= n_vectors {
        for first in (0..PANEL).step_by(L::N_OUTPUTS) {
            match L::N_OUTPUTS {
                12 => tile::<L, 12, 2>(lanes, panel, first, starts, x, out, vector_idx),
                6 => tile::<L, 6, 2>(lanes, panel, first, starts, x, out, vector_idx),
                _ => tile::<L, 4, 2>(lanes, panel, first, starts, x, out, vector_idx),
            }
        }
        vector_idx += 2;
    }
    if vector_idx < n_vectors {
        tile::<L, PANEL, 1>(lanes, panel, 0, starts, x, out, vector_idx);
    }
}

/// The outputs `first..first + N_OUT` of `N_VECTORS` registers of tokens.
#[inline(always)]
fn tile<L: DotLanes, const N_OUT: usize, const N_VECTORS: usize>(
    lanes: L,
    panel: &[[L::Weights; PANEL]],
    first: usize,
    starts: &[i32; PANEL],
    x: &[QuadRow],
    out: &mut [FeatureRow; PANEL],
    vector_idx: usize,
) {
    // Checked here so that the loop holds no check.
    assert!(vector_idx + N_VECTORS <= BLOCK / L::N_LANES && first + N_OUT <= PANEL);
    let mut sums = [[lanes.splat(0); N_VECTORS]; N_OUT];
    for (sums, start) in sums.iter_mut().zip(&starts[first..]) {
        *sums = [lanes.splat(*start); N_VECTORS];
    }
    for (row, steps) in x.iter().zip(panel.chunks_exact(L::N_STEPS)) {
        for (step, weights) in steps.iter().enumerate() {
            lanes.prefetch(weights.as_ptr().wrapping_byte_add(PREFETCH_BYTES));
            let mut tokens = [lanes.tokens(row, vector_idx, step); N_VECTORS];
            for (j, tokens) in tokens.iter_mut().enumerate().skip(1) {
                *tokens = lanes.tokens(row, vector_idx + j, step);
            }
            // Written out with constant indices: in a loop over the outputs, the compiler would keep
            // the sums in memory and store each of them in every step.
            macro_rules! add_products {
                ($($i:literal)*) => {$(
                    if $i < N_OUT {
                        for (sum, tokens) in sums[$i].iter_mut().zip(tokens) {
                            *sum = lanes.add(*sum, tokens, weights[first + $i]);
                        }
                    }
                )*};
            }
            add_products!(0 1 2 3 4 5 6 7 8 9 10 11);
        }
    }
    for (row, sums) in out[first..].iter_mut().zip(&sums) {
        for (j, sums) in sums.iter().enumerate() {
            lanes.store(*sums, row, vector_idx + j);
        }
    }
}
