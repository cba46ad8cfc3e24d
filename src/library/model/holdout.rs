//! Rows of the train split that are not learnt, to choose by: the best epoch, or the best settings.

use crate::{
    data::{Partition, Split, stratify},
    error::{Error, Result},
    figure,
};

/// Rows of a split.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holdout {
    /// To be learnt, ascending.
    pub(crate) train: Vec<usize>,
    /// To choose by, ascending.
    pub(crate) valid: Vec<usize>,
}

/// Checks the share of rows that is held out: above 0 and below 1.
pub(crate) fn check_validation_size(share: f64) -> Result<()> {
    if share > 0.0 && share < 1.0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the validation size must be a share between 0 and 1, found {share}"
    ))
    .with_hint("0.1 and 0.2 are usual"))
}

impl Holdout {
    /// Sets `share` of every class aside, at least one example and never all; `seed` alone decides
    /// which.
    ///
    /// # Errors
    /// A share that is none, and a class with fewer than 2 examples.
    pub(crate) fn new(split: &Split, share: f64, seed: u64) -> Result<Self> {
        check_validation_size(share)?;
        for (class_idx, class) in split.classes.iter().enumerate() {
            let n_rows = split.labels.iter().filter(|label| **label as usize == class_idx).count();
            if n_rows < 2 {
                return Err(Error::invalid(format!(
                    "class {class:?} has {}, expected at least 2: one to learn, one to measure by",
                    figure::counted(n_rows, "training example")
                ))
                .with_hint("add examples of it, or leave the class out"));
            }
        }
        let Partition { train, test: valid } =
            stratify(&split.labels, &split.classes, share, seed, "the train split")?;
        Ok(Self { train, valid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Fingerprint;

    fn split(labels: &[u32]) -> Split {
        Split {
            name: "train".to_owned(),
            texts: labels.iter().map(|_| "a text".to_owned()).collect(),
            labels: labels.to_vec(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            fingerprint: Fingerprint {
                sha256: String::new(),
                n_rows: labels.len(),
                class_counts: vec![],
            },
        }
    }

    #[test]
    fn every_class_gives_its_share_and_the_seed_decides_which() {
        let labels: Vec<u32> = (0..100).map(|row| u32::from(row % 4 == 0)).collect();
        let split = split(&labels);
        let one = Holdout::new(&split, 0.2, 1).unwrap();
        assert_eq!(one, Holdout::new(&split, 0.2, 1).unwrap());
        assert_ne!(one, Holdout::new(&split, 0.2, 2).unwrap());
        let n_minor = one.valid.iter().filter(|row| labels[**row] == 1).count();
        assert_eq!((one.valid.len(), n_minor, one.train.len()), (20, 5, 80));
        assert!(one.valid.iter().all(|row| !one.train.contains(row)));
    }

    /// Golden value: a resumed training, and one that is repeated, hold the same rows out.
    #[test]
    fn a_seed_holds_the_same_rows_out_for_ever() {
        let labels: Vec<u32> = (0..20).map(|row| row % 2).collect();
        assert_eq!(Holdout::new(&split(&labels), 0.2, 42).unwrap().valid, [1, 2, 15, 18]);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for share in [0.0, 1.0, -0.1, 20.0, f64::NAN] {
            let error = Holdout::new(&split(&[0, 0, 1, 1]), share, 7).unwrap_err();
            assert!(error.to_string().contains("must be a share"), "{error}");
        }
    }

    #[test]
    fn a_class_always_has_something_to_learn_and_something_to_measure() {
        let split = split(&[0, 0, 1, 1]);
        for share in [0.01, 0.99] {
            let holdout = Holdout::new(&split, share, 7).unwrap();
            assert_eq!((holdout.train.len(), holdout.valid.len()), (2, 2));
        }
    }

    #[test]
    fn a_class_with_one_example_is_refused_by_name() {
        let error = Holdout::new(&split(&[0, 0, 1]), 0.1, 7).unwrap_err();
        assert!(error.to_string().contains("class \"b\" has 1"), "{error}");
    }
}
