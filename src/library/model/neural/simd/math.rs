//! Element-wise functions, layer norm and softmax on blocks, to f32 accuracy.

use pulp::{Arch, Simd, WithSimd};

use super::{
    blocks::{BLOCK, FeatureRow},
    vector::{dispatch, mul_add, n_vectors, vectors, vectors_mut},
};
use crate::model::neural::checkpoint::Activation;

/// The function that a dense layer applies to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenseActivation {
    Identity,
    Gelu,
    GeluTanh,
    Relu,
}

impl From<Activation> for DenseActivation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::Relu => Self::Relu,
        }
    }
}

/// An activation of all tokens of a block.
pub(crate) struct Activate<'a> {
    function: DenseActivation,
    rows: &'a mut [FeatureRow],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        self.function.apply(s, self.rows, n_vectors::<S>(BLOCK));
    }
}

impl DenseActivation {
    /// The function on rows of a block, to dispatch.
    pub(crate) fn on(self, rows: &mut [FeatureRow]) -> Activate<'_> {
        Activate { function: self, rows }
    }

    /// Applies it to the first `n_vectors` registers of every row.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, s: S, rows: &mut [FeatureRow], n_vectors: usize) {
        // No closure, which the compiler may leave outside, without the instructions that are had here:
        // every operation is then a call, and the whole fifty times as slow.
        macro_rules! map {
            ($function:ident) => {
                for row in rows {
                    for vector in &mut vectors_mut(s, row)[..n_vectors] {
                        *vector = $function(s, *vector);
                    }
                }
            };
        }
        match self {
            Self::Identity => {}
            Self::Gelu => map!(gelu),
            Self::GeluTanh => map!(gelu_tanh),
            Self::Relu => map!(relu),
        }
    }
}

/// The nearest number to x between the two. What is no number stays so, where the processor's own
/// minimum would make one of it: weights that are damaged must not look like an answer.
#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::f32s, lowest: f32, highest: f32) -> S::f32s {
    let (lowest, highest) = (s.splat_f32s(lowest), s.splat_f32s(highest));
    let x = s.select_f32s(s.greater_than_f32s(x, highest), highest, x);
    s.select_f32s(s.less_than_f32s(x, lowest), lowest, x)
}

/// `max(x, 0)`; what is not a number stays so, where a maximum would make 0 of it.
#[inline(always)]
fn relu<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let zero = s.splat_f32s(0.0);
    s.select_f32s(s.greater_than_or_equal_f32s(zero, x), zero, x)
}

/// `c[0] + c[1] x + c[2] x² + …`.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = s.splat_f32s(coefficients[N - 1]);
    for coefficient in coefficients.iter().rev().skip(1) {
        sum = mul_add(s, sum, x, s.splat_f32s(*coefficient));
    }
    sum
}

/// `erf(x / √2)` by Eigen's rational approximation (`generic_fast_erf_float`), within a few units in the
/// last place.
#[inline(always)]
pub(super) fn erf_of_root<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let z = s.mul_f32s(x, s.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
    let z = clamp(s, z, -4.0, 4.0);
    let z2 = s.mul_f32s(z, z);
    let numerator = polynomial(
        s,
        z2,
        [
            -1.609_603_3e-2,
            -2.954_6e-3,
            -7.349_906_3e-4,
            -5.692_506_4e-5,
            -2.101_024e-6,
            2.770_681_4e-8,
            -2.726_142_3e-10,
        ],
    );
    let denominator = polynomial(
        s,
        z2,
        [-1.426_473_9e-2, -7.373_329e-3, -1.682_827e-3, -2.133_740_6e-4, -1.456_607_2e-5],
    );
    s.div_f32s(s.mul_f32s(z, numerator), denominator)
}

/// `x (1 + erf(x / √2)) / 2`.
#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let erf = erf_of_root(s, x);
    // The approximation stays a hair above -1, which a large x would blow up: below -6 the result
    // is 0 to all digits that count.
    let half_x = s.mul_f32s(s.max_f32s(x, s.splat_f32s(-6.0)), s.splat_f32s(0.5));
    mul_add(s, half_x, erf, half_x)
}

/// `x (1 + tanh(u)) / 2` with `u = √(2/π) (x + 0.044715 x³)`, as `x (1 - 1 / (e^{2u} + 1))`.
#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let two_u = s.mul_f32s(x, polynomial(s, s.mul_f32s(x, x), [1.595_769_2, 0.071_354_814]));
    let one = s.splat_f32s(1.0);
    let lower = s.div_f32s(one, s.add_f32s(exp(s, two_u), one));
    s.mul_f32s(x, s.sub_f32s(one, lower))
}

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = s.splat_f32s(1.0);
    s.div_f32s(one, s.add_f32s(one, exp(s, s.neg_f32s(x))))
}

/// The hyperbolic tangent, as `1 - 2 / (e^{2x} + 1)`: to f32's absolute accuracy near 1.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let one = s.splat_f32s(1.0);
    let lower = s.div_f32s(s.splat_f32s(2.0), s.add_f32s(exp(s, s.add_f32s(x, x)), one));
    s.sub_f32s(one, lower)
}

/// `eˣ` for x between -87 and 88, and the value at the nearer end outside: `2ⁿ eʳ` with
/// `|r| ≤ ln 2 / 2` and the polynomial of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 · 2²³ leaves the rounded integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = clamp(s, x, -87.0, 88.0);
    let shifted = mul_add(s, x, s.splat_f32s(std::f32::consts::LOG2_E), s.splat_f32s(ROUND));
    let n = s.sub_f32s(shifted, s.splat_f32s(ROUND));
    // ln 2 in two parts, the first exact in so few bits that n times it is exact.
    let r = mul_add(s, n, s.splat_f32s(-0.693_359_4), x);
    let r = mul_add(s, n, s.splat_f32s(2.121_944_4e-4), r);
    let p = polynomial(
        s,
        r,
        [0.5, 1.666_666_5e-1, 4.166_579_6e-2, 8.333_452e-3, 1.398_2e-3, 1.987_569_1e-4],
    );
    let e = s.add_f32s(mul_add(s, s.mul_f32s(r, r), p, r), s.splat_f32s(1.0));
    let exponent = s.add_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(127));
    let scale = s.wrapping_dyn_shl_u32s(exponent, s.splat_u32s(23));
    s.mul_f32s(e, s.transmute_f32s_u32s(scale))
}

/// Layer norm of every token of a block over its features:
/// `(x - mean) / √(variance + eps) · weight + bias`, with the biased variance.
pub(crate) struct LayerNorm<'a> {
    pub(crate) rows: &'a mut [FeatureRow],
    pub(crate) n_tokens: usize,
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) eps: f32,
}

impl LayerNorm<'_> {
    pub(crate) fn run(self, arch: Arch) {
        dispatch(arch, self);
    }
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let per_feature = s.splat_f32s(1.0 / self.weight.len() as f32);
        for vector_idx in 0..n_vectors::<S>(self.n_tokens) {
            let mut sum = s.splat_f32s(0.0);
            for row in &*self.rows {
                sum = s.add_f32s(sum, vectors(s, row)[vector_idx]);
            }
            let mean = s.mul_f32s(sum, per_feature);
            let mut squares = s.splat_f32s(0.0);
            for row in &*self.rows {
                let centered = s.sub_f32s(vectors(s, row)[vector_idx], mean);
                squares = mul_add(s, centered, centered, squares);
            }
            let variance = mul_add(s, squares, per_feature, s.splat_f32s(self.eps));
            let scale = s.div_f32s(s.splat_f32s(1.0), s.sqrt_f32s(variance));
            let parameters = self.weight.iter().zip(self.bias);
            for (row, (weight, bias)) in self.rows.iter_mut().zip(parameters) {
                let value = &mut vectors_mut(s, row)[vector_idx];
                let normal = s.mul_f32s(s.sub_f32s(*value, mean), scale);
                *value = mul_add(s, normal, s.splat_f32s(*weight), s.splat_f32s(*bias));
            }
        }
    }
}

/// Replaces the scores `[n_keys][BLOCK]` of a block of queries by `e^{score - largest}` and
/// returns one over each query's sum.
#[inline(always)]
pub(crate) fn softmax_weights<S: Simd>(
    s: S,
    scores: &mut [FeatureRow],
    n_vectors: usize,
) -> FeatureRow {
    let mut inverse = FeatureRow::ZERO;
    for vector_idx in 0..n_vectors {
        let mut largest = s.splat_f32s(f32::NEG_INFINITY);
        for row in &*scores {
            largest = s.max_f32s(largest, vectors(s, row)[vector_idx]);
        }
        let mut sum = s.splat_f32s(0.0);
        for row in &mut *scores {
            let score = &mut vectors_mut(s, row)[vector_idx];
            *score = exp(s, s.sub_f32s(*score, largest));
            sum = s.add_f32s(sum, *score);
        }
        vectors_mut(s, &mut inverse)[vector_idx] = s.div_f32s(s.splat_f32s(1.0), sum);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::neural::simd::{archs, blocks::BLOCK};

    struct Apply<'a>(DenseActivation, &'a mut [FeatureRow]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, s: S) {
            self.0.apply(s, self.1, BLOCK / S::F32_LANES);
        }
    }

    /// erf by its Maclaurin series in f64, which is exact enough below 4, where the rest is 1.5e-8.
    fn erf(x: f64) -> f64 {
        if x.abs() > 4.0 {
            return x.signum();
        }
        let (mut sum, mut term) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[track_caller]
    fn check(function: DenseActivation, exact: fn(f64) -> f64) {
        for arch in archs() {
            for step in -400..400 {
                let mut row = FeatureRow::ZERO;
                for (lane, value) in row.0.iter_mut().enumerate() {
                    *value = (step * BLOCK as i32 + lane as i32) as f32 * 1e-3;
                }
                let mut rows = [row];
                dispatch(arch, Apply(function, &mut rows));
                for (x, y) in row.0.iter().zip(&rows[0].0) {
                    let expected = exact(f64::from(*x));
                    let error = (f64::from(*y) - expected).abs();
                    assert!(
                        // As good as f32 arithmetic with an exact erf: a unit or two in the last
                        // place of x, whatever is left of it.
                        error <= 2.5e-7 * f64::from(x.abs().max(1.0)),
                        "f({x}) = {y}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn gelu_is_the_exact_one_to_f32_accuracy() {
        check(DenseActivation::Gelu, |x| x * (1.0 + erf(x / std::f64::consts::SQRT_2)) / 2.0);
    }

    #[test]
    fn the_other_activations_are_theirs_to_f32_accuracy() {
        check(DenseActivation::Relu, |x| x.max(0.0));
        check(DenseActivation::GeluTanh, |x| {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            x * (1.0 + u.tanh()) / 2.0
        });
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for arch in archs() {
            for function in [
                DenseActivation::Identity,
                DenseActivation::Gelu,
                DenseActivation::GeluTanh,
                DenseActivation::Relu,
            ] {
                let mut rows = [FeatureRow([f32::NAN; BLOCK])];
                dispatch(arch, Apply(function, &mut rows));
                assert!(rows[0].0.iter().all(|x| x.is_nan()), "{arch:?} {function:?}");
            }
        }
    }

    #[test]
    fn softmax_weights_of_far_apart_scores_are_finite() {
        struct Softmax<'a>(&'a mut [FeatureRow]);
        impl WithSimd for Softmax<'_> {
            type Output = FeatureRow;

            #[inline(always)]
            fn with_simd<S: Simd>(self, s: S) -> FeatureRow {
                softmax_weights(s, self.0, BLOCK / S::F32_LANES)
            }
        }
        for arch in archs() {
            let mut scores =
                [FeatureRow([-1e30; BLOCK]), FeatureRow([3.0; BLOCK]), FeatureRow([2.0; BLOCK])];
            let inverse = dispatch(arch, Softmax(&mut scores));
            let e = (-1.0_f32).exp();
            assert!(scores[0].0[5] < 1e-37 && scores[1].0[5] == 1.0);
            assert!((scores[2].0[5] - e).abs() < 1e-7);
            assert!((inverse.0[31] - 1.0 / (1.0 + e)).abs() < 1e-7);
        }
    }
}
