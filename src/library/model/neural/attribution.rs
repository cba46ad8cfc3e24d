//! Integrated gradients over a net's embeddings (Sundararajan, Taly and Yan 2017): how much each token
//! adds to a decision on the straight way from a baseline to the text. It reads rows of numbers and
//! knows no words.
//!
//! The rule of integration is Gauss and Legendre's, captum's default. Many steps are one batch: the
//! rows of all of them are the vocabulary of a net that reads each of them once.

use super::net::{
    Batch, Net, Precision,
    parameters::{DeviceTensor, host, matrix},
    pass::Pass,
};
use crate::error::{Error, ErrorKind, Result};

/// The steps that are tried first. They are doubled until the sum is complete.
const LEAST_STEPS: usize = 16;
/// The most steps: as many as multiply this many weights with tokens, between these two. A DistilBERT of
/// the usual size takes 256 for a text of 30 tokens, and a tiny one as many as there may be.
const MOST_PRODUCTS: f64 = 4e11;
const MOST_STEPS: (usize, usize) = (128, 4096);
/// The part of the difference that may be missing from the sum.
const TOLERANCE: f64 = 0.01;
/// A gap in the decision that nobody sees: less than 0.03 points of a probability.
const INVISIBLE: f64 = 1e-3;
/// Values that a pass may keep for its gradients: half a gigabyte.
const PASS_VALUES: f64 = 1.25e8;
/// The most steps of one pass.
const MOST_PASS_STEPS: usize = 64;

/// The decision that is explained: a sum of logits, one factor a class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DecisionTarget(Vec<f32>);

/// The text and the baseline that its tokens are counted from, as embeddings.
///
/// # Shapes
/// Both `[n_tokens, width]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StraightPath {
    pub(super) baseline: Vec<f32>,
    pub(super) text: Vec<f32>,
    pub(super) n_tokens: usize,
}

/// The result: `decision = base + Σ weights + gap`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attribution {
    /// The part of the decision that each token adds.
    pub(super) weights: Vec<f64>,
    /// The decision at the text.
    pub(super) decision: f64,
    /// The decision at the baseline.
    pub(super) base: f64,
    /// Steps of the integration.
    pub(super) n_steps: usize,
}

impl DecisionTarget {
    /// Of two classes the log-odds of the second, of more the logit of the largest.
    pub(super) fn of(logits: &[f32]) -> (usize, Self) {
        if logits.len() == 2 {
            return (1, Self(vec![-1.0, 1.0]));
        }
        let mut class_idx = 0;
        for (idx, logit) in logits.iter().enumerate() {
            class_idx = if *logit > logits[class_idx] { idx } else { class_idx };
        }
        let factor = |idx: usize| f32::from(u8::from(idx == class_idx));
        (class_idx, Self((0..logits.len()).map(factor).collect()))
    }

    fn decision(&self, logits: &[f32]) -> f64 {
        self.0
            .iter()
            .zip(logits)
            .map(|(factor, logit)| f64::from(*factor) * f64::from(*logit))
            .sum()
    }
}

impl Attribution {
    /// The part of the difference to the baseline that the weights leave out.
    pub(super) fn gap(&self) -> f64 {
        self.decision - self.base - self.weights.iter().sum::<f64>()
    }

    /// True if the gap is at most a hundredth of the difference, or too small to be seen.
    pub(super) fn is_complete(&self) -> bool {
        self.gap().abs() <= (TOLERANCE * (self.decision - self.base).abs()).max(INVISIBLE)
    }
}

/// The part of the decision that each token of `path` adds, with as many steps as it takes to be complete, or
/// the most there may be.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for a net whose decisions or gradients are not numbers, and what the net
/// cannot read.
pub(super) fn attribute(
    net: &Net,
    path: &StraightPath,
    target: &DecisionTarget,
) -> Result<Attribution> {
    let most = most_steps(net, path.n_tokens);
    let mut n_steps = LEAST_STEPS;
    loop {
        let found = integrate(net, path, target, n_steps)?;
        if found.is_complete() || 2 * n_steps > most {
            return Ok(found);
        }
        n_steps *= 2;
    }
}

/// The most steps that a text of `n_tokens` is worth.
fn most_steps(net: &Net, n_tokens: usize) -> usize {
    let [n_rows, width] = net.values().get(net.embedding()).dims();
    let n_weights = net.n_parameters().saturating_sub(n_rows * width).max(1);
    let per_step = n_weights as f64 * n_tokens as f64;
    ((MOST_PRODUCTS / per_step) as usize).clamp(MOST_STEPS.0, MOST_STEPS.1)
}

/// The part of the decision that each token adds, with `n_steps` steps.
///
/// # Errors
/// As [`attribute`].
pub(super) fn integrate(
    net: &Net,
    path: &StraightPath,
    target: &DecisionTarget,
    n_steps: usize,
) -> Result<Attribution> {
    let ends = [path.baseline.as_slice(), &path.text].concat();
    let (reader, batch) = reader(net, ends, path.n_tokens)?;
    let logits = reader.forward(&batch)?;
    let (base, decision) = logits.split_at(target.0.len());
    let (base, decision) = (target.decision(base), target.decision(decision));

    let width = path.text.len() / path.n_tokens;
    let on_cpu = net.device().is_cpu();
    let per_step = net.config().n_activations(1, path.n_tokens, on_cpu).max(1.0);
    let n_pass = ((PASS_VALUES / per_step) as usize).clamp(1, MOST_PASS_STEPS);
    let mut weights = vec![0.0_f64; path.n_tokens];
    for steps in nodes(n_steps).chunks(n_pass) {
        let gradients = gradients(net, path, target, steps)?;
        let rows = gradients.chunks_exact(width).zip(path.rows(width).cycle());
        for (idx, (gradient, (baseline, text))) in rows.enumerate() {
            let products = gradient.iter().zip(baseline).zip(text);
            let sum: f64 = products
                .map(|((gradient, baseline), text)| {
                    f64::from(*gradient) * (f64::from(*text) - f64::from(*baseline))
                })
                .sum();
            weights[idx % path.n_tokens] += sum;
        }
    }
    let found = Attribution { weights, decision, base, n_steps };
    if !(found.gap() + found.decision).is_finite() {
        let what = format!(
            "the {} cannot be explained: its gradients are not numbers",
            net.config().name()
        );
        return Err(Error::new(ErrorKind::Corrupt, what)
            .with_hint("train it again with a smaller learning rate, or import it again"));
    }
    Ok(found)
}

impl StraightPath {
    /// The baseline's and the text's row of each token.
    fn rows(&self, width: usize) -> impl Iterator<Item = (&[f32], &[f32])> + Clone {
        self.baseline.chunks_exact(width).zip(self.text.chunks_exact(width))
    }
}

/// A net that reads the `rows`, and the texts of `n_tokens` that they are.
fn reader(net: &Net, rows: Vec<f32>, n_tokens: usize) -> Result<(Net, Batch)> {
    let width = net.values().get(net.embedding()).dims()[1];
    let n_rows = rows.len() / width;
    let reader = net.reading(matrix(rows, [n_rows, width], net.device().burn()));
    let ids: Vec<u32> = (0..n_rows as u32).collect();
    let texts: Vec<&[u32]> = ids.chunks_exact(n_tokens).collect();
    let batch = Batch::new(&texts, 0)?;
    reader.check(&batch)?;
    Ok((reader, batch))
}

/// The gradients of the decision at the embeddings of each of `steps`, (place, weight), times the
/// step's weight.
///
/// # Shapes
/// `[n_steps · n_tokens, width]`, row-major.
fn gradients(
    net: &Net,
    path: &StraightPath,
    target: &DecisionTarget,
    steps: &[(f64, f64)],
) -> Result<Vec<f32>> {
    let row = |(place, _): &(f64, f64)| {
        let place = *place as f32;
        let pairs = path.baseline.iter().zip(&path.text);
        pairs.map(move |(baseline, text)| baseline + place * (text - baseline))
    };
    let rows = steps.iter().flat_map(row).collect();
    let (reader, batch) = reader(net, rows, path.n_tokens)?;
    let (device, key) = (reader.device().training(), reader.embedding());
    let values = reader.values().leaf(key);
    let table = values.get(key);
    let mut pass = Pass::train(&values, &device, Precision::F32, 0);
    let logits = reader.logits(&mut pass, &batch);
    let factors = steps.iter().flat_map(|(_, weight)| {
        target.0.iter().map(move |factor| (f64::from(*factor) * weight) as f32)
    });
    let factors = pass.constant(factors.collect(), logits.dims());
    let mut recorded = (logits * factors).sum().backward();
    let mut sum: Option<DeviceTensor<2>> = None;
    let mut add = |gradient: DeviceTensor<2>| {
        sum = Some(match sum.take() {
            Some(sum) => sum + gradient,
            None => gradient,
        });
    };
    table.grad_remove(&mut recorded).into_iter().for_each(&mut add);
    for cut in pass.into_cuts().into_iter().rev() {
        let (before, own) = cut.backward(&mut recorded);
        own.into_iter()
            .filter(|(parameter, _)| *parameter == key)
            .for_each(|(_, gradient)| add(gradient));
        if let Some(before) = before {
            recorded = before.backward();
            table.grad_remove(&mut recorded).into_iter().for_each(&mut add);
        }
    }
    Ok(sum.map_or_else(|| vec![0.0; steps.len() * path.text.len()], host))
}

/// The places in `0.0..1.0` and the weights of Gauss and Legendre's rule with `n` steps: the roots of
/// the Legendre polynomial of degree `n` by Newton's method (Abramowitz and Stegun 1964, 25.4.29).
fn nodes(n: usize) -> Vec<(f64, f64)> {
    let node = |idx: usize| {
        let mut x = (std::f64::consts::PI * (idx as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut value, mut before) = (x, 1.0);
            for degree in 2..=n {
                let degree = degree as f64;
                let next = ((2.0 * degree - 1.0) * x * value - (degree - 1.0) * before) / degree;
                (before, value) = (value, next);
            }
            slope = n as f64 * (x * value - before) / (x * x - 1.0);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

#[cfg(test)]
mod tests;
