//! Products of bytes by the instructions of x86: VNNI multiplies bytes and adds four products at once;
//! without it bytes are widened to 16 bits, since the product of bytes that AVX2 has (`vpmaddubsw`)
//! saturates.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::tile::{DotLanes, Quad, QuadRow, panel_sums};
use crate::model::neural::simd::{blocks::FeatureRow, tile::PANEL};

/// Two weights of 16 bits side by side, the first in the lower half.
pub(super) type WeightPair = i32;

/// Weights as AVX2 and AVX-512 without VNNI multiply them, two rows for each of `panel`: the first and third
/// feature side by side, then the second and fourth, as a mask and a shift cut them out of the tokens' bytes.
pub(super) fn widen(panel: &[[Quad; PANEL]], wide: &mut Vec<[WeightPair; PANEL]>) {
    let pair = |low: i8, high: i8| i32::from(high) << 16 | i32::from(i16::from(low) as u16);
    wide.clear();
    wide.extend(panel.iter().flat_map(|quads| {
        [quads.map(|quad| pair(quad[0], quad[2])), quads.map(|quad| pair(quad[1], quad[3]))]
    }));
}

/// Makes an entry of each instruction set: the tile compiled with its features, and a token that only a
/// processor with all of them gives out.
macro_rules! lanes {
    ($(#[$doc:meta])* $name:ident, $run:ident, $features:literal, [$($feature:tt)*], $weights:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(());

        impl $name {
            pub(super) fn try_new() -> Option<Self> {
                (true $(&& is_x86_feature_detected!($feature))*).then_some(Self(()))
            }

            pub(super) fn panel_sums(
                self,
                panel: &[[$weights; PANEL]],
                starts: &[i32; PANEL],
                x: &[QuadRow],
                out: &mut [FeatureRow; PANEL],
                n_tokens: usize,
            ) {
                // SAFETY: `self` is only made where the processor has the features.
                unsafe { $run(self, panel, starts, x, out, n_tokens) }
            }
        }

        #[target_feature(enable = $features)]
        fn $run(
            lanes: $name,
            panel: &[[$weights; PANEL]],
            starts: &[i32; PANEL],
            x: &[QuadRow],
            out: &mut [FeatureRow; PANEL],
            n_tokens: usize,
        ) {
            panel_sums(lanes, panel, starts, x, out, n_tokens);
        }
    };
}

lanes! {
    /// AVX-512 with VNNI: Ice Lake, Sapphire Rapids, Zen 4 and their successors.
    Avx512Vnni, run_avx512_vnni, "avx512f,avx512vnni", ["avx512f" "avx512vnni"], Quad
}
lanes! {
    /// VNNI on registers of AVX2: Alder Lake and its successors, Zen 5.
    AvxVnni, run_avx_vnni, "avx2,avxvnni", ["avx2" "avxvnni"], Quad
}
lanes! {
    /// AVX-512 alone: Skylake-X, Cascade Lake's predecessors.
    Avx512, run_avx512, "avx512f,avx512bw", ["avx512f" "avx512bw"], WeightPair
}
lanes! {
    /// AVX2.
    Avx2, run_avx2, "avx2", ["avx2"], WeightPair
}

/// The methods that differ in nothing but the registers' width.
macro_rules! registers_512 {
    () => {
        type Sums = __m512i;
        const N_LANES: usize = 16;

        #[inline(always)]
        fn splat(self, number: i32) -> __m512i {
            // SAFETY: `self` is only made where the processor has AVX-512.
            unsafe { _mm512_set1_epi32(number) }
        }

        #[inline(always)]
        fn prefetch<T>(self, address: *const T) {
            // SAFETY: it reads nothing, and an address that is none is passed over.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }

        #[inline(always)]
        fn store(self, sums: __m512i, row: &mut FeatureRow, vector_idx: usize) {
            let (cells, _) = row.0.as_chunks_mut::<16>();
            // SAFETY: `self` is only made where the processor has AVX-512; the 16 numbers that are
            // written are those of `cells`.
            unsafe {
                _mm512_storeu_ps(cells[vector_idx].as_mut_ptr(), _mm512_cvtepi32_ps(sums));
            }
        }
    };
}

macro_rules! registers_256 {
    () => {
        type Sums = __m256i;
        const N_LANES: usize = 8;

        #[inline(always)]
        fn splat(self, number: i32) -> __m256i {
            // SAFETY: `self` is only made where the processor has AVX2.
            unsafe { _mm256_set1_epi32(number) }
        }

        #[inline(always)]
        fn prefetch<T>(self, address: *const T) {
            // SAFETY: it reads nothing, and an address that is none is passed over.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }

        #[inline(always)]
        fn store(self, sums: __m256i, row: &mut FeatureRow, vector_idx: usize) {
            let (cells, _) = row.0.as_chunks_mut::<8>();
            // SAFETY: `self` is only made where the processor has AVX2; the 8 numbers that are written
            // are those of `cells`.
            unsafe {
                _mm256_storeu_ps(cells[vector_idx].as_mut_ptr(), _mm256_cvtepi32_ps(sums));
            }
        }
    };
}

#[inline(always)]
fn load_512(row: &QuadRow, vector_idx: usize) -> __m512i {
    let (quads, _) = row.0.as_chunks::<16>();
    // SAFETY: called where the processor has AVX-512; the 64 bytes that are read are those of `quads`.
    unsafe { _mm512_loadu_si512(quads[vector_idx].as_ptr().cast()) }
}

#[inline(always)]
fn load_256(row: &QuadRow, vector_idx: usize) -> __m256i {
    let (quads, _) = row.0.as_chunks::<8>();
    // SAFETY: called where the processor has AVX2; the 32 bytes that are read are those of `quads`.
    unsafe { _mm256_loadu_si256(quads[vector_idx].as_ptr().cast()) }
}

#[inline(always)]
fn four(weights: Quad) -> i32 {
    i32::from_le_bytes(weights.map(|weight| weight as u8))
}

impl DotLanes for Avx512Vnni {
    registers_512!();
    type Tokens = __m512i;
    type Weights = Quad;
    const N_OUTPUTS: usize = 12;
    const N_STEPS: usize = 1;

    #[inline(always)]
    fn tokens(self, row: &QuadRow, vector_idx: usize, _: usize) -> __m512i {
        load_512(row, vector_idx)
    }

    #[inline(always)]
    fn add(self, sums: __m512i, tokens: __m512i, weights: Quad) -> __m512i {
        // SAFETY: `self` is only made where the processor has AVX-512 and its VNNI.
        unsafe { _mm512_dpbusd_epi32(sums, tokens, _mm512_set1_epi32(four(weights))) }
    }
}

impl DotLanes for AvxVnni {
    registers_256!();
    type Tokens = __m256i;
    type Weights = Quad;
    const N_OUTPUTS: usize = 6;
    const N_STEPS: usize = 1;

    #[inline(always)]
    fn tokens(self, row: &QuadRow, vector_idx: usize, _: usize) -> __m256i {
        load_256(row, vector_idx)
    }

    #[inline(always)]
    fn add(self, sums: __m256i, tokens: __m256i, weights: Quad) -> __m256i {
        // SAFETY: `self` is only made where the processor has AVX2 and its VNNI.
        unsafe { _mm256_dpbusd_avx_epi32(sums, tokens, _mm256_set1_epi32(four(weights))) }
    }
}

impl DotLanes for Avx512 {
    registers_512!();
    type Tokens = __m512i;
    type Weights = WeightPair;
    const N_OUTPUTS: usize = 6;
    const N_STEPS: usize = 2;

    #[inline(always)]
    fn tokens(self, row: &QuadRow, vector_idx: usize, step: usize) -> __m512i {
        let bytes = load_512(row, vector_idx);
        // SAFETY: `self` is only made where the processor has AVX-512 with bytes and words.
        unsafe {
            match step {
                0 => _mm512_and_si512(bytes, _mm512_set1_epi16(0xff)),
                _ => _mm512_srli_epi16(bytes, 8),
            }
        }
    }

    #[inline(always)]
    fn add(self, sums: __m512i, tokens: __m512i, weights: WeightPair) -> __m512i {
        // SAFETY: `self` is only made where the processor has AVX-512 with bytes and words.
        unsafe { _mm512_add_epi32(sums, _mm512_madd_epi16(tokens, _mm512_set1_epi32(weights))) }
    }
}

impl DotLanes for Avx2 {
    registers_256!();
    type Tokens = __m256i;
    type Weights = WeightPair;
    const N_OUTPUTS: usize = 4;
    const N_STEPS: usize = 2;

    #[inline(always)]
    fn tokens(self, row: &QuadRow, vector_idx: usize, step: usize) -> __m256i {
        let bytes = load_256(row, vector_idx);
        // SAFETY: `self` is only made where the processor has AVX2.
        unsafe {
            match step {
                0 => _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)),
                _ => _mm256_srli_epi16(bytes, 8),
            }
        }
    }

    #[inline(always)]
    fn add(self, sums: __m256i, tokens: __m256i, weights: WeightPair) -> __m256i {
        // SAFETY: `self` is only made where the processor has AVX2.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(tokens, _mm256_set1_epi32(weights))) }
    }
}
