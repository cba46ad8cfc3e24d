//! The arithmetic of a net's answers.

use super::{
    checkpoint::{Checkpoint, TOKEN_TABLE},
    embedding::TokenEmbeddings,
    encoder::Encoder,
    net::Net,
};
use crate::{error::Result, progress::Interrupt};

/// Texts of one forward pass; more gain nothing and cost memory.
const BATCH_SIZE: usize = 32;

/// The arithmetic of a net. Both kinds have the same weights and, but for rounding, the same
/// answers.
#[derive(Debug)]
pub(super) enum NetArithmetic {
    /// The encoder's own fast path on the CPU, with the file its weights come from.
    Encoder(Box<Encoder>, Box<Checkpoint>),
    /// Burn, on any device.
    Net(Box<Net>),
}

impl NetArithmetic {
    /// The net's token embeddings on a few directions.
    pub(super) fn token_embeddings(&self) -> Result<TokenEmbeddings> {
        match self {
            Self::Encoder(_, checkpoint) => {
                let table = checkpoint.tensors.values(TOKEN_TABLE)?;
                Ok(TokenEmbeddings::project(&table, checkpoint.config.width))
            }
            Self::Net(net) => {
                let (table, width) = net.token_table();
                Ok(TokenEmbeddings::project(&table, width))
            }
        }
    }

    /// # Shapes
    /// `[n_texts, n_classes]`, row-major; each text has at least one id.
    pub(super) fn logits(&self, ids: &[Vec<u32>]) -> Result<Vec<f32>> {
        let texts: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        match self {
            // Without padding there is nothing to gain from texts of similar length.
            Self::Encoder(encoder, _) => encoder.logits(&texts),
            Self::Net(net) => net.forward_all(&texts, BATCH_SIZE, &Interrupt::default()),
        }
    }
}
