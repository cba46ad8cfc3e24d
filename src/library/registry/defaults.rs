//! The names that stand in for one that was left out: the experiment and the model of a dataset,
//! and the model that is meant where none is named.

use super::{
    Registry, Tracker,
    record::{DEFAULT_EXPERIMENT, DEFAULT_MODEL},
};
use crate::error::Result;

/// The classes of sentiment, whatever their case.
const SENTIMENT: [&str; 2] = ["negative", "positive"];

/// The names that runs and versions trained on a dataset have unless others are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultNames {
    /// The experiment's.
    pub experiment: String,
    /// The registered model's.
    pub model: String,
}

impl DefaultNames {
    /// Those of a dataset with these classes: [`DEFAULT_EXPERIMENT`] and [`DEFAULT_MODEL`] where they
    /// are `negative` and `positive`; otherwise both are the dataset's own name, so that two datasets
    /// never meet in one model.
    pub fn of(dataset: &str, classes: &[String]) -> Self {
        Self::of_sentiment(classes)
            .unwrap_or_else(|| Self { experiment: dataset.to_owned(), model: dataset.to_owned() })
    }

    /// Those of a model of sentiment, where `classes` are its.
    pub fn of_sentiment(classes: &[String]) -> Option<Self> {
        let mut names: Vec<String> = classes.iter().map(|class| class.to_lowercase()).collect();
        names.sort();
        (names == SENTIMENT).then(|| Self {
            experiment: DEFAULT_EXPERIMENT.to_owned(),
            model: DEFAULT_MODEL.to_owned(),
        })
    }
}

impl Registry {
    /// The model that is meant where none is named, as [`Tracker::default_model`] finds it.
    ///
    /// # Errors
    /// As there.
    pub fn default_model(&self) -> Result<String> {
        Tracker::default_model(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_dataset_unless_it_is_of_sentiment() {
        let check = |classes: &[&str], expected: [&str; 2]| {
            let classes: Vec<String> = classes.iter().map(|&class| class.to_owned()).collect();
            let names = DefaultNames::of("r8", &classes);
            assert_eq!([names.experiment, names.model], expected, "{classes:?}");
        };
        let sentiment = ["sentiment-analysis", "SentimentClassifier"];
        check(&["negative", "positive"], sentiment);
        check(&["POSITIVE", "Negative"], sentiment);
        for classes in [
            &["ham", "spam"][..],
            &["negative", "neutral", "positive"],
            &["negative", "negative"],
            &["0", "1", "2"],
            &[],
        ] {
            check(classes, ["r8", "r8"]);
        }
    }
}
