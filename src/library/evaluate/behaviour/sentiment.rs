//! The behaviour tests that are built in, for models of sentiment.

use super::suite::{BehaviourExpectation, BehaviourSuite};

/// The names that the two classes of a dataset of sentiment have; the first are the file's.
const NAMES: [[&str; 2]; 3] = [["negative", "positive"], ["neg", "pos"], ["bad", "good"]];

impl BehaviourSuite {
    /// The text of the tests for sentiment.
    pub const SENTIMENT: &'static str = include_str!("sentiment.toml");

    /// The built-in tests for a model of these two classes, with its own names for them; none where
    /// they are not those of sentiment.
    pub fn sentiment(classes: &[String]) -> Option<Self> {
        let [_, _] = classes else { return None };
        let mut found = None;
        for names in NAMES {
            let named = names
                .map(|name| classes.iter().find(|class| class.to_lowercase() == name).cloned());
            if let [Some(negative), Some(positive)] = named {
                found = Some([negative, positive]);
            }
        }
        let [negative, positive] = found?;
        let mut suite = Self::parse(Self::SENTIMENT).ok()?;
        for test in &mut suite.tests {
            let class = match &mut test.expectation {
                BehaviourExpectation::MinimumFunctionality { expected } => expected,
                BehaviourExpectation::Directional { toward: Some(toward), .. } => toward,
                _ => continue,
            };
            *class = if class == NAMES[0][0] { negative.clone() } else { positive.clone() };
        }
        Some(suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_built_in_tests_have_the_names_of_the_models_classes() {
        let usual = BehaviourSuite::sentiment(&names(&["negative", "positive"])).unwrap();
        assert_eq!(usual, BehaviourSuite::parse(BehaviourSuite::SENTIMENT).unwrap());
        assert!((5..=15).contains(&usual.tests.len()));
        for classes in [["neg", "pos"], ["Pos", "Neg"], ["Positive", "Negative"]] {
            let classes = names(&classes);
            let suite = BehaviourSuite::sentiment(&classes).unwrap();
            suite.check_classes(&classes).unwrap();
            let named = |idx: usize| suite.tests[idx].expectation.class().unwrap().to_lowercase();
            assert!(named(0).starts_with("pos") && named(1).starts_with("neg"));
        }
        for other in [&["ham", "spam"][..], &["neg", "pos", "mixed"], &["neg", "positive"]] {
            assert_eq!(BehaviourSuite::sentiment(&names(other)), None);
        }
    }
}
