//! Newton's method in a handful of dimensions: minimising `½‖w‖² + Σ cᵢ lossᵢ(X w + b)` over the weights
//! that known directions span, and the intercepts. It knows nothing of X but what it does to them.

use super::{
    cholesky,
    directions::{Point, Subspace, add_scaled, product},
    loss::{Loss, PointLosses},
};

/// Newton steps in one subspace, at most; one or two are the rule.
const MAX_NEWTON_STEPS: usize = 30;

/// Newton's method over the subspace's coordinates and the intercepts, until the gradient
/// there is no longer than `threshold`, or next to nothing of the first where that is 0. The
/// point's weights are `Xᵀ alpha`. Returns the number of steps.
pub(super) fn minimise_within(
    loss: &Loss<'_>,
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
    let mut gradient = start.gradient(subspace, loss, point, state);
    for n_steps in 0..MAX_NEWTON_STEPS {
        let norm = product(&gradient, &gradient).sqrt();
        if threshold == 0.0 {
            threshold = 1e-8 * norm;
        }
        if norm <= threshold || norm == 0.0 {
            return n_steps;
        }
        let mut hessian = loss.curvature(state, &margins);
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
            let next_state = loss.evaluate(&next.margins);
            let next_objective = next_state.loss + next.penalty;
            let next_gradient = start.gradient(subspace, loss, &next, &next_state);
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
