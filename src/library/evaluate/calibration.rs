//! Calibration: a probability of 0.8 should come true in 8 of 10 cases. Bins of a reliability
//! diagram and the expected calibration error (Guo et al. 2017, "On Calibration of Modern Neural
//! Networks").

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Number of equal-width bins: 15, as in Guo et al. 2017.
pub const N_BINS: usize = 15;

/// The kind of forecasts of a calibration curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecast {
    /// The probability of the positive class; it comes true when the label is positive.
    PositiveProbability,
    /// The probability of the predicted label; it comes true when the prediction is right.
    Confidence,
}

/// Forecasts against what came about, in equal-width bins; empty bins are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationCurve {
    /// The kind of forecasts.
    pub forecast: Forecast,
    /// Non-empty bins, by rising forecast.
    pub bins: Vec<CalibrationBin>,
}

/// The examples whose forecast lies in `(lower, upper]`; the first bin holds 0 as well.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Exclusive lower edge.
    pub lower: f64,
    /// Inclusive upper edge.
    pub upper: f64,
    /// Number of examples.
    pub n_examples: usize,
    /// Their mean forecast.
    pub mean_forecast: f64,
    /// The share of them that came true.
    pub observed_frequency: f64,
}

impl CalibrationCurve {
    /// Sorts `forecasts` into `n_bins` bins and compares them with the `outcomes`.
    ///
    /// # Shapes
    /// `forecasts` and `outcomes` are `[n]`.
    ///
    /// # Errors
    /// Different lengths, no bins, or a forecast outside [0, 1].
    pub fn new(
        forecast: Forecast,
        forecasts: &[f64],
        outcomes: &[bool],
        n_bins: usize,
    ) -> Result<Self> {
        if forecasts.len() != outcomes.len() {
            return Err(Error::invalid(format!(
                "{} forecasts but {} outcomes",
                forecasts.len(),
                outcomes.len()
            )));
        }
        if n_bins == 0 {
            return Err(Error::invalid("number of bins is 0: must be >= 1"));
        }
        let mut sums = vec![(0_usize, 0.0_f64, 0_usize); n_bins];
        for (example_idx, (&forecast, &outcome)) in forecasts.iter().zip(outcomes).enumerate() {
            if !(0.0..=1.0).contains(&forecast) {
                return Err(Error::invalid(format!(
                    "example {example_idx}: forecast {forecast} is not a probability"
                )));
            }
            let (n_examples, sum, n_true) = &mut sums[bin_of(forecast, n_bins)];
            *n_examples += 1;
            *sum += forecast;
            *n_true += usize::from(outcome);
        }
        let edge = |bin_idx: usize| bin_idx as f64 / n_bins as f64;
        let bins = sums
            .into_iter()
            .enumerate()
            .filter(|(_, (n_examples, ..))| *n_examples > 0)
            .map(|(bin_idx, (n_examples, sum, n_true))| CalibrationBin {
                lower: edge(bin_idx),
                upper: edge(bin_idx + 1),
                n_examples,
                mean_forecast: sum / n_examples as f64,
                observed_frequency: n_true as f64 / n_examples as f64,
            })
            .collect();
        Ok(Self { forecast, bins })
    }

    /// `sum over bins of (n_bin / n) * |observed frequency - mean forecast|`; 0 without examples.
    /// Of [`Forecast::Confidence`] this is the expected calibration error.
    pub fn error(&self) -> f64 {
        let n_examples: usize = self.bins.iter().map(|bin| bin.n_examples).sum();
        let sum: f64 = self
            .bins
            .iter()
            .map(|bin| bin.n_examples as f64 * (bin.observed_frequency - bin.mean_forecast).abs())
            .sum();
        if n_examples == 0 { 0.0 } else { sum / n_examples as f64 }
    }
}

/// The expected calibration error over [`N_BINS`] bins of confidence.
///
/// # Shapes
/// `confidences` and `correct` are `[n]`.
///
/// # Errors
/// As [`CalibrationCurve::new`].
pub fn calibration_error(confidences: &[f64], correct: &[bool]) -> Result<f64> {
    Ok(CalibrationCurve::new(Forecast::Confidence, confidences, correct, N_BINS)?.error())
}

/// The index of the bin of [`calibration_error`] that holds `confidence`, which lies in [0, 1].
pub(crate) fn confidence_bin(confidence: f64) -> usize {
    bin_of(confidence, N_BINS)
}

/// The index of the bin `(i / n, (i + 1) / n]` that holds `forecast`. The product is rounded, so
/// a forecast on an edge is put right by comparing with the edges themselves.
fn bin_of(forecast: f64, n_bins: usize) -> usize {
    let edge = |bin_idx: usize| bin_idx as f64 / n_bins as f64;
    let guess = (forecast * n_bins as f64).ceil() as usize;
    let mut bin_idx = guess.clamp(1, n_bins) - 1;
    while bin_idx > 0 && forecast <= edge(bin_idx) {
        bin_idx -= 1;
    }
    while bin_idx + 1 < n_bins && forecast > edge(bin_idx + 1) {
        bin_idx += 1;
    }
    bin_idx
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bins_are_open_below_and_closed_above() {
        for bin_idx in 0..N_BINS {
            let upper = (bin_idx + 1) as f64 / N_BINS as f64;
            assert_eq!(bin_of(upper, N_BINS), bin_idx, "{upper}");
            assert_eq!(bin_of(upper.next_up().min(1.0), N_BINS), (bin_idx + 1).min(N_BINS - 1));
        }
        assert_eq!(bin_of(0.0, N_BINS), 0);
    }

    #[test]
    fn the_error_by_hand() {
        // Bin (0.6, 0.667]: mean 0.65, right 1 of 2. Bin (0.867, 0.933]: mean 0.9, right 2 of 2.
        let error = calibration_error(&[0.64, 0.66, 0.9, 0.9], &[true, false, true, true]).unwrap();
        assert!((error - (0.5 * 0.15 + 0.5 * 0.1)).abs() < 1e-15, "{error}");
    }

    #[test]
    fn empty_bins_are_left_out() {
        let curve =
            CalibrationCurve::new(Forecast::PositiveProbability, &[0.05, 0.95], &[false, true], 10)
                .unwrap();
        let counts: Vec<usize> = curve.bins.iter().map(|bin| bin.n_examples).collect();
        assert_eq!(counts, [1, 1]);
        assert_eq!((curve.bins[1].lower, curve.bins[1].upper), (0.9, 1.0));
        assert_eq!(calibration_error(&[], &[]).unwrap(), 0.0);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for forecast in [f64::NAN, -0.1, 1.1] {
            let error = calibration_error(&[0.5, forecast], &[true, true]).unwrap_err();
            assert!(error.to_string().starts_with("example 1: forecast"), "{error}");
        }
        assert!(calibration_error(&[0.5], &[]).is_err());
        assert!(CalibrationCurve::new(Forecast::Confidence, &[], &[], 0).is_err());
    }

    proptest! {
        #[test]
        fn the_error_is_between_overall_bias_and_one(
            examples in prop::collection::vec((0.0_f64..=1.0, any::<bool>()), 1..200)
        ) {
            let (forecasts, outcomes): (Vec<f64>, Vec<bool>) = examples.into_iter().unzip();
            let n = forecasts.len() as f64;
            let bias = (forecasts.iter().sum::<f64>() / n
                - outcomes.iter().filter(|outcome| **outcome).count() as f64 / n)
                .abs();
            let error = calibration_error(&forecasts, &outcomes).unwrap();
            prop_assert!(error >= bias - 1e-12 && error <= 1.0, "{} {}", error, bias);
        }
    }
}
