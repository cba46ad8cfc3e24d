//! How good a net is on labelled examples.

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    model::neural::net::{Batch, Example, Net, by_length},
    progress::Monitor,
};

/// A net's quality on labelled examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of examples whose class was predicted.
    pub accuracy: f64,
    /// F1 of class 1 for two classes, the mean of all classes' F1 for more.
    pub f1: f64,
}

/// Predicts `examples` in batches of similar length and compares.
///
/// # Errors
/// Examples that the net cannot read, and [`crate::error::ErrorKind::Interrupted`].
pub fn evaluate(
    net: &Net,
    examples: &[Example],
    batch_size: usize,
    monitor: &Monitor,
) -> Result<Evaluation> {
    let n_classes = net.config().n_classes();
    let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
    let mut confusion = vec![0_u64; n_classes * n_classes];
    let mut loss = 0.0;
    for members in by_length(&lengths, batch_size) {
        monitor.interrupt.check()?;
        let texts: Vec<&[u32]> = members.iter().map(|idx| examples[*idx].ids.as_slice()).collect();
        let logits = net.forward(&Batch::new(&texts, 0)?)?;
        for (row, example_idx) in logits.chunks_exact(n_classes).zip(&members) {
            let label = examples[*example_idx].label;
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|logit| f64::from(logit - largest).exp()).sum();
            loss += sum.ln() - f64::from(row[label] - largest);
            let predicted = row.iter().position(|logit| *logit == largest).unwrap_or(0);
            confusion[label * n_classes + predicted] += 1;
        }
    }
    let n_right: u64 = (0..n_classes).map(|class| confusion[class * n_classes + class]).sum();
    let n_examples = examples.len().max(1) as f64;
    Ok(Evaluation {
        loss: loss / n_examples,
        accuracy: n_right as f64 / n_examples,
        f1: f1(&confusion, n_classes),
    })
}

/// `2 · tp / (2 · tp + fp + fn)`, 0 for a class that is neither there nor predicted (scikit-learn's
/// `zero_division=0`).
fn f1(confusion: &[u64], n_classes: usize) -> f64 {
    let of_class = |class: usize| {
        let hits = confusion[class * n_classes + class];
        let actual: u64 = (0..n_classes).map(|other| confusion[class * n_classes + other]).sum();
        let predicted: u64 = (0..n_classes).map(|other| confusion[other * n_classes + class]).sum();
        match actual + predicted {
            0 => 0.0,
            sum => 2.0 * hits as f64 / sum as f64,
        }
    };
    match n_classes {
        2 => of_class(1),
        _ => (0..n_classes).map(of_class).sum::<f64>() / n_classes as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_is_that_of_the_positive_class_or_the_mean_of_all() {
        // Class 1: 3 hits, 2 false alarms, 1 miss.
        assert_eq!(f1(&[4, 2, 1, 3], 2), 6.0 / 9.0);
        // Hits 1, 2, 0; class 2 is there once and predicted as 0.
        let macro_f1 = (2.0 / 3.0 + 1.0 + 0.0) / 3.0;
        assert!((f1(&[1, 0, 0, 0, 2, 0, 1, 0, 0], 3) - macro_f1).abs() < 1e-15);
        assert_eq!(f1(&[5, 0, 0, 0], 2), 0.0);
    }
}
