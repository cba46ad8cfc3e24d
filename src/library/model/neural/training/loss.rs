//! Cross-entropy and its gradients for one batch.

use burn::tensor::activation;

use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::net::{
        Batch, Net, Precision,
        parameters::{DeviceTensor, ParameterValues, host},
        pass::{Gradients, Pass},
    },
};

/// Half precision loses gradients below 6e-8: they are computed this much larger.
const F16_SCALE: f64 = 1024.0;

/// The loss of a batch, with what it is computed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objective<'a> {
    /// Share of each target spread over all classes.
    pub(super) label_smoothing: f64,
    /// The weight of an example of each class.
    pub(super) class_weights: &'a [f64],
    /// Number format of the products.
    pub(super) precision: Precision,
    /// The weights of all examples that share one step: the loss is their weighted mean, however
    /// many batches they come in.
    pub(super) total_weight: f64,
    /// Decides what dropout drops.
    pub(super) seed: u64,
}

/// The batch's part of the step's loss, and of its gradients: one matrix a parameter.
///
/// `loss = -Σ target · log softmax(logits) / total_weight` with `target = (1 - smoothing) · one_hot ·
/// weight + smoothing / n_classes · weight`, each class with its own weight (Szegedy et al., 2016;
/// PyTorch's `CrossEntropyLoss(weight, label_smoothing)`).
///
/// # Errors
/// [`ErrorKind::Invalid`] when the loss is not a number.
pub(super) fn gradients(
    net: &Net,
    batch: &Batch,
    labels: &[usize],
    objective: Objective<'_>,
) -> Result<(f64, Vec<DeviceTensor<2>>)> {
    let device = net.device().training();
    let leaves = net.values().leaves();
    let pass = Pass::train(&leaves, &device, objective.precision, objective.seed);
    derive(net, &leaves, pass, batch, labels, objective)
}

/// [`gradients`] as an accelerator computes them.
#[cfg(test)]
pub(super) fn gradients_by_operations(
    net: &Net,
    batch: &Batch,
    labels: &[usize],
    objective: Objective<'_>,
) -> Result<(f64, Vec<DeviceTensor<2>>)> {
    let device = net.device().training();
    let leaves = net.values().leaves();
    let pass = Pass::train(&leaves, &device, objective.precision, objective.seed);
    derive(net, &leaves, pass.by_operations(), batch, labels, objective)
}

/// [`gradients`] of `leaves`, the weights of `pass`.
fn derive(
    net: &Net,
    leaves: &ParameterValues,
    mut pass: Pass<'_>,
    batch: &Batch,
    labels: &[usize],
    objective: Objective<'_>,
) -> Result<(f64, Vec<DeviceTensor<2>>)> {
    let logits = net.logits(&mut pass, batch);
    let [n, n_classes] = logits.dims();
    let share = 1.0 / objective.total_weight;
    let spread = objective.label_smoothing / n_classes as f64;
    let targets = labels.iter().flat_map(|label| {
        (0..n_classes).map(move |class_idx| {
            let hit = f64::from(u8::from(class_idx == *label));
            let weight = objective.class_weights[class_idx] * share;
            (((1.0 - objective.label_smoothing) * hit + spread) * weight) as f32
        })
    });
    let targets = pass.constant(targets.collect(), [n, n_classes]);
    let loss = (activation::log_softmax(logits, 1) * targets).sum().neg();
    let value = f64::from(host(loss.clone().inner())[0]);
    if !value.is_finite() {
        return Err(diverged("loss", value));
    }
    let scale = if objective.precision == Precision::F16 { F16_SCALE } else { 1.0 };
    let mut recorded = if scale == 1.0 { loss.backward() } else { (loss * scale).backward() };
    let mut sums: Vec<Option<DeviceTensor<2>>> = vec![None; leaves.iter().len()];
    take(leaves, &mut recorded, &mut sums);
    for cut in pass.into_cuts().into_iter().rev() {
        let (before, own) = cut.backward(&mut recorded);
        for (key, gradient) in own {
            add(&mut sums[key.index()], gradient);
        }
        if let Some(before) = before {
            recorded = before.backward();
            take(leaves, &mut recorded, &mut sums);
        }
    }
    let gradients = sums.into_iter().zip(net.values().iter()).map(|(sum, value)| match sum {
        Some(gradient) if scale == 1.0 => gradient,
        Some(gradient) => gradient / scale,
        None => value.zeros_like(),
    });
    Ok((value, gradients.collect()))
}

/// Moves what was recorded of the parameters to their sums.
fn take(leaves: &ParameterValues, recorded: &mut Gradients, sums: &mut [Option<DeviceTensor<2>>]) {
    for (leaf, sum) in leaves.iter().zip(sums) {
        if let Some(gradient) = leaf.grad_remove(recorded) {
            add(sum, gradient);
        }
    }
}

fn add(sum: &mut Option<DeviceTensor<2>>, gradient: DeviceTensor<2>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + gradient,
        None => gradient,
    });
}

/// The sum of two gradients of every parameter.
pub(super) fn added(
    one: Vec<DeviceTensor<2>>,
    other: Vec<DeviceTensor<2>>,
) -> Vec<DeviceTensor<2>> {
    one.into_iter().zip(other).map(|(one, other)| one + other).collect()
}

/// The error of a run whose numbers are no longer finite.
pub(super) fn diverged(what: &str, value: f64) -> Error {
    Error::new(ErrorKind::Invalid, format!("training diverged: the {what} is {value}")).with_hint(
        "train again with a smaller learning rate; a resumed run continues from its last good \
             checkpoint with the same learning rate",
    )
}
