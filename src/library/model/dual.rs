//! The best lower bound of the minimum that a search has seen, which costs no product with X.
//!
//! With `−ρ` as the dual variables and q as the probabilities that ρ stands for, the duality gap at
//! the weights w is `½ ‖w + Xᵀρ‖² + Σ cᵢ KL(qᵢ‖pᵢ)`. At a point's own residuals it is half the
//! gradient's squared length. Every other convex combination of residuals is a dual point too, and
//! what X does to it is known where it is known of each: as the smoothed residuals of conjugate
//! gradients are shorter than their own (Schönauer; Zhou and Walker, 1994), so is the gap smaller.

use super::{
    directions::{SearchDirection, add_scaled, dot},
    loss::{Loss, PointLosses},
};

/// The distance by which rounding moves a sum of products, in terms of the products of what they
/// came from.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// A convex combination ρ of the residuals that a search has passed, and `X Xᵀρ`. Empty, it is
/// infinitely far from every point.
#[derive(Default)]
pub(super) struct Dual {
    residuals: Vec<f64>,
    products: Vec<f64>,
}

/// The two parts of the distance between a point and a dual one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    /// `‖w + Xᵀρ‖²`, at most.
    pub(super) square: f64,
    /// `Σ cᵢ KL(qᵢ‖pᵢ)`, at most.
    pub(super) divergence: f64,
}

impl Gap {
    const UNKNOWN: Self = Self { square: f64::INFINITY, divergence: f64::INFINITY };
}

impl Default for Gap {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl Dual {
    /// The point's own residuals. The point's gradient is `gradient`, of the weights' alone;
    /// `pulls` are X w, the margins without the intercepts.
    pub(super) fn new(gradient: &SearchDirection, pulls: &[f64], state: &PointLosses) -> Self {
        let mut products = gradient.margins.clone();
        add_scaled(&mut products, -1.0, pulls);
        Self { residuals: state.residuals.clone(), products }
    }

    /// The duality gap at the point whose gradient is `Xᵀ gamma`. The intercepts' condition, that
    /// residuals sum to zero, is left to the caller.
    pub(super) fn gap(
        &self,
        gamma: &[f64],
        pulls: &[f64],
        loss: &Loss<'_>,
        state: &PointLosses,
    ) -> Gap {
        if self.residuals.is_empty() {
            return Gap::UNKNOWN;
        }
        let mut change = self.residuals.clone();
        add_scaled(&mut change, -1.0, &state.residuals);
        let divergence = loss.divergence(state, &change);
        // ρ plus the α of the weights is the gradient's γ plus the change.
        add_scaled(&mut change, 1.0, gamma);
        let mut products = self.products.clone();
        add_scaled(&mut products, 1.0, pulls);
        let square = dot(&change, &products).max(0.0);
        Gap { square: square + rounding(&change, &self.products, pulls), divergence }
    }

    /// The dual point between this one and the point's `own` where the duality gap at the point is
    /// smallest, and that gap. `divergence` is [`Dual::gap`]'s, `square` the gradient's squared
    /// length.
    pub(super) fn mixed(
        mut self,
        own: &Self,
        gradient: &SearchDirection,
        (square, divergence): (f64, f64),
        loss: &Loss<'_>,
        state: &PointLosses,
    ) -> (Self, Gap) {
        if self.residuals.is_empty() {
            return (self, Gap::UNKNOWN);
        }
        add_scaled(&mut self.residuals, -1.0, &own.residuals);
        let rounding = rounding(&self.residuals, &self.products, &own.products);
        add_scaled(&mut self.products, -1.0, &own.products);
        let slope = dot(&self.residuals, &gradient.margins);
        let bend = dot(&self.residuals, &self.products);
        // The divergence grows with the square of the share, or nearly so.
        let share = (-slope / (bend + 2.0 * divergence)).clamp(0.0, 1.0);
        self.residuals.iter_mut().for_each(|element| *element *= share);
        let gap = Gap {
            square: (square + share * (2.0 * slope + share * bend)).max(0.0) + 3.0 * rounding,
            divergence: loss.divergence(state, &self.residuals),
        };
        add_scaled(&mut self.residuals, 1.0, &own.residuals);
        self.products.iter_mut().for_each(|element| *element *= share);
        add_scaled(&mut self.products, 1.0, &own.products);
        (self, gap)
    }

    /// ρ's sum over the examples, for each output.
    pub(super) fn sums(&self, loss: &Loss<'_>) -> Vec<f64> {
        loss.by_output(&self.residuals)
    }
}

/// The distance by which rounding may move the scalar product of `one` and a difference of
/// `minuend` and `subtrahend`: close to the minimum, large numbers have a small sum.
fn rounding(one: &[f64], minuend: &[f64], subtrahend: &[f64]) -> f64 {
    let sizes = minuend.iter().zip(subtrahend).map(|(one, other)| one.abs() + other.abs());
    ROUNDING * one.iter().zip(sizes).map(|(one, size)| one.abs() * size).sum::<f64>()
}
