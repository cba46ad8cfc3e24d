//! DistilBERT's forward pass on the CPU, for predicting: the same weights and the same numbers as
//! the trained model, without a tensor library; or the weights in 8 bits, and numbers close to those.
//!
//! Activations are feature-major, in the blocks of [`super::simd`], and sequences follow each other
//! without padding. A text's logits do not depend, in any bit, on the batch around it nor on the
//! number of threads.

mod attention;
mod embeddings;
mod int8_layer;
mod layer;

use std::{ops::Range, sync::Arc};

use self::{
    embeddings::Embeddings,
    int8_layer::{Int8Layer, load_packed},
    layer::{LayerRoom, LayerWeights},
};
use super::{
    checkpoint::EncoderConfig,
    quantized::QuantizedFile,
    simd::{
        blocks::Blocks,
        int8::{
            activations::QuantizedBlocks,
            dense::{Instructions, PackedInt8},
        },
        math::DenseActivation,
        packed::Packed,
        tile::SumStart,
    },
    tensors::Tensors,
};
use crate::error::{Error, Result};

/// Tokens computed together at most: beyond it, memory grows and speed does not. One sequence may
/// be longer.
const MAX_TOKENS: usize = 4096;

/// A DistilBERT with its classification head, ready to predict.
#[derive(Debug)]
pub struct Encoder {
    instructions: Instructions,
    embeddings: Embeddings,
    body: Body,
    classifier: Packed,
    vocab_size: usize,
    max_position: usize,
}

/// All between the embeddings and the classes' scores.
#[derive(Debug)]
enum Body {
    F32 { layers: Vec<LayerWeights>, pre_classifier: Packed },
    Int8 { layers: Vec<Int8Layer>, pre_classifier: PackedInt8 },
}

impl Encoder {
    /// Prepares the weights. The word embeddings stay in the mapped file; all others are copied,
    /// and their pages given back as it goes.
    ///
    /// # Errors
    /// When a tensor of [`super::checkpoint::expected_tensors`] is missing or cannot be read.
    pub fn load(config: &EncoderConfig, tensors: &Tensors) -> Result<Self> {
        let layers =
            (0..config.n_layers).map(|layer_idx| LayerWeights::load(config, tensors, layer_idx));
        Ok(Self {
            instructions: Instructions::fastest(),
            embeddings: Embeddings::load(config, tensors)?,
            body: Body::F32 {
                layers: layers.collect::<Result<_>>()?,
                pre_classifier: Packed::load(tensors, &["pre_classifier"], config.width)?,
            },
            classifier: Packed::load(tensors, &["classifier"], config.width)?,
            vocab_size: config.vocab_size,
            max_position: config.max_position,
        })
    }

    /// Prepares weights in 8 bits. The embeddings stay in the mapped file; all others are copied, and their
    /// pages given back as it goes.
    ///
    /// # Errors
    /// A file of an encoder of another configuration.
    pub fn load_int8(config: &EncoderConfig, file: &Arc<QuantizedFile>) -> Result<Self> {
        let layers = (0..config.n_layers).map(|layer_idx| Int8Layer::load(config, file, layer_idx));
        let weights = file.plain("classifier.weight")?.chunks_exact(config.width);
        let bias = file.plain("classifier.bias")?;
        let classifier: Vec<(&[f32], f32)> = weights.zip(bias.iter().copied()).collect();
        Ok(Self {
            instructions: Instructions::fastest(),
            embeddings: Embeddings::load_int8(config, file)?,
            body: Body::Int8 {
                layers: layers.collect::<Result<_>>()?,
                pre_classifier: load_packed(file, &["pre_classifier"], config.width)?,
            },
            classifier: Packed::new(&classifier, config.width),
            vocab_size: config.vocab_size,
            max_position: config.max_position,
        })
    }

    /// Number of classes.
    pub fn n_labels(&self) -> usize {
        self.classifier.n_out()
    }

    /// The logits of every sequence of token ids, which begins with `[CLS]`. Runs on rayon's
    /// current thread pool.
    ///
    /// # Shapes
    /// Returns `[n_sequences, n_labels]`, row-major.
    ///
    /// # Errors
    /// An empty sequence, one longer than the position embeddings, or an id outside the vocabulary.
    pub fn logits(&self, batch: &[&[u32]]) -> Result<Vec<f32>> {
        for (sequence_idx, sequence) in batch.iter().enumerate() {
            self.check(sequence)
                .map_err(|error| error.with_context(format!("sequence {sequence_idx}")))?;
        }
        // All steps on the pool's own threads: asking the pool anew for each of them would take as long as
        // computing a short text.
        rayon::scope(|_| self.logits_here(batch))
    }

    fn logits_here(&self, batch: &[&[u32]]) -> Result<Vec<f32>> {
        let mut logits = Vec::with_capacity(batch.len() * self.n_labels());
        let mut rest = batch;
        while !rest.is_empty() {
            let mut n_tokens = 0;
            let n_fitting = rest.iter().take_while(|sequence| {
                n_tokens += sequence.len();
                n_tokens <= MAX_TOKENS
            });
            let (group, after) = rest.split_at(n_fitting.count().max(1));
            self.forward(group, &mut logits)?;
            rest = after;
        }
        Ok(logits)
    }

    fn check(&self, sequence: &[u32]) -> Result<()> {
        if sequence.is_empty() || sequence.len() > self.max_position {
            return Err(Error::invalid(format!(
                "{} tokens: expected 1 to {}",
                sequence.len(),
                self.max_position
            )));
        }
        match sequence.iter().find(|id| **id as usize >= self.vocab_size) {
            None => Ok(()),
            Some(id) => Err(Error::invalid(format!(
                "token id {id} is outside the vocabulary of {}",
                self.vocab_size
            ))
            .with_hint("the tokenizer does not belong to this checkpoint")),
        }
    }

    /// Appends the logits of `sequences`.
    fn forward(&self, sequences: &[&[u32]], logits: &mut Vec<f32>) -> Result<()> {
        let mut starts = Vec::with_capacity(sequences.len());
        let mut n_tokens = 0;
        for sequence in sequences {
            starts.push(n_tokens);
            n_tokens += sequence.len();
        }
        let spans: Vec<_> =
            starts.iter().zip(sequences).map(|(start, ids)| *start..*start + ids.len()).collect();
        let arch = self.instructions.arch;
        let states = self.embeddings.embed(arch, sequences, n_tokens)?;
        let hidden = self.body.hidden(self.instructions, states, &starts, &spans);
        let output = self.classifier.apply(arch, &hidden, DenseActivation::Identity);
        for sequence_idx in 0..sequences.len() {
            logits.extend((0..self.n_labels()).map(|label| output.value(label, sequence_idx)));
        }
        Ok(())
    }
}

impl Body {
    /// What the classes' scores are computed of, for the first token of each sequence.
    fn hidden(
        &self,
        instructions: Instructions,
        mut states: Blocks,
        starts: &[usize],
        spans: &[Range<usize>],
    ) -> Blocks {
        const NONE: &str = "at least one layer: checked";
        let arch = instructions.arch;
        // Only the first token is classified: the last layer need not compute the others.
        match self {
            Self::F32 { layers, pre_classifier } => {
                let (last, others) = layers.split_last().expect(NONE);
                let mut room = LayerRoom::new();
                for layer in others {
                    states = layer.forward(arch, states, None, spans, &mut room);
                }
                let first = states.select(starts);
                let first = last.forward(arch, first, Some(&states), spans, &mut room);
                pre_classifier.apply(arch, &first, DenseActivation::Relu)
            }
            Self::Int8 { layers, pre_classifier } => {
                let (last, others) = layers.split_last().expect(NONE);
                let mut room = LayerRoom::new();
                for layer in others {
                    states = layer.forward(instructions, states, None, spans, &mut room);
                }
                let first = states.select(starts);
                let first = last.forward(instructions, first, Some(&states), spans, &mut room);
                let (x, mut hidden) = (QuantizedBlocks::of(arch, &first), first);
                hidden.reshape(pre_classifier.n_out(), starts.len());
                let (start, relu) = (SumStart::Bias, DenseActivation::Relu);
                pre_classifier.apply_into(instructions, &x, &mut hidden, start, relu);
                hidden
            }
        }
    }
}

#[cfg(test)]
mod tests;
