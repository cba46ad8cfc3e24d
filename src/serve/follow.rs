//! Following the registry while serving: a version that becomes Production is loaded and warmed up
//! beside the one that answers, then takes its place. Requests in flight keep the version they
//! began with, which goes when the last of them ends. API keys and the certificate are followed the
//! same way.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::state::{ModelInfo, ServedModel, ServerState, WeakState};
use crate::{
    error::{Error, ErrorKind, Result},
    model,
    registry::{ApiKey, ModelVersion, Registry},
};

/// How often the registry is asked. One look costs some ten microseconds.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a version that could not be loaded is left alone before it is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// What a new model predicts before anyone asks it: first calls touch weights and start threads.
const WARM_UP: &str = "An utterly wonderful film, and a waste of an evening.";

/// Where served versions come from.
pub(crate) struct Source {
    registry: Registry,
    model: String,
    /// Stays with this version, whatever is in production.
    pin: Option<u32>,
}

impl Source {
    pub(crate) fn new(registry: Registry, model: &str, pin: Option<u32>) -> Self {
        Self { registry, model: model.to_owned(), pin }
    }

    /// The version that should answer, if there is one.
    ///
    /// # Errors
    /// When the registry cannot be read; [`ErrorKind::NotFound`] for a pinned version that is not
    /// there.
    pub(crate) fn wanted(&self) -> Result<Option<ModelVersion>> {
        match self.pin {
            Some(version) => self.registry.version(&self.model, version).map(Some),
            None => match self.registry.production(&self.model) {
                // The model may be registered later.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                found => found,
            },
        }
    }

    /// Every API key that was ever made.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub(crate) fn keys(&self) -> Result<Vec<ApiKey>> {
        self.registry.keys()
    }

    /// `version`, loaded and warmed up.
    ///
    /// # Errors
    /// When its files are not what was written, or it cannot predict.
    pub(crate) fn load(&self, version: &ModelVersion) -> Result<ServedModel> {
        let load = || {
            let files = self.registry.model_files(version)?;
            let classifier = model::load(&files)?;
            classifier.predict(&[WARM_UP])?;
            Ok(ServedModel { classifier: classifier.into(), info: ModelInfo::from(version).into() })
        };
        let outcome = catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the model panicked while it was loaded"))
        });
        outcome.map_err(|error| {
            error.with_context(format!("model {:?} version {}", self.model, version.version))
        })
    }
}

/// The thread that follows. It ends when this is dropped, after what it is at.
pub(crate) struct Follower {
    /// Never says anything: that it is gone is what the thread hears.
    _stop: mpsc::Sender<Infallible>,
}

/// Follows what `state` came from, if it came from anything.
///
/// # Errors
/// When the system refuses a thread.
pub(crate) fn follow(state: &ServerState) -> Result<Option<Follower>> {
    if state.source().is_none() && state.tls().is_none() {
        return Ok(None);
    }
    let (stop, stopped) = mpsc::channel();
    let state = state.downgrade();
    thread::Builder::new()
        .name("trialbook-follow".to_owned())
        .spawn(move || watch(&state, &stopped))
        .map_err(|source| {
            Error::new(ErrorKind::Io, "cannot start the thread that follows the registry")
                .with_source(source)
        })?;
    Ok(Some(Follower { _stop: stop }))
}

/// A version that could not be loaded, and when that was.
struct Failure {
    version: u32,
    at: Instant,
}

fn watch(state: &WeakState, stopped: &mpsc::Receiver<Infallible>) {
    let mut failure = None;
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let Some(state) = state.upgrade() else { return };
        look_at_guard(&state);
        look(&state, &mut failure);
    }
}

/// One look at the API keys, the callers and the certificate.
fn look_at_guard(state: &ServerState) {
    // A registry that cannot be read is told of below; until it can, the last keys stay in force.
    if let Some(keys) = state.source().and_then(|source| source.keys().ok()) {
        state.guard().take_keys(&keys);
    }
    state.guard().forget_idle();
    if let Some(tls) = state.tls() {
        tls.reload_if_changed();
    }
}

/// Loads `version` on a thread of its own: a large model takes long, and a key that is revoked
/// meanwhile must not hold until the end.
fn load_beside(
    state: &ServerState,
    source: &Source,
    version: &ModelVersion,
) -> Result<ServedModel> {
    let (finished, loaded) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        thread::Builder::new()
            .name("trialbook-load".to_owned())
            .spawn_scoped(scope, move || finished.send(source.load(version)))
            .map_err(|source| {
                Error::new(ErrorKind::Io, "cannot start the thread that loads the model")
                    .with_source(source)
            })?;
        loop {
            match loaded.recv_timeout(INTERVAL) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) => look_at_guard(state),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(ErrorKind::Internal, "the loading thread ended early"));
                }
            }
        }
    })
}

/// One look at the registry, and what follows from it.
fn look(state: &ServerState, failure: &mut Option<Failure>) {
    let Some(source) = state.source() else { return };
    let wanted = match source.wanted() {
        Ok(wanted) => wanted,
        Err(error) => {
            if state.set_problem(Some("the registry cannot be read".to_owned())) {
                tracing::error!(error = error.chain(), "the registry cannot be read");
            }
            return;
        }
    };
    let current = state.model_info();
    let Some(wanted) = wanted else {
        if current.is_some() {
            tracing::warn!(model = source.model, "no version in production any more");
            state.swap(None);
        }
        state.set_problem(None);
        return;
    };
    if let Some(current) = current.filter(|current| current.is_version(&wanted)) {
        if *current != ModelInfo::from(&wanted) {
            state.rename(ModelInfo::from(&wanted));
        }
        *failure = None;
        state.set_problem(None);
        return;
    }
    let is_fresh =
        |failure: &Failure| failure.version == wanted.version && failure.at.elapsed() < RETRY;
    if failure.as_ref().is_some_and(is_fresh) {
        return;
    }
    match load_beside(state, source, &wanted) {
        Ok(served) => {
            let ModelInfo { name, version, run_id, .. } = &*served.info;
            tracing::info!(model = name, version, run_id, "model loaded, it answers from now on");
            state.swap(Some(served));
            *failure = None;
            state.set_problem(None);
        }
        Err(error) => {
            let version = wanted.version;
            tracing::error!(error = error.chain(), version, "the version could not be loaded");
            state.metrics().load_failed();
            *failure = Some(Failure { version, at: Instant::now() });
            // The reason may name files of this machine: it is for the log alone.
            state.set_problem(Some(format!(
                "version {version} could not be loaded, the server's log says why"
            )));
        }
    }
}
