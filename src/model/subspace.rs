//! Minimising `½‖w‖² + Σ cᵢ lossᵢ(X w + b)` in as few passes over X as possible.
//!
//! Every gradient lies in the span of the rows of X, so the search never leaves it: the weights
//! are `w = Xᵀα`, a new direction is the gradient `Xᵀγ`, `γ = α + r`, and one product `X Xᵀγ`
//! tells all that any combination of directions does to the margins. Each round adds one direction
//! and then minimises over all of them and the intercepts by Newton's method in a handful of
//! dimensions: no step length is searched for, no second pass needed. This is sequential subspace
//! optimisation (Narkiss and Zibulevsky, 2005) in the coordinates of the representer theorem.
//! Sums run over fixed blocks, so that nothing depends on the number of threads.

use rayon::prelude::*;

use super::{cholesky, design::Design, loss::Loss};
use crate::error::Result;

/// Elements that are summed together.
const BLOCK: usize = 1 << 13;
/// Newton steps in one subspace, at most; one or two are the rule.
const MAX_NEWTON_STEPS: usize = 30;
/// How far a subspace's gradient is brought down, relative to the new direction's.
const SUBSPACE_TOLERANCE: f64 = 0.02;

/// What is to be minimised, and when to stop.
pub(super) struct Problem<'a> {
    /// X.
    pub(super) design: Design<'a>,
    /// The losses of the margins.
    pub(super) loss: Loss<'a>,
    /// No gradient element may exceed this.
    pub(super) tolerance: f64,
    /// Rounds, at most.
    pub(super) max_rounds: usize,
    /// Directions that are kept, at most; at least 4.
    pub(super) max_directions: usize,
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minimum {
    /// `[n_features, n_outputs]`, row-major.
    pub(super) coefficients: Vec<f64>,
    /// One an output.
    pub(super) intercepts: Vec<f64>,
    /// Directions that were added.
    pub(super) n_rounds: usize,
    /// Whether the tolerance was reached.
    pub(super) has_converged: bool,
    /// The function's value.
    pub(super) objective: f64,
    /// The largest absolute gradient element.
    pub(super) gradient: f64,
}

impl Problem<'_> {
    /// Searches from zero. `on_round` hears the objective and the largest gradient element of
    /// every round and may stop the search.
    ///
    /// # Errors
    /// What `on_round` returns.
    pub(super) fn minimise(
        &self,
        on_round: &mut dyn FnMut(usize, f64, f64) -> Result<()>,
    ) -> Result<Minimum> {
        let n_outputs = self.loss.n_outputs();
        let mut point = Point {
            coordinates: Vec::new(),
            intercepts: vec![0.0; n_outputs],
            margins: vec![0.0; self.design.n_rows() * n_outputs],
        };
        let mut subspace = Subspace::default();
        let mut state = self.loss.evaluate(&point.margins);
        // Only the intercepts, to begin with: the first direction then knows the classes' shares.
        self.minimise_within(&subspace, &mut point, &mut state, 0.0);
        let mut before = Vec::new();
        let mut n_rounds = 0;
        loop {
            let alpha = subspace.combine(&point.coordinates, |direction| &direction.gamma);
            let mut gamma = state.residuals.clone();
            add_scaled(&mut gamma, 1.0, &alpha);
            let (margins, largest) = self.design.gram_product(&gamma);
            let gradient = self
                .loss
                .intercept_gradient(&state)
                .iter()
                .fold(largest, |most, element| most.max(element.abs()));
            let objective = state.loss + subspace.penalty(&point.coordinates);
            on_round(n_rounds, objective, gradient)?;
            let has_converged = gradient <= self.tolerance;
            let is_over = has_converged || n_rounds >= self.max_rounds;
            if !is_over && subspace.directions.len() == self.max_directions {
                subspace.condense(&mut point.coordinates, &before);
            }
            // A direction that is numerically not new means that rounding forbids to go on.
            let length = match is_over {
                true => None,
                false => subspace.push(Direction { gamma, margins }),
            };
            let Some(length) = length else {
                return Ok(Minimum {
                    coefficients: self.design.transposed_product(&alpha),
                    intercepts: point.intercepts,
                    n_rounds,
                    has_converged,
                    objective,
                    gradient,
                });
            };
            before.clone_from(&point.coordinates);
            point.coordinates.push(0.0);
            self.minimise_within(&subspace, &mut point, &mut state, length);
            n_rounds += 1;
        }
    }

    /// Newton's method over the subspace's coordinates and the intercepts, until the gradient
    /// there is small against `length`, the gradient's that became the newest direction.
    fn minimise_within(
        &self,
        subspace: &Subspace,
        point: &mut Point,
        state: &mut super::loss::State,
        length: f64,
    ) {
        let n_directions = subspace.directions.len();
        let margins: Vec<&[f64]> =
            subspace.directions.iter().map(|direction| direction.margins.as_slice()).collect();
        let mut objective = state.loss + subspace.penalty(&point.coordinates);
        let mut threshold = SUBSPACE_TOLERANCE * length;
        for _ in 0..MAX_NEWTON_STEPS {
            let mut gradient: Vec<f64> =
                margins.par_iter().map(|margins| dot(margins, &state.residuals)).collect();
            for (element, penalty) in gradient.iter_mut().zip(subspace.pull(&point.coordinates)) {
                *element += penalty;
            }
            gradient.extend(self.loss.intercept_gradient(state));
            let norm = gradient.iter().map(|element| element * element).sum::<f64>().sqrt();
            if threshold == 0.0 {
                threshold = SUBSPACE_TOLERANCE * norm;
            }
            if norm <= threshold || norm == 0.0 {
                return;
            }
            let mut hessian = self.loss.curvature(state, &margins);
            let size = gradient.len();
            for row in 0..n_directions {
                for column in 0..n_directions {
                    hessian[row * size + column] += subspace.gram[row][column];
                }
            }
            let Some(step) = cholesky::solve(hessian, &gradient) else { return };
            let descent: f64 = step.iter().zip(&gradient).map(|(one, other)| one * other).sum();
            let change = point.change(subspace, &step);
            // The full step nearly always decreases the function; halving is the safety net.
            let mut share = -1.0;
            let accepted = loop {
                let mut next = point.clone();
                next.advance(share, &step, &change);
                let next_state = self.loss.evaluate(&next.margins);
                let next_objective = next_state.loss + subspace.penalty(&next.coordinates);
                if next_objective <= objective + 1e-4 * share * descent {
                    break Some((next, next_state, next_objective));
                }
                share /= 2.0;
                if share > -1e-6 {
                    break None;
                }
            };
            // Rounding hides any further decrease.
            let Some((next, next_state, next_objective)) = accepted else { return };
            (*point, *state, objective) = (next, next_state, next_objective);
        }
    }
}

/// A point of the search: `w = Σ coordinate · direction`.
#[derive(Clone)]
struct Point {
    coordinates: Vec<f64>,
    intercepts: Vec<f64>,
    /// `X w + b`: `[n_rows, n_outputs]`.
    margins: Vec<f64>,
}

impl Point {
    /// What `step`, coordinates before intercepts, does to the margins.
    fn change(&self, subspace: &Subspace, step: &[f64]) -> Vec<f64> {
        let (coordinates, intercepts) = step.split_at(subspace.directions.len());
        let mut change = subspace.combine(coordinates, |direction| &direction.margins);
        change.resize(self.margins.len(), 0.0);
        for row in change.chunks_exact_mut(intercepts.len()) {
            row.iter_mut().zip(intercepts).for_each(|(margin, intercept)| *margin += intercept);
        }
        change
    }

    fn advance(&mut self, share: f64, step: &[f64], change: &[f64]) {
        let elements = self.coordinates.iter_mut().chain(&mut self.intercepts);
        elements.zip(step).for_each(|(element, step)| *element += share * step);
        add_scaled(&mut self.margins, share, change);
    }
}

/// A direction `Xᵀγ` of length 1, and `X Xᵀγ`, what it does to the margins.
struct Direction {
    gamma: Vec<f64>,
    margins: Vec<f64>,
}

/// The directions and their scalar products, which rounding keeps from being exactly 0 and 1.
#[derive(Default)]
struct Subspace {
    directions: Vec<Direction>,
    gram: Vec<Vec<f64>>,
}

impl Subspace {
    /// Makes `direction` orthogonal to the others and adds it. Returns the length it had, or
    /// `None` if nothing of it is new.
    fn push(&mut self, mut direction: Direction) -> Option<f64> {
        let length = dot(&direction.gamma, &direction.margins).max(0.0).sqrt();
        // Twice is enough (Kahan and Parlett): the second time removes the first one's rounding.
        for _ in 0..2 {
            for other in &self.directions {
                let share = -dot(&direction.gamma, &other.margins);
                add_scaled(&mut direction.gamma, share, &other.gamma);
                add_scaled(&mut direction.margins, share, &other.margins);
            }
        }
        let rest = dot(&direction.gamma, &direction.margins).max(0.0).sqrt();
        if rest.is_nan() || rest <= 1e-10 * length {
            return None;
        }
        let scale = rest.recip();
        direction.gamma.iter_mut().for_each(|element| *element *= scale);
        direction.margins.iter_mut().for_each(|element| *element *= scale);
        let mut products: Vec<f64> =
            self.directions.iter().map(|other| dot(&direction.gamma, &other.margins)).collect();
        for (row, product) in self.gram.iter_mut().zip(&products) {
            row.push(*product);
        }
        products.push(dot(&direction.gamma, &direction.margins));
        self.gram.push(products);
        self.directions.push(direction);
        Some(length)
    }

    /// Replaces all directions by two, the point itself and the last step, as conjugate gradients
    /// do: what the others still had to give is mostly in these.
    fn condense(&mut self, coordinates: &mut Vec<f64>, before: &[f64]) {
        let step: Vec<f64> = coordinates
            .iter()
            .enumerate()
            .map(|(idx, coordinate)| coordinate - before.get(idx).unwrap_or(&0.0))
            .collect();
        let mut condensed = Self::default();
        let mut lengths = Vec::new();
        for coordinates in [&*coordinates, &step] {
            let length = condensed.push(Direction {
                gamma: self.combine(coordinates, |direction| &direction.gamma),
                margins: self.combine(coordinates, |direction| &direction.margins),
            });
            lengths.extend(length);
        }
        *coordinates = vec![0.0; condensed.directions.len()];
        if let (Some(first), Some(length)) = (coordinates.first_mut(), lengths.first()) {
            *first = *length;
        }
        *self = condensed;
    }

    /// `½ ‖w‖²`.
    fn penalty(&self, coordinates: &[f64]) -> f64 {
        let pull = self.pull(coordinates);
        coordinates.iter().zip(pull).map(|(coordinate, pull)| 0.5 * coordinate * pull).sum()
    }

    /// The penalty's gradient.
    fn pull(&self, coordinates: &[f64]) -> Vec<f64> {
        let row_product = |row: &Vec<f64>| row.iter().zip(coordinates).map(|(a, b)| a * b).sum();
        self.gram.iter().map(row_product).collect()
    }

    /// `Σ coordinate · part(direction)`; empty without directions.
    fn combine(&self, coordinates: &[f64], part: impl Fn(&Direction) -> &Vec<f64>) -> Vec<f64> {
        let mut sum = vec![0.0; self.directions.first().map_or(0, |first| part(first).len())];
        for (direction, coordinate) in self.directions.iter().zip(coordinates) {
            add_scaled(&mut sum, *coordinate, part(direction));
        }
        sum
    }
}

/// `sum += factor · addend`.
fn add_scaled(sum: &mut [f64], factor: f64, addend: &[f64]) {
    sum.par_chunks_mut(BLOCK).zip(addend.par_chunks(BLOCK)).for_each(|(sum, addend)| {
        sum.iter_mut().zip(addend).for_each(|(sum, addend)| *sum += factor * addend);
    });
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    let blocks: Vec<f64> = one
        .par_chunks(BLOCK)
        .zip(other.par_chunks(BLOCK))
        .map(|(one, other)| super::loss::dot_block(one, other))
        .collect();
    blocks.iter().sum()
}
