//! Minimising `½‖w‖² + Σ cᵢ lossᵢ(X w + b)` in as few passes over X as possible.
//!
//! Every gradient lies in the span of the rows of X, so the search never leaves it: the weights
//! are `w = Xᵀα`, a new direction is the gradient `Xᵀγ`, `γ = α + r`, and one product `X Xᵀγ`
//! tells all that any combination of directions does to the margins. Each round adds one direction
//! and then minimises over all of them and the intercepts by Newton's method in a handful of
//! dimensions: no step length is searched for, no second pass needed. This is sequential subspace
//! optimisation (Narkiss and Zibulevsky, 2005) in the coordinates of the representer theorem.
//! Sums run over fixed blocks, so that nothing depends on the number of threads.
//!
//! The search ends by what users see, the probabilities. The duality gap says how far above its
//! minimum the function is at most, whatever the data and C: [`super::dual`] has the best dual
//! point of all rounds. What the last step did to the margins per unit of the same measure, the
//! function's own curvature, makes an error of the probabilities of it. The gap is known before a
//! round's product, from the rounds before, and often ends the search without it.

use super::{
    cholesky,
    design::Design,
    directions::{Point, SearchDirection, Subspace, add_scaled, product},
    dual::{Dual, Gap},
    loss::{Loss, PointLosses},
};
use crate::error::Result;

/// Newton steps in one subspace, at most; one or two are the rule.
const MAX_NEWTON_STEPS: usize = 30;
/// The level to which a subspace's gradient is brought down, relative to the new direction's.
const SUBSPACE_TOLERANCE: f64 = 0.05;
/// Rounds without a lower function or a smaller gradient, at most.
const MAX_IDLE_ROUNDS: usize = 20;
/// A probability changes by at most so much of its margin's change: the sigmoid's steepest slope.
const STEEPEST_SLOPE: f64 = 0.25;
/// Dual points are mixed from the first round whose error is this many tolerances at most: older
/// ones add little.
const NEARLY: f64 = 1000.0;
/// The distance by which a unit of error moves a margin at most, where no step has shown it yet:
/// rows of length 1 move by 1, the intercept by as much.
const FIRST_REACH: f64 = 2.0;

/// The function to minimise, and the tolerance at which to stop.
pub(super) struct Problem<'a> {
    /// X.
    pub(super) design: Design<'a>,
    /// The losses of the margins.
    pub(super) loss: Loss<'a>,
    /// No probability may be farther from the minimum's.
    pub(super) tolerance: f64,
    /// Rounds, at most.
    pub(super) max_rounds: usize,
    /// Directions that are kept, at most; at least 4.
    pub(super) max_directions: usize,
}

/// The point where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minimum {
    /// `[n_features, n_outputs]`, row-major.
    pub(super) coefficients: Vec<f64>,
    /// One an output.
    pub(super) intercepts: Vec<f64>,
    /// Rounds that were needed.
    pub(super) n_rounds: usize,
    /// True if the tolerance was reached.
    pub(super) has_converged: bool,
    /// The function's value.
    pub(super) objective: f64,
    /// The length of the gradient by the weights, at the end or one step before.
    pub(super) gradient: f64,
    /// The distance that a probability may have from the minimum's, 1 at most.
    pub(super) error: f64,
}

impl Problem<'_> {
    /// Searches from zero. `on_round` hears the objective and the probabilities' error of every
    /// round and may stop the search.
    ///
    /// # Errors
    /// Those of `on_round`.
    pub(super) fn minimise(
        &self,
        on_round: &mut dyn FnMut(usize, f64, f64) -> Result<()>,
    ) -> Result<Minimum> {
        let n_outputs = self.loss.n_outputs();
        let mut point = Point {
            coordinates: Vec::new(),
            intercepts: vec![0.0; n_outputs],
            penalty: 0.0,
            margins: vec![0.0; self.design.n_rows() * n_outputs],
        };
        let mut subspace = Subspace::default();
        let mut state = self.loss.evaluate(&point.margins);
        // Only the intercepts, to begin with: the first direction then knows the classes' shares.
        self.minimise_within(&subspace, &mut point, &mut state, &[], 0.0);
        let (mut last_step, mut last_reach) = (Vec::new(), FIRST_REACH);
        let (mut dual, mut length, mut is_near) = (Dual::default(), f64::NAN, false);
        let mut n_rounds = 0;
        let mut is_stuck = false;
        // The lowest values when something was gained, and the rounds since.
        let (mut lowest, mut smallest, mut n_idle) = (f64::INFINITY, f64::INFINITY, 0);
        loop {
            // In the pool, whose threads then need not be woken for every sum.
            let Look { alpha, by_intercept, gradient, gap, error } =
                rayon::scope(|_| self.look(&subspace, &point, &state, &mut dual, last_reach));
            is_near |= error <= NEARLY * self.tolerance;
            if !is_near {
                dual = Dual::default();
            }
            let objective = state.loss + point.penalty;
            on_round(n_rounds, objective, error)?;
            // Rounding forbids to go on.
            n_idle += 1;
            if objective < lowest - 1e-14 * lowest.abs() || gap < 0.9 * smallest {
                n_idle = 0;
                smallest = smallest.min(gap);
            }
            lowest = lowest.min(objective);
            is_stuck |= n_idle > MAX_IDLE_ROUNDS;
            let has_converged = error <= self.tolerance;
            length = gradient.as_ref().map_or(length, |(_, length)| *length);
            let is_last = has_converged || is_stuck || n_rounds >= self.max_rounds;
            let Some((gradient, _)) = gradient.filter(|_| !is_last) else {
                return Ok(Minimum {
                    coefficients: self.design.transposed_product(&alpha),
                    intercepts: point.intercepts,
                    n_rounds,
                    has_converged,
                    objective,
                    gradient: length,
                    error,
                });
            };
            let pull = length.hypot(product(&by_intercept, &by_intercept).sqrt());
            rayon::scope(|_| {
                if subspace.directions.len() == self.max_directions {
                    subspace.merge_oldest(&mut point.coordinates, &last_step);
                }
                // A gradient of old directions only asks for a closer search among these.
                if subspace.push(gradient) {
                    point.coordinates.push(0.0);
                }
                let before = point.clone();
                let threshold = SUBSPACE_TOLERANCE * pull;
                let n_steps =
                    self.minimise_within(&subspace, &mut point, &mut state, &alpha, threshold);
                is_stuck = n_steps == 0;
                let margins;
                (last_step, margins) = point.step_from(&before);
                let square = product(&last_step, &subspace.gram_product(&last_step));
                last_reach = self.reach(&margins, square, &state).unwrap_or(last_reach);
            });
            n_rounds += 1;
        }
    }

    /// The distance of the point from the minimum. The dual point of the rounds before may show
    /// that it is close enough; only if it does not, a product with X is needed.
    fn look(
        &self,
        subspace: &Subspace,
        point: &Point,
        state: &PointLosses,
        dual: &mut Dual,
        last_reach: f64,
    ) -> Look {
        let mut alpha = vec![0.0; point.margins.len()];
        subspace.add_combined(&mut alpha, &point.coordinates, |direction| &direction.gamma);
        let mut gamma = state.residuals.clone();
        add_scaled(&mut gamma, 1.0, &alpha);
        let by_intercept = self.loss.intercept_gradient(state);
        let curvature = self.loss.intercept_curvature(state);
        let intercepts = (by_intercept.as_slice(), curvature.as_slice());
        let pulls = point.pulls();
        let gap = dual.gap(&gamma, &pulls, &self.loss, state);
        let excess = self.excess(gap, dual, intercepts);
        let error = excess.error(last_reach);
        if error <= self.tolerance {
            return Look { alpha, by_intercept, gradient: None, gap: excess.gap, error };
        }
        let (margins, square) = self.design.gram_product(&gamma);
        // The last step tells of the past, the gradient of the future.
        let next_reach = self.reach(&margins, square, state).unwrap_or(0.0);
        let gradient = SearchDirection { gamma, margins };
        let own = Dual::new(&gradient, &pulls, state);
        let alone = Gap { square, divergence: 0.0 };
        let mut excess = self.excess(alone, &own, intercepts);
        let parts = (square, gap.divergence);
        let (mixed, gap) = std::mem::take(dual).mixed(&own, &gradient, parts, &self.loss, state);
        let mixed_excess = self.excess(gap, &mixed, intercepts);
        *dual = own;
        if mixed_excess.gap < excess.gap {
            (*dual, excess) = (mixed, mixed_excess);
        }
        let error = excess.error(last_reach.max(next_reach)).min(1.0);
        let gradient = Some((gradient, square.sqrt()));
        Look { alpha, by_intercept, gradient, gap: excess.gap, error }
    }

    /// An upper bound of the point's distance from the minimum, by its distance `gap` from `dual`.
    /// The sum that the dual variables lack to be zero is shared out by the curvature,
    /// `cᵢ pᵢ (1 − pᵢ)`, and moves their weights by a row's length, 1, at most. Takes the function's
    /// first and second derivatives by the intercepts.
    fn excess(&self, gap: Gap, dual: &Dual, (own, curvature): (&[f64], &[f64])) -> Excess {
        let mut excess = Excess { gap: gap.divergence, shift: 0.0 };
        let mut missing = 0.0;
        let sums = dual.sums(&self.loss);
        for ((sum, own), curvature) in sums.iter().zip(own).zip(curvature) {
            let over = |element: f64| if element > 0.0 { element / curvature } else { 0.0 };
            missing += sum.abs();
            // The divergence of both changes together: to the dual point, and from there.
            excess.gap += over(sum.abs() * (0.5 * sum.abs() + (sum - own).abs()));
            excess.shift += over(own.abs());
        }
        excess.gap += 0.5 * (gap.square.sqrt() + missing).powi(2);
        excess
    }

    /// The largest element of a step's `margins` (with several outputs, the largest difference
    /// between two of a row) where the step's length in the function's own curvature is 1. Its
    /// weights have the squared length `square`. `None` if there is no step.
    fn reach(&self, margins: &[f64], square: f64, state: &PointLosses) -> Option<f64> {
        let largest = margins.chunks_exact(self.loss.n_outputs()).fold(0.0f64, |most, row| {
            let (low, high) = match row {
                [single] => (0.0, *single),
                _ => row.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), element| {
                    (low.min(*element), high.max(*element))
                }),
            };
            most.max((high - low).abs())
        });
        let reach = largest / (square + self.loss.bend_square(state, margins)).sqrt();
        reach.is_finite().then_some(reach)
    }

    /// Newton's method over the subspace's coordinates and the intercepts, until the gradient
    /// there is no longer than `threshold`, or next to nothing of the first where that is 0. The
    /// point's weights are `Xᵀ alpha`. Returns the number of steps.
    fn minimise_within(
        &self,
        subspace: &Subspace,
        point: &mut Point,
        state: &mut PointLosses,
        alpha: &[f64],
        mut threshold: f64,
    ) -> usize {
        let start = SearchStart::new(subspace, point, state, alpha);
        let n_directions = subspace.directions.len();
        let margins: Vec<&[f64]> =
            subspace.directions.iter().map(|direction| direction.margins.as_slice()).collect();
        let mut gradient = start.gradient(subspace, &self.loss, point, state);
        for n_steps in 0..MAX_NEWTON_STEPS {
            let norm = product(&gradient, &gradient).sqrt();
            if threshold == 0.0 {
                threshold = 1e-8 * norm;
            }
            if norm <= threshold || norm == 0.0 {
                return n_steps;
            }
            let mut hessian = self.loss.curvature(state, &margins);
            let size = gradient.len();
            for row in 0..n_directions {
                for column in 0..n_directions {
                    hessian[row * size + column] += subspace.gram[row][column];
                }
            }
            let Some(step) = cholesky::solve(hessian, &gradient) else { return n_steps };
            let descent = product(&step, &gradient);
            let change = point.change(subspace, &step);
            let objective = state.loss + point.penalty;
            // The full step nearly always decreases the function; halving is the safety net.
            let mut share = -1.0;
            let accepted = loop {
                let mut next = point.clone();
                next.advance(share, &step, &change);
                next.penalty = start.penalty(subspace, &next.coordinates);
                let next_state = self.loss.evaluate(&next.margins);
                let next_objective = next_state.loss + next.penalty;
                let next_gradient = start.gradient(subspace, &self.loss, &next, &next_state);
                // Close to the minimum the decrease drowns in rounding; the gradient still tells.
                let is_lower = next_objective <= objective + 1e-4 * share * descent
                    || (next_objective <= objective + 1e-13 * objective.abs()
                        && product(&next_gradient, &next_gradient).sqrt() < 0.9 * norm);
                if is_lower {
                    break Some((next, next_state, next_gradient));
                }
                share /= 2.0;
                if share > -1e-6 {
                    break None;
                }
            };
            let Some(accepted) = accepted else { return n_steps };
            (*point, *state, gradient) = accepted;
        }
        MAX_NEWTON_STEPS
    }
}

/// The beginning of a round.
struct Look {
    /// The weights are `Xᵀ alpha`.
    alpha: Vec<f64>,
    /// The gradient by the intercepts.
    by_intercept: Vec<f64>,
    /// The gradient by the weights and its length, unless the search ends without it.
    gradient: Option<(SearchDirection, f64)>,
    /// The height of the function above its minimum, at most.
    gap: f64,
    /// The distance that a probability may have from the minimum's, 1 at most.
    error: f64,
}

/// The distance of a point from the minimum.
struct Excess {
    /// Of the function's value: the duality gap.
    gap: f64,
    /// Of the intercepts, as long as the weights stay.
    shift: f64,
}

impl Excess {
    /// Of a probability.
    fn error(&self, reach: f64) -> f64 {
        STEEPEST_SLOPE * (reach * (2.0 * self.gap).sqrt() + self.shift)
    }
}

/// The start of a search within a subspace. Changes are added to what is known here: close to the
/// minimum, penalty and losses pull with forces that are much larger than their sum.
struct SearchStart {
    coordinates: Vec<f64>,
    penalty: f64,
    /// The weights' and the gradient's scalar products with each direction.
    weights: Vec<f64>,
    gradient: Vec<f64>,
    residuals: Vec<f64>,
}

impl SearchStart {
    fn new(subspace: &Subspace, point: &Point, state: &PointLosses, alpha: &[f64]) -> Self {
        let mut gamma = state.residuals.clone();
        if !alpha.is_empty() {
            add_scaled(&mut gamma, 1.0, alpha);
        }
        Self {
            coordinates: point.coordinates.clone(),
            penalty: point.penalty,
            weights: subspace.along(alpha),
            gradient: subspace.along(&gamma),
            residuals: state.residuals.clone(),
        }
    }

    fn step_to(&self, coordinates: &[f64]) -> Vec<f64> {
        coordinates.iter().zip(&self.coordinates).map(|(end, start)| end - start).collect()
    }

    /// `½ ‖w‖²` at these coordinates.
    fn penalty(&self, subspace: &Subspace, coordinates: &[f64]) -> f64 {
        let step = self.step_to(coordinates);
        self.penalty
            + product(&self.weights, &step)
            + 0.5 * product(&step, &subspace.gram_product(&step))
    }

    /// The derivatives by the subspace's coordinates, then by the intercepts.
    fn gradient(
        &self,
        subspace: &Subspace,
        loss: &Loss<'_>,
        point: &Point,
        state: &PointLosses,
    ) -> Vec<f64> {
        let mut change = state.residuals.clone();
        add_scaled(&mut change, -1.0, &self.residuals);
        let mut gradient = subspace.along(&change);
        let pull = subspace.gram_product(&self.step_to(&point.coordinates));
        for (element, (start, pull)) in gradient.iter_mut().zip(self.gradient.iter().zip(pull)) {
            *element += start + pull;
        }
        gradient.extend(loss.intercept_gradient(state));
        gradient
    }
}

#[cfg(test)]
mod tests;
