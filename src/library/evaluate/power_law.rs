//! The inverse power law of learning: what a model gets wrong falls with the number n of examples towards a rest,
//! as `a + b·n^-c` (Cortes and others 1994, "Learning curves: asymptotic values and rate of convergence", NIPS 6;
//! fitted to classifiers of texts, later points weighing more, by Figueroa and others 2012, "Predicting sample size
//! required for classification performance", BMC Medical Informatics and Decision Making 12:8).
//!
//! For a given c the law is linear, so that c alone is searched for (variable projection). A crate for nonlinear
//! least squares would bring a linear algebra of its own for three parameters.

/// Exponents that are tried, evenly on a logarithmic scale between these bounds: below the first a curve is a
/// straight line of log n, above the last it is over after the first point.
const EXPONENTS: (f64, f64) = (0.05, 2.0);
const N_EXPONENTS: usize = 120;

/// `a + b·(n / unit)^-c` with `a` and `b` 0 or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PowerLaw {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) c: f64,
    unit: f64,
}

/// The points of a curve as the law is fitted to them, with what does not change from fit to fit.
pub(super) struct PowerLawFit {
    unit: f64,
    weights: Vec<f64>,
    trials: Vec<Trial>,
}

/// One exponent with `(n / unit)^-c` of each point and its weighted moments.
struct Trial {
    c: f64,
    x: Vec<f64>,
    /// The weight of each point times the distance of its x from the mean.
    pull: Vec<f64>,
    mean: f64,
    /// The weighted square of the distances.
    spread: f64,
}

impl PowerLaw {
    /// The share of errors after `n` examples.
    pub(super) fn at(&self, n: f64) -> f64 {
        self.a + self.b * (n / self.unit).powf(-self.c)
    }
}

impl PowerLawFit {
    /// For points at these numbers of examples, each weighing as much as it has examples: the variance of what is
    /// measured falls with their number.
    pub(super) fn new(n: &[f64]) -> Self {
        let unit = n.last().copied().unwrap_or(1.0);
        let total: f64 = n.iter().sum();
        let weights: Vec<f64> = n.iter().map(|n| n / total).collect();
        let (low, high) = EXPONENTS;
        let trials = (0..N_EXPONENTS).map(|idx| {
            let share = idx as f64 / (N_EXPONENTS - 1) as f64;
            let c = low * (high / low).powf(share);
            let x: Vec<f64> = n.iter().map(|n| (n / unit).powf(-c)).collect();
            let mean: f64 = x.iter().zip(&weights).map(|(x, weight)| weight * x).sum();
            let pull: Vec<f64> =
                x.iter().zip(&weights).map(|(x, weight)| weight * (x - mean)).collect();
            let spread = x.iter().zip(&pull).map(|(x, pull)| pull * x).sum();
            Trial { c, x, pull, mean, spread }
        });
        Self { unit, trials: trials.collect(), weights }
    }

    /// The weight of each point; all of them make 1.
    pub(super) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The law with the least sum of weighted squares.
    pub(super) fn fit(&self, wrong: &[f64]) -> PowerLaw {
        let mean: f64 = wrong.iter().zip(&self.weights).map(|(y, weight)| y * weight).sum();
        let total: f64 = wrong.iter().zip(&self.weights).map(|(y, weight)| weight * y * y).sum();
        let mut best = (f64::INFINITY, PowerLaw { a: mean, b: 0.0, c: 1.0, unit: self.unit });
        for trial in &self.trials {
            let pulled: f64 = trial.pull.iter().zip(wrong).map(|(pull, y)| pull * y).sum();
            let b = (pulled / trial.spread).max(0.0);
            let a = mean - b * trial.mean;
            let (a, b, rest) = match a < 0.0 {
                // What is left of the squares about the mean.
                false => (a, b, total - mean * mean - b * b * trial.spread),
                true => self.through_zero(trial, wrong, total),
            };
            if rest < best.0 {
                best = (rest, PowerLaw { a, b, c: trial.c, unit: self.unit });
            }
        }
        best.1
    }

    /// The best law without a rest: `a`, `b`, and what it leaves of the squares.
    fn through_zero(&self, trial: &Trial, wrong: &[f64], total: f64) -> (f64, f64, f64) {
        let product = |other: &[f64]| -> f64 {
            let terms = trial.x.iter().zip(other).zip(&self.weights);
            terms.map(|((x, other), weight)| weight * x * other).sum()
        };
        let (square, pulled) = (product(&trial.x), product(wrong));
        let b = (pulled / square).max(0.0);
        (0.0, b, total - b * b * square)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_law_give_that_law() {
        let n = [1000.0, 2000.0, 4000.0, 8000.0, 16_000.0];
        let wrong: Vec<f64> = n.iter().map(|n: &f64| 0.08 + 2.0 * n.powf(-0.4)).collect();
        let law = PowerLawFit::new(&n).fit(&wrong);
        // Exponents lie 3 % apart.
        assert!((law.c - 0.4).abs() < 0.013, "{law:?}");
        for (n, wrong) in n.iter().zip(&wrong) {
            assert!((law.at(*n) - wrong).abs() < 2e-4, "{law:?}");
        }
        assert!((law.at(32_000.0) - (0.08 + 2.0 * 32_000f64.powf(-0.4))).abs() < 1e-3, "{law:?}");
    }

    #[test]
    fn bounds_hold_where_points_would_break_them() {
        let n = [1.0, 2.0, 4.0, 8.0];
        let rising = PowerLawFit::new(&n).fit(&[0.1, 0.2, 0.3, 0.4]);
        assert_eq!((rising.b, rising.at(1.0)), (0.0, rising.at(16.0)));
        // Faster than any law with a rest.
        let steep = PowerLawFit::new(&n).fit(&[0.9, 0.5, 0.1, 0.001]);
        assert!(steep.a >= 0.0 && steep.b > 0.0, "{steep:?}");
    }
}
