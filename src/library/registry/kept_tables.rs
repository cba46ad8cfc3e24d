//! The tables as they were read last, kept for whoever reads next: redb begins a read with four locks
//! and a look for what others wrote, which takes as long as the rest of a small request. They are shown
//! again as long as the file's head, which every commit of every process changes, is the one that they
//! were read by. Kept tables keep their pages from being used again, so they are let go when nobody has
//! read for a while.

use std::{
    fs::File,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use redb::{StorageBackend as _, backends::FileBackend};

use super::locked_file::{FileIdentity, identity};

/// So long after they were last read, tables are let go; and tables that nobody read for so long are not
/// kept the first time, since most processes read once.
const IDLE: Duration = Duration::from_secs(1);

/// The part of redb's file that each commit changes: its number, the roots of the tables and their
/// checksums, twice.
type TablesHead = [u8; 320];

/// Tables, and the epoch of the log that goes on where they end.
pub(super) type EpochTables = (Arc<redb::ReadTransaction>, u64);

/// The tables that were read last, if they are kept.
pub(super) struct KeptTables {
    /// None where nothing is kept.
    backend: Option<FileBackend>,
    slot: Arc<Mutex<KeptSlot>>,
}

#[derive(Default)]
struct KeptSlot {
    tables: Option<(EpochTables, TablesHead)>,
    last_read: Option<Instant>,
    /// True while a thread is there that lets them go.
    is_watched: bool,
}

impl KeptTables {
    /// Of the database at `path`, where `identity` was found.
    pub(super) fn of_file(path: &Path, identity_found: Option<FileIdentity>) -> Self {
        let open = || {
            let file = File::open(path).ok()?;
            let is_same = identity(&file.metadata().ok()?) == identity_found;
            is_same.then(|| FileBackend::new(file).ok()).flatten()
        };
        Self { backend: open(), slot: Arc::default() }
    }

    /// A place where nothing is kept.
    pub(super) fn none() -> Self {
        Self { backend: None, slot: Arc::default() }
    }

    /// The kept tables, if no commit was made since.
    pub(super) fn get(&self) -> Option<EpochTables> {
        let mut slot = lock(&self.slot);
        let (tables, head) = slot.tables.take()?;
        if self.head()? != head {
            return None;
        }
        let shown = tables.clone();
        slot.tables = Some((tables, head));
        slot.last_read = Some(Instant::now());
        Some(shown)
    }

    /// The head of the file. Tables that are read after it belong to it, or to a later one.
    pub(super) fn head(&self) -> Option<TablesHead> {
        let mut head = [0; 320];
        self.backend.as_ref()?.read(0, &mut head).ok()?;
        Some(head)
    }

    /// Keeps `tables`, which were read after `head`, if they are likely to be read again.
    pub(super) fn keep(&self, tables: &EpochTables, head: Option<TablesHead>) {
        let Some(head) = head else { return };
        let mut slot = lock(&self.slot);
        let now = Instant::now();
        let last_read = slot.last_read.replace(now);
        if last_read.is_some_and(|last| now - last < IDLE) && self.watch(&mut slot) {
            slot.tables = Some((tables.clone(), head));
        }
    }

    /// Lets the kept tables go.
    pub(super) fn forget(&self) {
        lock(&self.slot).tables = None;
    }

    /// True once a thread is there that lets the tables go.
    fn watch(&self, slot: &mut KeptSlot) -> bool {
        if slot.is_watched {
            return true;
        }
        let watched = Arc::downgrade(&self.slot);
        let spawned = thread::Builder::new().name("trialbook-tables".to_owned()).spawn(move || {
            loop {
                thread::sleep(IDLE);
                let Some(slot) = watched.upgrade() else { return };
                let mut slot = lock(&slot);
                if slot.last_read.is_none_or(|last| last.elapsed() >= IDLE) {
                    slot.tables = None;
                    slot.is_watched = false;
                    return;
                }
            }
        });
        slot.is_watched = spawned.is_ok();
        slot.is_watched
    }
}

fn lock(slot: &Mutex<KeptSlot>) -> MutexGuard<'_, KeptSlot> {
    // What is kept is whole or gone whenever something can panic.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use redb::{Database, ReadableDatabase as _};

    use super::{super::database_file::builder, super::tables::META, *};

    fn put(database: &Database, value: &[u8]) {
        let txn = database.begin_write().unwrap();
        txn.open_table(META).unwrap().insert(b"key".as_slice(), value).unwrap();
        txn.commit().unwrap();
    }

    fn shown(tables: &redb::ReadTransaction) -> Vec<u8> {
        let table = tables.open_table(META).unwrap();
        table.get(b"key".as_slice()).unwrap().unwrap().value().to_vec()
    }

    fn read(database: &Database, kept: &KeptTables) -> (Vec<u8>, bool) {
        if let Some((tables, _)) = kept.get() {
            return (shown(&tables), true);
        }
        let head = kept.head();
        let tables = (Arc::new(database.begin_read().unwrap()), 1);
        kept.keep(&tables, head);
        (shown(&tables.0), false)
    }

    #[test]
    fn tables_are_kept_until_another_process_commits_or_nobody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.redb");
        let ours = builder().create(&path).unwrap();
        put(&ours, b"first");
        // To the file system this is another process's.
        let theirs = builder().open(&path).unwrap();
        let kept = KeptTables::of_file(&path, identity(&fs::metadata(&path).unwrap()));

        let first = || (b"first".to_vec(), false);
        assert_eq!(read(&ours, &kept), first());
        assert_eq!(read(&ours, &kept), first(), "who reads once keeps nothing");
        assert_eq!(read(&ours, &kept), (b"first".to_vec(), true));
        put(&theirs, b"second");
        assert_eq!(read(&ours, &kept), (b"second".to_vec(), false));
        assert_eq!(read(&ours, &kept), (b"second".to_vec(), true));

        let deadline = Instant::now() + Duration::from_secs(30);
        while lock(&kept.slot).tables.is_some() && Instant::now() < deadline {
            thread::sleep(IDLE / 10);
        }
        assert!(lock(&kept.slot).tables.is_none());
        assert_eq!(read(&ours, &kept), (b"second".to_vec(), false));
    }

    #[test]
    fn another_file_at_the_path_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.redb");
        let database = builder().create(&path).unwrap();
        put(&database, b"value");
        let kept = KeptTables::of_file(&path, None);
        for _ in 0..3 {
            assert_eq!(read(&database, &kept), (b"value".to_vec(), false));
        }
    }
}
