//! Predictions for the rows of a split: probabilities and the labels that a model makes of them.

/// Answers of one model to the rows of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitAnswers {
    /// The probability of every class for every row, in the order of the split's classes:
    /// `[n, n_classes]`, row-major.
    pub probabilities: Vec<f64>,
    /// The index of the class that each row is labelled with: `[n]`.
    pub predicted: Vec<u32>,
    /// The probability of the model's positive class from which on it is predicted; none for more than
    /// two classes.
    pub threshold: Option<f64>,
}

impl SplitAnswers {
    /// Those of the rows that are asked for, one truth value a row, of `n_classes` classes.
    #[must_use]
    pub fn of_rows(&self, asked: &[bool], n_classes: usize) -> Self {
        let rows = self.probabilities.chunks_exact(n_classes).zip(&self.predicted).zip(asked);
        let asked = rows.filter(|(_, is_asked)| **is_asked).map(|(answer, _)| answer);
        let (probabilities, predicted): (Vec<&[f64]>, Vec<u32>) =
            asked.map(|(row, label)| (row, *label)).unzip();
        Self { probabilities: probabilities.concat(), predicted, threshold: self.threshold }
    }
}
