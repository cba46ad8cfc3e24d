//! Logistic regression on sparse rows behind linfa's traits, with scikit-learn's objective
//! `½‖w‖² + C Σ sᵢ lossᵢ` and an intercept that is not penalised. Two classes have one row of
//! weights, more have one each (softmax). The search itself is [`super::subspace`]'s.
//!
//! linfa-logistic minimises the same function on dense rows alone.

use linfa::{
    DatasetBase, ParamGuard,
    traits::{Fit, PredictInplace},
};
use ndarray::Array1;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    class_weight::ClassWeight,
    design::Design,
    loss::{Loss, sigmoid, softmax},
    memory_use::bytes_of,
    sparse::SparseRows,
    subspace::{Problem, minimise_together},
};
use crate::{
    error::{Error, Result},
    text::TermMatrix,
};

/// The weakest and the strongest weight of the losses that is accepted.
const MIN_C: f64 = 1e-9;
const MAX_C: f64 = 1e9;

/// So much of a probability's error is a unit of the tolerance.
const ERROR_SCALE: f64 = 100.0;

/// Settings of the classifier, not yet checked.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticParams(LogisticValidParams);

/// Checked settings.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticValidParams {
    c: f64,
    class_weight: ClassWeight,
    max_iter: usize,
    tolerance: f64,
}

/// A fitted classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    n_classes: usize,
    /// `[n_features, n_outputs]`, row-major.
    coefficients: Vec<f64>,
    intercepts: Vec<f64>,
}

/// The end of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Rounds of the search.
    pub n_iter: usize,
    /// True if the tolerance was reached before the rounds ran out.
    pub has_converged: bool,
    /// The objective's value, penalty and weighted losses together.
    pub objective: f64,
    /// The length of the weights' gradient, divided by C times the sum of all example weights: at
    /// the end, or one step before where the end was not looked at again.
    pub gradient: f64,
    /// The distance that a probability may have from the exact minimum's, 1 at most. Models of
    /// older versions do not tell: 0.
    #[serde(default)]
    pub error: f64,
}

impl Default for LogisticParams {
    fn default() -> Self {
        Self(LogisticValidParams {
            c: 1.0,
            class_weight: ClassWeight::default(),
            max_iter: 1000,
            tolerance: 1e-6,
        })
    }
}

impl LogisticParams {
    /// The weight of the losses against the penalty. Default 1.
    #[must_use]
    pub fn c(mut self, c: f64) -> Self {
        self.0.c = c;
        self
    }

    /// Sets the weight of each class. Default [`ClassWeight::Uniform`].
    #[must_use]
    pub fn class_weight(mut self, class_weight: ClassWeight) -> Self {
        self.0.class_weight = class_weight;
        self
    }

    /// Rounds of the search, at most. Default 1000; a corpus takes about twenty.
    #[must_use]
    pub fn max_iter(mut self, max_iter: usize) -> Self {
        self.0.max_iter = max_iter;
        self
    }

    /// Stop once no probability can be expected to be farther than a hundred times this from the
    /// exact minimum's. Default 1e-6, which is 1e-4 of a probability. Of 0.01 or more, the
    /// intercepts alone are fitted.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.0.tolerance = tolerance;
        self
    }
}

impl ParamGuard for LogisticParams {
    type Checked = LogisticValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&LogisticValidParams> {
        let LogisticValidParams { c, class_weight, max_iter, tolerance } = &self.0;
        // Beyond these the objective's two parts no longer fit into one double.
        if !(MIN_C..=MAX_C).contains(c) {
            return Err(Error::invalid(format!(
                "c must lie between {MIN_C:e} and {MAX_C:e}, found {c:?}"
            ))
            .with_hint("c is usually between 0.01 and 100"));
        }
        if !(tolerance.is_finite() && *tolerance > 0.0) {
            return Err(Error::invalid(format!("tol must be > 0 and finite, found {tolerance}")));
        }
        if *max_iter == 0 {
            return Err(Error::invalid("max_iter must be >= 1, found 0"));
        }
        if let ClassWeight::Given(weights) = class_weight
            && let Some(weight) =
                weights.iter().find(|weight| !(weight.is_finite() && **weight > 0.0))
        {
            return Err(Error::invalid(format!("class weights must be > 0, found {weight}")));
        }
        Ok(&self.0)
    }

    fn check(self) -> Result<LogisticValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl LogisticValidParams {
    /// Fits on the rows of `matrix` (quickest by columns) and their class indices. `on_round`
    /// hears round, objective and the probabilities' error, as [`FitReport`] has them, and may stop
    /// the fit.
    ///
    /// # Shapes
    /// `matrix`: `[labels.len(), n_features]`.
    ///
    /// # Errors
    /// Fewer than two classes among the labels, labels out of range, a wrong number of class
    /// weights, and what `on_round` returns.
    pub fn fit_rows(
        &self,
        matrix: &TermMatrix,
        labels: &[u32],
        n_classes: usize,
        on_round: &mut dyn FnMut(usize, f64, f64) -> Result<()>,
    ) -> Result<(Logistic, FitReport)> {
        let mut on_round =
            |_: usize, round: usize, objective: f64, error: f64| on_round(round, objective, error);
        Ok(Self::fit_rows_together(&[self], matrix, labels, n_classes, &mut on_round)?.remove(0))
    }

    /// As [`LogisticValidParams::fit_rows`], with each of `many` in turn: the same fits for less than
    /// each alone takes. `on_round` hears the index of the settings first.
    ///
    /// # Errors
    /// As [`LogisticValidParams::fit_rows`].
    pub(super) fn fit_rows_together(
        many: &[&Self],
        matrix: &TermMatrix,
        labels: &[u32],
        n_classes: usize,
        on_round: &mut dyn FnMut(usize, usize, f64, f64) -> Result<()>,
    ) -> Result<Vec<(Logistic, FitReport)>> {
        if matrix.rows() != labels.len() {
            return Err(Error::invalid(format!(
                "{} rows but {} labels",
                matrix.rows(),
                labels.len()
            )));
        }
        let n_outputs = if n_classes == 2 { 1 } else { n_classes };
        let problems = many
            .iter()
            .map(|one| {
                let weights = one.class_weights(labels, n_classes)?;
                let weights = labels.iter().map(|label| one.c * weights[*label as usize]);
                Ok(Problem {
                    loss: Loss::new(labels, weights.collect(), n_outputs),
                    tolerance: one.tolerance * ERROR_SCALE,
                    max_rounds: one.max_iter,
                    max_directions: max_directions(labels.len() * n_outputs),
                })
            })
            .collect::<Result<Vec<Problem<'_>>>>()?;
        let by_columns;
        let matrix = if matrix.is_csc() {
            matrix
        } else {
            by_columns = matrix.to_csc();
            &by_columns
        };
        let design = Design::new(matrix, n_outputs);
        let minima = minimise_together(&design, &problems, on_round)?;
        let fitted = minima.into_iter().zip(&problems).map(|(minimum, problem)| {
            let report = FitReport {
                n_iter: minimum.n_rounds,
                has_converged: minimum.has_converged,
                objective: minimum.objective,
                // C times the sum of all example weights is the gradient's scale.
                gradient: minimum.gradient / problem.loss.total_weight(),
                error: minimum.error,
            };
            let model = Logistic {
                n_classes,
                coefficients: minimum.coefficients,
                intercepts: minimum.intercepts,
            };
            (model, report)
        });
        Ok(fitted.collect())
    }

    /// Checks labels and class weights before any work is done.
    ///
    /// # Errors
    /// As [`LogisticValidParams::fit_rows`].
    pub(super) fn check_labels(&self, labels: &[u32], n_classes: usize) -> Result<()> {
        self.class_weights(labels, n_classes).map(drop)
    }

    /// The weight of an example of each class.
    fn class_weights(&self, labels: &[u32], n_classes: usize) -> Result<Vec<f64>> {
        let mut counts = vec![0usize; n_classes];
        for label in labels {
            *counts.get_mut(*label as usize).ok_or_else(|| {
                Error::invalid(format!("label {label} found, expected one below {n_classes}"))
            })? += 1;
        }
        if counts.iter().filter(|count| **count > 0).count() < 2 {
            return Err(Error::invalid(format!(
                "examples of at least two classes are needed, found {} examples of one class",
                labels.len()
            ))
            .with_hint("check the label column"));
        }
        self.class_weight.of_counts(&counts)
    }
}

/// As many directions as 256 MB hold, within reason: more than these do not save another round.
fn max_directions(n_margins: usize) -> usize {
    ((256 << 20) / (16 * n_margins.max(1))).clamp(6, 20)
}

impl Fit<SparseRows, Array1<usize>, Error> for LogisticValidParams {
    type Object = Logistic;

    /// The number of classes is one more than the largest target.
    fn fit(&self, dataset: &DatasetBase<SparseRows, Array1<usize>>) -> Result<Logistic> {
        let labels: Vec<u32> = dataset.targets.iter().map(|label| *label as u32).collect();
        let n_classes = labels.iter().max().map_or(0, |label| *label as usize + 1).max(2);
        let (model, report) =
            self.fit_rows(dataset.records.matrix(), &labels, n_classes, &mut |_, _, _| Ok(()))?;
        if !report.has_converged {
            tracing::warn!(n_iter = report.n_iter, gradient = report.gradient, "not converged");
        }
        Ok(model)
    }
}

impl PredictInplace<SparseRows, Array1<usize>> for Logistic {
    fn predict_inplace(&self, rows: &SparseRows, labels: &mut Array1<usize>) {
        let probabilities = self.probabilities(rows.matrix());
        for (label, row) in labels.iter_mut().zip(probabilities.chunks_exact(self.n_classes)) {
            *label = super::predicted_label(row, super::DEFAULT_THRESHOLD);
        }
    }

    fn default_target(&self, rows: &SparseRows) -> Array1<usize> {
        Array1::zeros(rows.matrix().rows())
    }
}

impl Logistic {
    /// Bytes of its tables.
    pub(crate) fn n_bytes(&self) -> u64 {
        bytes_of(&self.coefficients) + bytes_of(&self.intercepts)
    }

    /// Puts stored parts together.
    pub(super) fn new(n_classes: usize, coefficients: Vec<f64>, intercepts: Vec<f64>) -> Self {
        Self { n_classes, coefficients, intercepts }
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Linear outputs: 1 for two classes, else the number of classes.
    pub fn n_outputs(&self) -> usize {
        self.intercepts.len()
    }

    /// Weights, `[n_features, n_outputs]`, row-major.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// One an output.
    pub fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    /// Probabilities of the classes at these margins, `n_outputs` of them, appended.
    pub(super) fn push_probabilities(&self, margins: &[f64], probabilities: &mut Vec<f64>) {
        match margins {
            [margin] => {
                let positive = sigmoid(*margin);
                probabilities.extend([1.0 - positive, positive]);
            }
            _ => {
                let start = probabilities.len();
                probabilities.resize(start + margins.len(), 0.0);
                softmax(margins, &mut probabilities[start..]);
            }
        }
    }

    /// Class probabilities of the rows of `matrix` (quickest by rows).
    ///
    /// # Shapes
    /// `matrix`: `[n_rows, n_features]`; the result: `[n_rows, n_classes]`, row-major.
    ///
    /// # Panics
    /// If the number of features differs.
    pub fn probabilities(&self, matrix: &TermMatrix) -> Vec<f64> {
        let n_outputs = self.n_outputs();
        assert_eq!(matrix.cols() * n_outputs, self.coefficients.len(), "features must match");
        let by_rows;
        let matrix = if matrix.is_csr() {
            matrix
        } else {
            by_rows = matrix.to_csr();
            &by_rows
        };
        let rows: Vec<Vec<f64>> = (0..matrix.rows())
            .into_par_iter()
            .map(|row_idx| {
                let mut margins = self.intercepts.clone();
                for (feature, value) in matrix.outer_view(row_idx).iter().flat_map(|row| row.iter())
                {
                    let start = feature * n_outputs;
                    let weights = &self.coefficients[start..start + n_outputs];
                    for (margin, weight) in margins.iter_mut().zip(weights) {
                        *margin += f64::from(*value) * weight;
                    }
                }
                let mut probabilities = Vec::with_capacity(self.n_classes);
                self.push_probabilities(&margins, &mut probabilities);
                probabilities
            })
            .collect();
        rows.concat()
    }
}

impl From<linfa::Error> for Error {
    fn from(source: linfa::Error) -> Self {
        Self::invalid("linfa refuses the dataset").with_source(source)
    }
}
