//! Behaviour tests of a version: which tests are meant, the model that is asked, and what came of it,
//! shown.

use std::path::PathBuf;

use serde_json::json;

use super::{Book, asked_split::trained_on};
use crate::{
    error::{Error, Result},
    evaluate::{BehaviourReport, run_behaviour},
    figure::{self, short},
    gate::{BehaviourExamination, StoredBehaviour},
    hint::Hint,
    model::Classifier,
    output::Output,
    registry::ModelVersion,
};

/// Failures of each test that people are shown.
const N_SHOWN: usize = 3;

/// The behaviour tests that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BehaviourSource {
    /// Those of a file.
    File(PathBuf),
    /// Those that were set for this dataset, else the built-in ones for sentiment.
    Dataset(String),
    /// As for the dataset that the version was trained on.
    TrainedOn,
}

/// The origin of tests that were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BehaviourOrigin {
    /// A file.
    File(PathBuf),
    /// They were set for this dataset.
    Dataset(String),
    /// They are built in.
    BuiltIn,
}

/// A version's behaviour tests and their results.
#[derive(Debug, Clone)]
pub struct BehaviourRun {
    /// The version.
    pub model: ModelVersion,
    /// The source of the tests.
    pub origin: BehaviourOrigin,
    /// SHA-256 of their text.
    pub sha256: String,
    /// The results.
    pub report: BehaviourReport,
}

impl Book {
    /// Asks a version the behaviour tests of `source`; `reference` is as for [`Book::version`].
    ///
    /// # Errors
    /// No such version or dataset, a file that is none of behaviour tests, tests that name a class that
    /// the model does not know, and a dataset without tests whose classes are not those of sentiment.
    pub fn behaviour(&self, reference: &str, source: &BehaviourSource) -> Result<BehaviourRun> {
        let model = self.version(reference)?;
        // Before the model is loaded: what cannot be read is known now.
        let of_file = match source {
            BehaviourSource::File(path) => Some(StoredBehaviour::read(path)?),
            _ => None,
        };
        let classifier = self.load(&model)?;
        let (origin, tests) = match (source, of_file) {
            (BehaviourSource::File(path), Some(tests)) => {
                (BehaviourOrigin::File(path.clone()), tests)
            }
            (BehaviourSource::Dataset(name), _) => {
                self.tests_of(&self.datasets().get(name)?.name, classifier.as_ref())?
            }
            _ => match trained_on(&model) {
                Ok(dataset) => self.tests_of(dataset, classifier.as_ref())?,
                // One from elsewhere has no dataset whose tests it could have.
                Err(_) => self.tests_of("", classifier.as_ref())?,
            },
        };
        let report = run_behaviour(classifier.as_ref(), &tests.suite)?;
        Ok(BehaviourRun { model, origin, sha256: tests.sha256, report })
    }

    /// The results of `version`'s behaviour tests, as a gate asks for them.
    pub(super) fn behaviour_for_gate(
        &self,
        version: &ModelVersion,
    ) -> Result<BehaviourExamination> {
        let classifier = self.load(version)?;
        let (_, tests) = self.tests_of(&version.lineage.dataset, classifier.as_ref())?;
        let report = run_behaviour(classifier.as_ref(), &tests.suite)?;
        Ok(BehaviourExamination { sha256: tests.sha256, report })
    }

    /// The tests that were set for `dataset`, else the built-in ones for the classes of `classifier`.
    fn tests_of(
        &self,
        dataset: &str,
        classifier: &dyn Classifier,
    ) -> Result<(BehaviourOrigin, StoredBehaviour)> {
        if !dataset.is_empty()
            && let Some(tests) = StoredBehaviour::of_dataset(self.store(), dataset)?
        {
            return Ok((BehaviourOrigin::Dataset(dataset.to_owned()), tests));
        }
        let classes = classifier.classes();
        let Some(tests) = StoredBehaviour::built_in(classes) else {
            let whose = match dataset {
                "" => "the version names no dataset".to_owned(),
                dataset => format!("{dataset} has none"),
            };
            return Err(Error::invalid(format!(
                "there are no behaviour tests: {whose}, and those for sentiment are not for the classes {}",
                classes.join(", ")
            ))
            .with_hint(
                Hint::from("name a file, or set one with ").run("data behaviour set NAME FILE"),
            ));
        };
        Ok((BehaviourOrigin::BuiltIn, tests))
    }
}

impl BehaviourOrigin {
    fn told(&self) -> String {
        match self {
            Self::File(path) => format!("{path:?}"),
            Self::Dataset(name) => format!("the tests of {name}"),
            Self::BuiltIn => "the built-in tests for sentiment".to_owned(),
        }
    }
}

impl BehaviourRun {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { model, origin, sha256, report } = self;
        let (dataset, file) = match origin {
            BehaviourOrigin::File(path) => (None, Some(path)),
            BehaviourOrigin::Dataset(name) => (Some(name), None),
            BehaviourOrigin::BuiltIn => (None, None),
        };
        let json = json!({
            "model": model.model,
            "version": model.version,
            "dataset": dataset,
            "file": file,
            "sha256": sha256,
            "n_cases": report.n_cases,
            "n_passed": report.n_passed,
            "pass_rate": report.pass_rate,
            "tests": report.tests,
        });
        let output = Output::new(json)
            .text(format!(
                "{} by {} ({}): {} of {} pass\n",
                model.reference(),
                origin.told(),
                short(sha256),
                figure::count(report.n_passed as u64),
                figure::counted(report.n_cases as u64, "case")
            ))
            .table(report.table());
        match report.failures_table(N_SHOWN) {
            None => output,
            Some(failures) => output.text("").table(failures),
        }
    }
}
