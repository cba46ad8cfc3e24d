//! The weights of each class's examples, by their numbers: the same rule for every model.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The weight of each class.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeight {
    /// Every example counts the same.
    #[default]
    Uniform,
    /// Every class counts the same: `n / (n_classes · n_of_class)` an example.
    Balanced,
    /// So much an example, in class order.
    Given(Vec<f64>),
}

impl ClassWeight {
    /// The weight of an example of each class, for `counts` examples of them. A class without an
    /// example takes no part in the balance.
    ///
    /// # Errors
    /// Given weights that are not one a class.
    pub fn of_counts(&self, counts: &[usize]) -> Result<Vec<f64>> {
        match self {
            Self::Uniform => Ok(vec![1.0; counts.len()]),
            Self::Balanced => {
                let n_present = counts.iter().filter(|count| **count > 0).count() as f64;
                let share = counts.iter().sum::<usize>() as f64 / n_present.max(1.0);
                Ok(counts.iter().map(|count| share / (*count).max(1) as f64).collect())
            }
            Self::Given(weights) if weights.len() == counts.len() => Ok(weights.clone()),
            Self::Given(weights) => Err(Error::invalid(format!(
                "{} class weights given, expected {}, one a class",
                weights.len(),
                counts.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_counts_the_same_when_balanced() {
        // scikit-learn 1.9.1: compute_class_weight("balanced", classes=[0, 1, 2], y=[0]*6+[1]*3+[2])
        let weights = ClassWeight::Balanced.of_counts(&[6, 3, 1]).unwrap();
        assert_eq!(weights, [10.0 / 18.0, 10.0 / 9.0, 10.0 / 3.0]);
        assert_eq!(ClassWeight::Uniform.of_counts(&[6, 3, 1]).unwrap(), [1.0; 3]);
        assert_eq!(ClassWeight::Balanced.of_counts(&[2, 0, 2]).unwrap()[..1], [1.0]);
        let given = ClassWeight::Given(vec![1.0, 2.0]);
        assert_eq!(given.of_counts(&[5, 5]).unwrap(), [1.0, 2.0]);
        assert!(given.of_counts(&[5, 5, 5]).unwrap_err().to_string().contains("2 class weights"));
    }
}
