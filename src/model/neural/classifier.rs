//! A trained net: what the rest of the program calls a classifier.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    checkpoint::Checkpoint,
    config::NeuralConfig,
    encoder::Encoder,
    files::{self, Fitted, NeuralHeader},
    hugging_face,
    net::{Batch, Net, NetConfig, by_length},
    reader::Reader,
};
use crate::{
    error::Result,
    model::{Classifier, Probabilities},
};

/// Texts of one forward pass; more gain nothing and cost memory.
const BATCH_SIZE: usize = 32;

/// A trained net with its tokenizer.
#[derive(Debug)]
pub struct Neural {
    header: NeuralHeader,
    reader: Reader,
    engine: Engine,
}

/// What computes. Both have the same weights and, but for rounding, the same answers.
#[derive(Debug)]
pub(super) enum Engine {
    /// The encoder's own fast path on the CPU, with the file its weights come from.
    Encoder(Box<Encoder>, Box<Checkpoint>),
    /// Burn, on any device.
    Net(Box<Net>),
}

impl Engine {
    /// # Shapes
    /// `[n_texts, n_classes]`, row-major; each text has at least one id.
    fn logits(&self, ids: &[Vec<u32>], n_classes: usize) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let mut logits = vec![0.0; ids.len() * n_classes];
        // Texts of similar length together: the short ones need not be padded to the longest.
        for members in by_length(&lengths, BATCH_SIZE) {
            let texts: Vec<&[u32]> = members.iter().map(|idx| ids[*idx].as_slice()).collect();
            let rows = match self {
                Self::Encoder(encoder, _) => encoder.logits(&texts)?,
                Self::Net(net) => net.forward(&Batch::new(&texts, 0)?)?,
            };
            for (idx, row) in members.iter().zip(rows.chunks_exact(n_classes)) {
                logits[idx * n_classes..][..n_classes].copy_from_slice(row);
            }
        }
        Ok(logits)
    }
}

impl Neural {
    /// Puts parts together whose sizes were checked.
    pub(super) fn new(header: NeuralHeader, reader: Reader, engine: Engine) -> Self {
        Self { header, reader, engine }
    }

    /// What training ended with.
    pub(super) fn trained(
        config: &NeuralConfig,
        classes: Vec<String>,
        reader: Reader,
        net: Net,
        fitted: Fitted,
    ) -> Result<Self> {
        let sizes = net.config().clone();
        let header = NeuralHeader::new(sizes, classes, config.max_length)
            .with_training(config.training.clone(), fitted);
        let is_encoder = matches!(net.config(), NetConfig::DistilBert(_));
        let engine = if is_encoder && net.device().is_cpu() {
            let checkpoint = hugging_face::checkpoint(&net, &header)?;
            hugging_face::encoder(checkpoint)?
        } else {
            Engine::Net(Box::new(net))
        };
        Ok(Self { header, reader, engine })
    }

    /// Number of trained values.
    pub fn n_parameters(&self) -> usize {
        match &self.engine {
            Engine::Encoder(_, checkpoint) => checkpoint
                .tensors
                .iter()
                .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
                .sum(),
            Engine::Net(net) => net.n_parameters(),
        }
    }

    /// Tokens that texts are cut to.
    pub fn max_length(&self) -> usize {
        self.header.max_length()
    }

    /// The logits of every text, `[n_texts, n_classes]` row-major: what the probabilities are the
    /// softmax of.
    ///
    /// # Errors
    /// When the model cannot run on this input.
    pub fn logits(&self, texts: &[&str]) -> Result<Vec<f32>> {
        self.engine.logits(&self.reader.encode(texts)?, self.header.classes().len())
    }
}

impl Classifier for Neural {
    fn name(&self) -> &'static str {
        self.header.net().name()
    }

    fn classes(&self) -> &[String] {
        self.header.classes()
    }

    fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
        let n_classes = self.classes().len();
        let logits = self.logits(texts)?;
        let mut values = Vec::with_capacity(logits.len());
        logits.chunks_exact(n_classes).for_each(|row| push_softmax(row, &mut values));
        Ok(Probabilities::new(values, n_classes))
    }

    fn save(&self, dir: &Path) -> Result<()> {
        self.reader.save(dir)?;
        match &self.engine {
            Engine::Encoder(_, checkpoint) => hugging_face::save(checkpoint, dir)?,
            Engine::Net(net) if matches!(net.config(), NetConfig::DistilBert(_)) => {
                hugging_face::save(&hugging_face::checkpoint(net, &self.header)?, dir)?;
            }
            Engine::Net(net) => files::save_weights(net, dir)?,
        }
        self.header.save(dir)
    }

    fn describe(&self) -> Value {
        let mut described = self.header.describe();
        described["sizes"] = json!({
            "n_parameters": self.n_parameters(),
            "vocab_size": self.reader.vocab_size(),
            "max_length": self.max_length(),
        });
        described
    }
}

/// Appends the softmax of `logits`, computed so that no logit overflows it.
fn push_softmax(logits: &[f32], probabilities: &mut Vec<f64>) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let start = probabilities.len();
    probabilities.extend(logits.iter().map(|logit| f64::from(logit - largest).exp()));
    let sum: f64 = probabilities[start..].iter().sum();
    probabilities[start..].iter_mut().for_each(|value| *value /= sum);
}

#[cfg(test)]
mod tests {
    use super::push_softmax;

    #[test]
    fn a_softmax_sums_to_one_whatever_the_logits() {
        let mut values = vec![7.0];
        push_softmax(&[1000.0, 999.0, -1000.0], &mut values);
        assert_eq!((values.len(), values[0]), (4, 7.0));
        assert!((values[1..].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((values[1] / values[2] - std::f64::consts::E).abs() < 1e-9);
    }
}
