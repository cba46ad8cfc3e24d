//! The arithmetic of a net's answers.

use std::sync::Arc;

use super::{
    checkpoint::{Checkpoint, EncoderConfig, TOKEN_TABLE},
    embedding::TokenEmbeddings,
    encoder::Encoder,
    net::Net,
    quantized::QuantizedFile,
};
use crate::{error::Result, progress::Interrupt};

/// Texts of one forward pass; more gain nothing and cost memory.
const BATCH_SIZE: usize = 32;

/// The arithmetic of a net. The first two kinds have the same weights and, but for rounding, the same
/// answers.
#[derive(Debug)]
pub(super) enum NetArithmetic {
    /// The encoder's own fast path on the CPU, with the file its weights come from.
    Encoder(Box<Encoder>, Box<Checkpoint>),
    /// Burn, on any device.
    Net(Box<Net>),
    /// An encoder in 8 bits, on the CPU.
    Int8(Box<Int8Encoder>),
}

/// An encoder in 8 bits with what it is saved as.
#[derive(Debug)]
pub(super) struct Int8Encoder {
    pub(super) encoder: Encoder,
    pub(super) config: EncoderConfig,
    pub(super) file: Arc<QuantizedFile>,
}

impl Int8Encoder {
    /// Prepares the weights of `file`.
    pub(super) fn new(config: EncoderConfig, file: QuantizedFile) -> Result<Self> {
        let file = Arc::new(file);
        Ok(Self { encoder: Encoder::load_int8(&config, &file)?, config, file })
    }
}

impl NetArithmetic {
    /// The net's token embeddings on a few directions.
    pub(super) fn token_embeddings(&self) -> Result<TokenEmbeddings> {
        match self {
            Self::Encoder(_, checkpoint) => {
                let table = checkpoint.tensors.values(TOKEN_TABLE)?;
                Ok(TokenEmbeddings::project(&table, checkpoint.config.width))
            }
            Self::Int8(int8) => {
                let Int8Encoder { config, file, .. } = int8.as_ref();
                let (table, scales) = file.matrix(TOKEN_TABLE)?;
                let rows = table.chunks_exact(config.width).zip(scales);
                let table: Vec<f32> = rows
                    .flat_map(|(row, scale)| row.iter().map(move |value| f32::from(*value) * scale))
                    .collect();
                Ok(TokenEmbeddings::project(&table, config.width))
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
            Self::Int8(int8) => int8.encoder.logits(&texts),
            Self::Net(net) => net.forward_all(&texts, BATCH_SIZE, &Interrupt::default()),
        }
    }
}
