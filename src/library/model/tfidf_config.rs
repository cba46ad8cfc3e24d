//! The settings of the baseline.

use serde::{Deserialize, Serialize};

use super::ClassWeight;
use crate::text::Vectorizer;

/// The name of this architecture.
pub(super) const NAME: &str = "tfidf";

/// Settings of the baseline; the defaults are scikit-learn's where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfidfConfig {
    /// The settings by which texts become rows.
    pub vectorizer: Vectorizer,
    /// The weight of the losses against the penalty. Default 1.
    pub c: f64,
    /// The weight of each class. Default: every example the same.
    pub class_weight: ClassWeight,
    /// Rounds of the search, at most. Default 1000; about twenty are needed.
    pub max_iter: usize,
    /// See [`LogisticParams::tolerance`]. Default 1e-6: probabilities within about 1e-4 of the
    /// optimum's, by the fit's own estimate of its error.
    ///
    /// [`LogisticParams::tolerance`]: crate::model::LogisticParams::tolerance
    pub tol: f64,
    /// Logged with the run. Nothing here is random: any seed gives the same model.
    pub seed: u64,
}

impl Default for TfidfConfig {
    fn default() -> Self {
        Self {
            vectorizer: Vectorizer::default(),
            c: 1.0,
            class_weight: ClassWeight::default(),
            max_iter: 1000,
            tol: 1e-6,
            seed: 42,
        }
    }
}
