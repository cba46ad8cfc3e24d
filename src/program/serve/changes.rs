//! The news that the registry changed, whichever process changed it: its file is looked at while somebody
//! listens. It says that something changed, never what: who listens asks for what it shows.
//!
//! A notification of the file system (inotify) would come some milliseconds sooner, and not at all from
//! network file systems and from writers in other containers.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The most that listen at once: each holds a connection.
const MAX_LISTENERS: usize = 64;

/// The bytes in which every commit leaves its number: redb's two commit slots lie in the first 320
/// (its docs/design.md, "Super-header").
const HEAD_BYTES: u64 = 320;

/// The state of the registry's file at one look: another after every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileMark(u64);

impl FileMark {
    /// That of the file at `path`; of no file while it cannot be read.
    fn of(path: &Path) -> Self {
        let mut head = Vec::new();
        if let Ok(file) = File::open(path) {
            // What was read until an error is a state as well.
            let _ = file.take(HEAD_BYTES).read_to_end(&mut head);
        }
        let mut hasher = DefaultHasher::new();
        head.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl std::fmt::Display for FileMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The last state that was seen, and who listens for the next one.
pub(crate) struct Changes {
    /// None for a server without a registry of its own: nothing ever changes there.
    path: Option<PathBuf>,
    /// None once the server stops.
    seen: watch::Sender<Option<FileMark>>,
    places: Arc<Semaphore>,
}

/// One who listens. Its place is free again when it is dropped.
pub(crate) struct Listener {
    seen: watch::Receiver<Option<FileMark>>,
    _place: OwnedSemaphorePermit,
}

impl Changes {
    /// Of the registry at `path`.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        let (seen, _) = watch::channel(path.as_deref().map(FileMark::of));
        Self { path, seen, places: Arc::new(Semaphore::new(MAX_LISTENERS)) }
    }

    /// The state of the registry now; none without a registry.
    pub(crate) fn mark(&self) -> Option<FileMark> {
        self.path.as_deref().map(FileMark::of)
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
    pub(crate) fn mark(&self) -> Option<FileMark> {
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
    use std::fs;

    use trialbook::{registry::Registry, store::Store};

    use super::*;

    #[test]
    fn every_commit_gives_the_file_another_mark() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let registry = Registry::open(&store).unwrap();
        let changes = Changes::new(Some(store.registry_path()));
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
        let path = folder.path().join("registry");
        let changes = Changes::new(Some(path.clone()));
        fs::write(&path, "one").unwrap();
        let mut listeners: Vec<Listener> = (0..3).map(|_| changes.listen().unwrap()).collect();
        let first = changes.mark();
        assert!(listeners.iter().all(|listener| listener.mark() == first));
        fs::write(&path, "three").unwrap();
        changes.look();
        for listener in &mut listeners {
            listener.changed().await;
            assert_eq!(listener.mark(), changes.mark());
            assert_ne!(listener.mark(), first);
        }
        changes.end();
        fs::write(&path, "four").unwrap();
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
