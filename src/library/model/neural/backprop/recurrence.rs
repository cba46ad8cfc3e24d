//! The recurrence of one direction of an LSTM layer on the CPU, forward and, for training, back
//! through time (Werbos, 1990).
//!
//! Tokens come step by step: the texts' first tokens, their second ones, and so on, padding included.
//! Texts lie side by side in blocks of 32. A step is one product with the weight, which was
//! rearranged once for all steps, and one pass over the cells: a tensor library takes some twenty
//! operations for it and as many on the way back, each over a tensor of its own.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::model::neural::simd::{
    blocks::{BLOCK, Blocks, FeatureRow},
    dense::BlockTask,
    math::{DenseActivation, sigmoid, tanh},
    packed::Packed,
    rows::RowBuffer,
    tile::SumStart,
    vector::{dispatch, mul_add, n_vectors, vectors, vectors_mut},
};

/// The texts that a direction reads, and the direction.
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    /// Real tokens of each text.
    pub(super) lengths: Vec<usize>,
    /// Tokens a text, padding included.
    pub(super) length: usize,
    /// Width of the state.
    pub(super) hidden: usize,
    /// From each text's last real token to its first.
    pub(super) reversed: bool,
}

/// The values of the way there that the way back needs: each text block's gates, `[length][4 · hidden]`,
/// and cells, `[length][hidden]`, in the order of the tokens.
#[derive(Debug)]
pub(super) struct RecurrenceTrace(Vec<TextsTrace>);

#[derive(Debug)]
struct TextsTrace {
    gates: RowBuffer,
    cells: RowBuffer,
}

/// The projections that the gates of some texts begin with.
enum Projected<'a> {
    /// Of these texts alone, `[length][4 · hidden]`: the gates are written over them.
    Own(RowBuffer),
    /// Beside those of other texts.
    Shared(&'a Blocks),
}

/// Some texts side by side: their lengths, and the first of them.
#[derive(Clone, Copy)]
struct Texts<'a> {
    lengths: &'a [usize],
    first: usize,
}

impl Recurrence {
    /// The state after each token, 0 at padding; and, when `traced`, what [`Self::backward`] needs.
    ///
    /// # Shapes
    /// `weight`: `[hidden, 4 · hidden]`, gates in PyTorch's order: input, forget, cell, output;
    /// `projected`: `[length · n, 4 · hidden]`; returns `[length · n, hidden]`.
    pub(super) fn forward(
        &self,
        weight: &[f32],
        projected: Blocks,
        traced: bool,
    ) -> (Blocks, RecurrenceTrace) {
        let packed = Packed::of_columns(&[(weight, &vec![0.0; 4 * self.hidden])], self.hidden);
        let (states, traces): (Vec<_>, Vec<_>) = if self.lengths.len() == BLOCK {
            let texts = Texts { lengths: &self.lengths, first: 0 };
            let projected = Projected::Own(projected.into_rows());
            [self.forward_texts(&packed, projected, texts, traced)].into_iter().unzip()
        } else {
            let shared =
                |texts| self.forward_texts(&packed, Projected::Shared(&projected), texts, traced);
            self.texts().map(shared).unzip()
        };
        (self.side_by_side(self.hidden, states), RecurrenceTrace(traces))
    }

    fn texts(&self) -> impl IndexedParallelIterator<Item = Texts<'_>> {
        let chunks = self.lengths.par_chunks(BLOCK).enumerate();
        chunks.map(|(idx, lengths)| Texts { lengths, first: idx * BLOCK })
    }

    fn forward_texts(
        &self,
        weight: &Packed,
        projected: Projected<'_>,
        texts: Texts<'_>,
        traced: bool,
    ) -> (RowBuffer, TextsTrace) {
        let arch = Arch::new();
        let (hidden, n) = (self.hidden, texts.lengths.len());
        let (mut all_gates, shared) = match projected {
            Projected::Own(rows) => (rows, None),
            Projected::Shared(blocks) => {
                let n_kept = if traced { self.length } else { 1 };
                (RowBuffer::room(n_kept * 4 * hidden), Some(blocks))
            }
        };
        let mut cells = RowBuffer::room(if traced { self.length * hidden } else { 0 });
        let mut states = RowBuffer::room(self.length * hidden);
        let mut cell = vec![FeatureRow::ZERO; hidden];
        let mut before: Option<usize> = None;
        for place in self.places() {
            let kept = if traced || shared.is_none() { place } else { 0 };
            let gates = &mut all_gates[kept * 4 * hidden..][..4 * hidden];
            if let Some(blocks) = shared {
                self.read(blocks, texts, place, gates);
            }
            if let Some(before) = before {
                let state = &states[before * hidden..][..hidden];
                product(arch, weight, state, gates, n, SumStart::Continue);
            }
            let state = &mut states[place * hidden..][..hidden];
            dispatch(arch, LstmStep { gates, cell: &mut cell, state, n });
            // Padding has no state: a text begins and ends where it does.
            texts.clear_padding(place, [state, &mut cell]);
            if traced {
                cells[place * hidden..][..hidden].copy_from_slice(&cell);
            }
            before = Some(place);
        }
        (states, TextsTrace { gates: all_gates, cells })
    }

    /// The gradient of `projected` from that of the states.
    ///
    /// # Shapes
    /// `weight`: `[hidden, 4 · hidden]`; `gradient`: `[length · n, hidden]`, 0 at padding; returns
    /// `[length · n, 4 · hidden]`, 0 at padding.
    pub(super) fn backward(
        &self,
        weight: &[f32],
        trace: RecurrenceTrace,
        gradient: &Blocks,
    ) -> Blocks {
        let packed = Packed::of_rows(&[weight], self.hidden);
        let texts = self.texts().zip(trace.0);
        let projected = texts
            .map(|(texts, trace)| self.backward_texts(&packed, trace, gradient, texts))
            .collect();
        self.side_by_side(4 * self.hidden, projected)
    }

    fn backward_texts(
        &self,
        weight: &Packed,
        mut trace: TextsTrace,
        gradient: &Blocks,
        texts: Texts<'_>,
    ) -> RowBuffer {
        let arch = Arch::new();
        let (hidden, n) = (self.hidden, texts.lengths.len());
        let first = vec![FeatureRow::ZERO; hidden];
        let mut above = vec![FeatureRow::ZERO; hidden];
        let mut state = vec![FeatureRow::ZERO; hidden];
        let mut cell = vec![FeatureRow::ZERO; hidden];
        let places: Vec<usize> = self.places().collect();
        for (step, place) in places.iter().copied().enumerate().rev() {
            self.read(gradient, texts, place, &mut above);
            let gates = &mut trace.gates[place * 4 * hidden..][..4 * hidden];
            let cell_after = &trace.cells[place * hidden..][..hidden];
            let cell_before = match step.checked_sub(1) {
                Some(before) => &trace.cells[places[before] * hidden..][..hidden],
                None => &first,
            };
            let gradients = [&mut *state, &mut *cell];
            dispatch(
                arch,
                StepBack { gates, cell_before, cell_after, above: &above, gradients, n },
            );
            texts.clear_padding(place, [gates, &mut cell]);
            if step > 0 {
                product(arch, weight, gates, &mut state, n, SumStart::Bias);
            }
        }
        trace.gates
    }

    /// The tokens that another comes after, and the first of those that come after them, as many. No state
    /// comes before the others.
    pub(super) fn steps(&self) -> (Range<usize>, usize) {
        let n = self.lengths.len();
        // Padding's states are 0, and so is what the last token comes after when reversed.
        let n_steps = (self.length - 1) * n;
        let (from, to) = if self.reversed { (n, 0) } else { (0, n) };
        (from..from + n_steps, to)
    }

    /// The places of a text's tokens in the order they are read.
    fn places(&self) -> impl Iterator<Item = usize> {
        let (length, reversed) = (self.length, self.reversed);
        (0..length).map(move |step| if reversed { length - 1 - step } else { step })
    }

    /// The tokens of some texts at one place, a text a lane.
    fn read(&self, from: &Blocks, texts: Texts<'_>, place: usize, rows: &mut [FeatureRow]) {
        let start = place * self.lengths.len() + texts.first;
        if start.is_multiple_of(BLOCK) {
            // Whatever lies in the lanes behind the texts is read by nothing.
            rows.copy_from_slice(from.block(start / BLOCK));
            return;
        }
        for (feature, row) in rows.iter_mut().enumerate() {
            from.copy_tokens(feature, start..start + texts.lengths.len(), &mut row.0);
        }
    }

    /// Rows of each text block, `[length][n_features]`, as blocks of all tokens.
    fn side_by_side(&self, n_features: usize, mut parts: Vec<RowBuffer>) -> Blocks {
        let n = self.lengths.len();
        if n == BLOCK {
            return Blocks::of_rows(n_features, n * self.length, parts.remove(0));
        }
        let mut all = Blocks::room(n_features, n * self.length);
        for (part_idx, part) in parts.into_iter().enumerate() {
            let first = part_idx * BLOCK;
            let n_here = (n - first).min(BLOCK);
            let part = Blocks::of_rows(n_features, self.length * BLOCK, part);
            for place in 0..self.length {
                all.copy_from(place * n + first, &part, place * BLOCK..place * BLOCK + n_here);
            }
        }
        all
    }
}

impl Texts<'_> {
    /// Sets the lanes of texts that have no token at `place` to 0.
    fn clear_padding(self, place: usize, parts: [&mut [FeatureRow]; 2]) {
        let ended = |length: &usize| *length <= place;
        if !self.lengths.iter().any(ended) {
            return;
        }
        let lanes = self.lengths.iter().enumerate().filter(|(_, length)| ended(length));
        let lanes: Vec<usize> = lanes.map(|(lane, _)| lane).collect();
        for row in parts.into_iter().flatten() {
            lanes.iter().for_each(|lane| row.0[*lane] = 0.0);
        }
    }
}

/// `out = weight · x`, or added to what `out` holds, for the first `n` columns.
fn product(
    arch: Arch,
    weight: &Packed,
    x: &[FeatureRow],
    out: &mut [FeatureRow],
    n: usize,
    start: SumStart,
) {
    let mut tasks = [BlockTask { x, out, n_tokens: n }];
    weight.apply_here(arch, &mut tasks, start, DenseActivation::Identity);
}

/// The four gates of every unit, one after the other.
fn gates_mut(gates: &mut [FeatureRow]) -> [&mut [FeatureRow]; 4] {
    let hidden = gates.len() / 4;
    let (input, rest) = gates.split_at_mut(hidden);
    let (forget, rest) = rest.split_at_mut(hidden);
    let (candidate, output) = rest.split_at_mut(hidden);
    [input, forget, candidate, output]
}

/// `c = σ(f) · c + σ(i) · tanh(g)`, `h = σ(o) · tanh(c)`; the gates become what the functions gave.
struct LstmStep<'a> {
    /// `[4 · hidden][BLOCK]`.
    gates: &'a mut [FeatureRow],
    /// `[hidden][BLOCK]`, the cells before and then after.
    cell: &'a mut [FeatureRow],
    /// `[hidden][BLOCK]`.
    state: &'a mut [FeatureRow],
    n: usize,
}

impl WithSimd for LstmStep<'_> {
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

/// [`LstmStep`]'s derivatives; the gates become their gradients before the functions.
struct StepBack<'a> {
    /// `[4 · hidden][BLOCK]`.
    gates: &'a mut [FeatureRow],
    /// `[hidden][BLOCK]`.
    cell_before: &'a [FeatureRow],
    /// `[hidden][BLOCK]`.
    cell_after: &'a [FeatureRow],
    /// `[hidden][BLOCK]`: the state's gradient from what was made of it.
    above: &'a [FeatureRow],
    /// `[hidden][BLOCK]` each: the gradients of state and cell from the step after; the cell's
    /// becomes that for the step before.
    gradients: [&'a mut [FeatureRow]; 2],
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
        let hidden = recurrence.hidden;
        let n = recurrence.lengths.len();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut states = vec![0.0; projected.len() / 4];
        for (text, real) in recurrence.lengths.iter().enumerate() {
            let (mut state, mut cell) = (vec![0.0; hidden], vec![0.0; hidden]);
            for step in 0..*real {
                let place = if recurrence.reversed { real - 1 - step } else { step };
                let row = place * n + text;
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

    /// A block of texts, and a block and a part of one, from either end.
    fn recurrences() -> impl Iterator<Item = (usize, Recurrence)> {
        [(32, false), (32, true), (35, false), (35, true)].into_iter().map(|(n, reversed)| {
            let lengths = (0..n).map(|text| 1 + text * 5 % 7).collect();
            (n, Recurrence { lengths, length: 7, hidden: 13, reversed })
        })
    }

    #[test]
    fn states_are_those_of_the_definition() {
        for (n, recurrence) in recurrences() {
            let mut random = Random::new(3);
            let weight = numbers(13 * 52, &mut random);
            let projected = numbers(n * 7 * 52, &mut random);
            let blocks = Blocks::of_tokens(&projected, n * 7);
            let (states, _) = recurrence.forward(&weight, blocks.clone(), false);
            let (traced, _) = recurrence.forward(&weight, blocks, true);
            let (before, after) = recurrence.steps();
            let states = states.to_tokens();
            assert_eq!(states, traced.to_tokens());
            for (found, expected) in states.iter().zip(plain(&recurrence, &weight, &projected)) {
                assert!((f64::from(*found) - expected).abs() < 2e-6, "{found} {expected}");
            }
            for (text, real) in recurrence.lengths.iter().enumerate() {
                let place = |step: usize| if recurrence.reversed { real - 1 - step } else { step };
                let row = |step: usize| (place(step) * n + text) * 13;
                for step in 1..*real {
                    let before = before.start + row(step) / 13 - after;
                    assert_eq!(before, row(step - 1) / 13);
                }
            }
        }
    }

    #[test]
    fn gradients_are_the_differences_of_the_definition() {
        for (n, recurrence) in recurrences() {
            let mut random = Random::new(4);
            let weight = numbers(13 * 52, &mut random);
            let mut projected = numbers(n * 7 * 52, &mut random);
            // The sum of the states, each with a factor; padding's has none.
            let mut factors = numbers(n * 7 * 13, &mut random);
            for (row, factors) in factors.chunks_exact_mut(13).enumerate() {
                if row / n >= recurrence.lengths[row % n] {
                    factors.fill(0.0);
                }
            }
            let (_, trace) =
                recurrence.forward(&weight, Blocks::of_tokens(&projected, n * 7), true);
            let factors_of_states = Blocks::of_tokens(&factors, n * 7);
            let found = recurrence.backward(&weight, trace, &factors_of_states).to_tokens();
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
