//! Which examples decide the best epoch instead of being learnt.

use crate::{
    data::Split,
    error::{Error, Result},
    random::Random,
};

/// Rows of a split.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holdout {
    /// To be learnt, ascending.
    pub(super) train: Vec<usize>,
    /// To measure each epoch by, ascending.
    pub(super) valid: Vec<usize>,
}

impl Holdout {
    /// Sets `share` of every class aside, at least one example and never all.
    ///
    /// # Errors
    /// A class with fewer than 2 examples.
    pub(super) fn new(split: &Split, share: f64, seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let mut valid = Vec::new();
        for (class_idx, class) in split.classes.iter().enumerate() {
            let mut rows: Vec<usize> = (0..split.labels.len())
                .filter(|row| split.labels[*row] as usize == class_idx)
                .collect();
            if rows.len() < 2 {
                return Err(Error::invalid(format!(
                    "class {class:?} has {} training examples, expected at least 2: one to learn, \
                     one to measure the epochs by",
                    rows.len()
                ))
                .with_hint("add examples of it, or leave the class out"));
            }
            random.shuffle(&mut rows);
            let n_valid = (rows.len() as f64 * share).round() as usize;
            valid.extend_from_slice(&rows[..n_valid.clamp(1, rows.len() - 1)]);
        }
        valid.sort_unstable();
        let train =
            (0..split.labels.len()).filter(|row| valid.binary_search(row).is_err()).collect();
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
