//! What is known here of a release: what this server counted, what others and the logs said last, and the
//! judgement by all that. It only keeps it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use trialbook::{
    gate::{LoggedEvidence, ReleaseCounts, ReleaseStatus, StepCounts},
    monitor::Arm,
};

use super::release_metrics::TrialMetrics;

/// The counts of one release on this server.
pub(crate) struct Tally {
    counts: Mutex<ReleaseCounts>,
    /// The step that is counted.
    step_idx: AtomicUsize,
    /// The counts of the other servers, once they are known.
    others: Mutex<Option<Arc<OtherServers>>>,
    /// What the logs said last.
    logged: Mutex<Arc<LoggedEvidence>>,
    /// The newest judgement, with the counts of all servers.
    status: Mutex<Option<ReleaseStatus>>,
    pub(crate) metrics: TrialMetrics,
}

/// What the other servers of the store counted.
#[derive(Default)]
pub(crate) struct OtherServers {
    pub(crate) counts: ReleaseCounts,
    pub(crate) n_servers: usize,
}

/// What became of a comparison of both versions.
pub(crate) struct Compared {
    pub(crate) n_texts: u64,
    pub(crate) n_agreed: u64,
    /// Of the candidate minus Production, summed.
    pub(crate) confidence_difference: f64,
}

impl Tally {
    pub(crate) fn new(metrics: TrialMetrics, step_idx: usize) -> Self {
        Self {
            counts: Mutex::default(),
            step_idx: AtomicUsize::new(step_idx),
            others: Mutex::default(),
            logged: Mutex::default(),
            status: Mutex::default(),
            metrics,
        }
    }

    pub(crate) fn step_idx(&self) -> usize {
        self.step_idx.load(Ordering::Relaxed)
    }

    pub(crate) fn set_step_idx(&self, step_idx: usize) {
        self.step_idx.store(step_idx, Ordering::Relaxed);
    }

    /// A request was answered in `duration`.
    pub(crate) fn answered(&self, arm: Arm, duration: Duration) {
        self.metrics.answered(arm, duration.as_secs_f64());
        self.at_step(|step| match arm {
            Arm::Production => step.production.answered(duration),
            Arm::Candidate | Arm::Shadow => step.candidate.answered(duration),
        });
    }

    /// The candidate failed a request.
    pub(crate) fn failed(&self, arm: Arm) {
        self.metrics.failed(arm);
        self.at_step(|step| step.candidate.failed());
    }

    /// Texts that both versions predicted.
    pub(crate) fn compared(&self, compared: &Compared) {
        let Compared { n_texts, n_agreed, confidence_difference } = *compared;
        self.metrics.compared(n_agreed, n_texts);
        self.at_step(|step| {
            step.pairs.n_texts += n_texts;
            step.pairs.n_agreed += n_agreed;
            step.pairs.confidence_difference += confidence_difference;
        });
    }

    /// A request was not compared.
    pub(crate) fn dropped(&self) {
        self.metrics.dropped();
        self.at_step(|step| step.pairs.n_dropped += 1);
    }

    /// The step was served for so long, counting what others served of it before.
    pub(crate) fn baked(&self, baked_ms: u64) {
        self.at_step(|step| step.baked_ms = step.baked_ms.max(baked_ms));
    }

    pub(crate) fn counts(&self) -> ReleaseCounts {
        self.lock().clone()
    }

    /// What the other servers counted, once that is known.
    pub(crate) fn others(&self) -> Option<Arc<OtherServers>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_others(&self, others: OtherServers) {
        *self.others.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(others));
    }

    /// What the logs said last; nothing before the first look.
    pub(crate) fn logged(&self) -> Arc<LoggedEvidence> {
        Arc::clone(&self.logged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_logged(&self, logged: Arc<LoggedEvidence>) {
        *self.logged.lock().unwrap_or_else(PoisonError::into_inner) = logged;
    }

    /// The newest judgement, once there is one.
    pub(crate) fn status(&self) -> Option<ReleaseStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_status(&self, status: ReleaseStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    fn at_step(&self, count: impl FnOnce(&mut StepCounts)) {
        count(self.lock().at(self.step_idx()));
    }

    /// Locks past a thread that panicked: nothing panics while it counts.
    fn lock(&self) -> MutexGuard<'_, ReleaseCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
