//! The tracking store and model registry: experiments, runs, metrics, artifacts, registered models,
//! versions and stages, with MLflow's names and meaning. The one home of redb; many processes use
//! the same file at once. It stores verdicts as opaque JSON and leaves policies to the gate.

mod artifact_bucket;
mod artifact_cache;
mod artifact_file;
mod artifact_files;
mod artifact_location;
mod artifact_place;
mod artifacts;
mod audit;
mod backup;
mod codec;
mod collect;
mod commit_log;
mod database;
mod database_file;
mod defaults;
mod experiments;
mod fault;
mod filter;
mod flow;
mod folders;
mod handle;
mod inputs;
mod kept_tables;
mod keys;
mod local;
mod locked_file;
mod logged_model;
mod logged_models;
mod metrics;
mod models;
mod names;
mod open;
mod page;
mod pending;
mod private_copy;
mod record;
mod reference;
mod registered;
mod registering;
mod registration;
mod release;
mod release_bounds;
mod releases;
mod remote;
mod renewal;
mod restore;
mod retired;
mod run_edit;
mod run_view;
mod runs;
mod schema;
mod search;
mod search_models;
mod stages;
mod stored;
mod succession;
mod tables;
mod tracker;
mod transaction;
mod transfer;
mod transfer_models;
mod upkeep;
mod upload;
mod verify;
mod versions;
mod write_behind;
mod writer_group;

use std::sync::Arc;

pub use artifact_file::ArtifactFile;
pub use audit::{AuditAction, AuditEvent, AuditQuery, LastRetraining};
pub use defaults::DefaultNames;
pub use experiments::NewExperiment;
pub use flow::{DatasetRecord, RunDataset, RunFlow};
pub use folders::{
    ARTIFACT_SCHEME, ArtifactOwner, Folder, FolderEntry, experiment_artifact_uri,
    model_artifact_uri, run_artifact_uri,
};
pub use inputs::DatasetUse;
pub use keys::{ApiKey, KeyState, MadeKey, NewKey, Scope, digest};
pub use logged_model::{LoggedMetric, LoggedModel, ModelStatus};
pub use logged_models::NewLoggedModel;
pub use names::check_known_model_name;
pub use names::check_model_name;
pub use open::tracker;
pub use page::{Listing, Page};
pub use record::*;
pub use reference::{ModelReference, VersionSelector};
pub use registering::NewRegistration;
pub use registration::Registration;
pub use release::{
    NewRelease, OverruledGate, Release, ReleaseEnd, ReleaseKind, ReleaseState, ReleaseStep,
    SplitKey,
};
pub(crate) use release::{counted_percent, percent};
pub use release_bounds::ReleaseBounds;
pub use remote::{
    FILES_TAG, FORMER_TAG, HISTORY_TAG, LINEAGE_TAG, METRICS_TAG, RELEASE_END_TAG, RELEASE_TAG,
    VERDICT_TAG, is_record_tag, metrics_of, record_tags, take_record_tags,
};
pub use restore::restore;
pub use run_edit::{RunEdit, TagEdit};
pub use runs::{PARENT_RUN_TAG, PROCESS_TAG};
pub use search_models::Query;
pub use stages::Grounds;
pub use tracker::{GateSeal, Permit, Tracker};
pub(crate) use transfer::{WholeRun, check_run_id};
pub(crate) use transfer_models::{TakenModel, WholeModel};
pub use upkeep::{BackupSummary, Collection, Verification};
pub use upload::Upload;

use self::{artifact_place::ArtifactPlace, database::Database};
use serde_json::Value;

use crate::{actor, clock, error::Result, store::Store};

/// An open registry. Cheap to clone and to share between threads; every call is one transaction.
///
/// A run's life in three of them, each durable once the call returns:
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::{registry::{Metric, NewRun, Registry, RunBatch, RunStatus}, store::Store};
/// # fn main() -> trialbook::Result<()> {
/// # let folder = tempfile::tempdir().map_err(|e| trialbook::Error::invalid(e.to_string()))?;
/// let registry = Registry::open(&Store::new(folder.path()))?;
/// let experiment = registry.experiment("sentiment-analysis")?;
/// let run = registry.create_run(NewRun {
///     experiment_id: experiment.experiment_id,
///     start_ms: 1_700_000_000_000,
///     ..NewRun::default()
/// })?;
/// let f1 = Metric { key: "f1".into(), value: 0.91, step: 0, timestamp_ms: 1_700_000_001_000 };
/// registry.log(&run.run_id, &RunBatch { metrics: vec![f1], ..RunBatch::default() })?;
/// registry.finish_run(&run.run_id, RunStatus::Finished, 1_700_000_002_000)?;
/// assert_eq!(registry.run(&run.run_id)?.metrics["f1"], 0.91);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Registry {
    store: Store,
    database: Arc<Database>,
    files: ArtifactPlace,
    /// The actor, for the audit trail.
    actor: Arc<str>,
}

impl Registry {
    /// Opens the store's registry, making it on first use. One that an older version wrote is moved
    /// to the present schema first, also while that version has it open; a copy of it as it was is
    /// kept beside it. A store on a read-only file system can be read.
    ///
    /// # Errors
    /// When the system refuses, when the file is damaged, or when a newer build wrote it; when the
    /// artifacts lie elsewhere than the store is to have them, or their storage refuses.
    pub fn open(store: &Store) -> Result<Self> {
        store.check()?;
        let database = Database::open(store, clock::now_ms())?;
        let files = ArtifactPlace::open(store)?;
        // After a power failure: what was acknowledged is in the log, though its file may not be there.
        // Where it cannot be written again, as on a full disk, that artifact alone cannot be read.
        if let Err(error) = database.read(|txn| Ok(files.restore(txn.contents())?)) {
            tracing::warn!(error = error.chain(), "an artifact is in the registry's log alone");
        }
        Ok(Self { store: store.clone(), database, files, actor: local_actor().into() })
    }

    /// The same registry, with `actor` as who acts in its audit trail from now on: the name of an
    /// API key where a request is served. Without it, it is the user and the machine, `ada@lab`.
    pub fn acting_as(&self, actor: &str) -> Self {
        Self { actor: actor.into(), ..self.clone() }
    }

    /// A number that is another one after every change, whichever process made it. It says that something
    /// changed, never what.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn mark(&self) -> Result<u64> {
        self.database.mark()
    }

    /// The name of who acts in its audit trail.
    pub fn who(&self) -> &str {
        &self.actor
    }

    /// The store it belongs to.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// The actor where nobody else is named.
fn local_actor() -> String {
    format!("{}@{}", actor::user(), actor::host())
}

/// `value` in JSON, which has no NaN and no infinities: they are written as MLflow writes them, as
/// the texts `"NaN"`, `"Infinity"` and `"-Infinity"`.
pub fn json_number(value: f64) -> Value {
    if value.is_finite() {
        Value::from(value)
    } else if value.is_nan() {
        Value::from("NaN")
    } else {
        Value::from(if value > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

/// Metrics in JSON, each value as [`json_number`] writes it.
pub(crate) mod finite_or_text {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(
        metrics: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(metrics.iter().map(|(key, value)| (key, super::json_number(*value))))
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
                    _ => Err(D::Error::custom(format!("metric {key:?}: {text:?} is not a number"))),
                },
            })
            .collect()
    }
}
