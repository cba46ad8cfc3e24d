//! The tracking store and model registry: experiments, runs, metrics, artifacts, registered models,
//! versions and stages, with MLflow's names and meaning. The one home of redb; many processes use
//! the same file at once. It stores verdicts as opaque JSON and leaves policies to the gate.

mod record;

use std::path::{Path, PathBuf};

pub use record::*;
use serde_json::Value;

use crate::{error::Result, model::ModelFiles, store::Store};

/// An open registry. Cheap to share between threads; every call is one transaction.
pub struct Registry {}

#[allow(unused_variables, missing_docs)]
impl Registry {
    /// Opens the store's registry, making it on first use.
    pub fn open(store: &Store) -> Result<Self> {
        todo!()
    }
    pub fn store(&self) -> &Store {
        todo!()
    }

    // Experiments.
    /// The experiment called `name`, created if it does not exist.
    pub fn experiment(&self, name: &str) -> Result<Experiment> {
        todo!()
    }
    pub fn find_experiment(&self, id_or_name: &str) -> Result<Experiment> {
        todo!()
    }
    pub fn experiments(&self) -> Result<Vec<Experiment>> {
        todo!()
    }

    // Runs.
    pub fn create_run(&self, new: NewRun) -> Result<Run> {
        todo!()
    }
    /// Metrics, params and tags of one run in one durable transaction. A param may be logged once;
    /// another value for it is a conflict.
    pub fn log(&self, run_id: &str, batch: &RunBatch) -> Result<()> {
        todo!()
    }
    pub fn finish_run(&self, run_id: &str, status: RunStatus, end_ms: i64) -> Result<()> {
        todo!()
    }
    /// By id, by a unique prefix of at least 4 characters, or by a unique name.
    pub fn run(&self, run: &str) -> Result<Run> {
        todo!()
    }
    pub fn search_runs(&self, query: &RunQuery) -> Result<Vec<Run>> {
        todo!()
    }
    pub fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        todo!()
    }
    pub fn delete_run(&self, run_id: &str) -> Result<()> {
        todo!()
    }
    pub fn restore_run(&self, run_id: &str) -> Result<()> {
        todo!()
    }

    // Artifacts.
    /// Stores `bytes` by their SHA-256 and names them `path` (such as `metrics.json`) in the run.
    pub fn log_artifact(&self, run_id: &str, path: &str, bytes: &[u8]) -> Result<Artifact> {
        todo!()
    }
    /// Every plain file below `dir` as an artifact of the run, named `prefix/relative/path`.
    pub fn log_artifacts(&self, run_id: &str, dir: &Path, prefix: &str) -> Result<Vec<Artifact>> {
        todo!()
    }
    pub fn artifacts(&self, run_id: &str) -> Result<Vec<Artifact>> {
        todo!()
    }
    /// The bytes, proved to be those that were written.
    pub fn read_artifact(&self, artifact: &Artifact) -> Result<Vec<u8>> {
        todo!()
    }
    /// The file that holds the artifact, after its checksum was proved.
    pub fn artifact_path(&self, artifact: &Artifact) -> Result<PathBuf> {
        todo!()
    }

    /// A version's files for `model::load`, after every checksum was proved.
    pub fn model_files(&self, version: &ModelVersion) -> Result<ModelFiles> {
        todo!()
    }

    // Registered models and their versions.
    pub fn models(&self) -> Result<Vec<RegisteredModel>> {
        todo!()
    }
    pub fn model(&self, name: &str) -> Result<RegisteredModel> {
        todo!()
    }
    /// The next version of `new.model`, which is created if it does not exist; refused unless every
    /// artifact lies in the store.
    pub fn create_version(&self, new: NewVersion) -> Result<ModelVersion> {
        todo!()
    }
    pub fn versions(&self, model: &str) -> Result<Vec<ModelVersion>> {
        todo!()
    }
    pub fn version(&self, model: &str, version: u32) -> Result<ModelVersion> {
        todo!()
    }
    /// `NAME/3`, `NAME/Production`, `NAME/Staging`, `NAME@alias` or `NAME` (Production, else the
    /// newest), each also with `models:/` in front.
    pub fn resolve(&self, reference: &str) -> Result<ModelVersion> {
        todo!()
    }
    pub fn production(&self, model: &str) -> Result<Option<ModelVersion>> {
        todo!()
    }
    /// Moves a version to `stage`. Moving to Production archives the former Production version in
    /// the same transaction and remembers it for [`Registry::rollback`]. `note` says who and why and is kept
    /// in the version's stage history.
    pub fn set_stage(
        &self,
        model: &str,
        version: u32,
        stage: Stage,
        note: &str,
    ) -> Result<ModelVersion> {
        todo!()
    }
    /// The version that was Production before the present one becomes Production again.
    pub fn rollback(&self, model: &str, note: &str) -> Result<Rollback> {
        todo!()
    }
    /// Stores a gate's verdict with the version; the newest one counts.
    pub fn set_verdict(&self, model: &str, version: u32, verdict: Value) -> Result<()> {
        todo!()
    }
    pub fn tag_model(
        &self,
        model: &str,
        version: Option<u32>,
        key: &str,
        value: Option<&str>,
    ) -> Result<()> {
        todo!()
    }
    pub fn set_alias(&self, model: &str, alias: &str, version: Option<u32>) -> Result<()> {
        todo!()
    }
    /// Deletes a version or, without one, the whole model. A version in Staging or Production is refused.
    pub fn delete_model(&self, model: &str, version: Option<u32>) -> Result<()> {
        todo!()
    }

    // Upkeep.
    pub fn verify(&self) -> Result<Verification> {
        todo!()
    }
    pub fn gc(&self, dry_run: bool) -> Result<Collection> {
        todo!()
    }
    /// A consistent copy of registry, artifacts and datasets as one file, while others write.
    pub fn backup(&self, file: &Path) -> Result<BackupSummary> {
        todo!()
    }
}

/// Puts a backup's content into an empty or absent store folder.
#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
pub fn restore(store: &Store, file: &Path) -> Result<BackupSummary> {
    todo!()
}

/// JSON has no NaN and no infinities: they are written as MLflow writes them, as the texts `"NaN"`,
/// `"Infinity"` and `"-Infinity"`.
pub(crate) mod finite_or_text {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(
        metrics: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(metrics.iter().map(|(key, value)| {
            let number = if value.is_finite() {
                Number::Finite(*value)
            } else if value.is_nan() {
                Number::Text("NaN".to_owned())
            } else if *value > 0.0 {
                Number::Text("Infinity".to_owned())
            } else {
                Number::Text("-Infinity".to_owned())
            };
            (key, number)
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let metrics = BTreeMap::<String, Number>::deserialize(deserializer)?;
        metrics
            .into_iter()
            .map(|(key, number)| match number {
                Number::Finite(value) => Ok((key, value)),
                Number::Text(text) => match text.as_str() {
                    "NaN" => Ok((key, f64::NAN)),
                    "Infinity" => Ok((key, f64::INFINITY)),
                    "-Infinity" => Ok((key, f64::NEG_INFINITY)),
                    _ => Err(D::Error::custom(format!("metric {key:?}: {text:?} is no number"))),
                },
            })
            .collect()
    }
}
