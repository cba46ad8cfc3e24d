//! The library's public face: one [`Book`] is one open store with its datasets, its registry and
//! the steps of the lifecycle that need several rooms at once. It refuses to print and to parse
//! arguments: that is the command layer's work.

mod asked_split;
mod behaviour;
mod compare;
mod costs;
mod cross_validate;
mod decision;
mod derive;
mod drift;
mod errors;
mod errors_output;
mod explain;
mod feedback;
#[cfg(feature = "neural")]
mod import;
mod issues;
mod label_file;
mod learning_curve;
mod measured;
mod measurements;
mod predict_file;
mod profile;
mod python_flavour;
mod quantize;
mod registering;
mod release;
mod request;
mod resume;
mod retraining;
mod slice_floor;
mod slices;
pub mod sweep;
mod tables;
mod train;
mod unfinished;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use polars::prelude::DataFrame;
use serde::Serialize;
use serde_json::json;

pub use crate::clock::now_ms;
pub use asked_split::trained_on;
pub use behaviour::{BehaviourOrigin, BehaviourRun, BehaviourSource};
pub use compare::{CompareRequest, ComparedRow, ModelComparison};
pub use cross_validate::CrossValidation;
pub use decision::{CalibrationEffect, MadeDecision};
pub use derive::{DeriveRequest, Derived};
pub use drift::{DriftRequest, DriftSource};
pub use errors::{ConfusedClasses, ErrorAnalysis, ErrorsRequest, PredictionError};
pub use explain::{ExplainBase, Explained, ModelTerms};
pub use feedback::{FeedbackDatasetRequest, SampleRequest};
#[cfg(feature = "neural")]
pub use import::{ImportRequest, Imported};
pub use issues::IssuesRequest;
pub use label_file::{LabelFileRequest, LabelledFile};
pub use learning_curve::{CURVE_ARTIFACT, LearningCurveRequest};
pub use measured::{VALIDATION_PREFIX, listed_metric, measured_on};
pub use predict_file::{PredictFileRequest, PredictedFile};
pub use profile::FoundProfile;
pub use quantize::{Agreement, Quantized};
pub use release::ReleaseReader;
pub use request::TrainRequest;
pub use slices::{SliceAnalysis, SlicesRequest};
pub use tables::OWN_TABLES;
pub use train::{HeldOut, Timings, Trained};

use crate::{
    actor,
    data::Datasets,
    error::{Error, ErrorKind, Result},
    evaluate::{Evaluation, evaluate_on},
    gate::{
        self, Examination, Gating, Leakage, Policy, Promotion, Question, Rollback, Rule,
        StoredPolicy, Verdict,
    },
    hint::Hint,
    model::{
        self, Classifier,
        prediction::{BatchPrediction, Prediction},
    },
    registry::{self, ModelVersion, Registry, Stage, Tracker, check_model_name},
    store::Store,
};

/// The program and version that trained a model, as kept in its lineage.
pub const CODE_VERSION: &str = concat!("trialbook ", env!("CARGO_PKG_VERSION"));

/// One open store. Opening reads and creates nothing; each part is opened when first needed.
///
/// ```
/// # use trialbook_library as trialbook;
/// # fn main() -> trialbook::Result<()> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// use trialbook::Book;
/// let book = Book::open(folder.path());
/// assert!(book.datasets().list()?.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Book {
    store: Store,
    registry: OnceLock<Registry>,
    /// The registry of a server, where the store does not use its own.
    elsewhere: OnceLock<Arc<dyn Tracker>>,
    who: String,
}

/// Some of a model's answers with the version that gave them.
#[derive(Debug, Clone, Serialize)]
pub struct Predicted {
    /// The version that answered.
    pub model: ModelVersion,
    /// One answer a text, in order.
    pub predictions: Vec<Prediction>,
    /// For each text whether it is longer than what the model reads of it.
    pub truncated: Vec<bool>,
}

impl Book {
    /// The store in the folder `root`.
    pub fn open(root: impl AsRef<Path>) -> Self {
        Self::with_store(Store::new(root.as_ref()))
    }

    /// The store that `TRIALBOOK_STORE` names, or the folder `store` here.
    ///
    /// # Errors
    /// When what `TRIALBOOK_STORE` names is no folder.
    pub fn open_default() -> Result<Self> {
        Store::from_env().map(Self::with_store)
    }

    /// An already located store.
    pub fn with_store(store: Store) -> Self {
        Self { store, registry: OnceLock::new(), elsewhere: OnceLock::new(), who: actor::user() }
    }

    /// The folder.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The person who acts: kept with verdicts and changes of stage. From `TRIALBOOK_USER`, else
    /// `USER`.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// The datasets.
    pub fn datasets(&self) -> Datasets {
        Datasets::new(&self.store)
    }

    /// Removes the dataset `name`, with an event in the audit trail. Runs that used it keep its
    /// fingerprint.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; when the system or the registry refuses.
    pub fn remove_dataset(&self, name: &str) -> Result<()> {
        let datasets = self.datasets();
        if self.store.registry_address().is_some() {
            return datasets.remove(name);
        }
        // One whose manifest cannot be read is removed all the same.
        let splits = datasets.get(name).map(|dataset| dataset.splits).unwrap_or_default();
        let splits: BTreeMap<String, String> =
            splits.into_iter().map(|split| (split.name, split.fingerprint.sha256)).collect();
        let details = json!({"dataset": splits});
        self.registry()?.delete_outside(name, details, || datasets.remove(name))
    }

    /// The examples of `imdb` (with a column `split`), `imdb.train` or `imdb.test` as a frame with
    /// the columns `text`, `label` (the class name) and `target` (its index).
    ///
    /// # Errors
    /// Unknown dataset or split, or a file that cannot be read.
    pub fn frame(&self, reference: &str) -> Result<DataFrame> {
        self.datasets().frame(reference)?.collect().map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot read {reference}")).with_source(source)
        })
    }

    /// The store's own registry, opened on first use. Steps of the lifecycle use [`Book::tracker`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the store uses the registry of a server, [`ErrorKind::NotFound`]
    /// when the store's folder does not exist, and when the database cannot be opened or made.
    pub fn registry(&self) -> Result<&Registry> {
        if let Some(address) = self.store.registry_address() {
            return Err(Error::invalid(format!(
                "this takes a registry of a store, and the registry in use is at {address}"
            ))
            .with_hint("leave --registry and TRIALBOOK_REGISTRY out to use the store's own"));
        }
        if let Some(registry) = self.registry.get() {
            return Ok(registry);
        }
        let root = self.store.root();
        // A mistyped folder must not look like an empty registry.
        if !root.exists() {
            return Err(Error::new(ErrorKind::NotFound, format!("store {root:?} does not exist"))
                .with_hint(
                    Hint::new()
                        .say("check --store, or create a store with ")
                        .run("data add")
                        .say(" or ")
                        .run("data sample"),
                ));
        }
        let opened = Registry::open(&self.store)?;
        Ok(self.registry.get_or_init(|| opened))
    }

    /// The registry that the steps of the lifecycle use: runs, versions and their stages.
    ///
    /// # Errors
    /// As [`Book::registry`], for the store's own; one that a server keeps is not asked yet.
    pub fn tracker(&self) -> Result<&dyn Tracker> {
        if self.store.registry_address().is_none() {
            return Ok(self.registry()?);
        }
        if let Some(elsewhere) = self.elsewhere.get() {
            return Ok(elsewhere.as_ref());
        }
        let opened = registry::tracker(&self.store)?;
        Ok(self.elsewhere.get_or_init(|| opened).as_ref())
    }

    /// Checks the name of the model that is to get a version. One that is there keeps the name that it
    /// got when more of them were allowed.
    pub(super) fn check_model_name(&self, name: &str) -> Result<()> {
        let Err(refused) = check_model_name(name) else { return Ok(()) };
        let is_there = self.tracker().is_ok_and(|registry| registry.model(name).is_ok());
        if is_there { Ok(()) } else { Err(refused) }
    }

    /// Loads a version's classifier after proving every file's checksum.
    ///
    /// # Errors
    /// Missing or damaged files, with the version's name.
    pub fn load(&self, version: &ModelVersion) -> Result<Box<dyn Classifier>> {
        let files = self.tracker()?.model_files(version)?;
        model::load(&files).map_err(|error| error.with_context(version.reference().to_string()))
    }

    /// The version that `reference` names: `NAME` (its Production version, or the newest while none
    /// is in Production), `NAME/3`, `NAME/Production`, `NAME/latest` or `NAME@alias`, each also with
    /// `models:/` in front.
    ///
    /// # Errors
    /// A text of another form, and [`ErrorKind::NotFound`] with what there is instead.
    pub fn version(&self, reference: &str) -> Result<ModelVersion> {
        self.tracker()?.resolve(&reference.parse()?)
    }

    /// The predictions of one version for each text; `reference` is as for [`Book::version`].
    ///
    /// # Errors
    /// No such version, an empty text, or a model that cannot be loaded.
    pub fn predict(&self, reference: &str, texts: &[&str]) -> Result<Predicted> {
        check_texts(texts)?;
        let model = self.version(reference)?;
        let classifier = self.load(&model)?;
        let BatchPrediction { predictions, truncated } =
            BatchPrediction::of(classifier.as_ref(), texts)?;
        Ok(Predicted { model, predictions, truncated })
    }

    /// Measures a version on a split of a dataset, such as `imdb` and `test`.
    ///
    /// # Errors
    /// Unknown version or dataset, or other classes than the model's.
    pub fn evaluate(
        &self,
        version: &ModelVersion,
        dataset: &str,
        split: &str,
    ) -> Result<Evaluation> {
        let classifier = self.load(version)?;
        let split = self.datasets().split(dataset, split)?;
        evaluate_on(classifier.as_ref(), &split)
    }

    /// Judges a version and keeps the verdict with it: by the policy that was set in the store, else
    /// by `policy`, the default rule. Both it and the Production version are measured on its test
    /// split, so that the verdict says how sure it is.
    ///
    /// # Errors
    /// Unknown version, or a Production version that was measured on another test split and cannot be
    /// measured on this one.
    pub fn gate(&self, model: &str, version: u32, policy: &Policy, now_ms: i64) -> Result<Verdict> {
        let stored = StoredPolicy::current(&self.store)?;
        let rule = stored.as_ref().map_or(Rule::Default(policy), Rule::Checks);
        let mut reevaluate = |production: &ModelVersion, candidate: &ModelVersion| {
            let split = self.datasets().split(&candidate.lineage.dataset, "test")?;
            Ok(gate::measure(self.load(production)?.as_ref(), candidate, &split)?.metrics)
        };
        let mut examine =
            |candidate: &ModelVersion, production: Option<&ModelVersion>, question: &Question| {
                self.examine(candidate, production, question)
            };
        let gating = Gating { registry: self.tracker()?, rule, now_ms, who: &self.who };
        gating.run(model, version, &mut reevaluate, Some(&mut examine))
    }

    /// Both versions on the candidate's test split, one model in memory at a time.
    fn examine(
        &self,
        candidate: &ModelVersion,
        production: Option<&ModelVersion>,
        question: &Question,
    ) -> Result<Examination> {
        let (datasets, lineage) = (self.datasets(), &candidate.lineage);
        let split = datasets.split(&lineage.dataset, "test")?;
        let measure =
            |version: &ModelVersion| gate::measure(self.load(version)?.as_ref(), candidate, &split);
        let own = measure(candidate)?;
        let slices = question.slices.as_ref().map(|check| {
            let measured = self.floor_slices(candidate, &split, &own.predicted, check);
            measured.map_err(|error| error.to_string())
        });
        let other = production.map(|production| {
            if production.is_from_outside() {
                return Err(Error::invalid("Production was logged by an MLflow client"));
            }
            measure(production)
        });
        let mut examination = Examination::of(&split, own, other, question.margin)?;
        examination.slices = slices;
        if question.leakage {
            let train = datasets.split(&lineage.dataset, "train");
            let known = train.and_then(|train| {
                Leakage::of(&train, &split, &lineage.train_fingerprint, question.near)
            });
            examination.leakage = Some(known.map_err(|error| error.to_string()));
        }
        if question.behaviour {
            let found = self.behaviour_for_gate(candidate);
            examination.behaviour = Some(found.map_err(|error| error.to_string()));
        }
        if question.latency || question.memory {
            let costs = self.costs(candidate, production, &split, question.latency);
            examination.costs = Some(costs.map_err(|error| error.to_string()));
        }
        Ok(examination)
    }

    /// Moves a version to `stage`; to Production only with a passing verdict or a reason to force.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`] without a passing verdict.
    pub fn promote(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        force: Option<&str>,
    ) -> Result<Promotion> {
        gate::promote(self.tracker()?, model, version, stage, force, &self.who)
    }

    /// Brings the previous Production version back.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when there is none.
    pub fn rollback(&self, model: &str, reason: &str) -> Result<Rollback> {
        gate::rollback(self.tracker()?, model, &self.who, reason)
    }
}

/// That there is something to predict in each of `texts`.
fn check_texts(texts: &[&str]) -> Result<()> {
    match texts.iter().position(|text| text.trim().is_empty()) {
        Some(idx) => Err(Error::invalid(format!("text {} is empty", idx + 1))
            .with_hint("give every text at least one word")),
        None => Ok(()),
    }
}
