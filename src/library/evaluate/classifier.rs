//! Evaluating a trained model on a split: predict every text, compare with its label.

use super::{Evaluation, SplitAnswers, evaluate_answers};
use crate::{
    data::Split,
    error::{Error, Result},
    model::{Answers, Classifier, Probabilities, predicted_label},
};

/// Evaluates `classifier` on `split`. Their classes must be the same but may be in another order;
/// the split's order counts.
///
/// # Errors
/// Other classes, whatever the model's prediction returns, and what [`evaluate`](super::evaluate) refuses.
pub fn evaluate_on(classifier: &dyn Classifier, split: &Split) -> Result<Evaluation> {
    evaluate_answers(&split.labels, &predict_on(classifier, split)?, &split.classes)
}

/// The answers of `classifier` to each text of `split`, in the order of the split's classes. The labels
/// are those of the model's own threshold.
///
/// # Errors
/// Other classes, and whatever the model's prediction returns.
pub fn predict_on(classifier: &dyn Classifier, split: &Split) -> Result<SplitAnswers> {
    let columns = columns(classifier.classes(), &split.classes)?;
    let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
    Ok(in_order(classifier, &classifier.predict(&texts)?, &columns))
}

/// As [`predict_on`], with how much of each text the model knows, where it can tell.
///
/// # Errors
/// As [`predict_on`].
pub fn answer_on(
    classifier: &dyn Classifier,
    split: &Split,
) -> Result<(SplitAnswers, Option<Vec<f64>>)> {
    let columns = columns(classifier.classes(), &split.classes)?;
    let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
    let Answers { probabilities, known_shares } = classifier.answer(&texts)?;
    Ok((in_order(classifier, &probabilities, &columns), known_shares))
}

/// The answers of `classifier` with its `columns` in this order.
fn in_order(
    classifier: &dyn Classifier,
    probabilities: &Probabilities,
    columns: &[usize],
) -> SplitAnswers {
    let threshold = classifier.decision().threshold();
    // In the model's order: the threshold is that of its positive class.
    let labels = probabilities.rows().map(|row| predicted_label(row, threshold));
    let place = |label: usize| columns.iter().position(|column| *column == label).unwrap_or(label);
    let predicted = labels.map(|label| place(label) as u32).collect();
    let rows = probabilities.rows();
    let probabilities = match columns.is_sorted() {
        true => probabilities.values().to_vec(),
        false => rows.flat_map(|row| columns.iter().map(|column| row[*column])).collect(),
    };
    let threshold = (columns.len() == 2).then_some(threshold);
    SplitAnswers { probabilities, predicted, threshold }
}

/// For each of the split's classes the model's column.
fn columns(model: &[String], split: &[String]) -> Result<Vec<usize>> {
    let column = |class: &String| model.iter().position(|known| known == class);
    let found: Option<Vec<usize>> = split.iter().map(column).collect();
    found.filter(|found| found.len() == model.len()).ok_or_else(|| {
        Error::invalid(format!(
            "the model knows the classes {}, the split has {}",
            model.join(", "),
            split.join(", ")
        ))
        .with_hint("evaluate it on a dataset with the classes it was trained on")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{data::Fingerprint, model::Probabilities};

    /// Sure of the class whose name the text is.
    struct Reader(Vec<String>);

    impl Classifier for Reader {
        fn name(&self) -> &'static str {
            "reader"
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
            let row = |text: &&str| {
                let sure = |class: &String| f64::from(u8::from(class == text));
                self.0.iter().map(sure).collect::<Vec<f64>>()
            };
            Ok(Probabilities::new(texts.iter().flat_map(row).collect(), self.0.len()))
        }
        fn save(&self, _dir: &Path) -> Result<()> {
            Ok(())
        }
        fn describe(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn split() -> Split {
        Split {
            name: "test".to_owned(),
            texts: names(&["b", "a", "c", "c"]),
            labels: vec![1, 0, 2, 0],
            classes: names(&["a", "b", "c"]),
            fingerprint: Fingerprint {
                sha256: String::new(),
                n_rows: 4,
                class_counts: vec![2, 1, 1],
            },
        }
    }

    #[test]
    fn the_order_of_the_models_classes_does_not_matter() {
        let straight = evaluate_on(&Reader(names(&["a", "b", "c"])), &split()).unwrap();
        assert_eq!(straight.metric("accuracy"), Some(0.75));
        let turned = evaluate_on(&Reader(names(&["c", "a", "b"])), &split()).unwrap();
        assert_eq!(straight, turned);
        let answers = answer_on(&Reader(names(&["c", "a", "b"])), &split()).unwrap();
        let straight = predict_on(&Reader(names(&["a", "b", "c"])), &split()).unwrap();
        assert_eq!(answers, (straight, None));
    }

    #[test]
    fn a_tie_is_decided_by_the_models_own_positive_class() {
        /// Undecided, whatever the text.
        struct Undecided(Vec<String>);
        impl Classifier for Undecided {
            fn name(&self) -> &'static str {
                "undecided"
            }
            fn classes(&self) -> &[String] {
                &self.0
            }
            fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
                Ok(Probabilities::new([0.5, 0.5].repeat(texts.len()), 2))
            }
            fn save(&self, _dir: &Path) -> Result<()> {
                Ok(())
            }
            fn describe(&self) -> serde_json::Value {
                serde_json::Value::Null
            }
        }
        let split = Split { labels: vec![1, 0, 1, 0], classes: names(&["a", "b"]), ..split() };
        for (classes, expected) in [(["a", "b"], [1; 4]), (["b", "a"], [0; 4])] {
            let answers = predict_on(&Undecided(names(&classes)), &split).unwrap();
            assert_eq!(answers.predicted, expected, "{classes:?}");
            assert_eq!(answers.threshold, Some(0.5));
        }
    }

    #[test]
    fn other_classes_are_refused_by_name() {
        for classes in [names(&["a", "b"]), names(&["a", "b", "c", "d"]), names(&["a", "b", "x"])] {
            let error = evaluate_on(&Reader(classes.clone()), &split()).unwrap_err();
            assert!(error.to_string().contains(&classes.join(", ")), "{error}");
        }
    }
}
