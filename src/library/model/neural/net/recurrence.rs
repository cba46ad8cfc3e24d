//! The recurrence of one direction of an LSTM layer on the CPU, forward and, for training, back
//! through time (Werbos, 1990).
//!
//! Texts lie side by side in blocks of 32. A step is one product with the weight, which was
//! rearranged once for all steps, and one pass over the cells: a tensor library takes some twenty
//! operations for it and as many on the way back, each over a tensor of its own.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::model::neural::simd::{
    blocks::{BLOCK, Row},
    dense::BlockTask,
    math::{Function, sigmoid, tanh},
    packed::Packed,
    tile::Start,
    vector::{dispatch, mul_add, n_vectors, vectors, vectors_mut},
};

/// The texts that a direction reads, and the direction.
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    /// Real tokens of each text.
    pub(super) lengths: Vec<u32>,
    /// Tokens a text, padding included.
    pub(super) length: usize,
    /// Width of the state.
    pub(super) hidden: usize,
    /// From each text's last real token to its first.
    pub(super) reversed: bool,
}

/// The values of the way there that the way back needs: each block's gates, `[length][4 · hidden]`,
/// and cells, `[length][hidden]`, in the order of the steps.
#[derive(Debug)]
pub(super) struct Trace(Vec<BlockTrace>);

#[derive(Debug)]
struct BlockTrace {
    gates: Vec<Row>,
    cells: Vec<Row>,
}

impl Recurrence {
    /// The state after each token, 0 at padding; and, when `traced`, what [`Self::backward`] needs.
    ///
    /// # Shapes
    /// `weight`: `[hidden, 4 · hidden]`, gates in PyTorch's order: input, forget, cell, output;
    /// `projected`: `[n · length, 4 · hidden]`, text after text; returns `[n · length, hidden]`.
    pub(super) fn forward(
        &self,
        weight: &[f32],
        projected: &[f32],
        traced: bool,
    ) -> (Vec<f32>, Trace) {
        let n_gates = 4 * self.hidden;
        let columns: Vec<Vec<f32>> = (0..n_gates)
            .map(|gate| weight[gate..].iter().step_by(n_gates).copied().collect())
            .collect();
        let rows: Vec<(&[f32], f32)> =
            columns.iter().map(|column| (column.as_slice(), 0.0)).collect();
        let packed = Packed::new(&rows, self.hidden);
        let mut states = vec![0.0; projected.len() / 4];
        let rows_per_block = BLOCK * self.length;
        let traces = states
            .par_chunks_mut(rows_per_block * self.hidden)
            .zip(projected.par_chunks(rows_per_block * n_gates))
            .zip(self.lengths.par_chunks(BLOCK))
            .map(|((states, projected), lengths)| {
                self.forward_block(&packed, projected, lengths, states, traced)
            })
            .collect();
        (states, Trace(traces))
    }

    fn forward_block(
        &self,
        weight: &Packed,
        projected: &[f32],
        lengths: &[u32],
        states: &mut [f32],
        traced: bool,
    ) -> BlockTrace {
        let arch = Arch::new();
        let (hidden, n) = (self.hidden, lengths.len());
        let n_kept = if traced { self.length } else { 1 };
        let mut gates = vec![Row::ZERO; n_kept * 4 * hidden];
        let mut cells = vec![Row::ZERO; if traced { self.length * hidden } else { 0 }];
        let mut cell = vec![Row::ZERO; hidden];
        let mut state = vec![Row::ZERO; hidden];
        for step in 0..self.length {
            let kept = if traced { step } else { 0 };
            let gates = &mut gates[kept * 4 * hidden..][..4 * hidden];
            let row = |text: usize| text * self.length + self.position(lengths[text], step);
            gather(projected, n, row, gates);
            if step > 0 {
                product(arch, weight, &state, gates, n, Start::Continue);
            }
            let (cell_rows, state_rows) = (&mut cell, &mut state);
            dispatch(arch, Step { gates, cell: cell_rows, state: state_rows, n });
            if traced {
                cells[step * hidden..][..hidden].copy_from_slice(&cell);
            }
            scatter(&state, n, row, |text| step < lengths[text] as usize, states);
        }
        BlockTrace { gates, cells }
    }

    /// The gradient of `projected` from that of the states.
    ///
    /// # Shapes
    /// `weight`: `[hidden, 4 · hidden]`; `gradient`: `[n · length, hidden]`, 0 at padding; returns
    /// `[n · length, 4 · hidden]`, 0 at padding.
    pub(super) fn backward(&self, weight: &[f32], trace: Trace, gradient: &[f32]) -> Vec<f32> {
        let n_gates = 4 * self.hidden;
        let rows: Vec<(&[f32], f32)> = weight.chunks_exact(n_gates).map(|row| (row, 0.0)).collect();
        let packed = Packed::new(&rows, n_gates);
        let mut projected = vec![0.0; gradient.len() * 4];
        let rows_per_block = BLOCK * self.length;
        projected
            .par_chunks_mut(rows_per_block * n_gates)
            .zip(gradient.par_chunks(rows_per_block * self.hidden))
            .zip(self.lengths.par_chunks(BLOCK))
            .zip(trace.0)
            .for_each(|(((projected, gradient), lengths), trace)| {
                self.backward_block(&packed, trace, gradient, lengths, projected);
            });
        projected
    }

    fn backward_block(
        &self,
        weight: &Packed,
        mut trace: BlockTrace,
        gradient: &[f32],
        lengths: &[u32],
        projected: &mut [f32],
    ) {
        let arch = Arch::new();
        let (hidden, n) = (self.hidden, lengths.len());
        let first = vec![Row::ZERO; hidden];
        let mut above = vec![Row::ZERO; hidden];
        let mut state = vec![Row::ZERO; hidden];
        let mut cell = vec![Row::ZERO; hidden];
        for step in (0..self.length).rev() {
            // Behind a text's end nothing was used: its columns stay 0 until its last step.
            let row = |text: usize| text * self.length + self.position(lengths[text], step);
            gather(gradient, n, row, &mut above);
            let gates = &mut trace.gates[step * 4 * hidden..][..4 * hidden];
            let cell_after = &trace.cells[step * hidden..][..hidden];
            let cell_before = match step.checked_sub(1) {
                Some(before) => &trace.cells[before * hidden..][..hidden],
                None => &first,
            };
            let gradients = [&mut *state, &mut *cell];
            dispatch(
                arch,
                StepBack { gates, cell_before, cell_after, above: &above, gradients, n },
            );
            scatter(gates, n, row, |text| step < lengths[text] as usize, projected);
            if step > 0 {
                product(arch, weight, gates, &mut state, n, Start::Bias);
            }
        }
    }

    /// The state before each token, 0 before the first.
    ///
    /// # Shapes
    /// `[n · length, hidden]`, as `states`.
    pub(super) fn before(&self, states: &[f32]) -> Vec<f32> {
        let (width, length) = (self.hidden, self.length);
        let mut before = vec![0.0; states.len()];
        for text in 0..self.lengths.len() {
            let text = text * length * width..(text + 1) * length * width;
            let (from, to) = (&states[text.clone()], &mut before[text]);
            // Padding's states are 0, and so is what the last token comes after when reversed.
            let n_shifted = (length - 1) * width;
            if self.reversed {
                to[..n_shifted].copy_from_slice(&from[width..]);
            } else {
                to[width..].copy_from_slice(&from[..n_shifted]);
            }
        }
        before
    }

    /// The token that is read at `step` of a text of `real` tokens.
    pub(super) fn position(&self, real: u32, step: usize) -> usize {
        if self.reversed { (real as usize).checked_sub(step + 1).unwrap_or(step) } else { step }
    }
}

/// `out = weight · x`, or added to what `out` holds, for the first `n` columns.
fn product(arch: Arch, weight: &Packed, x: &[Row], out: &mut [Row], n: usize, start: Start) {
    let mut tasks = [BlockTask { x, out, n_tokens: n }];
    weight.apply_here(arch, &mut tasks, start, Function::Identity);
}

/// Rows that fit the L1 cache together with where they come from.
const TURNED: usize = 16;

/// Turns one row of `values` a text into one column of `out` a text.
fn gather(values: &[f32], n: usize, row: impl Fn(usize) -> usize, out: &mut [Row]) {
    let width = out.len();
    for (chunk_idx, out) in out.chunks_mut(TURNED).enumerate() {
        for text in 0..n {
            let values = &values[row(text) * width + chunk_idx * TURNED..][..out.len()];
            for (out, value) in out.iter_mut().zip(values) {
                out.0[text] = *value;
            }
        }
    }
}

/// Turns each column of `rows` into one row of `out`, for the texts that are `real`.
fn scatter(
    rows: &[Row],
    n: usize,
    row: impl Fn(usize) -> usize,
    real: impl Fn(usize) -> bool,
    out: &mut [f32],
) {
    let width = rows.len();
    for (chunk_idx, rows) in rows.chunks(TURNED).enumerate() {
        for text in (0..n).filter(|text| real(*text)) {
            let out = &mut out[row(text) * width + chunk_idx * TURNED..][..rows.len()];
            for (out, row) in out.iter_mut().zip(rows) {
                *out = row.0[text];
            }
        }
    }
}

/// The four gates of every unit, one after the other.
fn gates_mut(gates: &mut [Row]) -> [&mut [Row]; 4] {
    let hidden = gates.len() / 4;
    let (input, rest) = gates.split_at_mut(hidden);
    let (forget, rest) = rest.split_at_mut(hidden);
    let (candidate, output) = rest.split_at_mut(hidden);
    [input, forget, candidate, output]
}

/// `c = σ(f) · c + σ(i) · tanh(g)`, `h = σ(o) · tanh(c)`; the gates become what the functions gave.
struct Step<'a> {
    /// `[4 · hidden][BLOCK]`.
    gates: &'a mut [Row],
    /// `[hidden][BLOCK]`, the cells before and then after.
    cell: &'a mut [Row],
    /// `[hidden][BLOCK]`.
    state: &'a mut [Row],
    n: usize,
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let [input, forget, candidate, output] = gates_mut(self.gates);
        for unit in 0..self.cell.len() {
            for v in 0..n_vectors::<S>(self.n) {
                let [i, f, g, o] = [
                    &mut vectors_mut(s, &mut input[unit])[v],
                    &mut vectors_mut(s, &mut forget[unit])[v],
                    &mut vectors_mut(s, &mut candidate[unit])[v],
                    &mut vectors_mut(s, &mut output[unit])[v],
                ];
                [*i, *f, *g, *o] = [sigmoid(s, *i), sigmoid(s, *f), tanh(s, *g), sigmoid(s, *o)];
                let cell = &mut vectors_mut(s, &mut self.cell[unit])[v];
                *cell = mul_add(s, *f, *cell, s.mul_f32s(*i, *g));
                vectors_mut(s, &mut self.state[unit])[v] = s.mul_f32s(*o, tanh(s, *cell));
            }
        }
    }
}

/// [`Step`]'s derivatives; the gates become their gradients before the functions.
struct StepBack<'a> {
    /// `[4 · hidden][BLOCK]`.
    gates: &'a mut [Row],
    /// `[hidden][BLOCK]`.
    cell_before: &'a [Row],
    /// `[hidden][BLOCK]`.
    cell_after: &'a [Row],
    /// `[hidden][BLOCK]`: the state's gradient from what was made of it.
    above: &'a [Row],
    /// `[hidden][BLOCK]` each: the gradients of state and cell from the step after; the cell's
    /// becomes that for the step before.
    gradients: [&'a mut [Row]; 2],
    n: usize,
}

impl WithSimd for StepBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let [input, forget, candidate, output] = gates_mut(self.gates);
        let [state, cell] = self.gradients;
        let one = s.splat_f32s(1.0);
        // σ' = σ (1 - σ), tanh' = 1 - tanh².
        let sigmoid_back = |y, gradient| s.mul_f32s(gradient, s.mul_f32s(y, s.sub_f32s(one, y)));
        let tanh_back = |y, gradient| s.mul_f32s(gradient, s.sub_f32s(one, s.mul_f32s(y, y)));
        for unit in 0..cell.len() {
            for v in 0..n_vectors::<S>(self.n) {
                let [i, f, g, o] = [
                    &mut vectors_mut(s, &mut input[unit])[v],
                    &mut vectors_mut(s, &mut forget[unit])[v],
                    &mut vectors_mut(s, &mut candidate[unit])[v],
                    &mut vectors_mut(s, &mut output[unit])[v],
                ];
                let above = vectors(s, &self.above[unit])[v];
                let d_state = s.add_f32s(vectors(s, &state[unit])[v], above);
                let squashed = tanh(s, vectors(s, &self.cell_after[unit])[v]);
                let cell = &mut vectors_mut(s, &mut cell[unit])[v];
                let d_cell = s.add_f32s(*cell, tanh_back(squashed, s.mul_f32s(d_state, *o)));
                let before = vectors(s, &self.cell_before[unit])[v];
                *cell = s.mul_f32s(d_cell, *f);
                [*i, *f, *g, *o] = [
                    sigmoid_back(*i, s.mul_f32s(d_cell, *g)),
                    sigmoid_back(*f, s.mul_f32s(d_cell, before)),
                    tanh_back(*g, s.mul_f32s(d_cell, *i)),
                    sigmoid_back(*o, s.mul_f32s(d_state, squashed)),
                ];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn numbers(n: usize, random: &mut Random) -> Vec<f32> {
        (0..n).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
    }

    /// The definition, one text and one number at a time, in f64.
    fn plain(recurrence: &Recurrence, weight: &[f32], projected: &[f32]) -> Vec<f64> {
        let (hidden, length) = (recurrence.hidden, recurrence.length);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut states = vec![0.0; projected.len() / 4];
        for (text, real) in recurrence.lengths.iter().enumerate() {
            let (mut state, mut cell) = (vec![0.0; hidden], vec![0.0; hidden]);
            for step in 0..*real as usize {
                let row = text * length + recurrence.position(*real, step);
                let gate = |gate: usize| {
                    let product: f64 = (0..hidden)
                        .map(|unit| state[unit] * f64::from(weight[unit * 4 * hidden + gate]))
                        .sum();
                    f64::from(projected[row * 4 * hidden + gate]) + product
                };
                let gates: Vec<f64> = (0..4 * hidden).map(gate).collect();
                for unit in 0..hidden {
                    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + unit]);
                    cell[unit] = sigmoid(f) * cell[unit] + sigmoid(i) * g.tanh();
                    state[unit] = sigmoid(o) * cell[unit].tanh();
                    states[row * hidden + unit] = state[unit];
                }
            }
        }
        states
    }

    fn recurrence(reversed: bool) -> Recurrence {
        // 35 texts: a block and a part of one.
        let lengths = (0..35).map(|text| 1 + text * 5 % 7).collect();
        Recurrence { lengths, length: 7, hidden: 13, reversed }
    }

    #[test]
    fn states_are_those_of_the_definition() {
        for reversed in [false, true] {
            let recurrence = recurrence(reversed);
            let mut random = Random::new(3);
            let weight = numbers(13 * 52, &mut random);
            let projected = numbers(35 * 7 * 52, &mut random);
            let (states, _) = recurrence.forward(&weight, &projected, false);
            let (traced, _) = recurrence.forward(&weight, &projected, true);
            assert_eq!(states, traced);
            for (found, expected) in states.iter().zip(plain(&recurrence, &weight, &projected)) {
                assert!((f64::from(*found) - expected).abs() < 2e-6, "{found} {expected}");
            }
            let before = recurrence.before(&states);
            for (text, real) in recurrence.lengths.iter().enumerate() {
                for step in 1..*real as usize {
                    let row = |step| (text * 7 + recurrence.position(*real, step)) * 13;
                    assert_eq!(before[row(step)..][..13], states[row(step - 1)..][..13]);
                }
                let first = (text * 7 + recurrence.position(*real, 0)) * 13;
                assert_eq!(before[first..][..13], [0.0; 13]);
            }
        }
    }

    #[test]
    fn gradients_are_the_differences_of_the_definition() {
        for reversed in [false, true] {
            let recurrence = recurrence(reversed);
            let mut random = Random::new(4);
            let weight = numbers(13 * 52, &mut random);
            let mut projected = numbers(35 * 7 * 52, &mut random);
            // The sum of the states, each with a factor; padding's has none.
            let mut factors = numbers(35 * 7 * 13, &mut random);
            for (row, factors) in factors.chunks_exact_mut(13).enumerate() {
                if row % 7 >= recurrence.lengths[row / 7] as usize {
                    factors.fill(0.0);
                }
            }
            let (_, trace) = recurrence.forward(&weight, &projected, true);
            let found = recurrence.backward(&weight, trace, &factors);
            let sum = |projected: &[f32]| -> f64 {
                let states = plain(&recurrence, &weight, projected);
                states.iter().zip(&factors).map(|(state, f)| state * f64::from(*f)).sum()
            };
            for idx in (0..projected.len()).step_by(397) {
                let held = projected[idx];
                let nearby = [held + 0.0078125, held - 0.0078125].map(|value| {
                    projected[idx] = value;
                    sum(&projected)
                });
                projected[idx] = held;
                let expected = (nearby[0] - nearby[1]) / 0.015625;
                let found = f64::from(found[idx]);
                assert!((found - expected).abs() < 1e-4, "{idx}: {found} against {expected}");
            }
        }
    }
}
