//! What the logs say of a release that runs: true labels and drift, looked at every few seconds on a thread that
//! nobody waits for, however large the logs are. The judge goes by what was found last.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use trialbook::{
    Book,
    book::ReleaseReader,
    error::{Error, Result},
    gate::LoggedEvidence,
    registry::Release,
    store::Store,
};

use super::{model::trial::Trial, outage::Outage, state::ServerState};

/// The time between two looks.
const LOOKED: Duration = Duration::from_secs(2);
/// A look that took long is good for so many times as long: looking takes a twentieth of one core at most.
const SHARE: u32 = 20;
/// The newest part of the log of predictions that is looked at: some hundred thousand predictions.
const MAX_BYTES: u64 = 32 << 20;

/// Looks at the logs for one model.
pub(crate) struct ReleaseLogWatch {
    slot_idx: usize,
    /// Of the release that runs.
    reader: Option<(String, ReleaseReader)>,
    /// When the last look ended, and how long it took.
    looked: Option<(Instant, Duration)>,
    unread: Outage,
}

impl ReleaseLogWatch {
    /// The time between two questions whether to look.
    pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

    pub(crate) fn new(slot_idx: usize) -> Self {
        Self { slot_idx, reader: None, looked: None, unread: Outage::default() }
    }

    /// One look, if it is time for it and the release goes by its logs.
    pub(crate) fn look(&mut self, state: &ServerState) {
        let slot = &state.slots()[self.slot_idx];
        let (Some(trial), Some(registry)) = (slot.trial(), state.registry()) else {
            self.reader = None;
            self.looked = None;
            return;
        };
        let release = trial.release();
        let is_needed = release.needs_labels() || release.needs_drift();
        let is_fresh = |(at, took): (Instant, Duration)| at.elapsed() < LOOKED.max(took * SHARE);
        if !is_needed || trial.is_halted() || self.looked.is_some_and(is_fresh) {
            return;
        }
        let begun = Instant::now();
        match self.read(registry.store(), &trial, &release) {
            Ok(evidence) => {
                trial.tally().set_logged(Arc::new(evidence));
                if self.unread.ends() {
                    tracing::info!(model = slot.name(), "the logs of a release are read again");
                }
            }
            Err(error) => self.tell(slot.name(), &error),
        }
        self.looked = Some((Instant::now(), begun.elapsed()));
    }

    fn read(&mut self, store: &Store, trial: &Trial, release: &Release) -> Result<LoggedEvidence> {
        let reader = match self.reader.take().filter(|(id, _)| *id == release.id) {
            Some((_, reader)) => reader,
            None => {
                let classes = trial.candidate().classifier.classes().to_vec();
                Book::with_store(store.clone()).release_reader(release, Some(classes))?
            }
        };
        let evidence = reader.read(release, MAX_BYTES);
        self.reader = Some((release.id.clone(), reader));
        evidence
    }

    fn tell(&mut self, model: &str, error: &Error) {
        if self.unread.begins() {
            tracing::warn!(
                error = error.chain(),
                model,
                "the logs of a release cannot be read: what they said last holds"
            );
        }
    }
}
