//! The innermost product: a few output features of a few registers of tokens, kept in registers.

use std::array::from_fn;

use pulp::Simd;

use super::{
    blocks::{BLOCK, Row},
    vector::{mul_add, vectors, vectors_mut},
};

/// Output features whose weights lie side by side: with two AVX-512 registers of tokens they take
/// 24 of the 32 registers, and 12 divides the sizes of all usual encoders.
pub(crate) const PANEL: usize = 12;

/// The beginning of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The bias.
    Bias,
    /// The bias and what the output holds: a residual connection.
    Residual,
    /// The values of the output: an earlier part of the same sum.
    Continue,
}

/// Adds the products of `x` and the panels' weights to `out`, which holds the panels' features.
///
/// # Shapes
/// `weights`: a panel `[n_in][PANEL]`; `bias`: `[n_panels][PANEL]`; `x`: `[n_in][BLOCK]`;
/// `out`: `[n_out][BLOCK]` with at most as many features as the panels have.
#[inline(always)]
pub(crate) fn panels<S: Simd>(
    s: S,
    weights: [&[[f32; PANEL]]; 2],
    bias: &[[f32; PANEL]],
    x: &[Row],
    out: &mut [Row],
    n_vectors: usize,
    start: Start,
) {
    // 24 sums at a time hide the latency of the additions; 16 registers have room for 12.
    let many_registers = S::REGISTER_COUNT >= 32;
    if many_registers && n_vectors == 1 {
        return tile::<S, 2, PANEL, 1>(s, weights, 0, bias, x, out, 0, start);
    }
    let (first, second) = out.split_at_mut(out.len().min(PANEL));
    panel(s, weights[0], &bias[..1], x, first, n_vectors, start);
    if !second.is_empty() {
        panel(s, weights[1], &bias[1..], x, second, n_vectors, start);
    }
}

#[inline(always)]
fn panel<S: Simd>(
    s: S,
    weights: &[[f32; PANEL]],
    bias: &[[f32; PANEL]],
    x: &[Row],
    out: &mut [Row],
    n_vectors: usize,
    start: Start,
) {
    let mut vector_idx = 0;
    while vector_idx + 2 <= n_vectors {
        if S::REGISTER_COUNT >= 32 {
            tile::<S, 1, PANEL, 2>(s, [weights], 0, bias, x, out, vector_idx, start);
        } else {
            const HALF: usize = PANEL / 2;
            tile::<S, 1, HALF, 2>(s, [weights], 0, bias, x, out, vector_idx, start);
            tile::<S, 1, HALF, 2>(s, [weights], HALF, bias, x, out, vector_idx, start);
        }
        vector_idx += 2;
    }
    if vector_idx < n_vectors {
        tile::<S, 1, PANEL, 1>(s, [weights], 0, bias, x, out, vector_idx, start);
    }
}

/// `N_PANELS` panels' features `first..first + N_OUT` of `N_VECTORS` registers of tokens.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "inlined into the two callers above")]
fn tile<S: Simd, const N_PANELS: usize, const N_OUT: usize, const N_VECTORS: usize>(
    s: S,
    weights: [&[[f32; PANEL]]; N_PANELS],
    first: usize,
    bias: &[[f32; PANEL]],
    x: &[Row],
    out: &mut [Row],
    vector_idx: usize,
    start: Start,
) {
    let mut sums = [[[s.splat_f32s(0.0); N_VECTORS]; N_OUT]; N_PANELS];
    for (panel_idx, sums) in sums.iter_mut().enumerate() {
        for (i, sums) in sums.iter_mut().enumerate() {
            let Some(row) = out.get(panel_idx * PANEL + first + i) else { continue };
            let bias = s.splat_f32s(bias[panel_idx][first + i]);
            let held = &vectors(s, row)[vector_idx..vector_idx + N_VECTORS];
            for (sum, held) in sums.iter_mut().zip(held) {
                *sum = match start {
                    Start::Bias => bias,
                    Start::Residual => s.add_f32s(*held, bias),
                    Start::Continue => *held,
                };
            }
        }
    }
    let sums = accumulate(s, weights, first, x, vector_idx, sums);
    for (panel_idx, sums) in sums.iter().enumerate() {
        for (i, sums) in sums.iter().enumerate() {
            let Some(row) = out.get_mut(panel_idx * PANEL + first + i) else { continue };
            vectors_mut(s, row)[vector_idx..vector_idx + N_VECTORS].copy_from_slice(sums);
        }
    }
}

/// Adds the products to `sums`.
#[inline(always)]
fn accumulate<S: Simd, const N_PANELS: usize, const N_OUT: usize, const N_VECTORS: usize>(
    s: S,
    weights: [&[[f32; PANEL]]; N_PANELS],
    first: usize,
    x: &[Row],
    vector_idx: usize,
    mut sums: [[[S::f32s; N_VECTORS]; N_OUT]; N_PANELS],
) -> [[[S::f32s; N_VECTORS]; N_OUT]; N_PANELS] {
    // Checked here so that the loop holds no check.
    assert!(vector_idx + N_VECTORS <= BLOCK / S::F32_LANES && first + N_OUT <= PANEL);
    let (one, other) = (weights[0], weights[N_PANELS - 1]);
    for (row, (one, other)) in x.iter().zip(one.iter().zip(other)) {
        let row = &vectors(s, row)[vector_idx..vector_idx + N_VECTORS];
        let tokens: [S::f32s; N_VECTORS] = from_fn(|j| row[j]);
        // Written out with constant indices: in a loop over the outputs, the compiler would keep
        // the sums in memory and store each of them in every step.
        macro_rules! add_products {
            ($panel:expr, $weights:expr; $($i:literal)*) => {$(
                if $i < N_OUT {
                    let weight = s.splat_f32s($weights[first + $i]);
                    for (sum, token) in sums[$panel][$i].iter_mut().zip(tokens) {
                        *sum = mul_add(s, weight, token, *sum);
                    }
                }
            )*};
        }
        add_products!(0, one; 0 1 2 3 4 5 6 7 8 9 10 11);
        if N_PANELS == 2 {
            add_products!(N_PANELS - 1, other; 0 1 2 3 4 5 6 7 8 9 10 11);
        }
    }
    sums
}
