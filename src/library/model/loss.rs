//! Logistic loss of margins: its value, its slope at every example and its curvature along given
//! directions. One output means two classes and a sigmoid; more mean one class each and a softmax.

use rayon::prelude::*;

/// Examples that are summed together.
const BLOCK_ROWS: usize = 1024;

/// The losses of all examples.
pub(super) struct Loss<'a> {
    /// The class of each example; 0 or 1 with one output.
    labels: &'a [u32],
    /// The factor of each example's loss.
    weights: Vec<f64>,
    n_outputs: usize,
}

/// The losses at one point.
pub(super) struct PointLosses {
    /// The weighted sum.
    pub(super) loss: f64,
    /// Its derivative by each margin, `weight · (probability − target)`: `[n_rows, n_outputs]`.
    pub(super) residuals: Vec<f64>,
    /// `[n_rows, n_outputs]`.
    probabilities: Vec<f64>,
}

impl<'a> Loss<'a> {
    /// # Panics
    /// If there are not as many weights as labels.
    pub(super) fn new(labels: &'a [u32], weights: Vec<f64>, n_outputs: usize) -> Self {
        assert_eq!(labels.len(), weights.len());
        Self { labels, weights, n_outputs }
    }

    pub(super) fn n_outputs(&self) -> usize {
        self.n_outputs
    }

    /// The sum of all examples' factors.
    pub(super) fn total_weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// The losses where the margins are these, `[n_rows, n_outputs]`.
    pub(super) fn evaluate(&self, margins: &[f64]) -> PointLosses {
        let mut residuals = vec![0.0; margins.len()];
        let mut probabilities = vec![0.0; margins.len()];
        let n_elements = BLOCK_ROWS * self.n_outputs;
        let losses: Vec<f64> = margins
            .par_chunks(n_elements)
            .zip(residuals.par_chunks_mut(n_elements))
            .zip(probabilities.par_chunks_mut(n_elements))
            .zip(self.labels.par_chunks(BLOCK_ROWS).zip(self.weights.par_chunks(BLOCK_ROWS)))
            .map(|(((margins, residuals), probabilities), (labels, weights))| {
                let mut loss = 0.0;
                let rows = margins
                    .chunks_exact(self.n_outputs)
                    .zip(residuals.chunks_exact_mut(self.n_outputs))
                    .zip(probabilities.chunks_exact_mut(self.n_outputs));
                for (((margins, residuals), probabilities), (label, weight)) in
                    rows.zip(labels.iter().zip(weights))
                {
                    let label = *label as usize;
                    if let ([margin], [residual], [probability]) =
                        (margins, &mut *residuals, &mut *probabilities)
                    {
                        // Close to 1, `p − 1` would cancel: the other class's is the same.
                        let (other, log) = sigmoid_parts(*margin, probability);
                        loss +=
                            weight * (log + if label == 1 { -margin } else { *margin }.max(0.0));
                        *residual = weight * if label == 1 { -other } else { *probability };
                        continue;
                    }
                    loss += weight * softmax_loss(margins, label, probabilities);
                    for (residual, probability) in residuals.iter_mut().zip(&*probabilities) {
                        *residual = weight * probability;
                    }
                    residuals[label] = 0.0;
                    residuals[label] = -residuals.iter().sum::<f64>();
                }
                loss
            })
            .collect();
        PointLosses { loss: losses.iter().sum(), residuals, probabilities }
    }

    /// The derivative by each intercept.
    pub(super) fn intercept_gradient(&self, state: &PointLosses) -> Vec<f64> {
        self.by_output(&state.residuals)
    }

    /// The sum of each output's elements.
    ///
    /// # Shapes
    /// `elements`: `[n_rows, n_outputs]`.
    pub(super) fn by_output(&self, elements: &[f64]) -> Vec<f64> {
        if self.n_outputs == 1 {
            return vec![sum(elements)];
        }
        let mut sums = vec![0.0; self.n_outputs];
        for row in elements.chunks_exact(self.n_outputs) {
            sums.iter_mut().zip(row).for_each(|(sum, element)| *sum += element);
        }
        sums
    }

    /// The second derivative by each intercept.
    pub(super) fn intercept_curvature(&self, state: &PointLosses) -> Vec<f64> {
        let mut sums = vec![0.0; self.n_outputs];
        for (row, weight) in state.probabilities.chunks_exact(self.n_outputs).zip(&self.weights) {
            for (sum, probability) in sums.iter_mut().zip(row) {
                *sum += weight * probability * (1.0 - probability);
            }
        }
        sums
    }

    /// At least `Σ weight · KL(q‖p)`, where the residuals of the probabilities q differ by `change`
    /// from the state's, whose probabilities are p. `change`: `[n_rows, n_outputs]`.
    pub(super) fn divergence(&self, state: &PointLosses, change: &[f64]) -> f64 {
        let n_elements = BLOCK_ROWS * self.n_outputs;
        let blocks: Vec<f64> = change
            .par_chunks(n_elements)
            .zip(state.residuals.par_chunks(n_elements))
            .zip(state.probabilities.par_chunks(n_elements))
            .zip(self.weights.par_chunks(BLOCK_ROWS))
            .map(|(((change, residuals), probabilities), weights)| {
                if self.n_outputs == 1 {
                    let rows = change.iter().zip(residuals).zip(weights);
                    return rows
                        .map(|((change, residual), weight)| {
                            // The residual is the wrong class's share, with a sign; the right
                            // class loses what it gains.
                            let wrong = residual.abs();
                            let gain = change * residual.signum();
                            divergence_term(wrong, gain) + divergence_term(weight - wrong, -gain)
                        })
                        .sum();
                }
                let rows = change
                    .chunks_exact(self.n_outputs)
                    .zip(probabilities.chunks_exact(self.n_outputs))
                    .zip(weights);
                rows.map(|((change, probabilities), weight)| {
                    let terms = change.iter().zip(probabilities);
                    terms.map(|(gain, p)| divergence_term(weight * p, *gain)).sum::<f64>()
                })
                .sum()
            })
            .collect();
        blocks.iter().sum()
    }

    /// The second derivative along `step` of the margins, `[n_rows, n_outputs]`.
    pub(super) fn bend_square(&self, state: &PointLosses, step: &[f64]) -> f64 {
        let n_elements = BLOCK_ROWS * self.n_outputs;
        let blocks: Vec<f64> = step
            .par_chunks(n_elements)
            .zip(state.probabilities.par_chunks(n_elements))
            .zip(self.weights.par_chunks(BLOCK_ROWS))
            .map(|((step, probabilities), weights)| {
                let mut bent = vec![0.0; step.len()];
                bend(probabilities, weights, step, &mut bent, self.n_outputs);
                dot_block(&bent, step)
            })
            .collect();
        blocks.iter().sum()
    }

    /// The second derivatives along `directions` of the margins, then by the intercepts.
    ///
    /// # Shapes
    /// `directions`: each `[n_rows, n_outputs]`. The result: square, row-major, of
    /// `directions.len() + n_outputs` rows.
    pub(super) fn curvature(&self, state: &PointLosses, directions: &[&[f64]]) -> Vec<f64> {
        let n_outputs = self.n_outputs;
        let n_directions = directions.len();
        let size = n_directions + n_outputs;
        let n_elements = BLOCK_ROWS * n_outputs;
        let blocks: Vec<Vec<f64>> = state
            .probabilities
            .par_chunks(n_elements)
            .zip(self.weights.par_chunks(BLOCK_ROWS))
            .enumerate()
            .map(|(block_idx, (probabilities, weights))| {
                let mut sums = vec![0.0; size * size];
                let start = block_idx * n_elements;
                let block_of =
                    |direction: usize| &directions[direction][start..start + probabilities.len()];
                let mut bent = vec![0.0; probabilities.len()];
                for one in 0..n_directions {
                    bend(probabilities, weights, block_of(one), &mut bent, n_outputs);
                    for other in 0..=one {
                        sums[one * size + other] = dot_block(&bent, block_of(other));
                    }
                    for (output, sum) in self.by_output(&bent).into_iter().enumerate() {
                        sums[(n_directions + output) * size + one] = sum;
                    }
                }
                // An intercept is the direction that is 1 for its output and 0 for the others.
                let mut unit = vec![0.0; probabilities.len()];
                for one in 0..n_outputs {
                    unit.iter_mut().enumerate().for_each(|(idx, unit)| {
                        *unit = f64::from(u8::from(idx % n_outputs == one))
                    });
                    bend(probabilities, weights, &unit, &mut bent, n_outputs);
                    let start = (n_directions + one) * size + n_directions;
                    let by_output = self.by_output(&bent);
                    sums[start..=start + one].copy_from_slice(&by_output[..=one]);
                }
                sums
            })
            .collect();
        let mut total = vec![0.0; size * size];
        for block in &blocks {
            total.iter_mut().zip(block).for_each(|(total, sum)| *total += sum);
        }
        for row in 0..size {
            for column in 0..row {
                total[column * size + row] = total[row * size + column];
            }
        }
        if n_outputs > 1 {
            // A softmax does not feel a shift of all margins. Some stiffness against shifting all
            // intercepts together makes the matrix invertible and leaves their mean at zero.
            let mean = (n_directions..size).map(|idx| total[idx * size + idx]).sum::<f64>()
                / n_outputs as f64;
            for row in n_directions..size {
                for column in n_directions..size {
                    total[row * size + column] += mean;
                }
            }
        }
        total
    }
}

/// At least `m h(g / m)`, `h(u) = (1 + u) ln(1 + u) − u`: what a class whose share m gains g adds
/// to a divergence. By `ln(1 + u) <= u / √(1 + u)` for a gain, and for a loss by h's second
/// derivative, `1 / (1 + u)`, and by `h(u) <= u²`.
fn divergence_term(share: f64, gain: f64) -> f64 {
    let end = (share + gain).max(0.0);
    let divisor = if gain > 0.0 { share + (share * end).sqrt() } else { share.max(2.0 * end) };
    gain * gain / divisor.max(f64::MIN_POSITIVE)
}

/// The curvature's product with `direction`, row by row.
fn bend(
    probabilities: &[f64],
    weights: &[f64],
    direction: &[f64],
    bent: &mut [f64],
    n_outputs: usize,
) {
    if n_outputs == 1 {
        let rows = bent.iter_mut().zip(probabilities).zip(direction).zip(weights);
        for (((bent, probability), direction), weight) in rows {
            *bent = weight * probability * (1.0 - probability) * direction;
        }
        return;
    }
    let rows = bent
        .chunks_exact_mut(n_outputs)
        .zip(probabilities.chunks_exact(n_outputs))
        .zip(direction.chunks_exact(n_outputs))
        .zip(weights);
    for (((bent, probabilities), direction), weight) in rows {
        let mean: f64 = probabilities.iter().zip(direction).map(|(p, d)| p * d).sum();
        for ((bent, probability), direction) in bent.iter_mut().zip(probabilities).zip(direction) {
            *bent = weight * probability * (direction - mean);
        }
    }
}

/// Puts the positive class's probability into `probability`; returns the negative one's and
/// `ln(1 + e^-|m|)`. None of them overflows or cancels.
fn sigmoid_parts(margin: f64, probability: &mut f64) -> (f64, f64) {
    let small = (-margin.abs()).exp();
    let large = 1.0 / (1.0 + small);
    let other;
    (*probability, other) =
        if margin >= 0.0 { (large, small * large) } else { (small * large, large) };
    (other, small.ln_1p())
}

/// `-ln` of the probability of `label`, in nats; the probabilities go into `probabilities`.
pub(super) fn softmax_loss(margins: &[f64], label: usize, probabilities: &mut [f64]) -> f64 {
    let (largest, others) = softmax(margins, probabilities);
    // The largest margin's own part of the sum, 1, would hide a small rest.
    others.ln_1p() + (largest - margins[label])
}

/// Probabilities of the classes with these margins, into `probabilities`. Returns the largest
/// margin and the sum of the others' powers of e relative to its.
pub(super) fn softmax(margins: &[f64], probabilities: &mut [f64]) -> (f64, f64) {
    let largest = margins.iter().fold(f64::NEG_INFINITY, |most, margin| most.max(*margin));
    let mut others = 0.0;
    let mut is_found = false;
    for (probability, margin) in probabilities.iter_mut().zip(margins) {
        *probability = (margin - largest).exp();
        if *margin == largest && !is_found {
            is_found = true;
        } else {
            others += *probability;
        }
    }
    let sum = 1.0 + others;
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
    (largest, others)
}

/// The probability of the positive class at `margin`.
pub(super) fn sigmoid(margin: f64) -> f64 {
    let mut probability = 0.0;
    sigmoid_parts(margin, &mut probability);
    probability
}

/// Eight running sums, so that additions need not wait for each other.
fn sum(elements: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (eights, rest) = elements.as_chunks::<8>();
    for eight in eights {
        for lane in 0..8 {
            sums[lane] += eight[lane];
        }
    }
    sums.iter().chain(rest).sum()
}

/// A scalar product, summed in the same way.
pub(super) fn dot_block(one: &[f64], other: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (ones, one_rest) = one.as_chunks::<8>();
    let (others, other_rest) = other.as_chunks::<8>();
    for (one, other) in ones.iter().zip(others) {
        for lane in 0..8 {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let rest: f64 = one_rest.iter().zip(other_rest).map(|(one, other)| one * other).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softmax_sums_to_one_whatever_the_margins() {
        let mut probabilities = [0.0; 3];
        let loss = softmax_loss(&[1000.0, 999.0, -1000.0], 1, &mut probabilities);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((probabilities[0] / probabilities[1] - std::f64::consts::E).abs() < 1e-9);
        assert!((loss + probabilities[1].ln()).abs() < 1e-12);
    }
}
