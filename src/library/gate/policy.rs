//! The least that a version must reach to become Production.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The metric that decides: F1 of the positive class, of more than two classes the macro average.
pub const METRIC: &str = "f1";

/// The rule of a gate. With a Production version a candidate passes if its F1 is at least that of
/// Production on the same test split; without one, if it is at least [`Policy::min_f1`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The least F1 where there is no Production version to compare with. Default 0.85: what a
    /// linear model reaches with ease on film reviews.
    pub min_f1: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { min_f1: 0.85 }
    }
}

impl Policy {
    /// Checks that the policy makes sense.
    ///
    /// # Errors
    /// A minimum outside [0, 1].
    pub fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.min_f1) {
            return Ok(());
        }
        Err(Error::invalid(format!("minimum F1 is {}: must lie between 0 and 1", self.min_f1))
            .with_hint("F1 is a share, not a percentage: `--min 0.85`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_a_share() {
        for min_f1 in [0.0, 0.85, 1.0] {
            assert!(Policy { min_f1 }.check().is_ok(), "{min_f1}");
        }
        for min_f1 in [-0.001, 1.001, 85.0, f64::NAN, f64::INFINITY] {
            let error = Policy { min_f1 }.check().unwrap_err();
            assert!(error.to_string().starts_with(&format!("minimum F1 is {min_f1}")), "{error}");
        }
    }
}
