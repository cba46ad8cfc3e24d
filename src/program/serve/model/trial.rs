//! A running release on this server: its candidate, loaded beside Production, the split of the requests,
//! and whether it still holds. What the registry says is the follower's business.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use trialbook::{
    error::Result,
    model::prediction::Prediction,
    monitor::Arm,
    registry::{Release, ReleaseKind, SplitKey},
};

use super::{
    monitor::ModelMonitor,
    release_metrics::ReleaseMetrics,
    served::{ModelInfo, ServedModel},
    shadow::{Beside, Shadow},
    tally::Tally,
};

/// A running release.
pub(crate) struct Trial {
    release: RwLock<Arc<Release>>,
    candidate: ServedModel,
    tally: Arc<Tally>,
    /// None where nothing is compared.
    shadow: Option<Shadow>,
    /// The bits of the share of requests that the candidate answers.
    share: AtomicU64,
    /// It gives the candidate nothing any more, whatever the registry says.
    is_halted: AtomicBool,
    /// Why this server took the candidate back, until the registry knows it.
    taken_back: Mutex<Option<TakenBack>>,
    /// The registry was last seen so long after the start.
    seen_ms: AtomicU64,
    began: Instant,
    /// The time that the release goes on without the registry.
    patience: Duration,
}

/// Why a candidate was taken back.
#[derive(Debug, Clone)]
pub(crate) struct TakenBack {
    pub(crate) reason: String,
    pub(crate) evidence: Value,
}

/// The version that answers a request, and what a release makes of that.
#[derive(Clone)]
pub(crate) struct Assigned {
    /// The version in Production.
    pub(crate) served: ServedModel,
    pub(crate) trial: Option<Arc<Trial>>,
    /// The candidate's, while its release holds, or Production's.
    pub(crate) arm: Arm,
}

impl Assigned {
    /// No release has a say.
    pub(crate) fn alone(served: ServedModel) -> Self {
        Self { served, trial: None, arm: Arm::Production }
    }
}

impl Trial {
    /// `release` with its `candidate` beside `production`; the registry was seen just now.
    ///
    /// # Errors
    /// When the system refuses the thread of a shadow.
    pub(crate) fn begin(
        release: Release,
        (candidate, production): (ServedModel, &ServedModel),
        metrics: &ReleaseMetrics,
        monitor: &Arc<ModelMonitor>,
        patience: Duration,
    ) -> Result<Self> {
        let tally = Arc::new(Tally::new(metrics.of(&release), release.step_idx));
        let asks = match release.kind {
            ReleaseKind::Shadow => Some((candidate.clone(), Beside::Candidate)),
            // Only a bound on the agreement is worth the work.
            ReleaseKind::Canary if release.bounds.min_agreement.is_some() => {
                Some((production.clone(), Beside::Production))
            }
            ReleaseKind::Canary | ReleaseKind::Ab => None,
        };
        let shadow = asks.map(|(other, beside)| {
            Shadow::start(other, beside, Arc::clone(&tally), Arc::clone(monitor))
        });
        let trial = Self {
            candidate,
            tally,
            shadow: shadow.transpose()?,
            share: AtomicU64::new(0),
            is_halted: AtomicBool::new(false),
            taken_back: Mutex::default(),
            seen_ms: AtomicU64::new(0),
            began: Instant::now(),
            patience,
            release: RwLock::new(Arc::new(release.clone())),
        };
        trial.follow(release);
        Ok(trial)
    }

    /// The registry says that the release is as `release` has it.
    pub(crate) fn follow(&self, release: Release) {
        let share = match release.kind {
            ReleaseKind::Shadow => 0.0,
            ReleaseKind::Canary | ReleaseKind::Ab => release.step().share,
        };
        self.seen();
        self.tally.set_step_idx(release.step_idx);
        self.share.store(share.to_bits(), Ordering::Relaxed);
        if !self.is_halted() {
            self.tally.metrics.share_is(share);
        }
        *self.release.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(release);
    }

    /// The registry answers, and the release runs.
    fn seen(&self) {
        self.seen_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn release(&self) -> Arc<Release> {
        Arc::clone(&self.release.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn candidate(&self) -> &ServedModel {
        &self.candidate
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// True if it is about `production`, which answers now.
    pub(crate) fn is_beside(&self, production: &ModelInfo) -> bool {
        self.release().production == production.version
    }

    /// True while the candidate gets its share: nothing was broken, and the registry was seen lately.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_halted() && !self.is_away()
    }

    /// True once the registry was not seen for longer than the release may go on without it.
    pub(crate) fn is_away(&self) -> bool {
        let unseen_ms = self.elapsed_ms().saturating_sub(self.seen_ms.load(Ordering::Relaxed));
        Duration::from_millis(unseen_ms) > self.patience
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.is_halted.load(Ordering::Relaxed)
    }

    /// From now on the candidate gets nothing here: the release is over.
    pub(crate) fn halt(&self) {
        self.is_halted.store(true, Ordering::Relaxed);
        self.tally.metrics.share_is(0.0);
    }

    /// From now on the candidate gets nothing here, for a reason that the registry has to hear.
    pub(crate) fn take_back(&self, why: TakenBack) {
        if self.is_halted.swap(true, Ordering::Relaxed) {
            return;
        }
        self.tally.metrics.share_is(0.0);
        self.tally.metrics.taken_back();
        *self.taken_back.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why this server took the candidate back, if it did.
    pub(crate) fn taken_back(&self) -> Option<TakenBack> {
        self.taken_back.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if it gives requests to its candidate; a shadow gives none.
    pub(crate) fn splits(&self) -> bool {
        self.release().kind != ReleaseKind::Shadow
    }

    /// The header by which requests are split, if one is.
    pub(crate) fn header(&self) -> Option<String> {
        match &self.release().split_by {
            SplitKey::Header(name) => Some(name.clone()),
            SplitKey::Client | SplitKey::Request => None,
        }
    }

    /// The arm of a request with this key; of one without it, by its id.
    pub(crate) fn arm(&self, key: Option<&str>, request_id: &str) -> Arm {
        if !self.is_live() {
            return Arm::Production;
        }
        let share = f64::from_bits(self.share.load(Ordering::Relaxed));
        let release = self.release();
        let key = match release.split_by {
            SplitKey::Request => None,
            SplitKey::Client | SplitKey::Header(_) => key,
        };
        match place(&release.id, key.unwrap_or(request_id)) < share {
            true => Arm::Candidate,
            false => Arm::Production,
        }
    }

    /// Takes note of a request that `arm` answered, and has it compared.
    pub(crate) fn answered(
        &self,
        arm: Arm,
        request_id: &str,
        texts: &[(u32, &str)],
        predictions: &[Prediction],
        duration: Duration,
    ) {
        self.tally.answered(arm, duration);
        let Some(shadow) = &self.shadow else { return };
        let is_compared = match self.release().kind {
            ReleaseKind::Shadow => arm == Arm::Production,
            ReleaseKind::Canary | ReleaseKind::Ab => arm == Arm::Candidate,
        };
        if is_compared && self.is_live() && !shadow.compare(request_id, texts, predictions) {
            self.tally.dropped();
        }
    }
}

/// The place of a key between 0 and 1, the same on every server: the first 64 bits of SHA-256 of the
/// release's id and the key. Keys below a share stay below every larger one.
fn place(release_id: &str, key: &str) -> f64 {
    let digest =
        Sha256::new().chain_update(release_id).chain_update([0]).chain_update(key).finalize();
    let bits = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    // 53 bits are what a float holds: below 1 in any case.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fall_evenly_and_stay_where_they_fell_as_the_share_grows() {
        let keys: Vec<String> = (0..20_000).map(|idx| format!("client-{idx}")).collect();
        for share in [0.01, 0.1, 0.5] {
            let n = keys.iter().filter(|key| place("a release", key) < share).count();
            let error = (n as f64 / 20_000.0 - share).abs();
            // Four standard errors.
            assert!(error < 4.0 * (share * (1.0 - share) / 20_000.0_f64).sqrt(), "{share}: {n}");
        }
        // The same text in another language: hashlib.sha256(b"a\0b").digest()[:8] >> 11, over 2**53.
        assert!((place("a", "b") - 0.3503790903157433).abs() < 1e-15, "{}", place("a", "b"));
        // Another release shuffles anew.
        let both = |key: &&String| place("one", key) < 0.1 && place("another", key) < 0.1;
        let n_both = keys.iter().filter(both).count();
        assert!((150..=250).contains(&n_both), "{n_both}");
    }
}
