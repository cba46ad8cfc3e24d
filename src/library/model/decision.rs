//! What becomes of a model's probabilities: their calibration, and of two classes the threshold from which
//! on the positive one is predicted. It is a part of the model, kept in its `model.json`. It fits and
//! chooses nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    calibration::{Calibration, CalibrationMethod},
    threshold::{DEFAULT_THRESHOLD, Threshold, ThresholdRule},
};
use crate::error::{Error, Result};

/// A model's calibration and threshold, where it has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Done to the probabilities before anything else is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Of two classes, in calibrated probability; without it 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
}

/// The decision of a model that was trained without one.
pub(super) static PLAIN: Decision = Decision { calibration: None, threshold: None };

impl Decision {
    /// True without calibration and threshold.
    pub fn is_plain(&self) -> bool {
        *self == PLAIN
    }

    /// The probability of the positive class from which on it is predicted.
    pub fn threshold(&self) -> f64 {
        self.threshold.as_ref().map_or(DEFAULT_THRESHOLD, |threshold| threshold.value)
    }

    /// Calibrates rows of probabilities in place.
    ///
    /// # Shapes
    /// `values` is `[n, n_classes]`, row-major.
    pub fn calibrate(&self, values: &mut [f64], n_classes: usize) {
        if let Some(calibration) = &self.calibration {
            calibration.apply(values, n_classes);
        }
    }

    /// The reason against this for a model of `n_classes`, if there is one.
    pub(super) fn fault(&self, n_classes: usize) -> Option<String> {
        let of_threshold = self.threshold.as_ref().and_then(|Threshold { value, .. }| {
            if n_classes != 2 {
                return Some(format!("a threshold for {n_classes} classes, expected two"));
            }
            let is_probability = (0.0..=1.0).contains(value);
            (!is_probability).then(|| format!("the threshold {value} is no probability"))
        });
        let calibration = self.calibration.as_ref();
        of_threshold.or_else(|| calibration.and_then(|calibration| calibration.fault(n_classes)))
    }

    /// Its parts for people and programs, without the points of a curve.
    pub fn describe(&self) -> Value {
        let calibration = self.calibration.as_ref().map(|calibration| {
            let temperature = match calibration {
                Calibration::Temperature { temperature, .. } => Some(temperature),
                Calibration::Isotonic { .. } => None,
            };
            json!({
                "method": calibration.method(),
                "temperature": temperature,
                "fitted_on": calibration.fitted_on(),
            })
        });
        json!({ "threshold": self.threshold, "calibration": calibration })
    }
}

/// The calibration and the threshold that are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DecisionRequest {
    /// The method of calibration; none for no calibration.
    #[serde(default)]
    pub calibrate: Option<CalibrationMethod>,
    /// The criterion that chooses the threshold; none for 0.5.
    #[serde(default)]
    pub threshold: Option<ThresholdRule>,
}

impl DecisionRequest {
    /// True if nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if rows are needed that the model has not learnt.
    pub fn needs_rows(&self) -> bool {
        self.calibrate.is_some() || self.threshold.is_some_and(ThresholdRule::needs_rows)
    }

    /// That a model of these classes can have it.
    ///
    /// # Errors
    /// A threshold or isotonic calibration for other than two classes.
    pub fn check_classes(&self, classes: &[String]) -> Result<()> {
        if self.threshold.is_some() && classes.len() != 2 {
            return Err(Error::invalid(format!(
                "a threshold takes two classes, found {}: {}",
                classes.len(),
                classes.join(", ")
            ))
            .with_hint("of more classes the one with the largest probability is predicted"));
        }
        self.calibrate.map_or(Ok(()), |method| method.check_classes(classes))
    }

    /// That rows with these labels are enough; `rows` names them.
    ///
    /// # Errors
    /// Too few rows.
    pub fn check_rows(&self, labels: &[u32], rows: &str) -> Result<()> {
        self.calibrate.map_or(Ok(()), |method| method.check_rows(labels, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_takes_two_classes_is_refused_for_three_in_one_sentence() {
        let three = names(&["a", "b", "c"]);
        let threshold = DecisionRequest {
            threshold: Some(ThresholdRule::BestF1),
            ..DecisionRequest::default()
        };
        let isotonic = DecisionRequest {
            calibrate: Some(CalibrationMethod::Isotonic),
            ..DecisionRequest::default()
        };
        for (request, expected) in [
            (threshold, "a threshold takes two classes, found 3: a, b, c"),
            (isotonic, "isotonic calibration takes two classes, found 3: a, b, c"),
        ] {
            assert_eq!(request.check_classes(&three).unwrap_err().to_string(), expected);
            request.check_classes(&three[..2]).unwrap();
        }
        let temperature = DecisionRequest {
            calibrate: Some(CalibrationMethod::Temperature),
            ..DecisionRequest::default()
        };
        temperature.check_classes(&three).unwrap();
    }

    #[test]
    fn a_stored_decision_that_makes_no_sense_has_a_fault() {
        let threshold = |value| Decision {
            threshold: Some(Threshold { value, rule: ThresholdRule::BestF1, chosen_on: None }),
            ..Decision::default()
        };
        assert_eq!(threshold(0.3).fault(2), None);
        assert!(threshold(0.3).fault(3).is_some_and(|fault| fault.contains("3 classes")));
        assert!(threshold(1.5).fault(2).is_some_and(|fault| fault.contains("1.5")));
        let curve = |x: &[f64], y: &[f64]| Decision {
            calibration: Some(Calibration::Isotonic {
                x: x.to_vec(),
                y: y.to_vec(),
                fitted_on: String::new(),
            }),
            ..Decision::default()
        };
        assert_eq!(curve(&[0.1, 0.2], &[0.0, 0.0]).fault(2), None);
        assert!(curve(&[0.1, 0.2], &[0.0, 1.0]).fault(3).is_some());
        for (x, y) in [
            (&[][..], &[][..]),
            (&[0.2, 0.1], &[0.0, 1.0]),
            (&[0.1, 0.2], &[1.0, 0.0]),
            (&[0.1], &[0.0, 1.0]),
            (&[0.1, 0.2], &[0.0, 1.5]),
        ] {
            assert!(curve(x, y).fault(2).is_some(), "{x:?} {y:?}");
        }
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let calibration = Calibration::Temperature { temperature, fitted_on: String::new() };
            let decision = Decision { calibration: Some(calibration), ..Decision::default() };
            assert!(decision.fault(2).is_some(), "{temperature}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_known_ones_come_back() {
        let text = r#"{"calibration":{"method":"temperature","temperature":1.5,"fitted_on":"9 rows"},"threshold":{"value":0.37,"rule":"best-f1","chosen_on":{"rows":"validation rows","n_rows":9,"precision":0.5,"recall":1.0,"f1":0.75}}}"#;
        let decision: Decision = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&decision).unwrap(), text);
        assert_eq!(decision.threshold(), 0.37);
        assert!(serde_json::from_str::<Decision>(r#"{"abstain":0.1}"#).is_err());
        assert_eq!(serde_json::from_str::<Decision>("{}").unwrap(), PLAIN);
    }
}
