//! What the numbers of a signal come to: fine, look at it, or act. Effect sizes decide. A p value guards
//! small samples alone, because with many examples it finds differences that matter to nobody.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::share::false_discovery_rates;
use crate::error::Result;

/// What a signal comes to; the last is the worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum SignalLevel {
    /// Nothing to see.
    #[default]
    Ok,
    /// Somebody should look at it.
    Warn,
    /// Somebody has to act.
    Alert,
}

/// The lines that an effect has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignalThresholds {
    /// An effect of this size is a warning.
    pub warn: f64,
    /// An effect of this size is an alert.
    pub alert: f64,
    /// With fewer examples than this on either side nothing is said: the level is ok.
    pub min_n: u64,
    /// The largest p value, after the control of false discoveries, with which an effect counts.
    pub max_p_value: f64,
}

/// What is known of one signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// The size of the effect, 0 being none.
    pub effect: f64,
    /// The p value of its test; none where a signal has no test, and its effect alone decides.
    pub p_value: Option<f64>,
    /// Examples on the smaller side.
    pub n: u64,
    /// The lines of this signal.
    pub thresholds: SignalThresholds,
}

/// The level of each signal, with its p value after Benjamini and Hochberg's control over all signals
/// that have one and enough examples; none for the others.
///
/// # Errors
/// A p value that is no probability.
pub fn signal_levels(signals: &[Signal]) -> Result<Vec<(SignalLevel, Option<f64>)>> {
    let is_tested = |signal: &&Signal| signal.n >= signal.thresholds.min_n;
    let p_values: Vec<f64> =
        signals.iter().filter(is_tested).filter_map(|signal| signal.p_value).collect();
    let mut corrected = false_discovery_rates(&p_values)?.into_iter();
    let level = |signal: &Signal| {
        if !is_tested(&signal) {
            return (SignalLevel::Ok, None);
        }
        let p_value = signal.p_value.and_then(|_| corrected.next());
        (signal.level(p_value), p_value)
    };
    Ok(signals.iter().map(level).collect())
}

/// The worst of `levels`; ok of none.
pub fn overall_level(levels: impl IntoIterator<Item = SignalLevel>) -> SignalLevel {
    levels.into_iter().max().unwrap_or_default()
}

impl Signal {
    fn level(&self, corrected_p_value: Option<f64>) -> SignalLevel {
        let Self { effect, thresholds, .. } = self;
        if corrected_p_value.is_some_and(|p_value| p_value > thresholds.max_p_value) {
            return SignalLevel::Ok;
        }
        match () {
            () if *effect >= thresholds.alert => SignalLevel::Alert,
            () if *effect >= thresholds.warn => SignalLevel::Warn,
            () => SignalLevel::Ok,
        }
    }
}

impl fmt::Display for SignalLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Alert => "alert",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: SignalThresholds =
        SignalThresholds { warn: 0.1, alert: 0.25, min_n: 200, max_p_value: 0.01 };

    fn level(effect: f64, p_value: Option<f64>, n: u64) -> SignalLevel {
        signal_levels(&[Signal { effect, p_value, n, thresholds: THRESHOLDS }]).unwrap()[0].0
    }

    #[test]
    fn effects_decide_and_p_values_guard() {
        for (effect, p_value, n, expected) in [
            (0.099, Some(0.0), 200, SignalLevel::Ok),
            (0.1, Some(0.01), 200, SignalLevel::Warn),
            (0.1, Some(0.011), 200, SignalLevel::Ok),
            (0.249, Some(0.0), 200, SignalLevel::Warn),
            (0.25, Some(0.0), 200, SignalLevel::Alert),
            (0.25, None, 200, SignalLevel::Alert),
            (0.25, Some(0.0), 199, SignalLevel::Ok),
            (f64::NAN, Some(0.0), 200, SignalLevel::Ok),
        ] {
            assert_eq!(level(effect, p_value, n), expected, "{effect} {p_value:?} {n}");
        }
    }

    #[test]
    fn many_signals_find_no_more_than_one() {
        let signal = |p_value, n| Signal { effect: 1.0, p_value, n, thresholds: THRESHOLDS };
        // Alone 0.004 is below 0.01; of ten it is 0.04. One with too few examples does not count.
        let mut signals = vec![signal(Some(0.5), 500); 8];
        signals.extend([signal(None, 500), signal(Some(1e-9), 3), signal(Some(0.5), 500)]);
        signals.push(signal(Some(0.004), 500));
        let levels = signal_levels(&signals).unwrap();
        let (last, corrected) = levels[11];
        assert_eq!(
            (last, levels[8].0, levels[9]),
            (SignalLevel::Ok, SignalLevel::Alert, (SignalLevel::Ok, None))
        );
        assert!((corrected.unwrap() - 0.04).abs() < 1e-12);
        assert_eq!(overall_level(levels.iter().map(|level| level.0)), SignalLevel::Alert);
        assert_eq!(overall_level([]), SignalLevel::Ok);
        assert!(signal_levels(&[signal(Some(f64::NAN), 500)]).is_err());
    }
}
