//! The names that stand in for one that was left out: the experiment and the model of a dataset,
//! and the model that is meant where none is named.

use super::{
    Registry,
    record::{DEFAULT_EXPERIMENT, DEFAULT_MODEL},
};
use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;

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
    /// The model that is meant where none is named: the only one with a Production version or, while
    /// nothing is in production, the only one there is.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with their names if there are several, [`ErrorKind::NotFound`] if
    /// there is none.
    pub fn default_model(&self) -> Result<String> {
        let names: Vec<String> = self.models()?.into_iter().map(|model| model.name).collect();
        let mut in_production = Vec::new();
        for name in &names {
            if self.production(name)?.is_some() {
                in_production.push(name.clone());
            }
        }
        let (candidates, fault) = match in_production.is_empty() {
            true => (names, "several models exist, and none is in production"),
            false => (in_production, "several models are in production"),
        };
        match candidates.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Error::new(ErrorKind::NotFound, "there is no model yet").with_hint(
                Hint::from("train one: ")
                    .run("train tfidf --data NAME --deploy")
                    .say(" also puts it in production"),
            )),
            [first, ..] => {
                Err(Error::new(ErrorKind::Conflict, format!("{fault}: {}", candidates.join(", ")))
                    .with_hint(format!("name the model, for example {first}")))
            }
        }
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
