//! Following releases. Two threads for each model: one looks at the registry, loads the candidate beside
//! Production, and writes down what was decided; the other publishes what this server counted and judges
//! the sum of all servers. The second takes a candidate back here at once and asks nobody.

use std::time::{Duration, Instant};

use trialbook::{
    error::{Error, ErrorKind},
    gate::{
        self, ReleaseCounts, ReleaseDecision, ReleaseStatus, advance_release, take_back_release,
    },
    monitor::ReleaseLog,
    registry::{Release, ReleaseState},
};

use super::{
    model::{
        slot::ModelSlot,
        source::Source,
        trial::{TakenBack, Trial},
    },
    state::ServerState,
};

/// The time between two looks at the counts.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);
/// The time between two publications of the counts, and two looks at those of other servers.
const PUBLISHED: Duration = Duration::from_secs(1);
/// The time that a candidate that could not be loaded for want of its registry is left alone.
const RETRY: Duration = Duration::from_secs(10);

/// Looks at the registry for one model.
pub(crate) struct ReleaseWatch {
    slot_idx: usize,
    looked: Option<Instant>,
    /// The release whose candidate could not be loaded, and when that was.
    failed: Option<(String, Instant)>,
    /// True once it was said that the release waits for its registry.
    is_away: bool,
}

impl ReleaseWatch {
    pub(crate) fn new(slot_idx: usize) -> Self {
        Self { slot_idx, looked: None, failed: None, is_away: false }
    }

    /// One look, if it is time for it.
    pub(crate) fn look(&mut self, state: &ServerState) {
        let slot = &state.slots()[self.slot_idx];
        let Some(source) = slot.source() else { return };
        let trial = slot.trial();
        let interval = source.release_interval(trial.is_some());
        // Half an interval early is near enough, and keeps the rhythm.
        if self.looked.is_some_and(|looked| looked.elapsed() + INTERVAL / 2 < interval) {
            return;
        }
        self.looked = Some(Instant::now());
        let found = match source.release() {
            Ok(found) => found,
            Err(error) => return self.unseen(slot, &error),
        };
        slot.set_release(found.clone());
        if std::mem::take(&mut self.is_away) {
            tracing::info!(model = slot.name(), "the registry answers again: the release goes on");
        }
        let is_promoted = found.as_ref().is_some_and(|found| found.state == ReleaseState::Promoted);
        let running = found.filter(Release::is_running);
        match (trial, running) {
            (Some(trial), Some(release)) if trial.release().id == release.id => {
                trial.follow(release);
                write_down(slot, source, &trial);
            }
            (trial, Some(release)) => {
                if trial.is_some() {
                    slot.set_trial(None);
                }
                self.begin(state, slot, source, release);
            }
            (Some(trial), None) => {
                let release = trial.release();
                // Nobody goes back to the old version for the moment until the candidate is Production
                // here, which ends its share too.
                let is_replaced =
                    slot.info().is_none_or(|production| !trial.is_beside(&production));
                if is_promoted && trial.splits() && trial.is_live() && !is_replaced {
                    return;
                }
                tracing::info!(
                    model = slot.name(),
                    candidate = release.candidate,
                    "the release is over"
                );
                slot.set_trial(None);
            }
            (None, None) => {}
        }
    }

    /// The registry does not say how the release is.
    fn unseen(&mut self, slot: &ModelSlot, error: &Error) {
        let Some(trial) = slot.trial() else { return };
        if trial.is_away() && !self.is_away {
            self.is_away = true;
            tracing::warn!(
                error = error.chain(),
                model = slot.name(),
                candidate = trial.release().candidate,
                "the registry was not seen for too long: Production answers alone"
            );
        }
    }

    /// Loads the candidate of a release that runs, beside the version that it is held against.
    fn begin(&mut self, state: &ServerState, slot: &ModelSlot, source: &Source, release: Release) {
        let Ok(production) = slot.served() else { return };
        if production.info.version != release.production {
            settle(slot, source, &release);
            return;
        }
        let is_fresh = |(id, at): &(String, Instant)| *id == release.id && at.elapsed() < RETRY;
        if self.failed.as_ref().is_some_and(is_fresh) {
            return;
        }
        let (metrics, patience) = (state.metrics().releases(), state.limits().release_wait);
        let trial = source.candidate(&release).and_then(|candidate| {
            let versions = (candidate, &production);
            Trial::begin(release.clone(), versions, metrics, slot.monitor(), patience)
        });
        match trial {
            Ok(trial) => {
                tracing::info!(
                    model = slot.name(),
                    candidate = release.candidate,
                    kind = release.kind.as_str(),
                    share = release.step().share,
                    "the release runs here"
                );
                slot.set_trial(Some(trial));
                self.failed = None;
            }
            Err(error) => {
                tracing::error!(
                    error = error.chain(),
                    model = slot.name(),
                    candidate = release.candidate,
                    "the candidate could not be loaded"
                );
                self.failed = Some((release.id.clone(), Instant::now()));
                // A registry that is away says nothing about the candidate.
                if error.kind() != ErrorKind::Unavailable {
                    // The reason may name files of this machine: it is for the log alone.
                    let reason = format!("version {} could not be loaded", release.candidate);
                    let taken_back = TakenBack { reason, evidence: serde_json::Value::Null };
                    tell(source, &release, taken_back);
                }
            }
        }
    }
}

/// Ends a release whose Production version is another one by now, where the registry did not do it itself:
/// a server's knows no transaction.
fn settle(slot: &ModelSlot, source: &Source, release: &Release) {
    let Ok(wanted) = source.wanted() else { return };
    let production = wanted.map(|wanted| wanted.version);
    // Else this server follows a promotion, or its end, a moment later.
    if production != Some(release.production)
        && let Ok(ended) = gate::settle_release(source.registry(), release, production)
    {
        tracing::info!(model = slot.name(), reason = ended.reason, "the release is over");
    }
}

/// Tells the registry what was decided here: another server may have been faster, or a person.
fn write_down(slot: &ModelSlot, source: &Source, trial: &Trial) {
    let release = trial.release();
    if let Some(taken_back) = trial.taken_back() {
        tell(source, &release, taken_back);
        return;
    }
    if trial.is_halted() {
        return;
    }
    // Production may have changed where the registry ends no release by itself.
    if slot.info().is_some_and(|production| production.version != release.production) {
        settle(slot, source, &release);
        return;
    }
    let Some(status) = trial.tally().status() else { return };
    let decision = status.judgement.as_ref().map(|judgement| judgement.decision);
    if decision != Some(ReleaseDecision::Advance) || status.release.step_idx != release.step_idx {
        return;
    }
    match advance_release(source.registry(), &release, status.evidence()) {
        Ok(release) => trial.follow(release),
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        Err(error) => {
            tracing::warn!(error = error.chain(), model = slot.name(), "the release cannot go on");
        }
    }
}

fn tell(source: &Source, release: &Release, taken_back: TakenBack) {
    let TakenBack { reason, evidence } = taken_back;
    match take_back_release(source.registry(), release, reason, evidence) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        Err(error) => tracing::warn!(
            error = error.chain(),
            model = release.model,
            "the registry does not know yet that the candidate was taken back"
        ),
    }
}

/// Counts, publishes and judges for one model.
pub(crate) struct ReleaseJudge {
    slot_idx: usize,
    /// Of the release that is looked at.
    log: Option<(String, ReleaseLog)>,
    others: (ReleaseCounts, usize),
    published: Option<Instant>,
    /// The step that is served, when this server began to, and what others had served of it by then.
    step: Option<(usize, Instant, u64)>,
}

impl ReleaseJudge {
    pub(crate) fn new(slot_idx: usize) -> Self {
        Self { slot_idx, log: None, others: Default::default(), published: None, step: None }
    }

    /// One look at what was counted.
    pub(crate) fn look(&mut self, state: &ServerState) {
        let slot = &state.slots()[self.slot_idx];
        let Some(trial) = slot.trial() else {
            self.log = None;
            return;
        };
        let release = trial.release();
        if self.log.as_ref().is_none_or(|(id, _)| *id != release.id) {
            self.begin(state, &release);
        }
        if self.published.is_none_or(|at| at.elapsed() >= PUBLISHED) {
            self.exchange(slot, &trial.tally().counts());
            self.published = Some(Instant::now());
        }
        self.bake(&trial, &release);
        let mut counts = trial.tally().counts();
        counts.add(&self.others.0);
        let status = ReleaseStatus::new(Release::clone(&release), &counts, self.others.1 + 1);
        if let Some(judgement) = &status.judgement
            && judgement.decision == ReleaseDecision::TakeBack
            && !trial.is_halted()
        {
            let (reason, evidence) = (judgement.reason(), status.evidence());
            tracing::error!(
                model = slot.name(),
                candidate = release.candidate,
                reason,
                "the candidate is taken back: Production answers alone"
            );
            trial.take_back(TakenBack { reason, evidence });
        }
        trial.tally().set_status(status);
    }

    /// Another release than before.
    fn begin(&mut self, state: &ServerState, release: &Release) {
        let Self { slot_idx, .. } = *self;
        *self = Self::new(slot_idx);
        let log = state.logs_dir().map(|dir| ReleaseLog::open(&dir, &release.id));
        match log {
            Some(Ok(log)) => self.log = Some((release.id.clone(), log)),
            Some(Err(error)) => {
                tracing::warn!(error = error.chain(), "the counts of a release cannot be shared");
            }
            None => {}
        }
    }

    /// Publishes `own` counts and reads those of the other servers.
    fn exchange(&mut self, slot: &ModelSlot, own: &ReleaseCounts) {
        let Some((_, log)) = &self.log else { return };
        match log.publish(own).and_then(|()| log.others()) {
            Ok(others) => self.others = others,
            Err(error) => tracing::warn!(
                error = error.chain(),
                model = slot.name(),
                "the counts of a release cannot be shared"
            ),
        }
    }

    /// Counts the time that the present step is served, by the clock that never jumps. It goes on from what
    /// the servers of this store had counted, so that a server that starts anew begins nothing anew.
    fn bake(&mut self, trial: &Trial, release: &Release) {
        let step_idx = release.step_idx;
        let began = match self.step {
            Some((of, began, before_ms)) if of == step_idx => (began, before_ms),
            _ => {
                let before_ms = self.others.0.step(step_idx).baked_ms;
                self.step = Some((step_idx, Instant::now(), before_ms));
                (Instant::now(), before_ms)
            }
        };
        let served_ms = u64::try_from(began.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        trial.tally().baked(began.1.saturating_add(served_ms));
    }
}
