//! The instruction set for products of bytes, chosen at run time.

#[cfg(target_arch = "x86_64")]
use super::x86::{self, Avx2, Avx512, Avx512Vnni, AvxVnni};
use super::{
    portable::Portable,
    tile::{Quad, QuadRow, panel_sums},
};
use crate::model::neural::simd::{blocks::FeatureRow, tile::PANEL};

/// The instructions that multiply bytes. All of them have the same sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntegerPath {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable,
}

/// Room for a panel's weights as some instructions want them.
#[derive(Debug, Default)]
pub(crate) struct PanelScratch {
    #[cfg(target_arch = "x86_64")]
    wide: Vec<[x86::WeightPair; PANEL]>,
}

/// A panel as the instructions take it, with the beginnings of its sums.
pub(crate) struct ReadyPanel<'a> {
    path: IntegerPath,
    quads: &'a [[Quad; PANEL]],
    starts: &'a [i32; PANEL],
    scratch: &'a PanelScratch,
}

impl IntegerPath {
    /// Every path that this processor has, the fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut paths = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            paths.extend(Avx512Vnni::try_new().map(Self::Avx512Vnni));
            paths.extend(AvxVnni::try_new().map(Self::AvxVnni));
            paths.extend(Avx512::try_new().map(Self::Avx512));
            paths.extend(Avx2::try_new().map(Self::Avx2));
        }
        paths.push(Self::Portable);
        paths
    }

    /// The fastest that this processor has.
    pub(crate) fn fastest() -> Self {
        Self::available()[0]
    }

    /// Prepares a panel `[n_quads][PANEL]` for some blocks. `starts` are what its outputs' sums begin with.
    pub(crate) fn open<'a>(
        self,
        quads: &'a [[Quad; PANEL]],
        starts: &'a [i32; PANEL],
        scratch: &'a mut PanelScratch,
    ) -> ReadyPanel<'a> {
        #[cfg(target_arch = "x86_64")]
        if matches!(self, Self::Avx512(_) | Self::Avx2(_)) {
            x86::widen(quads, &mut scratch.wide);
        }
        ReadyPanel { path: self, quads, starts, scratch }
    }
}

impl ReadyPanel<'_> {
    /// The sums for the first `n_tokens` tokens of the block `x`, `[n_quads]`, rounded to `f32`.
    pub(crate) fn sums(&self, x: &[QuadRow], out: &mut [FeatureRow; PANEL], n_tokens: usize) {
        let Self { path, quads, starts, scratch } = self;
        match path {
            #[cfg(target_arch = "x86_64")]
            IntegerPath::Avx512Vnni(lanes) => lanes.panel_sums(quads, starts, x, out, n_tokens),
            #[cfg(target_arch = "x86_64")]
            IntegerPath::AvxVnni(lanes) => lanes.panel_sums(quads, starts, x, out, n_tokens),
            #[cfg(target_arch = "x86_64")]
            IntegerPath::Avx512(lanes) => lanes.panel_sums(&scratch.wide, starts, x, out, n_tokens),
            #[cfg(target_arch = "x86_64")]
            IntegerPath::Avx2(lanes) => lanes.panel_sums(&scratch.wide, starts, x, out, n_tokens),
            IntegerPath::Portable => panel_sums(Portable, quads, starts, x, out, n_tokens),
        }
    }
}
