//! Word and position embeddings and the norm over their sum.

use pulp::Arch;
use rayon::prelude::*;

use super::layer::Norm;
use crate::{
    error::Result,
    model::neural::{
        checkpoint::{EncoderConfig, TOKEN_TABLE},
        simd::blocks::{BLOCK, Blocks},
        tensors::{TensorValues, Tensors},
    },
};

/// The two tables, `[vocab_size, width]` and `[max_position, width]`.
#[derive(Debug)]
pub(super) struct Embeddings {
    words: TensorValues,
    positions: TensorValues,
    norm: Norm,
    width: usize,
}

impl Embeddings {
    pub(super) fn load(config: &EncoderConfig, tensors: &Tensors) -> Result<Self> {
        Ok(Self {
            words: tensors.values(TOKEN_TABLE)?,
            positions: tensors.values("distilbert.embeddings.position_embeddings.weight")?,
            norm: Norm::load(config, tensors, "distilbert.embeddings.LayerNorm")?,
            width: config.width,
        })
    }

    /// The states of all tokens of `sequences`, which have `n_tokens` together.
    pub(super) fn embed(&self, arch: Arch, sequences: &[&[u32]], n_tokens: usize) -> Blocks {
        let width = self.width;
        let mut states = Blocks::zeros(width, n_tokens);
        let tokens: Vec<(usize, usize)> = sequences
            .iter()
            .flat_map(|ids| ids.iter().enumerate().map(|(position, id)| (*id as usize, position)))
            .collect();
        let blocks: Vec<_> = states.blocks_mut().zip(tokens.chunks(BLOCK)).collect();
        blocks.into_par_iter().for_each(|(rows, tokens)| {
            for (lane, (id, position)) in tokens.iter().enumerate() {
                let word = &self.words[id * width..][..width];
                let position = &self.positions[position * width..][..width];
                for ((row, word), position) in rows.iter_mut().zip(word).zip(position) {
                    row.0[lane] = word + position;
                }
            }
            self.norm.apply(arch, rows, tokens.len());
        });
        states
    }
}
