//! Asking a model the texts of behaviour tests.

use super::{
    report::{BehaviourAnswer, BehaviourFailure, BehaviourReport, BehaviourResult, MOST_FAILURES},
    suite::{BehaviourCase, BehaviourExpectation, BehaviourSuite, BehaviourTest},
};
use crate::{
    error::Result,
    model::{Classifier, predicted_label},
};

/// Asks `classifier` every text of `suite`.
///
/// # Errors
/// A class that the model does not know, and whatever its prediction returns.
pub fn run_behaviour(
    classifier: &dyn Classifier,
    suite: &BehaviourSuite,
) -> Result<BehaviourReport> {
    let classes = classifier.classes();
    suite.check_classes(classes)?;
    let results = suite.tests.iter().map(|test| run_test(classifier, test));
    Ok(BehaviourReport::new(results.collect::<Result<_>>()?))
}

fn run_test(classifier: &dyn Classifier, test: &BehaviourTest) -> Result<BehaviourResult> {
    let classes = classifier.classes();
    let forms = |case: &BehaviourCase| -> Vec<String> {
        [Some(case.text.clone()), case.changed.clone()].into_iter().flatten().collect()
    };
    let texts: Vec<String> = test.cases.iter().flat_map(forms).collect();
    let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
    let probabilities = classifier.predict(&asked)?;
    let threshold = classifier.decision().threshold();
    let predicted = |row: &[f64]| predicted_label(row, threshold);
    let mut rows = probabilities.rows();
    let class_idx =
        test.expectation.class().and_then(|class| classes.iter().position(|known| known == class));
    let (mut n_passed, mut failures) = (0, Vec::new());
    for case in &test.cases {
        let row = rows.next().unwrap_or_default();
        let changed = case.changed.as_ref().map(|_| rows.next().unwrap_or_default());
        let labels = (predicted(row), changed.map(predicted));
        if passes(&test.expectation, class_idx, row, changed, labels) {
            n_passed += 1;
            continue;
        }
        if failures.len() == MOST_FAILURES {
            continue;
        }
        let answer = |text: &str, row: &[f64]| {
            let label = predicted(row);
            let of_class = class_idx.map(|class_idx| row[class_idx]);
            BehaviourAnswer {
                text: text.to_owned(),
                predicted: classes[label].clone(),
                confidence: row[label],
                of_class,
            }
        };
        failures.push(BehaviourFailure {
            answer: answer(&case.text, row),
            changed: case.changed.as_deref().zip(changed).map(|(text, row)| answer(text, row)),
        });
    }
    Ok(BehaviourResult::new(test, n_passed, failures))
}

/// True if a case meets its expectation: `row` are the probabilities of its text, `changed` those
/// of the changed one, `class_idx` the class that the expectation names, and then the labels of both.
fn passes(
    expectation: &BehaviourExpectation,
    class_idx: Option<usize>,
    row: &[f64],
    changed: Option<&[f64]>,
    (before, after): (usize, Option<usize>),
) -> bool {
    match expectation {
        BehaviourExpectation::MinimumFunctionality { .. } => Some(before) == class_idx,
        BehaviourExpectation::Invariance => after == Some(before),
        BehaviourExpectation::Directional { min_rise, flip, .. } => {
            let Some((changed, after)) = changed.zip(after) else { return false };
            let rises = class_idx.is_none_or(|class_idx| {
                let rise = changed[class_idx] - row[class_idx];
                if *min_rise == 0.0 { rise > 0.0 } else { rise >= *min_rise }
            });
            let flips = after != before && class_idx.is_none_or(|class_idx| class_idx == after);
            rises && (!flip || flips)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toward(min_rise: f64, flip: bool) -> BehaviourExpectation {
        BehaviourExpectation::Directional { toward: Some("b".to_owned()), min_rise, flip }
    }

    /// With the labels of a model whose threshold is 0.5.
    fn holds(
        expectation: &BehaviourExpectation,
        class_idx: Option<usize>,
        row: &[f64],
        changed: Option<&[f64]>,
    ) -> bool {
        let label = |row: &[f64]| predicted_label(row, crate::model::DEFAULT_THRESHOLD);
        passes(expectation, class_idx, row, changed, (label(row), changed.map(label)))
    }

    #[test]
    fn a_case_passes_when_the_answer_is_kept_moved_or_flipped_as_expected() {
        let functional = BehaviourExpectation::MinimumFunctionality { expected: "b".to_owned() };
        let any_flip =
            BehaviourExpectation::Directional { toward: None, min_rise: 0.0, flip: true };
        let rows = [[0.6, 0.4], [0.4, 0.6], [0.3, 0.7]];
        let check = |expectation: &BehaviourExpectation, before: usize, after: usize, expected| {
            let class_idx = expectation.class().map(|_| 1);
            let found = holds(expectation, class_idx, &rows[before], Some(&rows[after]));
            assert_eq!(found, expected, "{expectation:?} {before} {after}");
        };
        assert!(holds(&functional, Some(1), &rows[1], None));
        assert!(!holds(&functional, Some(1), &rows[0], None));
        check(&BehaviourExpectation::Invariance, 1, 2, true);
        check(&BehaviourExpectation::Invariance, 0, 1, false);
        // Without a least rise it has to rise, however little.
        check(&toward(0.0, false), 1, 2, true);
        check(&toward(0.0, false), 1, 1, false);
        check(&toward(0.0, false), 2, 1, false);
        check(&toward(0.15, false), 1, 2, false);
        check(&toward(-0.15, false), 2, 1, true);
        check(&toward(-0.05, false), 2, 1, false);
        check(&toward(0.0, true), 0, 1, true);
        check(&toward(0.0, true), 1, 2, false);
        check(&toward(-1.0, true), 1, 0, false);
        check(&any_flip, 1, 0, true);
        check(&any_flip, 1, 2, false);
    }
}
