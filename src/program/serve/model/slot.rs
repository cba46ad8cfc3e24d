//! One registered model of a server: which version of it answers, where its versions come from, and
//! what they did so far. Every model of a server has a slot of its own, and none depends on another.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use trialbook::{error::Error, monitor::Arm, registry::Release};

use crate::serve::http::error::ApiError;

use super::{
    drift::DriftWatch,
    metrics::ModelMetrics,
    monitor::ModelMonitor,
    served::{ModelInfo, ServedModel},
    source::Source,
    trial::{Assigned, Trial},
};

/// The problem of a model whose registry is away. Everyone may ask for a server's health: it names no
/// address.
pub(crate) const AWAY: &str =
    "the registry does not answer: the version that is loaded goes on answering";

/// A registered model and the version of it that answers now.
pub(crate) struct ModelSlot {
    name: String,
    served: RwLock<Option<ServedModel>>,
    /// Why what is served is not what the registry wants.
    problem: RwLock<Option<String>>,
    /// None for a model that was handed over.
    source: Option<Source>,
    metrics: ModelMetrics,
    monitor: Arc<ModelMonitor>,
    /// The newest release that the registry told of, running or over.
    release: RwLock<Option<Release>>,
    /// The release that runs here.
    trial: RwLock<Option<Arc<Trial>>>,
    drift: DriftWatch,
}

impl ModelSlot {
    /// The model called `name`; without `served` it says so on every question.
    pub(crate) fn new(
        name: String,
        served: Option<ServedModel>,
        source: Option<Source>,
        metrics: ModelMetrics,
        monitor: ModelMonitor,
    ) -> Self {
        if let Some(served) = &served {
            metrics.serves(None, Some(&served.info));
        }
        Self {
            name,
            served: RwLock::new(served),
            problem: RwLock::default(),
            source,
            metrics,
            monitor: Arc::new(monitor),
            release: RwLock::default(),
            trial: RwLock::default(),
            drift: DriftWatch::default(),
        }
    }

    /// The registered model's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The version that answers, if there is one.
    pub(crate) fn info(&self) -> Option<Arc<ModelInfo>> {
        read(&self.served).as_ref().map(|served| Arc::clone(&served.info))
    }

    /// The version that answers.
    ///
    /// # Errors
    /// 503 with what to do when no version is in production.
    pub(crate) fn served(&self) -> Result<ServedModel, ApiError> {
        read(&self.served).clone().ok_or_else(|| self.unavailable())
    }

    /// Why nothing answers.
    pub(crate) fn unavailable(&self) -> ApiError {
        ApiError::model_unavailable(&self.name, self.problem().as_deref())
    }

    /// Takes note of a version that could not be loaded.
    pub(crate) fn not_loaded(&self, version: u32, error: &Error) {
        tracing::error!(
            error = error.chain(),
            model = self.name,
            version,
            "the version could not be loaded"
        );
        self.metrics.load_failed();
        // The reason may name files of this machine: it is for the log alone.
        self.set_problem(Some(format!(
            "version {version} could not be loaded, the server's log says why"
        )));
    }

    /// From now on `served` answers.
    pub(crate) fn swap(&self, served: Option<ServedModel>) {
        let info = served.as_ref().map(|served| Arc::clone(&served.info));
        let old = std::mem::replace(&mut *write(&self.served), served);
        let old_info = old.as_ref().map(|served| Arc::clone(&served.info));
        self.metrics.serves(old_info.as_deref(), info.as_deref());
        self.metrics.swapped();
        // Outside the lock: the last holder of a model pays for taking it apart.
        drop(old);
    }

    /// The version that answers stands elsewhere by now.
    pub(crate) fn rename(&self, info: ModelInfo) {
        if let Some(served) = &mut *write(&self.served) {
            self.metrics.serves(Some(&served.info), Some(&info));
            served.info = Arc::new(info);
        }
    }

    /// Why what is served is not what the registry wants.
    pub(crate) fn problem(&self) -> Option<String> {
        read(&self.problem).clone()
    }

    /// Says whether it is another problem than before.
    pub(crate) fn set_problem(&self, problem: Option<String>) -> bool {
        if *read(&self.problem) == problem {
            return false;
        }
        *write(&self.problem) = problem;
        true
    }

    /// The newest release that the registry told of, running or over.
    pub(crate) fn release(&self) -> Option<Release> {
        read(&self.release).clone()
    }

    /// The registry says that `release` is the newest.
    pub(crate) fn set_release(&self, release: Option<Release>) {
        *write(&self.release) = release;
    }

    /// The release that runs here, if one does.
    pub(crate) fn trial(&self) -> Option<Arc<Trial>> {
        read(&self.trial).clone()
    }

    /// From now on `trial` is the release that runs here. The one before gives nothing any more, also to
    /// requests that hold it.
    pub(crate) fn set_trial(&self, trial: Option<Trial>) {
        let old = std::mem::replace(&mut *write(&self.trial), trial.map(Arc::new));
        if let Some(old) = &old {
            old.halt();
        }
    }

    /// Who answers a request, given the version in Production and the `key` that the request has for the
    /// release that runs here.
    pub(crate) fn assign(
        &self,
        served: ServedModel,
        key: Option<&str>,
        request_id: &str,
    ) -> Assigned {
        let trial = self.trial().filter(|trial| trial.is_beside(&served.info) && trial.is_live());
        let arm = trial.as_ref().map_or(Arm::Production, |trial| trial.arm(key, request_id));
        Assigned { served, trial, arm }
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    pub(crate) fn metrics(&self) -> &ModelMetrics {
        &self.metrics
    }

    pub(crate) fn monitor(&self) -> &Arc<ModelMonitor> {
        &self.monitor
    }

    pub(crate) fn drift(&self) -> &DriftWatch {
        &self.drift
    }
}

/// Reads past a thread that panicked: its data is whole, since nothing panics while it writes.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
