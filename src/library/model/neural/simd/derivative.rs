//! The derivatives of activation, norm and softmax on blocks, and the norm that keeps what its own needs.

use pulp::{Arch, Simd, WithSimd};

use super::{
    blocks::FeatureRow,
    math::{erf_of_root, exp},
    vector::{dispatch, mul_add, n_vectors, vectors, vectors_mut},
};

/// Layer norm of every token of a block over its features, as
/// [`LayerNorm`](super::math::LayerNorm), that keeps what the way back needs.
pub(crate) struct TracedNorm<'a> {
    /// The inputs, then the results.
    pub(crate) rows: &'a mut [FeatureRow],
    /// What is left to multiply with the weight: `(x - mean) / √(variance + eps)`.
    pub(crate) normal: &'a mut [FeatureRow],
    /// `1 / √(variance + eps)` of each token.
    pub(crate) scale: &'a mut FeatureRow,
    pub(crate) n_tokens: usize,
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) eps: f32,
}

impl TracedNorm<'_> {
    pub(crate) fn run(self, arch: Arch) {
        dispatch(arch, self);
    }
}

impl WithSimd for TracedNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let per_feature = s.splat_f32s(1.0 / self.weight.len() as f32);
        for v in 0..n_vectors::<S>(self.n_tokens) {
            let mut sum = s.splat_f32s(0.0);
            for row in &*self.rows {
                sum = s.add_f32s(sum, vectors(s, row)[v]);
            }
            let mean = s.mul_f32s(sum, per_feature);
            let mut squares = s.splat_f32s(0.0);
            for row in &*self.rows {
                let centered = s.sub_f32s(vectors(s, row)[v], mean);
                squares = mul_add(s, centered, centered, squares);
            }
            let variance = mul_add(s, squares, per_feature, s.splat_f32s(self.eps));
            let scale = s.div_f32s(s.splat_f32s(1.0), s.sqrt_f32s(variance));
            vectors_mut(s, self.scale)[v] = scale;
            let rows = self.rows.iter_mut().zip(&mut *self.normal);
            for ((row, normal), (weight, bias)) in rows.zip(self.weight.iter().zip(self.bias)) {
                let value = &mut vectors_mut(s, row)[v];
                let kept = s.mul_f32s(s.sub_f32s(*value, mean), scale);
                vectors_mut(s, normal)[v] = kept;
                *value = mul_add(s, kept, s.splat_f32s(*weight), s.splat_f32s(*bias));
            }
        }
    }
}

/// [`TracedNorm`]'s derivative: the gradient of the results becomes that of the inputs.
pub(crate) struct NormBack<'a> {
    pub(crate) gradient: &'a mut [FeatureRow],
    pub(crate) normal: &'a [FeatureRow],
    pub(crate) scale: &'a FeatureRow,
    pub(crate) n_tokens: usize,
    pub(crate) weight: &'a [f32],
}

impl NormBack<'_> {
    pub(crate) fn run(self, arch: Arch) {
        dispatch(arch, self);
    }
}

impl WithSimd for NormBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let per_feature = s.splat_f32s(1.0 / self.weight.len() as f32);
        for v in 0..n_vectors::<S>(self.n_tokens) {
            let (mut sum, mut product) = (s.splat_f32s(0.0), s.splat_f32s(0.0));
            let pairs = self.gradient.iter().zip(self.normal);
            for ((gradient, normal), weight) in pairs.zip(self.weight) {
                let weighted = s.mul_f32s(vectors(s, gradient)[v], s.splat_f32s(*weight));
                sum = s.add_f32s(sum, weighted);
                product = mul_add(s, weighted, vectors(s, normal)[v], product);
            }
            let mean = s.mul_f32s(sum, per_feature);
            let share = s.neg_f32s(s.mul_f32s(product, per_feature));
            let scale = vectors(s, self.scale)[v];
            let pairs = self.gradient.iter_mut().zip(self.normal);
            for ((gradient, normal), weight) in pairs.zip(self.weight) {
                let gradient = &mut vectors_mut(s, gradient)[v];
                let weighted = s.mul_f32s(*gradient, s.splat_f32s(*weight));
                let centered = s.sub_f32s(weighted, mean);
                let left = mul_add(s, share, vectors(s, normal)[v], centered);
                *gradient = s.mul_f32s(left, scale);
            }
        }
    }
}

/// The derivative of [`Gelu`](super::math::DenseActivation::Gelu): the gradient of its results becomes that
/// of `x`, which becomes the results once more.
pub(crate) struct GeluBack<'a> {
    pub(crate) x: &'a mut [FeatureRow],
    pub(crate) gradient: &'a mut [FeatureRow],
    pub(crate) n_tokens: usize,
}

impl GeluBack<'_> {
    pub(crate) fn run(self, arch: Arch) {
        dispatch(arch, self);
    }
}

impl WithSimd for GeluBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let half = s.splat_f32s(0.5);
        // 1 / √(2π).
        let density_at_0 = s.splat_f32s(0.398_942_3);
        for (x, gradient) in self.x.iter_mut().zip(self.gradient) {
            let x = &mut vectors_mut(s, x)[..n_vectors::<S>(self.n_tokens)];
            for (x, gradient) in x.iter_mut().zip(vectors_mut(s, gradient)) {
                let share = mul_add(s, half, erf_of_root(s, *x), half);
                let exponent = s.mul_f32s(s.mul_f32s(*x, *x), s.splat_f32s(-0.5));
                let density = s.mul_f32s(exp(s, exponent), density_at_0);
                *gradient = s.mul_f32s(*gradient, mul_add(s, *x, density, share));
                *x = s.mul_f32s(*x, share);
            }
        }
    }
}

/// The derivative of a softmax over the rows: `gradient ← p (gradient - Σ p gradient)`, where `p` is
/// `weights` times `inverse`, which `weights` become.
pub(crate) struct SoftmaxBack<'a> {
    pub(crate) weights: &'a mut [FeatureRow],
    pub(crate) inverse: &'a FeatureRow,
    pub(crate) gradient: &'a mut [FeatureRow],
    pub(crate) n_tokens: usize,
}

impl SoftmaxBack<'_> {
    pub(crate) fn run(self, arch: Arch) {
        dispatch(arch, self);
    }
}

impl WithSimd for SoftmaxBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for v in 0..n_vectors::<S>(self.n_tokens) {
            let inverse = vectors(s, self.inverse)[v];
            let mut sum = s.splat_f32s(0.0);
            for (weight, gradient) in self.weights.iter_mut().zip(&*self.gradient) {
                let weight = &mut vectors_mut(s, weight)[v];
                *weight = s.mul_f32s(*weight, inverse);
                sum = mul_add(s, *weight, vectors(s, gradient)[v], sum);
            }
            for (weight, gradient) in self.weights.iter().zip(&mut *self.gradient) {
                let gradient = &mut vectors_mut(s, gradient)[v];
                let centered = s.sub_f32s(*gradient, sum);
                *gradient = s.mul_f32s(centered, vectors(s, weight)[v]);
            }
        }
    }
}

/// Features whose rows a thread sums over all tokens, block by block: they lie side by side.
pub(crate) const N_SUMMED: usize = 64;

/// The sum of each row over the first `n_tokens` tokens, in eight lanes whatever the processor has.
pub(crate) fn row_sum(row: &FeatureRow, n_tokens: usize) -> f32 {
    let (eights, rest) = row.0[..n_tokens].as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for values in eights {
        lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane += value);
    lanes.iter().sum()
}

/// The sum of the products of two rows over the first `n_tokens` tokens.
pub(crate) fn row_product(one: &FeatureRow, other: &FeatureRow, n_tokens: usize) -> f32 {
    let mut products = *one;
    products.0.iter_mut().zip(&other.0).for_each(|(product, value)| *product *= value);
    row_sum(&products, n_tokens)
}
