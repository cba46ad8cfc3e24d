//! Calibration: what is done to a model's probabilities so that those of 0.8 come true in 8 of 10 cases,
//! and how it is found on rows that the model has not learnt. Which rows those are is not known here.
//!
//! Temperature is Guo et al. 2017: the logarithms of the probabilities are divided by one number, which
//! changes no label. Isotonic is Zadrozny and Elkan 2002, for two classes. Of more classes it would be
//! each class against the rest, scaled to a sum of 1, and then another class may win than the model
//! chose.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    isotonic::{height, isotonic},
    loss::softmax,
    threshold::{DEFAULT_THRESHOLD, predicted_label},
};
use crate::{
    error::{Error, Result},
    figure,
    random::Random,
};

/// Rows that isotonic calibration takes, at least: scikit-learn advises against "too few", far below
/// 1,000.
const MIN_ISOTONIC_ROWS: usize = 100;
/// Rows of each class that it takes, at least.
const MIN_ISOTONIC_OF_CLASS: usize = 10;
/// The temperatures that are looked at.
const TEMPERATURES: (f64, f64) = (0.01, 100.0);
/// Halvings of their range: more than a double has bits.
const N_HALVINGS: usize = 80;
/// Parts of the rows of which each is calibrated by the others, to see what calibration brings.
const N_PARTS: usize = 5;

/// The kind of a calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// One number for all classes.
    Temperature,
    /// A rising curve, for two classes.
    Isotonic,
}

impl fmt::Display for CalibrationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Temperature => "temperature",
            Self::Isotonic => "isotonic",
        })
    }
}

impl FromStr for CalibrationMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "temperature" => Ok(Self::Temperature),
            "isotonic" => Ok(Self::Isotonic),
            _ => Err(Error::invalid(format!(
                "calibration {text:?}: expected temperature or isotonic"
            ))),
        }
    }
}

impl CalibrationMethod {
    /// # Errors
    /// Isotonic calibration of more than two classes.
    pub(super) fn check_classes(self, classes: &[String]) -> Result<()> {
        match self {
            Self::Isotonic if classes.len() != 2 => Err(Error::invalid(format!(
                "isotonic calibration takes two classes, found {}: {}",
                classes.len(),
                classes.join(", ")
            ))
            .with_hint("--calibrate temperature takes any number of classes")),
            _ => Ok(()),
        }
    }

    /// That rows with these labels are enough.
    ///
    /// # Errors
    /// No rows, and for isotonic calibration too few of them.
    pub(crate) fn check_rows(self, labels: &[u32], rows: &str) -> Result<()> {
        if labels.is_empty() {
            return Err(Error::invalid(format!("there are no {rows} to calibrate by")));
        }
        if self == Self::Temperature {
            return Ok(());
        }
        let n_positive = labels.iter().filter(|label| **label == 1).count();
        let fewest = n_positive.min(labels.len() - n_positive);
        if labels.len() < MIN_ISOTONIC_ROWS || fewest < MIN_ISOTONIC_OF_CLASS {
            return Err(Error::invalid(format!(
                "isotonic calibration takes {MIN_ISOTONIC_ROWS} rows with {MIN_ISOTONIC_OF_CLASS} of each \
                 class, or more: found {} {rows} with {fewest} of one class",
                figure::count(labels.len())
            ))
            .with_hint("--calibrate temperature takes fewer rows"));
        }
        Ok(())
    }
}

/// A calibration that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Calibration {
    /// `softmax(ln(probabilities) / temperature)`.
    Temperature {
        /// Above 1 it makes a model less sure, below 1 surer.
        temperature: f64,
        /// The rows that it was found on, in words.
        fitted_on: String,
    },
    /// A curve from the positive probability to the calibrated one, linear between its points and level
    /// outside of them.
    Isotonic {
        /// Probabilities of the model, rising.
        x: Vec<f64>,
        /// Those that they become, rising too.
        y: Vec<f64>,
        /// The rows that it was found on, in words.
        fitted_on: String,
    },
}

impl Calibration {
    /// Finds the calibration of probabilities of rows that the model has not learnt; `rows` names them.
    ///
    /// # Shapes
    /// `labels` is `[n]`, `probabilities` is `[n, n_classes]`, row-major.
    ///
    /// # Errors
    /// Too few rows, isotonic calibration of more than two classes, and for a temperature rows that are all
    /// predicted right: they do not say how often the model is wrong.
    pub fn fit(
        method: CalibrationMethod,
        labels: &[u32],
        probabilities: &[f64],
        classes: &[String],
        rows: &str,
    ) -> Result<Self> {
        method.check_classes(classes)?;
        method.check_rows(labels, rows)?;
        let n_classes = classes.len();
        let fitted_on = format!("{} {rows}", figure::count(labels.len()));
        match method {
            CalibrationMethod::Temperature => {
                let of_rows = || labels.iter().zip(probabilities.chunks_exact(n_classes));
                let is_right = |(label, row): (&u32, &[f64])| {
                    predicted_label(row, DEFAULT_THRESHOLD) == *label as usize
                };
                if of_rows().all(is_right) {
                    return Err(Error::invalid(format!(
                        "a temperature cannot be told: all {fitted_on} are predicted right, expected some \
                         that are not"
                    ))
                    .with_hint("leave the calibration out, or hold more rows out"));
                }
                let temperature = temperature(labels, probabilities, n_classes);
                Ok(Self::Temperature { temperature, fitted_on })
            }
            CalibrationMethod::Isotonic => {
                let rows = labels.iter().zip(probabilities.chunks_exact(2));
                let points = rows.map(|(label, row)| (row[1], f64::from(*label)));
                let (x, y) = isotonic(&points.collect::<Vec<_>>());
                Ok(Self::Isotonic { x, y, fitted_on })
            }
        }
    }

    /// The calibrated probabilities of rows that calibration has not seen: each of five parts of the rows, drawn by `seed`,
    /// is calibrated by the others.
    ///
    /// # Shapes
    /// As [`Calibration::fit`]; the result is `[n, n_classes]`.
    ///
    /// # Errors
    /// As [`Calibration::fit`], of four parts.
    pub fn cross_fitted(
        method: CalibrationMethod,
        labels: &[u32],
        probabilities: &[f64],
        classes: &[String],
        seed: u64,
    ) -> Result<Vec<f64>> {
        let n_classes = classes.len();
        let mut order: Vec<usize> = (0..labels.len()).collect();
        Random::new(seed).shuffle(&mut order);
        let mut part_of = vec![0; labels.len()];
        for (place, row) in order.into_iter().enumerate() {
            part_of[row] = place % N_PARTS;
        }
        let mut calibrated = probabilities.to_vec();
        for part in 0..N_PARTS.min(labels.len()) {
            let others = (0..labels.len()).filter(|row| part_of[*row] != part);
            let (known, rows): (Vec<u32>, Vec<&[f64]>) = others
                .map(|row| (labels[row], &probabilities[row * n_classes..(row + 1) * n_classes]))
                .unzip();
            let fitted = match method {
                // A part may be without mistakes, or small; the whole was checked.
                CalibrationMethod::Temperature => Self::Temperature {
                    temperature: temperature(&known, &rows.concat(), n_classes),
                    fitted_on: String::new(),
                },
                CalibrationMethod::Isotonic => {
                    let points = known.iter().zip(rows).map(|(label, row)| {
                        (row.get(1).copied().unwrap_or_default(), f64::from(*label))
                    });
                    let (x, y) = isotonic(&points.collect::<Vec<_>>());
                    Self::Isotonic { x, y, fitted_on: String::new() }
                }
            };
            for (row, own) in calibrated.chunks_exact_mut(n_classes).zip(&part_of) {
                if *own == part {
                    fitted.apply(row, n_classes);
                }
            }
        }
        Ok(calibrated)
    }

    /// The kind.
    pub fn method(&self) -> CalibrationMethod {
        match self {
            Self::Temperature { .. } => CalibrationMethod::Temperature,
            Self::Isotonic { .. } => CalibrationMethod::Isotonic,
        }
    }

    /// The rows that it was found on, in words.
    pub fn fitted_on(&self) -> &str {
        match self {
            Self::Temperature { fitted_on, .. } | Self::Isotonic { fitted_on, .. } => fitted_on,
        }
    }

    /// Calibrates rows of probabilities in place.
    ///
    /// # Shapes
    /// `values` is `[n, n_classes]`, row-major.
    pub fn apply(&self, values: &mut [f64], n_classes: usize) {
        match self {
            Self::Temperature { temperature, .. } => {
                let mut logits = vec![0.0; n_classes];
                for row in values.chunks_exact_mut(n_classes) {
                    for (logit, probability) in logits.iter_mut().zip(row.iter()) {
                        *logit = logarithm(*probability) / temperature;
                    }
                    softmax(&logits, row);
                }
            }
            Self::Isotonic { x, y, .. } => {
                for row in values.chunks_exact_mut(n_classes) {
                    if let [negative, positive] = row {
                        *positive = height(x, y, *positive).clamp(0.0, 1.0);
                        *negative = 1.0 - *positive;
                    }
                }
            }
        }
    }

    /// The reason against this calibration for a model of `n_classes`, if there is one.
    pub(super) fn fault(&self, n_classes: usize) -> Option<String> {
        match self {
            Self::Temperature { temperature, .. } => {
                let is_usable = temperature.is_finite() && *temperature > 0.0;
                (!is_usable).then(|| format!("{temperature} is no temperature"))
            }
            Self::Isotonic { .. } if n_classes != 2 => {
                Some(format!("isotonic calibration of {n_classes} classes, expected two"))
            }
            Self::Isotonic { x, y, .. } => {
                let is_curve = !x.is_empty()
                    && x.len() == y.len()
                    && x.is_sorted_by(|one, next| one < next)
                    && y.is_sorted_by(|one, next| one <= next)
                    && x.iter().chain(y).all(|value| (0.0..=1.0).contains(value));
                (!is_curve)
                    .then(|| "the points of its calibration do not rise from 0 to 1".to_owned())
            }
        }
    }
}

/// A probability's logarithm; of 0 that of the smallest difference from 1 that a double has, since a
/// probability that is rounded to 1 leaves 0 for the others.
fn logarithm(probability: f64) -> f64 {
    probability.max(f64::EPSILON).ln()
}

/// The temperature with the smallest log-loss. With `beta = 1 / temperature` the loss is convex, and its
/// slope, the mean of `E[z] - z[label]`, rises: the root is found by halving.
fn temperature(labels: &[u32], probabilities: &[f64], n_classes: usize) -> f64 {
    let logits: Vec<f64> = probabilities.iter().map(|value| logarithm(*value)).collect();
    let slope = |beta: f64| -> f64 {
        let (mut scaled, mut row) = (vec![0.0; n_classes], vec![0.0; n_classes]);
        let mut sum = 0.0;
        for (label, logits) in labels.iter().zip(logits.chunks_exact(n_classes)) {
            for (scaled, logit) in scaled.iter_mut().zip(logits) {
                *scaled = beta * logit;
            }
            softmax(&scaled, &mut row);
            let mean: f64 = row.iter().zip(logits).map(|(p, logit)| p * logit).sum();
            sum += mean - logits[*label as usize];
        }
        sum
    };
    let (mut low, mut high) = (1.0 / TEMPERATURES.1, 1.0 / TEMPERATURES.0);
    for _ in 0..N_HALVINGS {
        let middle = 0.5 * (low + high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    2.0 / (low + high)
}

#[cfg(test)]
mod tests;
