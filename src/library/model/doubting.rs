//! Probabilities of examples by models that have not learnt them, for doubting the examples' labels:
//! the baseline, cross-validated. Texts are vectorised once for all folds, which is most of the work;
//! what a fold must not see is labels, and weights of words know none.

use linfa::ParamGuard as _;

use super::{LogisticParams, cross_validate::stratify};
use crate::{
    error::{Error, Result},
    progress::Monitor,
    text::{TermMatrix, TextFrequency, Vectorizer},
};

/// A hundredth of a probability decides no doubt, and takes half the rounds of the default.
const TOLERANCE: f64 = 1e-4;

/// The strength of the fit. Of IMDB's reviews and the built-in sample it learns more than the default
/// of 1.
const C: f64 = 10.0;

/// Pairs of words are learnt too, unless there is more text than this: they take three times the
/// memory, and where there is much text words alone say nearly as much.
const MAX_BYTES_OF_PAIRS: usize = 64 << 20;

/// Stands for no row.
const ABSENT: u32 = u32::MAX;

/// Each text's class probabilities by the baseline fitted on the other folds.
///
/// # Shapes
/// The result: `[texts.len(), classes.len()]`, row-major. A class without examples has probability 0.
///
/// # Errors
/// Examples of fewer than two classes, fewer than 2 folds, a class with fewer examples than folds,
/// texts without words in common, and an interrupt.
pub(crate) fn held_out_probabilities<S: AsRef<str> + Sync>(
    texts: &[S],
    labels: &[u32],
    classes: &[String],
    n_folds: usize,
    seed: u64,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let (own_labels, present) = without_absent(labels, classes)?;
    let names: Vec<String> = present.iter().map(|class| classes[*class].clone()).collect();
    let fold_of = stratify(&own_labels, &names, n_folds, seed)?;
    let n_bytes: usize = texts.iter().map(|text| text.as_ref().len()).sum();
    // A word of one text is either not learnt or not met again.
    let vectorizer = Vectorizer {
        ngram_max: if n_bytes <= MAX_BYTES_OF_PAIRS { 2 } else { 1 },
        min_df: TextFrequency::Count(2),
        sublinear_tf: true,
        ..Vectorizer::default()
    };
    let n_steps = vectorizer.n_steps(texts.len());
    let (_, matrix) =
        monitor.stage("vectorise", Some(n_steps), || vectorizer.fit_transform(texts, monitor))?;
    let n_present = present.len();
    let mut probabilities = vec![0.0; texts.len() * classes.len()];
    monitor.stage("cross-validate", Some(n_folds as u64), || {
        for fold in 0..n_folds {
            let (own, others): (Vec<usize>, Vec<usize>) =
                (0..texts.len()).partition(|row| fold_of[*row] == fold);
            let found = fitted_on(&matrix, &own_labels, n_present, &others, &own, monitor)?;
            for (row, found) in own.iter().zip(found.chunks_exact(n_present)) {
                for (class, probability) in present.iter().zip(found) {
                    probabilities[row * classes.len() + class] = *probability;
                }
            }
            monitor.progress.advance(1);
        }
        Ok(probabilities)
    })
}

/// The probabilities of the rows `own` after learning the rows `others`.
fn fitted_on(
    matrix: &TermMatrix,
    labels: &[u32],
    n_classes: usize,
    others: &[usize],
    own: &[usize],
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let params = LogisticParams::default().c(C).tolerance(TOLERANCE).check()?;
    let learnt: Vec<u32> = others.iter().map(|row| labels[*row]).collect();
    let (logistic, _) =
        params.fit_rows(&rows_of(matrix, others), &learnt, n_classes, &mut |_, _, _| {
            monitor.interrupt.check()
        })?;
    Ok(logistic.probabilities(&rows_of(matrix, own)))
}

/// The rows of `matrix`, which is by columns, at `rows` in ascending order.
fn rows_of(matrix: &TermMatrix, rows: &[usize]) -> TermMatrix {
    let mut place = vec![ABSENT; matrix.rows()];
    for (new, row) in rows.iter().enumerate() {
        place[*row] = new as u32;
    }
    let starts = matrix.proper_indptr();
    let n_values = matrix.nnz() / matrix.rows().max(1) * rows.len();
    let (mut indptr, mut indices) =
        (Vec::with_capacity(starts.len()), Vec::with_capacity(n_values));
    let mut values = Vec::with_capacity(n_values);
    indptr.push(0);
    for column in starts.windows(2) {
        let range = column[0]..column[1];
        for (row, value) in matrix.indices()[range.clone()].iter().zip(&matrix.data()[range]) {
            let new = place[*row as usize];
            if new != ABSENT {
                indices.push(new);
                values.push(*value);
            }
        }
        indptr.push(indices.len());
    }
    TermMatrix::new_csc((rows.len(), matrix.cols()), indptr, indices, values)
}

/// Labels numbered without the classes that have no example, and which classes those numbers mean.
fn without_absent(labels: &[u32], classes: &[String]) -> Result<(Vec<u32>, Vec<usize>)> {
    let mut counts = vec![0usize; classes.len()];
    for label in labels {
        *counts.get_mut(*label as usize).ok_or_else(|| {
            Error::invalid(format!("label {label} found, expected one below {}", classes.len()))
        })? += 1;
    }
    let present: Vec<usize> = (0..classes.len()).filter(|class| counts[*class] > 0).collect();
    if present.len() < 2 {
        let found = present
            .first()
            .map_or("none".to_owned(), |class| format!("{:?} alone", classes[*class]));
        return Err(Error::invalid(format!(
            "labels cannot be doubted with examples of one class: found {found}, expected two classes \
             or more"
        )));
    }
    let mut numbers = vec![0; classes.len()];
    for (number, class) in present.iter().enumerate() {
        numbers[*class] = number as u32;
    }
    Ok((labels.iter().map(|label| numbers[*label as usize]).collect(), present))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn asked(labels: &[u32], classes: &[&str], n_folds: usize) -> Result<Vec<f64>> {
        let texts: Vec<String> = labels
            .iter()
            .enumerate()
            .map(|(row, label)| format!("film{} seen word{label} again", row % 3))
            .collect();
        held_out_probabilities(&texts, labels, &names(classes), n_folds, 7, &Monitor::silent())
    }

    #[test]
    fn examples_are_judged_by_what_others_say_and_absent_classes_get_nothing() {
        // Row 5 is labelled 2, and row 0 is 0 as its word says.
        let labels: Vec<u32> = (0..30).map(|row| if row % 2 == 0 { 0 } else { 2 }).collect();
        let probabilities = asked(&labels, &["a", "unseen", "b"], 5).unwrap();
        for (row, found) in probabilities.chunks_exact(3).enumerate() {
            assert_eq!(found[1], 0.0);
            assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            assert!(found[labels[row] as usize] > 0.8, "{row}: {found:?}");
        }
        assert_eq!(asked(&labels, &["a", "unseen", "b"], 5).unwrap(), probabilities);
    }

    #[test]
    fn its_own_label_does_not_reach_an_example() {
        let texts: Vec<String> =
            (0..40).map(|row| format!("film seen word{} again", row % 2)).collect();
        let labels = |wrong: usize| -> Vec<u32> {
            (0..40).map(|row| u32::from((row % 2 == 1) != (row == wrong))).collect()
        };
        let classes = names(&["a", "b"]);
        let found =
            held_out_probabilities(&texts, &labels(6), &classes, 4, 7, &Monitor::silent()).unwrap();
        assert!(found[6 * 2] > 0.8, "the text of row 6 says a: {:?}", &found[12..14]);
    }

    #[test]
    fn too_few_examples_are_one_sentence() {
        for (labels, classes, n_folds, expected) in [
            (&[0, 0, 0][..], &["a", "b"][..], 2, "found \"a\" alone"),
            (&[], &["a", "b"], 2, "found none"),
            (&[0, 0, 0, 1], &["a", "b"], 2, "class \"b\" has 1 example, fewer than 2 folds"),
            (&[0, 1], &["a", "b"], 5, "class \"a\" has 1 example, fewer than 5 folds"),
            (&[0, 0, 1, 1], &["a", "b"], 1, "needs 2 folds or more: 1"),
        ] {
            let error = asked(labels, classes, n_folds).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn rows_are_taken_from_columns() {
        let matrix = TermMatrix::new_csc(
            (4, 3),
            vec![0, 2, 2, 5],
            vec![0, 3, 0, 1, 2],
            vec![1.0, 2.0, 3.0, 4.0, 5.0],
        );
        let rows = rows_of(&matrix, &[1, 3]);
        assert_eq!(rows.to_dense(), ndarray::array![[0.0, 0.0, 4.0], [2.0, 0.0, 0.0]]);
    }
}
