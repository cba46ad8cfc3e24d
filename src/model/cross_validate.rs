//! Stratified k-fold cross-validation of anything that can be trained. linfa's `fold` takes dense
//! arrays and does not stratify, so the folds are drawn here.

use super::{Fit, Probabilities};
use crate::{
    data::{Fingerprint, Split},
    error::{Error, Result},
    progress::Monitor,
    random::Random,
};

/// What a model trained on the other folds says of one fold.
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
    let fold_of = stratify(split, n_folds, seed)?;
    for fold_idx in 0..n_folds {
        monitor.interrupt.check()?;
        let (rows, others): (Vec<usize>, Vec<usize>) =
            (0..split.labels.len()).partition(|row| fold_of[*row] == fold_idx);
        let model = config.fit(&subset(split, &others), monitor, &mut |_, _, _| Ok(()))?;
        let texts: Vec<&str> = rows.iter().map(|row| split.texts[*row].as_str()).collect();
        let probabilities = model.predict(&texts)?;
        let labels = rows.iter().map(|row| split.labels[*row]).collect();
        on_fold(Fold { rows, labels, probabilities })?;
    }
    Ok(())
}

/// The fold of every example: each class is shuffled and dealt out in turn, every class going on
/// where the one before stopped, so that folds differ by one example at most.
fn stratify(split: &Split, n_folds: usize, seed: u64) -> Result<Vec<usize>> {
    if n_folds < 2 {
        return Err(Error::invalid(format!("cross-validation needs 2 folds or more: {n_folds}")));
    }
    if let Some(label) = split.labels.iter().find(|label| **label as usize >= split.classes.len()) {
        return Err(Error::invalid(format!(
            "label {label} found, expected one below {}",
            split.classes.len()
        )));
    }
    let mut fold_of = vec![0; split.labels.len()];
    let mut n_dealt = 0;
    let mut random = Random::new(seed);
    for (class_idx, class) in split.classes.iter().enumerate() {
        let mut rows: Vec<usize> = (0..split.labels.len())
            .filter(|row| split.labels[*row] as usize == class_idx)
            .collect();
        if rows.len() < n_folds {
            return Err(Error::invalid(format!(
                "class {class:?} has {} examples, fewer than {n_folds} folds",
                rows.len()
            ))
            .with_hint("use fewer folds"));
        }
        random.shuffle(&mut rows);
        for row in rows {
            fold_of[row] = n_dealt % n_folds;
            n_dealt += 1;
        }
    }
    Ok(fold_of)
}

fn subset(split: &Split, rows: &[usize]) -> Split {
    let labels: Vec<u32> = rows.iter().map(|row| split.labels[*row]).collect();
    let mut class_counts = vec![0; split.classes.len()];
    labels.iter().for_each(|label| class_counts[*label as usize] += 1);
    Split {
        name: split.name.clone(),
        texts: rows.iter().map(|row| split.texts[*row].clone()).collect(),
        labels,
        classes: split.classes.clone(),
        // Of the whole: a fold is never stored.
        fingerprint: Fingerprint {
            sha256: split.fingerprint.sha256.clone(),
            n_rows: rows.len(),
            class_counts,
        },
    }
}
