//! The examination of the models themselves for a gate: both versions' predictions on the candidate's
//! test split. Loading models and splits is the caller's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    evidence::{Evidence, Thresholds},
    measurement::Measurement,
};
use crate::{
    data::{Overlap, Split},
    error::{Error, ErrorKind, Result},
};

/// Both versions on the candidate's test split.
#[derive(Debug, Clone, PartialEq)]
pub struct Examination {
    /// The candidate's metrics, measured again with the stored artifact.
    pub candidate: BTreeMap<String, f64>,
    /// The threshold that the candidate's labels follow; none for more than two classes.
    pub threshold: Option<f64>,
    /// Production's metrics on the same split, where there is another version in Production; or why
    /// there are none.
    pub production: Option<Result<BTreeMap<String, f64>, String>>,
    /// The certainty of the comparison, where there is one.
    pub evidence: Option<Evidence>,
    /// Test rows that the training split has too, where that was asked.
    pub leakage: Option<Result<Leakage, String>>,
}

/// Test rows whose text, white space aside, the training split has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leakage {
    /// Number of such rows.
    pub n_leaked: usize,
    /// Number of test rows.
    pub n_test: usize,
}

impl Examination {
    /// The comparison of what both versions predict for `split`.
    ///
    /// # Errors
    /// Predictions that do not fit the split.
    pub fn of(
        split: &Split,
        candidate: Measurement,
        production: Option<Result<Measurement>>,
        margin: f64,
    ) -> Result<Self> {
        let evidence = match &production {
            Some(Ok(production)) => Some(Evidence {
                thresholds: Thresholds::of(candidate.threshold, production.threshold),
                ..Evidence::of(
                    &split.labels,
                    &candidate.predicted,
                    &production.predicted,
                    split.classes.len(),
                    margin,
                )?
            }),
            _ => None,
        };
        let production = production
            .map(|measured| measured.map(|found| found.metrics).map_err(|error| error.to_string()));
        Ok(Self {
            candidate: candidate.metrics,
            threshold: candidate.threshold,
            production,
            evidence,
            leakage: None,
        })
    }
}

impl Leakage {
    /// Counts the rows of `test` that `train` has too; `train` must be the split that the version was
    /// trained on, whose fingerprint is `trained_on`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for another training split.
    pub fn of(train: &Split, test: &Split, trained_on: &str) -> Result<Self> {
        if train.fingerprint.sha256 != trained_on {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the dataset's training split is another one than the version was trained on",
            ));
        }
        let (n_leaked, n_test) = (Overlap::of(train, test).n_test_rows, test.texts.len());
        Ok(Self { n_leaked, n_test })
    }

    /// The share of test rows; 0 without any.
    pub fn share(self) -> f64 {
        self.n_leaked as f64 / self.n_test.max(1) as f64
    }
}
