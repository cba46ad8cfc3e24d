//! The measurement of a net on labelled examples.

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    model::{
        ConfusionMatrix, DEFAULT_THRESHOLD,
        loss::softmax_loss,
        neural::net::{EncodedExample, Net},
        predicted_label,
    },
    progress::Monitor,
};

/// A net's quality on labelled examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossAndAccuracy {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of examples whose class was predicted.
    pub accuracy: f64,
    /// [`ConfusionMatrix::headline`]'s: of class 1 for two classes, the macro average for more.
    pub f1: f64,
}

/// Predicts `examples` in batches of similar length and compares.
///
/// # Errors
/// Examples that the net cannot read, and [`crate::error::ErrorKind::Interrupted`].
pub fn evaluate(
    net: &Net,
    examples: &[EncodedExample],
    batch_size: usize,
    monitor: &Monitor,
) -> Result<LossAndAccuracy> {
    let n_classes = net.config().n_classes();
    let texts: Vec<&[u32]> = examples.iter().map(|example| example.ids.as_slice()).collect();
    let logits = net.forward_all(&texts, batch_size, &monitor.interrupt)?;
    let mut labels = Vec::with_capacity(examples.len());
    let mut predicted = Vec::with_capacity(examples.len());
    let mut probabilities = vec![0.0; n_classes];
    let mut loss = 0.0;
    for (row, example) in logits.chunks_exact(n_classes).zip(examples) {
        let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
        loss += softmax_loss(&row, example.label, &mut probabilities);
        labels.push(example.label as u32);
        predicted.push(predicted_label(&probabilities, DEFAULT_THRESHOLD) as u32);
    }
    // Nobody sees this matrix: its classes need no names of their own.
    let classes: Vec<String> = (0..n_classes).map(|class| class.to_string()).collect();
    let confusion = ConfusionMatrix::count(&labels, &predicted, &classes)?;
    Ok(LossAndAccuracy {
        loss: loss / examples.len().max(1) as f64,
        accuracy: confusion.accuracy(),
        f1: confusion.headline().f1,
    })
}
