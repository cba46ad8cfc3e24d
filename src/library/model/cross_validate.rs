//! Stratified k-fold cross-validation of anything that can be trained. linfa's `fold` takes dense
//! arrays and does not stratify, so the folds are drawn here.

use super::{Fit, Probabilities};
use crate::{
    data::Split,
    error::{Error, Result},
    figure,
    progress::Monitor,
    random::Random,
};

/// The answers of a model trained on the other folds to the rows of one fold.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Positions of the fold's examples in the split, ascending.
    pub rows: Vec<usize>,
    /// Their class indices.
    pub labels: Vec<u32>,
    /// Their predicted probabilities.
    pub probabilities: Probabilities,
}

/// Trains `n_folds` models, each on all folds but one, and lets each predict the one it has not
/// seen. Every fold has the classes in the split's proportions, and goes to `on_fold` as soon as
/// it is predicted.
///
/// # Errors
/// Fewer than 2 folds, a class with fewer examples than folds, and what training and `on_fold`
/// return.
pub fn cross_validate(
    config: &dyn Fit,
    split: &Split,
    n_folds: usize,
    seed: u64,
    monitor: &Monitor,
    on_fold: &mut dyn FnMut(Fold) -> Result<()>,
) -> Result<()> {
    for rows in fold_rows(split, n_folds, seed)? {
        monitor.interrupt.check()?;
        on_fold(fit_fold(config, split, &rows, monitor, &mut |_, _, _| Ok(()))?)?;
    }
    Ok(())
}

/// Rows of a split: those of one fold, and all others.
pub(crate) struct FoldRows {
    /// To be learnt, ascending.
    others: Vec<usize>,
    /// To be predicted, ascending.
    own: Vec<usize>,
}

impl FoldRows {
    /// Rows to be learnt and rows to be predicted, both ascending.
    pub(crate) fn new(others: Vec<usize>, own: Vec<usize>) -> Self {
        Self { others, own }
    }

    /// The rows of every fold where `fold_of` has the fold of each example, from 0 to `n_folds - 1`.
    pub(crate) fn of(fold_of: &[usize], n_folds: usize) -> Vec<Self> {
        let rows = |fold_idx| {
            let (own, others) =
                (0..fold_of.len()).partition(|row: &usize| fold_of[*row] == fold_idx);
            Self { others, own }
        };
        (0..n_folds).map(rows).collect()
    }

    /// Rows to be learnt, ascending.
    pub(crate) fn others(&self) -> &[usize] {
        &self.others
    }

    /// Rows to be predicted, ascending.
    pub(crate) fn own(&self) -> &[usize] {
        &self.own
    }

    /// The same with those rows to be learnt that `is_kept` keeps.
    pub(crate) fn learning(&self, is_kept: impl Fn(usize) -> bool) -> Self {
        let others = self.others.iter().copied().filter(|row| is_kept(*row)).collect();
        Self { others, own: self.own.clone() }
    }
}

/// The rows of every fold, as [`cross_validate`] draws them.
///
/// # Errors
/// Fewer than 2 folds, and a class with fewer examples than folds.
pub(crate) fn fold_rows(split: &Split, n_folds: usize, seed: u64) -> Result<Vec<FoldRows>> {
    Ok(FoldRows::of(&stratify(&split.labels, &split.classes, n_folds, seed)?, n_folds))
}

/// Trains on the other folds, logging to `log`, and predicts this one.
///
/// # Errors
/// Those of training, predicting and `log`.
pub(crate) fn fit_fold(
    config: &dyn Fit,
    split: &Split,
    FoldRows { others, own }: &FoldRows,
    monitor: &Monitor,
    log: &mut dyn FnMut(&str, f64, u64) -> Result<()>,
) -> Result<Fold> {
    let model = config.fit(&split.subset(others), monitor, log)?;
    let texts: Vec<&str> = own.iter().map(|row| split.texts[*row].as_str()).collect();
    let probabilities = model.predict(&texts)?;
    let labels = own.iter().map(|row| split.labels[*row]).collect();
    Ok(Fold { rows: own.clone(), labels, probabilities })
}

/// The fold of every example: each class is shuffled and dealt out in turn, every class going on
/// where the one before stopped, so that folds differ by one example at most.
pub(super) fn stratify(
    labels: &[u32],
    classes: &[String],
    n_folds: usize,
    seed: u64,
) -> Result<Vec<usize>> {
    if n_folds < 2 {
        return Err(Error::invalid(format!("cross-validation needs 2 folds or more: {n_folds}"))
            .with_hint("use 2 folds or more"));
    }
    if let Some(label) = labels.iter().find(|label| **label as usize >= classes.len()) {
        return Err(Error::invalid(format!(
            "label {label} found, expected one below {}",
            classes.len()
        )));
    }
    let mut fold_of = vec![0; labels.len()];
    let mut n_dealt = 0;
    let mut random = Random::new(seed);
    for (class_idx, class) in classes.iter().enumerate() {
        let mut rows: Vec<usize> =
            (0..labels.len()).filter(|row| labels[*row] as usize == class_idx).collect();
        if rows.len() < n_folds {
            return Err(Error::invalid(format!(
                "class {class:?} has {}, fewer than {n_folds} folds",
                figure::counted(rows.len(), "example")
            ))
            .with_hint(match rows.len() {
                0 | 1 => "each class needs at least 2 examples, one for each of 2 folds".to_owned(),
                most => format!(
                    "use at most {most} folds, or give each class at least {n_folds} examples"
                ),
            }));
        }
        random.shuffle(&mut rows);
        for row in rows {
            fold_of[row] = n_dealt % n_folds;
            n_dealt += 1;
        }
    }
    Ok(fold_of)
}
