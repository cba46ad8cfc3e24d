//! Measuring a model on the test split of another version, for a gate whose two versions were
//! measured on different examples. Loading model and split is the caller's business.

use std::collections::BTreeMap;

use crate::{
    data::Split,
    error::{Error, ErrorKind, Result},
    evaluate::{evaluate_answers, predict_on},
    model::Classifier,
    registry::ModelVersion,
};

/// The measurements of one version on one split.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The metrics, `f1` among them.
    pub metrics: BTreeMap<String, f64>,
    /// The predicted class of each example, by its index among the split's classes.
    pub predicted: Vec<u32>,
    /// The threshold that those follow; none for more than two classes.
    pub threshold: Option<f64>,
}

/// The metrics and predictions of `classifier` on `split`, which must be the very test split that `candidate` was
/// measured on.
///
/// ```no_run
/// # use trialbook_library as trialbook;
/// # use trialbook::{Result, data::Split, gate, model, registry::{ModelVersion, Registry}};
/// # fn test_split(_: &str) -> Result<Split> { unimplemented!() }
/// # fn gate_it(registry: &Registry) -> Result<()> {
/// let mut reevaluate = |production: &ModelVersion, candidate: &ModelVersion| {
///     let split = test_split(&candidate.lineage.dataset)?;
///     let classifier = model::load(&registry.model_files(production)?)?;
///     Ok(gate::measure(&*classifier, candidate, &split)?.metrics)
/// };
/// gate::run(registry, "SentimentClassifier", 2, &gate::Policy::default(), &mut reevaluate, 0, "ada")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Conflict`] when the split is another one, or the candidate's is unknown; and
/// whatever [`predict_on`] and [`evaluate_answers`] return.
pub fn measure(
    classifier: &dyn Classifier,
    candidate: &ModelVersion,
    split: &Split,
) -> Result<Measurement> {
    let (expected, found) = (&candidate.lineage.test_fingerprint, &split.fingerprint.sha256);
    if expected.is_empty() || expected != found {
        let expected = if expected.is_empty() { "an unknown split" } else { expected.as_str() };
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "test split of dataset {:?} is {found}, but {} version {} was measured on {expected}",
                candidate.lineage.dataset, candidate.model, candidate.version
            ),
        )
        .with_hint("train the candidate again on the dataset as it is now"));
    }
    let answers = predict_on(classifier, split)?;
    let evaluation = evaluate_answers(&split.labels, &answers, &split.classes)?;
    Ok(Measurement {
        metrics: evaluation.metrics().into_iter().collect(),
        predicted: answers.predicted,
        threshold: answers.threshold,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::verdict::tests::version, *};
    use crate::{data::Fingerprint, model::Probabilities, registry::Stage};

    /// Takes everything for positive.
    struct Optimist(Vec<String>);

    impl Classifier for Optimist {
        fn name(&self) -> &'static str {
            "optimist"
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
            Ok(Probabilities::new([0.1, 0.9].repeat(texts.len()), 2))
        }
        fn save(&self, _dir: &Path) -> Result<()> {
            Ok(())
        }
        fn describe(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }

    fn measured(sha256: &str, expected: &str) -> Result<Measurement> {
        let classes = vec!["neg".to_owned(), "pos".to_owned()];
        let split = Split {
            name: "test".to_owned(),
            texts: vec!["good".to_owned(), "bad".to_owned()],
            labels: vec![1, 0],
            classes: classes.clone(),
            fingerprint: Fingerprint {
                sha256: sha256.to_owned(),
                n_rows: 2,
                class_counts: vec![1, 1],
            },
        };
        let mut candidate = version(2, 0.9, Stage::None);
        candidate.lineage.test_fingerprint = expected.to_owned();
        measure(&Optimist(classes), &candidate, &split)
    }

    #[test]
    fn the_candidates_own_split_gives_metrics() {
        let found = measured("aa", "aa").unwrap();
        assert_eq!((found.metrics["f1"], found.predicted), (2.0 / 3.0, vec![1, 1]));
    }

    #[test]
    fn a_split_that_changed_or_is_unknown_is_refused() {
        let error = measured("bb", "aa").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(
            error.to_string(),
            "test split of dataset \"\" is bb, but M version 2 was measured on aa"
        );
        assert!(measured("", "").unwrap_err().to_string().ends_with("on an unknown split"));
    }
}
