//! How far what a model is asked has moved from what it was judged by: looked at now and then, from the log in
//! the store, and kept for those who ask in between. It answers nobody itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use trialbook::{
    book::{Book, DriftRequest, DriftSource, now_ms},
    error::{Error, Result},
    evaluate::SignalLevel,
    monitor::drift::{DriftOptions, DriftReport},
    progress::Monitor,
    registry::{ModelReference, VersionSelector},
    store::Store,
};

use super::{metrics::ModelMetrics, served::ModelInfo};
use crate::serve::http::error::ApiError;

/// The predictions that are looked at.
const WINDOW_MS: i64 = 24 * 60 * 60_000;
/// The time that a report is good for.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// A look that took long is good for so many times as long: looking takes a twentieth of one core at most.
const SHARE: u32 = 20;

/// The last look at one model.
#[derive(Default)]
pub(crate) struct DriftWatch {
    latest: Mutex<Option<DriftLook>>,
}

/// One look.
#[derive(Clone)]
struct DriftLook {
    info: ModelInfo,
    at: Instant,
    took: Duration,
    found: Result<Arc<DriftReport>, ApiError>,
}

impl DriftWatch {
    /// The report on the version `info`: the last one, or a new one where that is old. Whoever asks while
    /// one is made waits for it. It may take long: not for a thread that others wait for.
    ///
    /// # Errors
    /// 404 where there is nothing to compare with, 503 where it cannot be read, with why.
    pub(crate) fn report(
        &self,
        store: &Store,
        info: &ModelInfo,
        metrics: &ModelMetrics,
    ) -> Result<Arc<DriftReport>, ApiError> {
        let mut latest = self.latest();
        if let Some(look) = latest.as_ref().filter(|look| look.is_good_for(info)) {
            return look.found.clone();
        }
        let begun = Instant::now();
        let found = look(store, info).map(Arc::new);
        if let Err(error) = &found {
            tracing::debug!(error = error.chain(), model = info.name, "drift is not known");
        }
        let found = found.map_err(|error| ApiError::drift_unknown(&error));
        if let Ok(report) = &found {
            metrics.drifted(info, report);
            tell(report);
        }
        let (at, took) = (Instant::now(), begun.elapsed());
        *latest = Some(DriftLook { info: info.clone(), at, took, found: found.clone() });
        found
    }

    fn latest(&self) -> MutexGuard<'_, Option<DriftLook>> {
        // A look that panicked left the one before it.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DriftLook {
    fn is_good_for(&self, info: &ModelInfo) -> bool {
        self.info.version == info.version
            && self.info.run_id == info.run_id
            && self.at.elapsed() < GOOD_FOR.max(self.took * SHARE)
    }
}

/// The predictions of the last 24 hours. A profile is not made here: that takes as long as an evaluation.
fn look(store: &Store, info: &ModelInfo) -> Result<DriftReport, Error> {
    let book = Book::with_store(store.clone());
    let model =
        ModelReference { model: info.name.clone(), version: VersionSelector::Number(info.version) };
    let version = book.tracker()?.resolve(&model)?;
    let Some(found) = book.kept_profile(&version)? else {
        return Err(Book::without_profile(&version));
    };
    let source = DriftSource::Log { from_ms: now_ms().saturating_sub(WINDOW_MS) };
    let request = DriftRequest { model, source, options: DriftOptions::default() };
    book.drift_so_far(&version, found, &request, &Monitor::silent())
}

/// Says an alert in the server's log, once a day.
fn tell(report: &DriftReport) {
    let Some(alert) = report.alert.filter(|alert| alert.is_new) else { return };
    let signals = report.signals.iter().filter(|signal| signal.level == SignalLevel::Alert);
    let signals: Vec<&str> = signals.map(|signal| signal.name.as_str()).collect();
    tracing::warn!(
        model = report.model,
        signals = signals.join(","),
        n = report.n,
        since_ms = alert.since_ms,
        "what the model is asked has drifted from what it was judged by"
    );
}
