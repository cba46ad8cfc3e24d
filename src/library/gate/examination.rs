//! The examination of the models themselves for a gate: both versions' predictions on the candidate's
//! test split. Loading models and splits is the caller's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    behaviour_check::BehaviourExamination,
    costs::Costs,
    evidence::{Evidence, Thresholds},
    measurement::Measurement,
    slice_floor::FloorSlice,
};
use crate::{
    data::{Overlap, Split, near_duplicates},
    error::{Error, ErrorKind, Result},
    progress::Monitor,
};

/// The seed of the hashes by which near-duplicates are found.
const SEED: u64 = 42;

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
    /// The candidate on slices of the split, where that was asked; or why it was not measured.
    pub slices: Option<Result<Vec<FloorSlice>, String>>,
    /// The candidate's behaviour tests, where that was asked.
    pub behaviour: Option<Result<BehaviourExamination, String>>,
    /// The costs of both models' answers, where they were asked for; or the reason why they are not known.
    pub costs: Option<Result<Costs, String>>,
}

/// Test rows whose text, white space aside, the training split has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leakage {
    /// Number of such rows.
    pub n_leaked: usize,
    /// Number of test rows.
    pub n_test: usize,
    /// Number of such rows and of those that are nearly the same as one of the training split, where that
    /// was asked.
    pub n_near: Option<usize>,
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
            slices: None,
            behaviour: None,
            costs: None,
        })
    }
}

impl Leakage {
    /// Counts the rows of `test` that `train` has too and, where a share `near` is given, those that have so
    /// much of their three-word sequences in common with one of `train`; `train` must be the split that the
    /// version was trained on, whose fingerprint is `trained_on`.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for another training split, and an interrupt.
    pub fn of(train: &Split, test: &Split, trained_on: &str, near: Option<f64>) -> Result<Self> {
        if train.fingerprint.sha256 != trained_on {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the dataset's training split is another one than the version was trained on",
            ));
        }
        let (n_leaked, n_test) = (Overlap::of(train, test).n_test_rows, test.texts.len());
        let n_near = near.map(|near| n_near(train, test, near)).transpose()?;
        // Of texts without words only equal ones are alike.
        let n_near = n_near.map(|n_near| n_near.max(n_leaked));
        Ok(Self { n_leaked, n_test, n_near })
    }

    /// The share of test rows; 0 without any.
    pub fn share(self) -> f64 {
        self.n_near.unwrap_or(self.n_leaked) as f64 / self.n_test.max(1) as f64
    }
}

/// Rows of `test` that are nearly the same as one of `train`.
fn n_near(train: &Split, test: &Split, near: f64) -> Result<usize> {
    let n_train = train.texts.len();
    let texts: Vec<&str> = train.texts.iter().chain(&test.texts).map(String::as_str).collect();
    let mut is_near = vec![false; texts.len()];
    for pair in near_duplicates(&texts, near, SEED, &Monitor::default())? {
        // Of rows with the same words only the first is compared with others.
        let is_like = pair.other < n_train || (pair.similarity >= 1.0 && is_near[pair.other]);
        is_near[pair.row] |= pair.row >= n_train && is_like;
    }
    Ok(is_near.into_iter().filter(|is_near| *is_near).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Fingerprint;

    fn split(texts: &[&str]) -> Split {
        Split {
            name: "x".to_owned(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            labels: vec![0; texts.len()],
            classes: vec!["a".to_owned(), "b".to_owned()],
            fingerprint: Fingerprint {
                sha256: "aa".to_owned(),
                n_rows: texts.len(),
                class_counts: vec![],
            },
        }
    }

    #[test]
    fn rows_of_the_training_split_are_found_equal_or_nearly_so() {
        let long =
            "a slow film about people who wait for a train that never comes to their town at all";
        let changed = format!("{long} ever");
        let train = split(&[long, "another text with words of its own that nobody else has", "?!"]);
        let test = split(&[
            long,
            &changed,
            &changed,
            "nothing in it is said by any of the others here",
            "nothing in it is said by any of the others here",
            "?!",
        ]);
        let found = Leakage::of(&train, &test, "aa", None).unwrap();
        assert_eq!((found.n_leaked, found.n_near, found.share()), (2, None, 2.0 / 6.0));
        // Rows without words are alike where they are equal, and words are what is compared.
        let found = Leakage::of(&train, &test, "aa", Some(0.8)).unwrap();
        assert_eq!((found.n_leaked, found.n_near, found.share()), (2, Some(3), 0.5));
        assert!(Leakage::of(&train, &test, "bb", None).is_err());
    }
}
