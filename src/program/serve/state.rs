//! The state of a running server: its models, its start, and its bounds. A request
//! asks once which version answers, and keeps it to its end.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
    time::Instant,
};

use tokio::sync::{Semaphore, SemaphorePermit};
use trialbook::{
    error::{Error, ErrorKind, Result},
    monitor::{PredictionLog, drift::DriftReport},
    registry::{DEFAULT_MODEL, Registry, Tracker, check_known_model_name, tracker},
};

use super::{
    changes::Changes,
    config::ServeConfig,
    http::{
        error::ApiError, guard::Guard, hosts::AllowedHosts, limits::Limits, otlp::SpanExporter,
        security::Security, tls::Tls,
    },
    model::{
        engine::BatchEngine,
        feedback::Feedback,
        metrics::Metrics,
        monitor::ModelMonitor,
        served::{ModelInfo, ServedModel},
        slot::{AWAY, ModelSlot},
        source::Source,
    },
};

/// The state behind every handler. Cheap to clone.
#[derive(Clone)]
pub struct ServerState(Arc<Inner>);

struct Inner {
    /// At least one. The first answers the questions that name none.
    slots: Box<[ModelSlot]>,
    /// None for models that were handed over.
    registry: Option<Registry>,
    changes: Changes,
    /// None where predictions are not logged.
    log: Option<Arc<PredictionLog>>,
    /// None where true labels are not taken: without a store or a log there are no predictions to match.
    feedback: Option<Feedback>,
    guard: Guard,
    /// None where connections are not encrypted.
    tls: Option<Arc<Tls>>,
    limits: Limits,
    metrics: Arc<Metrics>,
    permits: Arc<Semaphore>,
    /// Long work that has a permit or waits for one.
    places: Semaphore,
    /// Started with the first model that wants batches.
    engine: OnceLock<BatchEngine>,
    exporter: Option<SpanExporter>,
    /// None where the tracking API is left out.
    tracking: Option<AllowedHosts>,
    /// True if a model is to answer.
    serves: bool,
    /// True if it also says why.
    explains: bool,
    started: Instant,
}

/// A model of a state to be.
struct Hosted {
    name: String,
    served: Option<ServedModel>,
    source: Option<Source>,
    /// Why there is no version although the registry has one.
    unloaded: Option<Unloaded>,
    /// Why what is served may not be what the registry wants.
    problem: Option<&'static str>,
}

impl Hosted {
    /// A model without a version and without a place where versions come from.
    fn empty(name: &str) -> Self {
        Self { name: name.to_owned(), served: None, source: None, unloaded: None, problem: None }
    }
}

/// A version that could not be loaded.
struct Unloaded {
    version: u32,
    error: Error,
}

/// The parts of a state besides its models.
struct Supply {
    registry: Option<Registry>,
    log: Option<PredictionLog>,
    guard: Guard,
    tls: Option<Tls>,
    exporter: Option<SpanExporter>,
    tracking: Option<AllowedHosts>,
    serves: bool,
    explains: bool,
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
        Self::handed_over(vec![(model.into(), served)], limits)
    }

    /// A server of several registered models, each with the version that answers, if there is one.
    /// The first is the default: it answers the questions that name no model.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](trialbook::ErrorKind::Invalid) for no model at all, a name that no model
    /// can have, and one that is there twice.
    pub fn of_models(models: Vec<(String, Option<ServedModel>)>, limits: Limits) -> Result<Self> {
        check_names(models.iter().map(|(name, _)| name.as_str()))?;
        Ok(Self::handed_over(models, limits))
    }

    fn handed_over(models: Vec<(String, Option<ServedModel>)>, limits: Limits) -> Self {
        let guard = Guard::new(Security::default());
        let supply = Supply {
            registry: None,
            log: None,
            guard,
            tls: None,
            exporter: None,
            tracking: None,
            serves: true,
            explains: false,
            limits,
        };
        let models = models.into_iter();
        let hosted =
            models.map(|(name, served)| Hosted { served, ..Hosted::empty(&name) }).collect();
        Self::with_supply(hosted, supply)
    }

    fn with_supply(models: Vec<Hosted>, supply: Supply) -> Self {
        let Supply { registry, log, guard, tls, exporter, tracking, serves, explains, limits } =
            supply;
        let metrics = Metrics::new();
        let log = log.map(Arc::new);
        let slots = models.into_iter().map(|Hosted { name, served, source, unloaded, problem }| {
            let (metrics, monitor) = (metrics.of_model(&name), ModelMonitor::new(log.clone()));
            let slot = ModelSlot::new(name, served, source, metrics, monitor);
            if let Some(Unloaded { version, error }) = unloaded {
                slot.not_loaded(version, &error);
            }
            if let Some(problem) = problem {
                slot.set_problem(Some(problem.to_owned()));
                slot.metrics().registry_answers(false);
            }
            slot
        });
        Self(Arc::new(Inner {
            slots: slots.collect(),
            changes: Changes::new(registry.clone()),
            feedback: registry
                .as_ref()
                .filter(|_| log.is_some())
                .map(|registry| Feedback::new(registry.store().logs_dir())),
            registry,
            log,
            guard,
            tls: tls.map(Arc::new),
            metrics: Arc::new(metrics),
            permits: Arc::new(Semaphore::new(limits.n_parallel)),
            places: Semaphore::new(limits.n_parallel + limits.queue_bodies),
            engine: OnceLock::new(),
            exporter,
            tracking,
            serves,
            explains,
            limits,
            started: Instant::now(),
        }))
    }

    /// The version of the default model that answers, if there is one.
    pub fn model_info(&self) -> Option<Arc<ModelInfo>> {
        self.default_slot().info()
    }

    /// The name of every model, the default one first, and which version of it answers, if there is
    /// one.
    pub fn models(&self) -> impl Iterator<Item = (&str, Option<Arc<ModelInfo>>)> {
        self.slots().iter().map(|slot| (slot.name(), slot.info()))
    }

    /// Why the version of the model called `name` that should answer does not, if that is so.
    pub fn problem(&self, name: &str) -> Option<String> {
        self.slots().iter().find(|slot| slot.name() == name)?.problem()
    }

    /// Every model; there is at least one, and the first is the default.
    pub(crate) fn slots(&self) -> &[ModelSlot] {
        &self.0.slots
    }

    /// The model that answers questions that name none.
    pub(crate) fn default_slot(&self) -> &ModelSlot {
        &self.0.slots[0]
    }

    /// The place of the model called `name` among [`ServerState::slots`].
    ///
    /// # Errors
    /// 404 with the names there are.
    pub(crate) fn slot_idx(&self, name: &str) -> Result<usize, ApiError> {
        let slots = self.slots();
        slots.iter().position(|slot| slot.name() == name).ok_or_else(|| {
            let names: Vec<&str> = slots.iter().map(ModelSlot::name).collect();
            ApiError::model_not_found(name, &names)
        })
    }

    /// The store's own registry, with its keys; none for models that were handed over.
    pub(crate) fn registry(&self) -> Option<&Registry> {
        self.0.registry.as_ref()
    }

    /// How far what the model at `slot_idx` is asked has moved. It may take long.
    ///
    /// # Errors
    /// 503 without a version in production, a log or a reference profile.
    pub(crate) fn drift(&self, slot_idx: usize) -> Result<Arc<DriftReport>, ApiError> {
        let slot = &self.slots()[slot_idx];
        let (Some(registry), Some(_)) = (self.registry(), &self.0.log) else {
            let error = Error::new(ErrorKind::NotFound, "this server logs no predictions");
            let hint = "drift is told from the log of predictions: start it without --no-log";
            return Err(ApiError::drift_unknown(&error.with_hint(hint)));
        };
        let info = slot.info().ok_or_else(|| slot.unavailable())?;
        slot.drift().report(registry.store(), &info, slot.metrics())
    }

    /// True if predictions are logged.
    pub(crate) fn logs(&self) -> bool {
        self.0.log.is_some()
    }

    /// The news of that registry.
    pub(crate) fn changes(&self) -> &Changes {
        &self.0.changes
    }

    /// Predictions that the log had to leave out since the server started.
    pub(crate) fn n_not_logged(&self) -> u64 {
        self.0.log.as_ref().map_or(0, |log| log.n_lost())
    }

    /// The store's folder of logs, where servers of one store share what they count of a release.
    pub(crate) fn logs_dir(&self) -> Option<PathBuf> {
        self.registry().map(|registry| registry.store().logs_dir())
    }

    /// The true labels of predictions; none where they are not taken.
    pub(crate) fn feedback(&self) -> Option<&Feedback> {
        self.0.feedback.as_ref()
    }

    /// The classes of a version, where it answers here.
    pub(crate) fn classes_of(&self, model: &str, version: u32) -> Option<Vec<String>> {
        let slot = self.slots().iter().find(|slot| slot.name() == model)?;
        let served = slot.served().ok()?;
        (served.info.version == version).then(|| served.classifier.classes().to_vec())
    }

    /// True if drift is told: from a log, and a registry that has the reference profiles.
    pub(crate) fn tells_drift(&self) -> bool {
        self.logs() && self.registry().is_some()
    }

    /// True if true labels are taken.
    pub(crate) fn takes_labels(&self) -> bool {
        self.0.feedback.is_some()
    }

    /// The guard that lets callers in.
    pub(crate) fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// Under which names the tracking API is asked; none where it is left out.
    pub(crate) fn allowed_hosts(&self) -> Option<&AllowedHosts> {
        self.0.tracking.as_ref()
    }

    /// True if a model is to answer; else the server tracks and registers only.
    pub(crate) fn serves(&self) -> bool {
        self.0.serves
    }

    /// True if answers are explained to those who ask.
    pub(crate) fn explains(&self) -> bool {
        self.0.explains
    }

    pub(crate) fn tls(&self) -> Option<&Arc<Tls>> {
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

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// A place among the long work that is done or waits; none when all are taken.
    pub(crate) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.0.places.try_acquire().ok()
    }

    /// The engine that asks models that want batches.
    pub(crate) fn engine(&self) -> &BatchEngine {
        let Inner { engine, limits, metrics, .. } = &*self.0;
        engine.get_or_init(|| BatchEngine::start(limits, Arc::clone(metrics)))
    }

    /// The exporter that spans go to, if there is one.
    pub(crate) fn exporter(&self) -> Option<&SpanExporter> {
        self.0.exporter.as_ref()
    }

    /// Writes out what is logged and exported so far: the end of a server, whoever still holds its
    /// state.
    pub(crate) fn close(&self) {
        self.slots().iter().for_each(|slot| slot.monitor().flush());
        if let Some(log) = &self.0.log {
            log.close();
        }
        if let Some(exporter) = &self.0.exporter {
            exporter.close();
        }
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

impl ServeConfig {
    /// The state to serve: `models:/NAME/Production` of every model, or the version `pin`, loaded
    /// from the store and warmed up. A server made of it follows the registry from then on. Without
    /// a version in production there still is a state: it says what to do, and serves as soon as
    /// there is a version.
    ///
    /// # Errors
    /// When the registry or the log cannot be opened, there is no version `pin`, or a version's
    /// files are not what was written; when the certificate or the collector's address cannot be
    /// used; [`ErrorKind::Invalid`] for a model that is named twice, and a `pin` with several;
    /// [`ErrorKind::Conflict`] when none is named and several could be meant.
    pub fn load(&self) -> Result<ServerState> {
        let ServeConfig { store, models, pin, security, limits, tracking, serves, .. } = self;
        // What is cheap to refuse comes before the models.
        store.check()?;
        if !models.is_empty() {
            check_names(models.iter().map(String::as_str))?;
        }
        if let (Some(pin), [_, _, ..]) = (pin, models.as_slice()) {
            return Err(Error::invalid(format!(
                "version {pin} is pinned, and there are {} models: {}",
                models.len(),
                models.join(", ")
            ))
            .with_hint("start another server for the model with the pinned version"));
        }
        let tls = security.tls.as_ref().map(Tls::load).transpose()?;
        let exporter = self.otlp_endpoint.as_deref().map(SpanExporter::start).transpose()?;
        let log = self.log.as_ref().map(|log| PredictionLog::open(&store.logs_dir(), log));
        let log = log.transpose()?;
        let registry = Registry::open(store)?;
        let guard = Guard::new(security.clone());
        guard.take_keys(&registry.keys()?);
        let is_remote = store.registry_address().is_some();
        let versions: Arc<dyn Tracker> = match is_remote {
            true => tracker(store)?,
            false => Arc::new(registry.clone()),
        };
        let models = match models.is_empty() {
            true if *serves => vec![only_model(versions.as_ref())?],
            true => vec![DEFAULT_MODEL.to_owned()],
            false => models.clone(),
        };
        let host = |name: &String| match serves {
            true => host(Source::new(Arc::clone(&versions), is_remote, name, *pin), name),
            false => Ok(Hosted::empty(name)),
        };
        let mut hosted = models.iter().map(host).collect::<Result<Vec<_>>>()?;
        // One that cannot be loaded leaves the others alone. Where it alone would answer, whoever
        // starts the server has to know.
        if hosted.iter().all(|model| model.served.is_none())
            && let Some(Unloaded { error, .. }) =
                hosted.iter_mut().find_map(|model| model.unloaded.take())
        {
            return Err(error);
        }
        let limits = limits.clone();
        let supply = Supply {
            registry: Some(registry),
            log,
            guard,
            tls,
            exporter,
            // Runs are tracked where they are kept.
            tracking: tracking.clone().filter(|_| !is_remote),
            serves: *serves,
            explains: self.explains,
            limits,
        };
        let state = ServerState::with_supply(hosted, supply);
        for slot in state.slots().iter().filter(|slot| slot.info().is_none()) {
            // One that could not be loaded has said why.
            if let Some(absence) = slot.source().and_then(Source::absence) {
                slot.set_problem(Some(absence));
            }
        }
        Ok(state)
    }
}

/// The model called `name` with the version that `source` wants, loaded, if there is one that can be.
fn host(source: Source, name: &str) -> Result<Hosted> {
    let (wanted, problem) = match source.wanted() {
        Ok(wanted) => (wanted, None),
        Err(error) if error.kind() == ErrorKind::Unavailable => match source.remembered() {
            Some(version) => {
                tracing::warn!(
                    error = error.chain(),
                    model = name,
                    version = version.version,
                    "the registry does not answer: starting with the copy of the last Production version"
                );
                (Some(version), Some(AWAY))
            }
            None => {
                return Err(error.with_hint(format!(
                    "start the registry: there is no copy here of a version of {name} to start with"
                )));
            }
        },
        Err(error) => return Err(error),
    };
    let loaded = wanted.map(|version| (version.version, source.load(&version)));
    let (served, unloaded) = match loaded {
        Some((_, Ok(served))) => {
            let ModelInfo { version, run_id, .. } = &*served.info;
            tracing::info!(model = name, version, run_id, "model loaded");
            (Some(served), None)
        }
        Some((version, Err(error))) => (None, Some(Unloaded { version, error })),
        None => {
            tracing::warn!(model = name, "no version in production: predictions answer 503");
            (None, None)
        }
    };
    Ok(Hosted { served, source: Some(source), unloaded, problem, ..Hosted::empty(name) })
}

/// The model of a server that was told none. An empty store's may wait for its first version.
fn only_model(registry: &dyn Tracker) -> Result<String> {
    match registry.default_model() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(DEFAULT_MODEL.to_owned()),
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error.with_hint(
            "start the registry, or name the model with --model NAME: one that was served before is \
             served from its copy here",
        )),
        outcome => outcome,
    }
}

/// Checks the names of a server's models.
fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut known = BTreeSet::new();
    for name in names {
        check_known_model_name(name)?;
        if !known.insert(name) {
            return Err(Error::invalid(format!("the model {name:?} is named twice"))
                .with_hint("name each model of the server once, the default one first"));
        }
    }
    if known.is_empty() {
        return Err(Error::invalid("a server needs at least one model")
            .with_hint("name at least one registered model"));
    }
    Ok(())
}
