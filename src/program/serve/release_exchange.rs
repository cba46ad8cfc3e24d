//! Sharing what is counted of a release with the other servers of the store, once a second, on a thread that
//! nobody waits for: a disk that hangs delays what is known of others, and nothing else.

use trialbook::monitor::ReleaseLog;

use super::{model::tally::OtherServers, outage::Outage, releases::INTERVAL, state::ServerState};

/// Publishes and reads counts for one model.
pub(crate) struct ReleaseExchange {
    slot_idx: usize,
    /// Of the release that runs.
    log: Option<(String, ReleaseLog)>,
    unshared: Outage,
}

impl ReleaseExchange {
    /// The time between two exchanges.
    pub(crate) const INTERVAL: std::time::Duration = INTERVAL.saturating_mul(4);

    pub(crate) fn new(slot_idx: usize) -> Self {
        Self { slot_idx, log: None, unshared: Outage::default() }
    }

    /// One exchange, while a release runs.
    pub(crate) fn look(&mut self, state: &ServerState) {
        let slot = &state.slots()[self.slot_idx];
        let Some(trial) = slot.trial() else {
            self.log = None;
            return;
        };
        let Some(logs_dir) = state.logs_dir() else { return };
        let id = trial.release().id.clone();
        let log = match self.log.take().filter(|(of, _)| *of == id) {
            Some((_, log)) => Ok(log),
            None => ReleaseLog::open(&logs_dir, &id),
        };
        let exchanged = log.and_then(|log| {
            let exchanged = log.publish(&trial.tally().counts()).and_then(|()| log.others());
            self.log = Some((id, log));
            exchanged
        });
        match exchanged {
            Ok((counts, n_servers)) => {
                trial.tally().set_others(OtherServers { counts, n_servers });
                if self.unshared.ends() {
                    tracing::info!(model = slot.name(), "the counts of a release are shared again");
                }
            }
            Err(error) => {
                // A server that cannot share goes by its own counts.
                if trial.tally().others().is_none() {
                    trial.tally().set_others(OtherServers::default());
                }
                if self.unshared.begins() {
                    tracing::warn!(
                        error = error.chain(),
                        model = slot.name(),
                        "the counts of a release cannot be shared: each server goes by its own"
                    );
                }
            }
        }
    }
}
