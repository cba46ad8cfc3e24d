//! A sweep that is asked for: its data, its folds and its bounds. It measures nothing.

use std::{collections::BTreeSet, time::Duration};

use super::super::TrainRequest;
use crate::{
    data::Split,
    error::{Error, Result},
    model::{FoldRows, fold_rows},
};

/// The folds that all settings are measured on.
#[derive(Debug, Clone, PartialEq)]
pub enum SweepFolds {
    /// So many, drawn by the seed with the classes in the split's proportions.
    Stratified(usize),
    /// The fold of each row of the train split, from 0.
    Given(Vec<usize>),
}

/// A sweep that is asked for.
#[derive(Debug, Clone)]
pub struct SweepRequest {
    /// Its data, experiment, name, tags and seed; nothing is registered.
    pub train: TrainRequest,
    /// The folds. Default 5.
    pub folds: SweepFolds,
    /// The metric that settings are compared by. Default `f1`.
    pub metric: String,
    /// Successive halving: the first round learns a small part of the rows, and of each round the best
    /// 1 in so many go on to the next one, with so many times the rows. Default: none, all settings
    /// learn all rows.
    pub halving: Option<usize>,
    /// No new work is begun after this time. Default: none.
    pub budget: Option<Duration>,
    /// Threads. Default: one for each core.
    pub n_jobs: Option<usize>,
    /// True to leave a stopped sweep of the same settings alone. Default: it goes on.
    pub is_fresh: bool,
}

impl SweepRequest {
    /// A sweep on `dataset` with every default.
    pub fn new(dataset: &str) -> Self {
        Self {
            train: TrainRequest::new(dataset),
            folds: SweepFolds::Stratified(5),
            metric: "f1".to_owned(),
            halving: None,
            budget: None,
            n_jobs: None,
            is_fresh: false,
        }
    }
}

impl SweepFolds {
    /// The rows of each fold.
    pub(super) fn rows(&self, train: &Split, seed: u64) -> Result<Vec<FoldRows>> {
        match self {
            Self::Stratified(n_folds) => fold_rows(train, *n_folds, seed),
            Self::Given(fold_of) => {
                let n_rows = train.labels.len();
                if fold_of.len() != n_rows {
                    return Err(Error::invalid(format!(
                        "{} folds are given for the {n_rows} rows of the train split: expected one for \
                         each row",
                        fold_of.len()
                    )));
                }
                let used: BTreeSet<usize> = fold_of.iter().copied().collect();
                let n_folds = used.len();
                if n_folds < 2 || used.last() != Some(&(n_folds - 1)) {
                    return Err(Error::invalid(format!(
                        "the given folds are {used:?}: expected 0, 1 and so on, each of them used"
                    )));
                }
                Ok(FoldRows::of(fold_of, n_folds))
            }
        }
    }
}
