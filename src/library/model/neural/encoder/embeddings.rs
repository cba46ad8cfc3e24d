//! Word and position embeddings and the norm over their sum.

use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;

use super::layer::Norm;
use crate::{
    error::Result,
    model::neural::{
        checkpoint::{EncoderConfig, TOKEN_TABLE},
        quantized::QuantizedFile,
        simd::blocks::{BLOCK, Blocks},
        tensors::{TensorValues, Tensors},
    },
};

const POSITIONS: &str = "distilbert.embeddings.position_embeddings.weight";
const NORM: &str = "distilbert.embeddings.LayerNorm";

/// The two tables, `[vocab_size, width]` and `[max_position, width]`.
#[derive(Debug)]
pub(super) struct Embeddings {
    tables: EmbeddingTables,
    norm: Norm,
    width: usize,
}

#[derive(Debug)]
enum EmbeddingTables {
    F32 {
        words: TensorValues,
        positions: TensorValues,
    },
    /// Read where they lie in the file.
    Int8(Arc<QuantizedFile>),
}

impl Embeddings {
    pub(super) fn load(config: &EncoderConfig, tensors: &Tensors) -> Result<Self> {
        let tables = EmbeddingTables::F32 {
            words: tensors.values(TOKEN_TABLE)?,
            positions: tensors.values(POSITIONS)?,
        };
        Ok(Self { tables, norm: Norm::load(config, tensors, NORM)?, width: config.width })
    }

    pub(super) fn load_int8(config: &EncoderConfig, file: &Arc<QuantizedFile>) -> Result<Self> {
        // What is read later is there.
        file.matrix(TOKEN_TABLE)?;
        file.matrix(POSITIONS)?;
        let tables = EmbeddingTables::Int8(Arc::clone(file));
        Ok(Self { tables, norm: Norm::load_int8(config, file, NORM)?, width: config.width })
    }

    /// The states of all tokens of `sequences`, which have `n_tokens` together.
    pub(super) fn embed(
        &self,
        arch: Arch,
        sequences: &[&[u32]],
        n_tokens: usize,
    ) -> Result<Blocks> {
        let width = self.width;
        match &self.tables {
            EmbeddingTables::F32 { words, positions } => {
                Ok(self.sum(arch, sequences, n_tokens, |id, position, out| {
                    let word = &words[id * width..][..width];
                    let position = &positions[position * width..][..width];
                    for ((out, word), position) in out.iter_mut().zip(word).zip(position) {
                        *out = word + position;
                    }
                }))
            }
            EmbeddingTables::Int8(file) => {
                let ((words, word_scales), (positions, position_scales)) =
                    (file.matrix(TOKEN_TABLE)?, file.matrix(POSITIONS)?);
                Ok(self.sum(arch, sequences, n_tokens, |id, position, out| {
                    let scales = (word_scales[id], position_scales[position]);
                    let word = &words[id * width..][..width];
                    let position = &positions[position * width..][..width];
                    for ((out, word), position) in out.iter_mut().zip(word).zip(position) {
                        *out = f32::from(*word) * scales.0 + f32::from(*position) * scales.1;
                    }
                }))
            }
        }
    }

    /// The normalised sums of all tokens; `add` writes that of an id at a position, `[width]`.
    fn sum(
        &self,
        arch: Arch,
        sequences: &[&[u32]],
        n_tokens: usize,
        add: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> Blocks {
        let width = self.width;
        let mut states = Blocks::zeros(width, n_tokens);
        let tokens: Vec<(usize, usize)> = sequences
            .iter()
            .flat_map(|ids| ids.iter().enumerate().map(|(position, id)| (*id as usize, position)))
            .collect();
        let blocks: Vec<_> = states.blocks_mut().zip(tokens.chunks(BLOCK)).collect();
        blocks.into_par_iter().for_each(|(rows, tokens)| {
            let mut sums = vec![0.0; width];
            for (lane, (id, position)) in tokens.iter().enumerate() {
                add(*id, *position, &mut sums);
                for (row, sum) in rows.iter_mut().zip(&sums) {
                    row.0[lane] = *sum;
                }
            }
            self.norm.apply(arch, rows, tokens.len());
        });
        states
    }
}
