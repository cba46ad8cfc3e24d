//! A tracking store that is read, whatever it is kept in: the same records from each. Ids are the
//! store's own.

use std::io::Read;

use crate::{
    error::{Error, ErrorKind, Result},
    registry::{
        DatasetRecord, Experiment, LoggedModel, Metric, ModelStatus, Run, RunStatus, WholeModel,
    },
};

/// A run of another store.
#[derive(Debug, Clone)]
pub(super) struct ForeignRun {
    pub(super) run: Run,
    /// Every value of every metric.
    pub(super) history: Vec<Metric>,
    /// The datasets of `run.flow`, in its order.
    pub(super) datasets: Vec<DatasetRecord>,
    pub(super) artifact_uri: String,
}

/// A logged model of another store.
#[derive(Debug, Clone)]
pub(super) struct ForeignLoggedModel {
    pub(super) model: LoggedModel,
    pub(super) artifact_uri: String,
}

/// The owner of artifacts in another store.
#[derive(Debug, Clone, Copy)]
pub(super) enum ForeignFolder<'a> {
    /// A run, with the URI of its artifacts.
    Run { experiment_id: &'a str, run_id: &'a str, uri: &'a str },
    /// A logged model.
    Model { experiment_id: &'a str, model_id: &'a str, uri: &'a str },
    /// Nobody: a folder by its URI.
    Uri(&'a str),
}

impl ForeignFolder<'_> {
    pub(super) fn uri(&self) -> &str {
        match self {
            Self::Run { uri, .. } | Self::Model { uri, .. } | Self::Uri(uri) => uri,
        }
    }
}

/// The files in a folder of another store.
pub(super) enum ForeignFiles {
    /// Their paths from the folder on.
    There(Vec<String>),
    /// They lie where this source does not lead.
    Elsewhere,
}

/// A store that is read.
pub(super) trait ForeignStore {
    /// Its place, as people write it.
    fn origin(&self) -> &str;

    /// Every experiment, also deleted ones; the one that the store began with comes first.
    fn experiments(&self) -> Result<Vec<Experiment>>;

    /// The ids of an experiment's runs, also deleted ones.
    fn run_ids(&self, experiment_id: &str) -> Result<Vec<String>>;

    /// One run with its whole history.
    fn run(&self, experiment_id: &str, run_id: &str) -> Result<ForeignRun>;

    /// The ids of an experiment's logged models that are not deleted.
    fn logged_model_ids(&self, experiment_id: &str) -> Result<Vec<String>>;

    /// One logged model.
    fn logged_model(&self, experiment_id: &str, model_id: &str) -> Result<ForeignLoggedModel>;

    /// The names of the registered models.
    fn model_names(&self) -> Result<Vec<String>>;

    /// A registered model with its versions; `files` of these are empty.
    fn model(&self, name: &str) -> Result<WholeModel>;

    /// The files in a folder.
    fn files(&self, folder: ForeignFolder) -> Result<ForeignFiles>;

    /// The content of one of them.
    fn open(&self, folder: ForeignFolder, path: &str) -> Result<Box<dyn Read>>;
}

/// The status of a run by MLflow's number.
pub(super) fn status_of_number(number: i64) -> Option<RunStatus> {
    match number {
        1 => Some(RunStatus::Running),
        2 => Some(RunStatus::Scheduled),
        3 => Some(RunStatus::Finished),
        4 => Some(RunStatus::Failed),
        5 => Some(RunStatus::Killed),
        _ => None,
    }
}

/// MLflow's number of a run's status.
pub(super) fn number_of_status(status: RunStatus) -> i64 {
    match status {
        RunStatus::Running => 1,
        RunStatus::Scheduled => 2,
        RunStatus::Finished => 3,
        RunStatus::Failed => 4,
        RunStatus::Killed => 5,
    }
}

/// The status of a logged model by MLflow's number.
pub(super) fn model_status_of_number(number: i64) -> Option<ModelStatus> {
    usize::try_from(number).ok().and_then(|number| ModelStatus::ALL.get(number).copied())
}

/// The error about `what`, which is not as MLflow writes it.
pub(super) fn malformed(what: &str, found: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what}: {found}"))
}

/// A registered model that MLflow keeps a prompt in.
pub(super) const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// The stage of a version that is deleted.
pub(super) const DELETED_STAGE: &str = "Deleted_Internal";

/// The tag that holds a run's name.
pub(super) const RUN_NAME_TAG: &str = "mlflow.runName";
