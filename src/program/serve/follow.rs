//! Following the registry while serving: a version that becomes Production is loaded and warmed up
//! beside the one that answers, then takes its place. Requests in flight keep the version they
//! began with, which goes when the last of them ends. API keys, the certificate and
//! the news that pages wait for are followed the same way. Each model has a thread of its own, and so have the keys: what one waits for, such as a
//! large model that is loaded, the others do not.

use std::{
    convert::Infallible,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use trialbook::{
    book::now_ms,
    error::{Error, ErrorKind, Result},
    monitor::{Arm, PerformanceRequest, WindowSize, measure_performance, read_labels},
    registry::Registry,
};

use super::{
    model::{
        served::ModelInfo,
        slot::{AWAY, ModelSlot},
    },
    release_exchange::ReleaseExchange,
    release_judge::ReleaseJudge,
    release_logs::ReleaseLogWatch,
    releases::{self, ReleaseWatch},
    state::ServerState,
};

/// The time between two looks at keys and the certificate. One look costs some ten microseconds.
const INTERVAL: Duration = Duration::from_millis(500);
/// The time between two looks for changes, while somebody listens for them.
const NEWS_INTERVAL: Duration = Duration::from_millis(200);
/// The time between two looks for new true labels, which are measured by where there are any.
const MEASURE_INTERVAL: Duration = Duration::from_secs(15);
/// The time back to which predictions are measured.
const MEASURED_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// The end of the log that is measured: some sixty thousand predictions.
const MEASURED_BYTES: u64 = 16 << 20;
/// The time that a version that could not be loaded is left alone before it is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// The time between two looks at the log for drift, whose series are as old as that.
const DRIFT_INTERVAL: Duration = Duration::from_secs(60);
/// The time between two looks at words that were counted and wait to be written.
const WORDS_INTERVAL: Duration = Duration::from_secs(1);
/// The threads that follow. They end when this is dropped, each after what it is at.
pub(crate) struct Followers {
    /// They never say anything: that they are gone is what the threads hear.
    _stops: Vec<mpsc::Sender<Infallible>>,
}

/// Follows what `state` came from, if it came from anything.
///
/// # Errors
/// When the system refuses a thread.
pub(crate) fn follow(state: &ServerState) -> Result<Followers> {
    let mut stops = Vec::new();
    if state.registry().is_some() || state.tls().is_some() {
        stops.push(repeat(state, INTERVAL, look_at_guard)?);
    }
    if state.registry().is_some() {
        stops.push(repeat(state, NEWS_INTERVAL, |state| state.changes().look())?);
    }
    if state.logs() && state.registry().is_some() && state.serves() {
        stops.push(repeat(state, DRIFT_INTERVAL, |state| {
            for slot_idx in 0..state.slots().len() {
                // Whoever asks is told why nothing is known.
                let _ = state.drift(slot_idx);
            }
        })?);
    }
    if state.logs() {
        stops.push(repeat(state, WORDS_INTERVAL, |state| {
            state.slots().iter().for_each(|slot| slot.monitor().flush_due());
        })?);
    }
    if state.takes_labels() {
        let mut n_bytes = 0;
        stops.push(repeat(state, MEASURE_INTERVAL, move |state| measure(state, &mut n_bytes))?);
    }
    for (slot_idx, slot) in state.slots().iter().enumerate() {
        if let Some(source) = slot.source() {
            let mut failure = None;
            let look = move |state: &ServerState| look(&state.slots()[slot_idx], &mut failure);
            stops.push(repeat(state, source.interval(), look)?);
            // A thread each: neither a registry that does not answer nor a disk that hangs nor a long log
            // keeps a candidate from being taken back.
            let mut watch = ReleaseWatch::new(slot_idx);
            stops.push(repeat(state, releases::INTERVAL, move |state| watch.look(state))?);
            let mut judge = ReleaseJudge::new(slot_idx);
            stops.push(repeat(state, releases::INTERVAL, move |state| judge.look(state))?);
            let mut exchange = ReleaseExchange::new(slot_idx);
            let interval = ReleaseExchange::INTERVAL;
            stops.push(repeat(state, interval, move |state| exchange.look(state))?);
            let mut logs = ReleaseLogWatch::new(slot_idx);
            stops.push(repeat(state, ReleaseLogWatch::INTERVAL, move |state| logs.look(state))?);
        }
    }
    Ok(Followers { _stops: stops })
}

/// Has a `look` at every interval, on a thread of its own, until what this returns is dropped or the
/// server gone.
///
/// # Errors
/// When the system refuses a thread.
fn repeat(
    state: &ServerState,
    interval: Duration,
    mut look: impl FnMut(&ServerState) + Send + 'static,
) -> Result<mpsc::Sender<Infallible>> {
    let (stop, stopped) = mpsc::channel();
    let state = state.downgrade();
    let watch = move || {
        while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let Some(state) = state.upgrade() else { return };
            look(&state);
        }
    };
    thread::Builder::new().name("trialbook-follow".to_owned()).spawn(watch).map_err(|source| {
        Error::new(ErrorKind::Io, "cannot start the threads that follow the registry")
            .with_source(source)
    })?;
    Ok(stop)
}

/// One look at the API keys, the callers and the certificate.
fn look_at_guard(state: &ServerState) {
    // A registry that cannot be read is told of below; until it can, the last keys stay in force.
    if let Some(keys) = state.registry().and_then(|registry| registry.keys().ok()) {
        state.guard().take_keys(&keys);
    }
    state.guard().forget_idle();
    if let Some(tls) = state.tls() {
        tls.reload_if_changed();
    }
}

/// Measures what answers here by the true labels in the store, where they are more than when their log had
/// `n_bytes`. Versions that do not answer here are for `monitor performance`: none is loaded for this.
fn measure(state: &ServerState, n_bytes: &mut u64) {
    let Some(store) = state.registry().map(Registry::store) else { return };
    let file = store.labels_path();
    let found = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    if std::mem::replace(n_bytes, found) == found {
        return;
    }
    let request = PerformanceRequest {
        model: None,
        from_ms: now_ms().saturating_sub(MEASURED_MS),
        latest_bytes: Some(MEASURED_BYTES),
        window: WindowSize::Milliseconds(MEASURED_MS),
    };
    let dir = store.logs_dir();
    let report = read_labels(&dir).and_then(|(labels, _)| {
        measure_performance(&dir, &labels, &request, |model, version| {
            state
                .classes_of(model, version)
                .ok_or_else(|| Error::invalid("it does not answer here"))
        })
    });
    match report {
        Ok(report) => {
            for version in report.versions.iter().filter(|version| version.arm != Arm::Shadow) {
                let overall = &version.overall;
                let f1 = overall.measured.as_ref().map(|measured| measured.f1.value);
                state.metrics().measured(&version.model, version.version, overall.n_labelled, f1);
            }
        }
        Err(error) => tracing::warn!(error = error.chain(), "true labels could not be measured by"),
    }
}

/// A version that could not be loaded, and when that was.
struct Failure {
    version: u32,
    at: Instant,
}

/// One look at what the registry says of a model, and what follows from it.
fn look(slot: &ModelSlot, failure: &mut Option<Failure>) {
    let Some(source) = slot.source() else { return };
    let wanted = match source.wanted() {
        Ok(wanted) => {
            slot.metrics().registry_answers(true);
            if slot.problem().as_deref() == Some(AWAY) {
                tracing::info!(model = slot.name(), "the registry answers again");
            }
            wanted
        }
        Err(error) => {
            slot.metrics().registry_answers(error.kind() == ErrorKind::NotFound);
            let problem = match source.pin() {
                // Nothing else is looked for by name there.
                Some(version) if error.kind() == ErrorKind::NotFound => {
                    format!("the pinned version {version} was deleted")
                }
                _ if error.kind() == ErrorKind::Unavailable => AWAY.to_owned(),
                _ => "the registry cannot be read".to_owned(),
            };
            if slot.set_problem(Some(problem.clone())) {
                tracing::error!(error = error.chain(), model = slot.name(), "{problem}");
            }
            return;
        }
    };
    let current = slot.info();
    let Some(wanted) = wanted else {
        if current.is_some() {
            tracing::warn!(model = slot.name(), "no version in production any more");
            slot.swap(None);
        }
        slot.set_problem(source.absence());
        return;
    };
    if let Some(current) = current.filter(|current| current.is_version(&wanted)) {
        if *current != ModelInfo::from(&wanted) {
            slot.rename(ModelInfo::from(&wanted));
        }
        *failure = None;
        slot.set_problem(None);
        return;
    }
    let is_fresh =
        |failure: &Failure| failure.version == wanted.version && failure.at.elapsed() < RETRY;
    if failure.as_ref().is_some_and(is_fresh) {
        return;
    }
    match source.load(&wanted) {
        Ok(served) => {
            let ModelInfo { name, version, run_id, .. } = &*served.info;
            tracing::info!(model = name, version, run_id, "model loaded, it answers from now on");
            slot.swap(Some(served));
            *failure = None;
            slot.set_problem(None);
        }
        Err(error) => {
            slot.not_loaded(wanted.version, &error);
            *failure = Some(Failure { version: wanted.version, at: Instant::now() });
        }
    }
}
