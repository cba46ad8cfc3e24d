//! The news that the registry changed, whichever process changed it: it is looked at while somebody
//! listens. It says that something changed, never what: who listens asks for what it shows.
//!
//! A notification of the file system (inotify) would come some milliseconds sooner, and not at all from
//! network file systems and from writers in other containers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use trialbook::registry::Registry;

/// The most that listen at once: each holds a connection.
const MAX_LISTENERS: usize = 64;

/// The state of the registry at one look: another after every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegistryMark(u64);

impl RegistryMark {
    /// That of `registry`; always the same while it cannot be read.
    fn of(registry: &Registry) -> Self {
        Self(registry.mark().unwrap_or_default())
    }
}

impl std::fmt::Display for RegistryMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The last state that was seen, and who listens for the next one.
pub(crate) struct Changes {
    /// None for a server without a registry of its own: nothing ever changes there.
    registry: Option<Registry>,
    /// None once the server stops.
    seen: watch::Sender<Option<RegistryMark>>,
    places: Arc<Semaphore>,
}

/// One who listens. Its place is free again when it is dropped.
pub(crate) struct Listener {
    seen: watch::Receiver<Option<RegistryMark>>,
    _place: OwnedSemaphorePermit,
}

impl Changes {
    /// Of `registry`.
    pub(crate) fn new(registry: Option<Registry>) -> Self {
        let (seen, _) = watch::channel(registry.as_ref().map(RegistryMark::of));
        Self { registry, seen, places: Arc::new(Semaphore::new(MAX_LISTENERS)) }
    }

    /// The state of the registry now; none without a registry.
    pub(crate) fn mark(&self) -> Option<RegistryMark> {
        self.registry.as_ref().map(RegistryMark::of)
    }

    /// Looks at the registry if somebody listens, and tells them if it changed.
    pub(crate) fn look(&self) {
        if self.seen.receiver_count() > 0 {
            self.tell();
        }
    }

    fn tell(&self) {
        let now = self.mark();
        self.seen.send_if_modified(|seen| {
            let is_news = seen.is_some() && *seen != now;
            if is_news {
                *seen = now;
            }
            is_news
        });
    }

    /// Sends everybody away who listens, and takes nobody any more.
    pub(crate) fn end(&self) {
        self.seen.send_replace(None);
    }

    /// A place among those who listen; none while all are taken.
    pub(crate) fn listen(&self) -> Option<Listener> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        // Nobody may have looked for long.
        self.tell();
        Some(Listener { seen: self.seen.subscribe(), _place: place })
    }
}

impl Listener {
    /// The last state that was seen; none once the server stops, and without a registry.
    pub(crate) fn mark(&self) -> Option<RegistryMark> {
        *self.seen.borrow()
    }

    /// Waits for another state, or the end.
    pub(crate) async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            // The server's state is gone, and nothing will change any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use trialbook::store::Store;

    use super::*;

    fn registry(folder: &tempfile::TempDir) -> Registry {
        Registry::open(&Store::new(folder.path())).unwrap()
    }

    #[test]
    fn every_commit_gives_the_registry_another_mark() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(&folder);
        let changes = Changes::new(Some(registry.clone()));
        let mut marks = vec![changes.mark().unwrap()];
        for idx in 0..20 {
            registry.experiment(&format!("experiment {idx}")).unwrap();
            let mark = changes.mark().unwrap();
            assert!(!marks.contains(&mark), "{idx}");
            assert_eq!(changes.mark(), Some(mark), "reading changes nothing");
            marks.push(mark);
        }
    }

    #[tokio::test]
    async fn every_listener_hears_of_a_change_and_of_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(&folder);
        let changes = Changes::new(Some(registry.clone()));
        let mut listeners: Vec<Listener> = (0..3).map(|_| changes.listen().unwrap()).collect();
        let first = changes.mark();
        assert!(listeners.iter().all(|listener| listener.mark() == first));
        registry.experiment("one").unwrap();
        changes.look();
        for listener in &mut listeners {
            listener.changed().await;
            assert_eq!(listener.mark(), changes.mark());
            assert_ne!(listener.mark(), first);
        }
        changes.end();
        registry.experiment("two").unwrap();
        changes.look();
        for listener in &mut listeners {
            listener.changed().await;
            assert_eq!(listener.mark(), None);
        }
        assert_eq!(changes.listen().unwrap().mark(), None);
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let changes = Changes::new(None);
        let mut all: Vec<Listener> =
            (0..MAX_LISTENERS).map(|_| changes.listen().unwrap()).collect();
        assert!(changes.listen().is_none());
        all.pop();
        assert!(changes.listen().is_some());
    }
}
