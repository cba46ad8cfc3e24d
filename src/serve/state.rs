//! What a running server knows: the model that answers now, where it comes from, since when, and
//! within which bounds. A request asks once which model answers, and keeps it to its end.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    ServeConfig, engine::Engine, error::ApiError, follow::Source, guard::Guard, limits::Limits,
    metrics::Metrics, otlp::SpanExporter, security::Security, tls::Tls, watch::Watch,
};
use crate::{
    error::Result,
    model::Classifier,
    monitor::PredictionLog,
    registry::{ModelVersion, Registry, Stage},
};

/// Which model version answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The registered model's name.
    pub name: String,
    /// 1, 2, 3…
    pub version: u32,
    /// Where the version stands.
    pub stage: Stage,
    /// The run that made it.
    pub run_id: String,
}

impl From<&ModelVersion> for ModelInfo {
    fn from(version: &ModelVersion) -> Self {
        Self {
            name: version.model.clone(),
            version: version.version,
            stage: version.stage,
            run_id: version.run_id.clone(),
        }
    }
}

impl ModelInfo {
    /// Whether this is `version`, wherever that stands by now. A name that was deleted and made
    /// again counts its versions from 1 again: the run tells them apart.
    pub(crate) fn is_version(&self, version: &ModelVersion) -> bool {
        self.version == version.version && self.run_id == version.run_id
    }
}

/// A loaded model and which one it is.
#[derive(Clone)]
pub struct ServedModel {
    /// Answers the questions.
    pub classifier: Arc<dyn Classifier>,
    /// Goes out with every answer.
    pub info: Arc<ModelInfo>,
}

/// The state behind every handler. Cheap to clone.
#[derive(Clone)]
pub struct ServerState(Arc<Inner>);

struct Inner {
    model: String,
    served: RwLock<Option<ServedModel>>,
    /// Why what is served is not what the registry wants.
    problem: RwLock<Option<String>>,
    /// None for a model that was handed over.
    source: Option<Source>,
    guard: Guard,
    /// None where connections are not encrypted.
    tls: Option<Tls>,
    limits: Limits,
    metrics: Arc<Metrics>,
    watch: Watch,
    permits: Arc<Semaphore>,
    /// Long work that has a permit or waits for one.
    places: Semaphore,
    /// Started with the first model that wants batches.
    engine: OnceLock<Engine>,
    exporter: Option<SpanExporter>,
    started: Instant,
}

/// What a state has besides its model.
struct Supply {
    source: Option<Source>,
    log: Option<PredictionLog>,
    guard: Guard,
    tls: Option<Tls>,
    exporter: Option<SpanExporter>,
    limits: Limits,
}

/// A state that does not keep its server's memory.
pub(crate) struct WeakState(Weak<Inner>);

impl WeakState {
    pub(crate) fn upgrade(&self) -> Option<ServerState> {
        self.0.upgrade().map(ServerState)
    }
}

impl ServerState {
    /// A server of the registered model called `model`; without `served` it says so on every
    /// question.
    pub fn new(model: impl Into<String>, served: Option<ServedModel>, limits: Limits) -> Self {
        let guard = Guard::new(Security::default());
        let supply = Supply { source: None, log: None, guard, tls: None, exporter: None, limits };
        Self::with_supply(model.into(), served, supply)
    }

    fn with_supply(model: String, served: Option<ServedModel>, supply: Supply) -> Self {
        let Supply { source, log, guard, tls, exporter, limits } = supply;
        let metrics = Metrics::new();
        if let Some(served) = &served {
            metrics.serves(None, Some(&served.info));
        }
        Self(Arc::new(Inner {
            model,
            served: RwLock::new(served),
            problem: RwLock::new(None),
            source,
            guard,
            tls,
            metrics: Arc::new(metrics),
            watch: Watch::new(log),
            permits: Arc::new(Semaphore::new(limits.n_parallel)),
            places: Semaphore::new(limits.n_parallel + limits.queue_bodies),
            engine: OnceLock::new(),
            exporter,
            limits,
            started: Instant::now(),
        }))
    }

    /// See [`ServeConfig::load`](super::ServeConfig::load).
    pub(crate) fn load(config: &ServeConfig) -> Result<Self> {
        let ServeConfig { store, model, pin, security, limits, .. } = config;
        // What is cheap to refuse comes before the model.
        let tls = security.tls.as_ref().map(Tls::load).transpose()?;
        let exporter = config.otlp_endpoint.as_deref().map(SpanExporter::start).transpose()?;
        let log = config.log.as_ref().map(|log| PredictionLog::open(&store.logs_dir(), log));
        let log = log.transpose()?;
        let source = Source::new(Registry::open(store)?, model, *pin);
        let guard = Guard::new(security.clone());
        guard.take_keys(&source.keys()?);
        let served = source.wanted()?.map(|version| source.load(&version)).transpose()?;
        match &served {
            Some(served) => {
                let ModelInfo { version, run_id, .. } = &*served.info;
                tracing::info!(model, version, run_id, "model loaded");
            }
            None => tracing::warn!(model, "no version in production: predictions answer 503"),
        }
        let limits = limits.clone();
        let supply = Supply { source: Some(source), log, guard, tls, exporter, limits };
        Ok(Self::with_supply(model.clone(), served, supply))
    }

    /// Which model version answers, if there is one.
    pub fn model_info(&self) -> Option<Arc<ModelInfo>> {
        read(&self.0.served).as_ref().map(|served| Arc::clone(&served.info))
    }

    /// The model that answers.
    ///
    /// # Errors
    /// 503 with what to do when no version is in production.
    pub(crate) fn served(&self) -> Result<ServedModel, ApiError> {
        read(&self.0.served).clone().ok_or_else(|| ApiError::model_unavailable(&self.0.model))
    }

    /// From now on `served` answers.
    pub(crate) fn swap(&self, served: Option<ServedModel>) {
        let info = served.as_ref().map(|served| Arc::clone(&served.info));
        let old = std::mem::replace(&mut *write(&self.0.served), served);
        let old_info = old.as_ref().map(|served| Arc::clone(&served.info));
        self.0.metrics.serves(old_info.as_deref(), info.as_deref());
        self.0.metrics.swapped();
        // Outside the lock: the last holder of a model pays for taking it apart.
        drop(old);
    }

    /// The version that answers stands elsewhere by now.
    pub(crate) fn rename(&self, info: ModelInfo) {
        if let Some(served) = &mut *write(&self.0.served) {
            self.0.metrics.serves(Some(&served.info), Some(&info));
            served.info = Arc::new(info);
        }
    }

    /// Why what is served is not what the registry wants.
    pub(crate) fn problem(&self) -> Option<String> {
        read(&self.0.problem).clone()
    }

    /// Says whether it is another problem than before.
    pub(crate) fn set_problem(&self, problem: Option<String>) -> bool {
        if *read(&self.0.problem) == problem {
            return false;
        }
        *write(&self.0.problem) = problem;
        true
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    /// Who gets in.
    pub(crate) fn guard(&self) -> &Guard {
        &self.0.guard
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.0.tls.as_ref()
    }

    /// The URL of a server that listens on `addr`.
    pub fn url(&self, addr: SocketAddr) -> String {
        let scheme = if self.0.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{addr}")
    }

    pub(crate) fn downgrade(&self) -> WeakState {
        WeakState(Arc::downgrade(&self.0))
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// A place among the long work that is done or waits; none when all are taken.
    pub(crate) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.0.places.try_acquire().ok()
    }

    /// Where models are asked that want batches.
    pub(crate) fn engine(&self) -> &Engine {
        let Inner { engine, limits, metrics, .. } = &*self.0;
        engine.get_or_init(|| Engine::start(limits, Arc::clone(metrics)))
    }

    /// Where spans go, if anywhere.
    pub(crate) fn exporter(&self) -> Option<&SpanExporter> {
        self.0.exporter.as_ref()
    }

    /// Permits for long work beside the async threads.
    pub(crate) fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.permits)
    }

    pub(crate) fn uptime_s(&self) -> f64 {
        // Milliseconds are enough, and read better.
        (self.0.started.elapsed().as_secs_f64() * 1e3).round() / 1e3
    }
}

/// What a thread that panicked left behind is whole: nothing panics while it writes.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
