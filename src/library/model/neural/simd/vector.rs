//! The instruction set, chosen at run time, and the few vector operations the rest is made of.

use std::any::TypeId;

use pulp::{Arch, Scalar128b, Simd, WithSimd};

use super::blocks::FeatureRow;

/// Runs `op` compiled for `arch`: AVX-512, AVX2 with FMA, Neon, or four lanes of plain arithmetic.
pub(crate) fn dispatch<Op: WithSimd>(arch: Arch, op: Op) -> Op::Output {
    #[allow(unreachable_patterns, reason = "some targets have no other")]
    match arch {
        Arch::Scalar => Simd::vectorize(Scalar128b, op),
        arch => arch.dispatch(op),
    }
}

/// `a · b + c`, fused where the processor can: in software it would take a hundred times as long.
#[inline(always)]
pub(crate) fn mul_add<S: Simd>(s: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        s.add_f32s(s.mul_f32s(a, b), c)
    } else {
        s.mul_add_f32s(a, b, c)
    }
}

/// A row as vector registers.
#[inline(always)]
pub(crate) fn vectors<S: Simd>(_: S, row: &FeatureRow) -> &[S::f32s] {
    S::as_simd_f32s(&row.0).0
}

/// A row as vector registers, to write.
#[inline(always)]
pub(crate) fn vectors_mut<S: Simd>(_: S, row: &mut FeatureRow) -> &mut [S::f32s] {
    S::as_mut_simd_f32s(&mut row.0).0
}

/// Registers that hold `n_tokens` tokens.
#[inline(always)]
pub(crate) fn n_vectors<S: Simd>(n_tokens: usize) -> usize {
    n_tokens.div_ceil(S::F32_LANES)
}
