//! Layer norm that keeps what its derivative needs.

use pulp::Arch;
use rayon::prelude::*;

use super::parameters::ParameterSource;
use crate::model::neural::simd::{
    blocks::{Blocks, FeatureRow},
    derivative::{N_SUMMED, NormBack, TracedNorm, row_product, row_sum},
};

/// The numbers of a norm's weight and bias.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::neural) struct NormKeys {
    pub(in crate::model::neural) weight: usize,
    pub(in crate::model::neural) bias: usize,
}

/// A norm's parameters.
pub(super) struct TrainedNorm<'a> {
    keys: NormKeys,
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
}

/// What is left to multiply with the weight, and each token's scale.
#[derive(Debug)]
pub(super) struct NormTrace {
    normal: Blocks,
    scales: Vec<FeatureRow>,
}

impl<'a> TrainedNorm<'a> {
    pub(super) fn new(values: &'a dyn ParameterSource, keys: NormKeys, eps: f32) -> Self {
        Self { keys, weight: values.values(keys.weight), bias: values.values(keys.bias), eps }
    }

    /// Normalises the states in place.
    pub(super) fn forward(&self, arch: Arch, states: &mut Blocks) -> NormTrace {
        let width = states.n_features();
        let n_tokens: Vec<usize> =
            (0..states.n_blocks()).map(|idx| states.block_tokens(idx)).collect();
        let mut normal = Blocks::room(width, states.n_tokens());
        let mut scales = vec![FeatureRow::ZERO; states.n_blocks()];
        let blocks = states.all_mut().par_chunks_exact_mut(width);
        let kept = normal.all_mut().par_chunks_exact_mut(width).zip(&mut scales);
        blocks.zip(kept).zip(n_tokens).for_each(|((rows, (normal, scale)), n_tokens)| {
            let (weight, bias, eps) = (self.weight, self.bias, self.eps);
            TracedNorm { rows, normal, scale, n_tokens, weight, bias, eps }.run(arch);
        });
        NormTrace { normal, scales }
    }

    /// Makes the gradient of the results that of the inputs, and adds the parameters' to `own`.
    pub(super) fn backward(
        &self,
        arch: Arch,
        trace: &NormTrace,
        gradient: &mut Blocks,
        own: Option<&mut Vec<(usize, Vec<f32>)>>,
    ) {
        let width = gradient.n_features();
        let NormTrace { normal, scales } = trace;
        if let Some(own) = own {
            let mut sums = vec![(0.0, 0.0); width];
            sums.par_chunks_mut(N_SUMMED).enumerate().for_each(|(part_idx, sums)| {
                let first = part_idx * N_SUMMED;
                for block_idx in 0..gradient.n_blocks() {
                    let n_tokens = gradient.block_tokens(block_idx);
                    let rows = &gradient.block(block_idx)[first..];
                    let normal = &normal.block(block_idx)[first..];
                    for (sums, (row, normal)) in sums.iter_mut().zip(rows.iter().zip(normal)) {
                        sums.0 += row_product(row, normal, n_tokens);
                        sums.1 += row_sum(row, n_tokens);
                    }
                }
            });
            let (weight, bias) = sums.into_iter().unzip();
            own.extend([(self.keys.weight, weight), (self.keys.bias, bias)]);
        }
        let n_tokens: Vec<usize> =
            (0..gradient.n_blocks()).map(|idx| gradient.block_tokens(idx)).collect();
        let blocks = gradient.all_mut().par_chunks_exact_mut(width);
        let kept = normal.all().par_chunks_exact(width).zip(scales);
        blocks.zip(kept).zip(n_tokens).for_each(|((gradient, (normal, scale)), n_tokens)| {
            NormBack { gradient, normal, scale, n_tokens, weight: self.weight }.run(arch);
        });
    }
}
