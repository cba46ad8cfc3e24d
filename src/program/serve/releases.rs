//! Following releases: one look at the registry for each model loads the candidate beside Production, follows
//! its steps, and writes down what was decided here. Judging is for threads of their own, which take a candidate
//! back here at once and ask nobody.

use std::time::{Duration, Instant};

use trialbook::{
    error::{Error, ErrorKind, Result},
    gate::{self, ReleaseDecision, advance_release, take_back_release},
    registry::{Release, ReleaseState},
};

use super::{
    model::{
        slot::ModelSlot,
        source::Source,
        trial::{TakenBack, Trial},
    },
    outage::Outage,
    state::ServerState,
};

/// The time between two judgements, and between two looks at a registry that may be looked at so often.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);
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
    /// The registry does not take what was decided here.
    unwritten: Outage,
}

impl ReleaseWatch {
    pub(crate) fn new(slot_idx: usize) -> Self {
        let unwritten = Outage::default();
        Self { slot_idx, looked: None, failed: None, is_away: false, unwritten }
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
                let written = write_down(slot, source, &trial);
                self.tell_of(slot, written);
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

    /// Says once that the registry does not take what was decided here, however long that lasts.
    fn tell_of(&mut self, slot: &ModelSlot, written: Result<()>) {
        match written {
            Ok(()) => {
                if self.unwritten.ends() {
                    tracing::info!(model = slot.name(), "the registry knows what was decided");
                }
            }
            Err(error) => {
                if self.unwritten.begins() {
                    tracing::warn!(
                        error = error.chain(),
                        model = slot.name(),
                        "the registry does not take what was decided about the release"
                    );
                }
            }
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
                    let written = tell(source, &release, taken_back);
                    self.tell_of(slot, written);
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
///
/// # Errors
/// When the registry does not take it.
fn write_down(slot: &ModelSlot, source: &Source, trial: &Trial) -> Result<()> {
    let release = trial.release();
    if let Some(taken_back) = trial.taken_back() {
        return tell(source, &release, taken_back);
    }
    if trial.is_halted() {
        return Ok(());
    }
    // Production may have changed where the registry ends no release by itself.
    if slot.info().is_some_and(|production| production.version != release.production) {
        settle(slot, source, &release);
        return Ok(());
    }
    let Some(status) = trial.tally().status() else { return Ok(()) };
    let decision = status.judgement.as_ref().map(|judgement| judgement.decision);
    if decision != Some(ReleaseDecision::Advance) || status.release.step_idx != release.step_idx {
        return Ok(());
    }
    match advance_release(source.registry(), &release, status.evidence()) {
        Ok(release) => trial.follow(release),
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Tells the registry that the candidate was taken back.
///
/// # Errors
/// When the registry does not take it.
fn tell(source: &Source, release: &Release, taken_back: TakenBack) -> Result<()> {
    let TakenBack { reason, evidence } = taken_back;
    match take_back_release(source.registry(), release, reason, evidence) {
        Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
        _ => Ok(()),
    }
}
