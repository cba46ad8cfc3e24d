//! Minimising `½‖w‖² + Σ cᵢ lossᵢ(X w + b)` in as few passes over X as possible.
//!
//! Every gradient lies in the span of the rows of X, so the search never leaves it: the weights
//! are `w = Xᵀα`, a new direction is the gradient `Xᵀγ`, `γ = α + r`, and one product `X Xᵀγ`
//! tells all that any combination of directions does to the margins. Each round adds one direction
//! and then minimises over all of them and the intercepts by Newton's method in a handful of
//! dimensions: no step length is searched for, no second pass needed. This is sequential subspace
//! optimisation (Narkiss and Zibulevsky, 2005) in the coordinates of the representer theorem.
//! Sums run over fixed blocks, so that nothing depends on the number of threads. Several functions of
//! one X, which differ by their c, are minimised side by side: one pass over X serves them all, and each
//! takes the steps that it would take alone.
//!
//! The search ends by what users see, the probabilities. The duality gap says how far above its
//! minimum the function is at most, whatever the data and C: [`super::dual`] has the best dual
//! point of all rounds. What the last step did to the margins per unit of the same measure, the
//! function's own curvature, makes an error of the probabilities of it. The gap is known before a
//! round's product, from the rounds before, and often ends the search without it.

use rayon::prelude::*;

use super::{
    design::Design,
    directions::{Point, SearchDirection, Subspace, add_scaled, product},
    dual::{Dual, Gap},
    loss::{Loss, PointLosses},
    newton::minimise_within,
};
use crate::error::Result;

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

/// A function to minimise, and the tolerance at which to stop.
pub(super) struct Problem<'a> {
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

/// Minimises each of `problems`, whose X is `design`, searching from zero. `on_round` hears the problem's
/// index, the number of the round, the objective and the probabilities' error of each round, and may
/// stop all searches.
///
/// # Errors
/// Those of `on_round`.
pub(super) fn minimise_together(
    design: &Design<'_>,
    problems: &[Problem<'_>],
    on_round: &mut dyn FnMut(usize, usize, f64, f64) -> Result<()>,
) -> Result<Vec<Minimum>> {
    let n_rows = design.n_rows();
    let mut searches: Vec<MinimumSearch<'_>> =
        problems.par_iter().map(|problem| MinimumSearch::new(problem, n_rows)).collect();
    loop {
        // In the pool, whose threads then need not be woken for every sum.
        rayon::scope(|_| look(design, &mut searches));
        for (idx, search) in searches.iter_mut().enumerate().filter(|(_, search)| !search.is_over) {
            on_round(idx, search.n_rounds, search.look.objective, search.look.error)?;
            search.judge();
        }
        if searches.iter().all(|search| search.is_over) {
            break;
        }
        searches.par_iter_mut().filter(|search| !search.is_over).for_each(MinimumSearch::advance);
    }
    let alphas: Vec<&[f64]> = searches.iter().map(|search| search.look.alpha.as_slice()).collect();
    let coefficients = design.transposed_products(&alphas);
    Ok(searches.iter().zip(coefficients).map(|(search, own)| search.minimum(own)).collect())
}

/// The distance of each point from its minimum, where the search is not over. The dual point of the
/// rounds before may show that it is close enough; only where it does not, a product with X is needed.
fn look(design: &Design<'_>, searches: &mut [MinimumSearch<'_>]) {
    let mut searches: Vec<&mut MinimumSearch<'_>> =
        searches.iter_mut().filter(|search| !search.is_over).collect();
    searches.par_iter_mut().for_each(|search| search.look_back());
    let mut far: Vec<&mut MinimumSearch<'_>> = searches
        .into_iter()
        .filter(|search| search.look.error > search.problem.tolerance)
        .collect();
    let gammas: Vec<&[f64]> = far.iter().map(|search| search.look.gamma.as_slice()).collect();
    let products = design.gram_products(&gammas);
    far.par_iter_mut().zip(products).for_each(|(search, product)| search.look_ahead(product));
}

/// The search of one problem's minimum.
struct MinimumSearch<'a> {
    problem: &'a Problem<'a>,
    subspace: Subspace,
    point: Point,
    state: PointLosses,
    dual: Dual,
    look: Look,
    /// The last change of the point's coordinates, and its reach.
    last_step: Vec<f64>,
    last_reach: f64,
    /// The length of the gradient by the weights when it was last known.
    length: f64,
    n_rounds: usize,
    is_near: bool,
    is_stuck: bool,
    is_over: bool,
    /// The lowest values when something was gained, and the rounds since.
    lowest: f64,
    smallest: f64,
    n_idle: usize,
}

/// The beginning of a round.
#[derive(Default)]
struct Look {
    /// The weights are `Xᵀ alpha`, their gradient `Xᵀ gamma`.
    alpha: Vec<f64>,
    gamma: Vec<f64>,
    /// The margins without the intercepts.
    pulls: Vec<f64>,
    /// The first and the second derivatives by the intercepts.
    by_intercept: Vec<f64>,
    curvature: Vec<f64>,
    /// The distance of the dual point of the rounds before.
    last_gap: Gap,
    /// The gradient by the weights, unless the search ends without it.
    gradient: Option<SearchDirection>,
    /// The function's value.
    objective: f64,
    /// The height of the function above its minimum, at most.
    gap: f64,
    /// The distance that a probability may have from the minimum's, 1 at most.
    error: f64,
}

impl<'a> MinimumSearch<'a> {
    fn new(problem: &'a Problem<'a>, n_rows: usize) -> Self {
        let n_outputs = problem.loss.n_outputs();
        let mut point = Point {
            coordinates: Vec::new(),
            intercepts: vec![0.0; n_outputs],
            penalty: 0.0,
            margins: vec![0.0; n_rows * n_outputs],
        };
        let subspace = Subspace::default();
        let mut state = problem.loss.evaluate(&point.margins);
        // Only the intercepts, to begin with: the first direction then knows the classes' shares.
        minimise_within(&problem.loss, &subspace, &mut point, &mut state, &[], 0.0);
        Self {
            problem,
            subspace,
            point,
            state,
            dual: Dual::default(),
            look: Look::default(),
            last_step: Vec::new(),
            last_reach: FIRST_REACH,
            length: f64::NAN,
            n_rounds: 0,
            is_near: false,
            is_stuck: false,
            is_over: false,
            lowest: f64::INFINITY,
            smallest: f64::INFINITY,
            n_idle: 0,
        }
    }

    /// What the rounds before tell of the point.
    fn look_back(&mut self) {
        let Self { problem, subspace, point, state, dual, .. } = self;
        let mut alpha = vec![0.0; point.margins.len()];
        subspace.add_combined(&mut alpha, &point.coordinates, |direction| &direction.gamma);
        let mut gamma = state.residuals.clone();
        add_scaled(&mut gamma, 1.0, &alpha);
        let by_intercept = problem.loss.intercept_gradient(state);
        let curvature = problem.loss.intercept_curvature(state);
        let pulls = point.pulls();
        let last_gap = dual.gap(&gamma, &pulls, &problem.loss, state);
        let excess = problem.excess(last_gap, dual, (&by_intercept, &curvature));
        self.look = Look {
            alpha,
            gamma,
            pulls,
            by_intercept,
            curvature,
            last_gap,
            gradient: None,
            objective: state.loss + point.penalty,
            gap: excess.gap,
            error: excess.error(self.last_reach),
        };
    }

    /// What the gradient tells of the point: `X Xᵀ gamma` and the squared length of `Xᵀ gamma`.
    fn look_ahead(&mut self, (margins, square): (Vec<f64>, f64)) {
        let Self { problem, state, look, .. } = self;
        let intercepts = (look.by_intercept.as_slice(), look.curvature.as_slice());
        // The last step tells of the past, the gradient of the future.
        let next_reach = problem.reach(&margins, square, state).unwrap_or(0.0);
        let gradient = SearchDirection { gamma: std::mem::take(&mut look.gamma), margins };
        let own = Dual::new(&gradient, &look.pulls, state);
        let alone = Gap { square, divergence: 0.0 };
        let mut excess = problem.excess(alone, &own, intercepts);
        let parts = (square, look.last_gap.divergence);
        let last = std::mem::take(&mut self.dual);
        let (mixed, gap) = last.mixed(&own, &gradient, parts, &problem.loss, state);
        let mixed_excess = problem.excess(gap, &mixed, intercepts);
        self.dual = own;
        if mixed_excess.gap < excess.gap {
            (self.dual, excess) = (mixed, mixed_excess);
        }
        look.gap = excess.gap;
        look.error = excess.error(self.last_reach.max(next_reach)).min(1.0);
        look.gradient = Some(gradient);
        self.length = square.sqrt();
    }

    /// Decides whether the search is over.
    fn judge(&mut self) {
        let Look { objective, gap, error, .. } = self.look;
        self.is_near |= error <= NEARLY * self.problem.tolerance;
        if !self.is_near {
            self.dual = Dual::default();
        }
        // Rounding forbids to go on.
        self.n_idle += 1;
        if objective < self.lowest - 1e-14 * self.lowest.abs() || gap < 0.9 * self.smallest {
            self.n_idle = 0;
            self.smallest = self.smallest.min(gap);
        }
        self.lowest = self.lowest.min(objective);
        self.is_stuck |= self.n_idle > MAX_IDLE_ROUNDS;
        self.is_over = self.has_converged()
            || self.is_stuck
            || self.n_rounds >= self.problem.max_rounds
            || self.look.gradient.is_none();
    }

    fn has_converged(&self) -> bool {
        self.look.error <= self.problem.tolerance
    }

    /// Adds the gradient to the subspace and goes to the minimum there.
    fn advance(&mut self) {
        let Self { problem, subspace, point, state, look, .. } = self;
        let Some(gradient) = look.gradient.take() else { return };
        let pull = self.length.hypot(product(&look.by_intercept, &look.by_intercept).sqrt());
        if subspace.directions.len() == problem.max_directions {
            subspace.merge_oldest(&mut point.coordinates, &self.last_step);
        }
        // A gradient of old directions only asks for a closer search among these.
        if subspace.push(gradient) {
            point.coordinates.push(0.0);
        }
        let before = point.clone();
        let threshold = SUBSPACE_TOLERANCE * pull;
        let n_steps =
            minimise_within(&problem.loss, subspace, point, state, &look.alpha, threshold);
        self.is_stuck = n_steps == 0;
        let margins;
        (self.last_step, margins) = point.step_from(&before);
        let square = product(&self.last_step, &subspace.gram_product(&self.last_step));
        self.last_reach = problem.reach(&margins, square, state).unwrap_or(self.last_reach);
        self.n_rounds += 1;
    }

    /// The end of the search, where the weights are `coefficients`.
    fn minimum(&self, coefficients: Vec<f64>) -> Minimum {
        Minimum {
            coefficients,
            intercepts: self.point.intercepts.clone(),
            n_rounds: self.n_rounds,
            has_converged: self.has_converged(),
            objective: self.look.objective,
            gradient: self.length,
            error: self.look.error,
        }
    }
}

impl Problem<'_> {
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

#[cfg(test)]
mod tests;
