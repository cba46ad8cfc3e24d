//! The things that the registry keeps, in MLflow's words. Plain data; their form in the database is
//! the neighbouring files' business.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{flow::RunFlow, registration::Registration};
use crate::error::Error;

/// The experiment of runs about sentiment unless another is named; see
/// [`DefaultNames`](super::DefaultNames).
pub const DEFAULT_EXPERIMENT: &str = "sentiment-analysis";
/// The registered model of sentiment unless another is named; see
/// [`DefaultNames`](super::DefaultNames).
pub const DEFAULT_MODEL: &str = "SentimentClassifier";

/// The tag in which trainings of this program have who runs them.
pub(super) const USER_TAG: &str = "trialbook.user";

/// A named group of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experiment {
    /// Decimal digits, as in MLflow.
    pub experiment_id: String,
    /// Unique among experiments.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The moment at which it was last renamed, deleted or restored: milliseconds since the Unix epoch.
    #[serde(default)]
    pub updated_ms: i64,
    /// Deleted experiments are kept and can be restored.
    #[serde(default)]
    pub deleted: bool,
    /// A URI under which clients keep the artifacts of its runs; none for this store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_location: Option<String>,
    /// Free key-value pairs.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    /// Still going, or its process died without a word.
    Running,
    /// Ended well.
    Finished,
    /// Ended with an error.
    Failed,
    /// Stopped by the user.
    Killed,
    /// Waits for its turn.
    Scheduled,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::Finished, Self::Failed, Self::Killed, Self::Scheduled];

    /// As MLflow writes it, such as `FINISHED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::Scheduled => "SCHEDULED",
        }
    }

    /// True if it says that the run is over.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RunStatus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        one_of("run status", text, Self::ALL, Self::as_str)
    }
}

/// A run that is to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRun {
    /// From [`Experiment::experiment_id`].
    pub experiment_id: String,
    /// Shown to people; made up when absent.
    pub name: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Free key-value pairs, changeable.
    pub tags: BTreeMap<String, String>,
    /// Hyperparameters, written once.
    pub params: BTreeMap<String, String>,
    /// The user who runs it, if that is known.
    pub user: String,
}

/// One execution of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// 32 hexadecimal digits.
    pub run_id: String,
    /// The experiment it belongs to.
    pub experiment_id: String,
    /// For people; need not be unique.
    pub name: String,
    /// Its status.
    pub status: RunStatus,
    /// Milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Milliseconds since the Unix epoch, once it ended.
    pub end_ms: Option<i64>,
    /// Deleted runs are kept until `store gc` and can be restored.
    pub deleted: bool,
    /// Hyperparameters.
    pub params: BTreeMap<String, String>,
    /// The newest value of every metric (highest step, then timestamp, then value).
    #[serde(with = "crate::registry::finite_or_text")]
    pub metrics: BTreeMap<String, f64>,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
    /// The user who runs it; empty where nobody said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The moments at which the newest metrics were measured, in the order of `metrics`.
    #[serde(skip)]
    pub measured_at: Vec<Moment>,
    /// The datasets and models that it read and the models that it made.
    #[serde(default, skip_serializing_if = "RunFlow::is_empty")]
    pub flow: RunFlow,
}

impl Run {
    /// The user who runs it, by whatever recorded it; empty where nobody said so.
    pub fn who(&self) -> &str {
        let told = if self.user.is_empty() { self.tags.get(USER_TAG) } else { None };
        told.map_or(self.user.as_str(), String::as_str)
    }
}

/// The moment of a measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// Epoch or iteration.
    pub step: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Such as `f1`.
    pub key: String,
    /// May be NaN or infinite.
    pub value: f64,
    /// Epoch or iteration.
    pub step: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// Values that are logged together in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunBatch {
    /// Appended to the metric histories.
    pub metrics: Vec<Metric>,
    /// Added to the params.
    pub params: Vec<(String, String)>,
    /// Set, replacing older values.
    pub tags: Vec<(String, String)>,
}

/// The changes to a run; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another status; back to running means it was resumed.
    pub status: Option<RunStatus>,
    /// Milliseconds since the Unix epoch.
    pub end_ms: Option<i64>,
}

/// A choice of runs, and their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunQuery {
    /// Experiment ids; all experiments when empty.
    pub experiment_ids: Vec<String>,
    /// MLflow's filter language: `metrics.f1 > 0.85 and params.model = 'tfidf'`.
    pub filter: Option<String>,
    /// Such as `metrics.f1 desc`; newest first when empty.
    pub order: Vec<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Live runs, deleted ones, or both.
    pub lifecycle: Lifecycle,
}

/// The side of a search: among what is live, or among what was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lifecycle {
    /// Everything that was not deleted.
    #[default]
    Live,
    /// Everything that was deleted and can be restored.
    Deleted,
    /// Both.
    Any,
}

impl Lifecycle {
    pub(super) fn fits(self, deleted: bool) -> bool {
        match self {
            Self::Live => !deleted,
            Self::Deleted => deleted,
            Self::Any => true,
        }
    }
}

/// A stored file of a run or a model version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name, such as `model/weights.bin`; relative, `/` between parts, no `..`.
    pub path: String,
    /// Lower-case hex of its SHA-256, also its name in the store.
    pub sha256: String,
    /// Its length.
    pub size_bytes: u64,
}

/// The stage of a model version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Just registered.
    None,
    /// Being tried.
    Staging,
    /// Serving. At most one version of a model.
    Production,
    /// Retired.
    Archived,
}

impl Stage {
    /// Every stage, in the order of a version's life.
    pub const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// As MLflow writes it, such as `Production`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        one_of("stage", text, Self::ALL, Self::as_str)
    }
}

/// The value whose name is `text` in any case.
pub(super) fn one_of<T: Copy, const N: usize>(
    what: &str,
    text: &str,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Error> {
    all.into_iter().find(|value| name(*value).eq_ignore_ascii_case(text)).ok_or_else(|| {
        Error::invalid(format!("unknown {what} {text:?}"))
            .with_hint(format!("one of {}", all.map(&name).join(", ")))
    })
}

/// A named line of model versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredModel {
    /// Unique.
    pub name: String,
    /// Its purpose, in its users' words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: i64,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
    /// Alias to version number.
    pub aliases: BTreeMap<String, u32>,
}

impl RegisteredModel {
    /// The aliases of the version with this number.
    pub fn aliases_of(&self, version: u32) -> impl Iterator<Item = &str> {
        let of_version = self.aliases.iter().filter(move |(_, number)| **number == version);
        of_version.map(|(alias, _)| alias.as_str())
    }
}

/// The origin of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The dataset's name.
    pub dataset: String,
    /// SHA-256 of the train split's content.
    pub train_fingerprint: String,
    /// SHA-256 of the test split's content; the gate compares like with like by it.
    pub test_fingerprint: String,
    /// The program that trained it, such as `trialbook 0.1.0`.
    pub code_version: String,
    /// The seed everything random came from.
    pub seed: u64,
}

/// A version to be registered.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    /// The registered model's name.
    pub model: String,
    /// The run that made it.
    pub run_id: String,
    /// The model's files; the names are those inside the model folder.
    pub files: Vec<Artifact>,
    /// Its origin.
    pub lineage: Lineage,
    /// Metrics on the lineage's test split, copied from the run.
    pub metrics: BTreeMap<String, f64>,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// A step in a version's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageChange {
    /// Before.
    pub from: Stage,
    /// After.
    pub to: Stage,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The person and the reason.
    pub note: String,
}

/// One trained model in a registered line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// The registered model's name.
    pub model: String,
    /// 1, 2, 3…
    pub version: u32,
    /// Its stage.
    pub stage: Stage,
    /// The run that made it.
    pub run_id: String,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The model's files.
    pub files: Vec<Artifact>,
    /// Its origin.
    pub lineage: Lineage,
    /// Metrics on the lineage's test split.
    #[serde(with = "crate::registry::finite_or_text")]
    pub metrics: BTreeMap<String, f64>,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
    /// The newest gate verdict, as the gate wrote it.
    pub verdict: Option<Value>,
    /// Every change of stage, oldest first.
    pub history: Vec<StageChange>,
    /// The account of whoever registered it; none where `train` did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// The two versions that a rollback moved.
pub(crate) struct RollbackRecord {
    /// The version that was Production and is now Archived.
    pub(crate) from: ModelVersion,
    /// The version that is Production again.
    pub(crate) to: ModelVersion,
}
