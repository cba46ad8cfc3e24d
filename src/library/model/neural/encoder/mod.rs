//! DistilBERT's forward pass on the CPU, for predicting: the same weights and the same numbers as
//! the trained model, without a tensor library.
//!
//! Activations are feature-major, in the blocks of [`super::simd`], and sequences follow each other
//! without padding. A text's logits do not depend, in any bit, on the batch around it nor on the
//! number of threads.

mod attention;
mod embeddings;
mod layer;

use pulp::Arch;

use self::{embeddings::Embeddings, layer::LayerWeights};
use super::{
    checkpoint::EncoderConfig,
    simd::{math::DenseActivation, packed::Packed},
    tensors::Tensors,
};
use crate::error::{Error, Result};

/// Tokens computed together at most: beyond it, memory grows and speed does not. One sequence may
/// be longer.
const MAX_TOKENS: usize = 4096;

/// A DistilBERT with its classification head, ready to predict.
#[derive(Debug)]
pub struct Encoder {
    arch: Arch,
    embeddings: Embeddings,
    layers: Vec<LayerWeights>,
    pre_classifier: Packed,
    classifier: Packed,
    vocab_size: usize,
    max_position: usize,
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
            arch: Arch::new(),
            embeddings: Embeddings::load(config, tensors)?,
            layers: layers.collect::<Result<_>>()?,
            pre_classifier: Packed::load(tensors, &["pre_classifier"], config.width)?,
            classifier: Packed::load(tensors, &["classifier"], config.width)?,
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
        let mut logits = Vec::with_capacity(batch.len() * self.n_labels());
        let mut rest = batch;
        while !rest.is_empty() {
            let mut n_tokens = 0;
            let n_fitting = rest.iter().take_while(|sequence| {
                n_tokens += sequence.len();
                n_tokens <= MAX_TOKENS
            });
            let (group, after) = rest.split_at(n_fitting.count().max(1));
            self.forward(group, &mut logits);
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
    fn forward(&self, sequences: &[&[u32]], logits: &mut Vec<f32>) {
        let mut starts = Vec::with_capacity(sequences.len());
        let mut n_tokens = 0;
        for sequence in sequences {
            starts.push(n_tokens);
            n_tokens += sequence.len();
        }
        let spans: Vec<_> =
            starts.iter().zip(sequences).map(|(start, ids)| *start..*start + ids.len()).collect();
        let mut states = self.embeddings.embed(self.arch, sequences, n_tokens);
        let (last, others) = self.layers.split_last().expect("at least one layer: checked");
        for layer in others {
            states = layer.forward(self.arch, &states, None, &spans);
        }
        // Only the first token is classified: the last layer need not compute the others.
        let first = states.select(&starts);
        let states = last.forward(self.arch, &first, Some(&states), &spans);
        let hidden = self.pre_classifier.apply(self.arch, &states, DenseActivation::Relu);
        let output = self.classifier.apply(self.arch, &hidden, DenseActivation::Identity);
        for sequence_idx in 0..sequences.len() {
            logits.extend((0..self.n_labels()).map(|label| output.value(label, sequence_idx)));
        }
    }
}

#[cfg(test)]
mod tests;
