//! The bounds of a release, beyond which its candidate is taken back. It knows which values are bounds, and
//! leaves to the gate what is beyond one.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    evaluate::SignalLevel,
};

/// The bounds of a release: beyond one of them the candidate is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReleaseBounds {
    /// The share of its requests that the candidate may fail. Default 1 %.
    pub max_error_rate: f64,
    /// The time in milliseconds within which the candidate has to answer 95 % of its requests.
    pub max_p95_ms: Option<f64>,
    /// The share of texts on which it has to give Production's label.
    pub min_agreement: Option<f64>,
    /// The F1 that the true labels of its own answers have to give. Releases of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_f1: Option<f64>,
    /// The level at which drift between what it is asked and its reference profile takes it back: a warning
    /// or an alert. Releases of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drift: Option<SignalLevel>,
    /// Requests that a step needs before the next one begins. Default 100.
    pub min_n: u64,
}

impl Default for ReleaseBounds {
    fn default() -> Self {
        Self {
            max_error_rate: 0.01,
            max_p95_ms: None,
            min_agreement: None,
            min_f1: None,
            max_drift: None,
            min_n: 100,
        }
    }
}

impl ReleaseBounds {
    /// Checks that each bound is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with the one that is not.
    pub fn check(&self) -> Result<()> {
        let shares = [
            ("max-error-rate", Some(self.max_error_rate)),
            ("min-agreement", self.min_agreement),
            ("min-f1", self.min_f1),
        ];
        for (name, share) in shares {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return Err(Error::invalid(format!("{name} is {share}"))
                    .with_hint("it has to be from 0 to 1"));
            }
        }
        if self.max_drift == Some(SignalLevel::Ok) {
            return Err(Error::invalid("max-drift is ok").with_hint("it has to be warn or alert"));
        }
        match self.max_p95_ms.filter(|p95_ms| !p95_ms.is_finite() || *p95_ms <= 0.0) {
            Some(p95_ms) => {
                Err(Error::invalid(format!("max-p95 is {p95_ms} ms"))
                    .with_hint("it has to be above 0"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_is_none_is_refused_by_its_name() {
        let bounds = ReleaseBounds::default();
        bounds.check().unwrap();
        let all = ReleaseBounds {
            max_p95_ms: Some(20.0),
            min_agreement: Some(0.9),
            min_f1: Some(1.0),
            max_drift: Some(SignalLevel::Warn),
            ..bounds
        };
        all.check().unwrap();
        for (wrong, name) in [
            (ReleaseBounds { max_error_rate: 1.5, ..bounds }, "max-error-rate"),
            (ReleaseBounds { min_agreement: Some(f64::NAN), ..bounds }, "min-agreement"),
            (ReleaseBounds { min_f1: Some(85.0), ..bounds }, "min-f1"),
            (ReleaseBounds { max_drift: Some(SignalLevel::Ok), ..bounds }, "max-drift"),
            (ReleaseBounds { max_p95_ms: Some(0.0), ..bounds }, "max-p95"),
        ] {
            assert!(wrong.check().unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn bounds_of_older_versions_are_read_and_those_of_this_one_keep_what_they_are() {
        let old = r#"{"max_error_rate":0.01,"max_p95_ms":null,"min_agreement":null,"min_n":100}"#;
        assert_eq!(serde_json::from_str::<ReleaseBounds>(old).unwrap(), ReleaseBounds::default());
        assert_eq!(serde_json::to_string(&ReleaseBounds::default()).unwrap(), old);
        let new = ReleaseBounds {
            min_f1: Some(0.8),
            max_drift: Some(SignalLevel::Alert),
            ..ReleaseBounds::default()
        };
        let json = serde_json::to_string(&new).unwrap();
        assert!(json.contains(r#""min_f1":0.8,"max_drift":"alert""#), "{json}");
        assert_eq!(serde_json::from_str::<ReleaseBounds>(&json).unwrap(), new);
    }
}
