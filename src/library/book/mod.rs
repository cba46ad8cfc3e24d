//! The library's public face: one [`Book`] is one open store with its datasets, its registry and
//! the steps of the lifecycle that need several rooms at once. It refuses to print and to parse
//! arguments: that is the command layer's work.

mod cross_validate;
mod errors;
mod explain;
#[cfg(feature = "neural")]
mod import;
mod measured;
mod measurements;
mod predict_file;
mod python_flavour;
mod registering;
mod request;
mod resume;
mod tables;
mod train;
mod unfinished;

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use polars::prelude::DataFrame;
use serde::Serialize;
use serde_json::json;

pub use crate::clock::now_ms;
pub use cross_validate::CrossValidation;
pub use errors::{ConfusedClasses, ErrorAnalysis, ErrorsRequest, PredictionError};
pub use explain::{ExplainBase, Explained, ModelTerms};
#[cfg(feature = "neural")]
pub use import::{ImportRequest, Imported};
pub use measured::{VALIDATION_PREFIX, listed_metric, measured_on};
pub use predict_file::{PredictFileRequest, PredictedFile};
pub use request::TrainRequest;
pub use tables::OWN_TABLES;
pub use train::{HeldOut, Timings, Trained};

use crate::{
    actor,
    data::Datasets,
    error::{Error, ErrorKind, Result},
    evaluate::{Evaluation, evaluate_on},
    gate::{self, Policy, Promotion, Rollback, Verdict},
    hint::Hint,
    model::{
        self, Classifier,
        prediction::{BatchPrediction, Prediction},
    },
    registry::{ModelVersion, Registry, Stage, check_model_name},
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
        Self { store, registry: OnceLock::new(), who: actor::user() }
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

    /// The registry, opened on first use.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the store's folder does not exist, and when the database cannot
    /// be opened or made.
    pub fn registry(&self) -> Result<&Registry> {
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

    /// Checks the name of the model that is to get a version. One that is there keeps the name that it
    /// got when more of them were allowed.
    pub(super) fn check_model_name(&self, name: &str) -> Result<()> {
        let Err(refused) = check_model_name(name) else { return Ok(()) };
        let is_there = self.registry().is_ok_and(|registry| registry.model(name).is_ok());
        if is_there { Ok(()) } else { Err(refused) }
    }

    /// Loads a version's classifier after proving every file's checksum.
    ///
    /// # Errors
    /// Missing or damaged files, with the version's name.
    pub fn load(&self, version: &ModelVersion) -> Result<Box<dyn Classifier>> {
        let files = self.registry()?.model_files(version)?;
        model::load(&files).map_err(|error| error.with_context(version.reference().to_string()))
    }

    /// The version that `reference` names: `NAME` (its Production version, or the newest while none
    /// is in Production), `NAME/3`, `NAME/Production`, `NAME/latest` or `NAME@alias`, each also with
    /// `models:/` in front.
    ///
    /// # Errors
    /// A text of another form, and [`ErrorKind::NotFound`] with what there is instead.
    pub fn version(&self, reference: &str) -> Result<ModelVersion> {
        self.registry()?.resolve(&reference.parse()?)
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

    /// Judges a version by `policy` and keeps the verdict with it. When the Production version was
    /// measured on another test split, it is measured again on the candidate's.
    ///
    /// # Errors
    /// Unknown version, or a test split that is no longer in the store.
    pub fn gate(&self, model: &str, version: u32, policy: &Policy, now_ms: i64) -> Result<Verdict> {
        let mut reevaluate = |production: &ModelVersion, candidate: &ModelVersion| {
            let split = self.datasets().split(&candidate.lineage.dataset, "test")?;
            gate::measure(self.load(production)?.as_ref(), candidate, &split)
        };
        gate::run(self.registry()?, model, version, policy, &mut reevaluate, now_ms, &self.who)
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
        gate::promote(self.registry()?, model, version, stage, force, &self.who)
    }

    /// Brings the previous Production version back.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when there is none.
    pub fn rollback(&self, model: &str, reason: &str) -> Result<Rollback> {
        gate::rollback(self.registry()?, model, &self.who, reason)
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
