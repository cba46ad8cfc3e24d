//! Judging a release, four times a second: what this server counted, and what others and the logs said last.
//! It reads memory alone, so that neither a disk nor a registry that hangs keeps a bad candidate.

use std::time::Instant;

use trialbook::{
    gate::{ReleaseDecision, ReleaseStatus},
    registry::Release,
};

use super::{
    model::{
        slot::ModelSlot,
        trial::{TakenBack, Trial},
    },
    state::ServerState,
};

/// Judges for one model.
pub(crate) struct ReleaseJudge {
    slot_idx: usize,
    /// The release that is looked at.
    release_id: Option<String>,
    /// The step that is served, when this server began to, and what others had served of it by then.
    step: Option<(usize, Instant, u64)>,
    /// True once it was said that a person may promote.
    is_ready: bool,
}

impl ReleaseJudge {
    pub(crate) fn new(slot_idx: usize) -> Self {
        Self { slot_idx, release_id: None, step: None, is_ready: false }
    }

    /// One look at what is known.
    pub(crate) fn look(&mut self, state: &ServerState) {
        let slot = &state.slots()[self.slot_idx];
        let Some(trial) = slot.trial() else {
            *self = Self::new(self.slot_idx);
            return;
        };
        let release = trial.release();
        if self.release_id.as_deref() != Some(release.id.as_str()) {
            *self = Self { release_id: Some(release.id.clone()), ..Self::new(self.slot_idx) };
        }
        let mut counts = trial.tally().counts();
        let mut n_servers = 1;
        // No time of a step is known before that of others is: it goes on where killed servers left off.
        if let Some(others) = trial.tally().others() {
            self.bake(&trial, &release, others.counts.step(release.step_idx).baked_ms);
            counts = trial.tally().counts();
            counts.add(&others.counts);
            n_servers += others.n_servers;
        }
        let logged = trial.tally().logged();
        let status = ReleaseStatus::new(Release::clone(&release), &counts, n_servers, &logged);
        self.act(slot, &trial, &status);
        trial.tally().set_status(status);
    }

    /// What follows here and now; the registry hears of it later.
    fn act(&mut self, slot: &ModelSlot, trial: &Trial, status: &ReleaseStatus) {
        let Some(judgement) = &status.judgement else { return };
        let candidate = status.release.candidate;
        let is_ready = judgement.decision == ReleaseDecision::Ready;
        if is_ready && !self.is_ready && trial.is_live() {
            tracing::info!(model = slot.name(), candidate, "the release waits for its promotion");
        }
        self.is_ready |= is_ready;
        if judgement.decision == ReleaseDecision::TakeBack && !trial.is_halted() {
            let (reason, evidence) = (judgement.reason(), status.evidence());
            tracing::error!(
                model = slot.name(),
                candidate,
                reason,
                "the candidate is taken back: Production answers alone"
            );
            trial.take_back(TakenBack { reason, evidence });
        }
    }

    /// Counts the time that the present step is served, by the clock that never jumps. It goes on from what
    /// the servers of this store had counted, so that a server that starts anew begins nothing anew.
    fn bake(&mut self, trial: &Trial, release: &Release, of_others_ms: u64) {
        let step_idx = release.step_idx;
        let (began, before_ms) = match self.step {
            Some((of, began, before_ms)) if of == step_idx => (began, before_ms),
            _ => {
                let began = Instant::now();
                self.step = Some((step_idx, began, of_others_ms));
                (began, of_others_ms)
            }
        };
        let served_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        trial.tally().baked(before_ms.saturating_add(served_ms));
    }
}
