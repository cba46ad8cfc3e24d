//! An open database: its file as redb opened it, its commit log, and the states and transactions of both
//! together. A commit goes into the log, or, where it is too large or the log is full, with all that
//! the log holds into the tables.
//!
//! Lock order: the log's writer, then redb's. Whoever holds the log's knows that nobody else appends and
//! that nobody makes a checkpoint.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::ReadableDatabase as _;

use super::{
    artifact_files::ArtifactFiles,
    commit_log::{CommitLog, LogEnd},
    fault::{Fault, restoring},
    kept_tables::{EpochTables, KeptTables},
    locked_file::FileIdentity,
    pending::PendingRows,
    private_copy::PrivateCopy,
    schema,
    transaction::{ReadTxn, TablesTxn, WriteTxn},
};
use crate::{
    error::{Error, ErrorKind},
    store::Store,
};

/// So often a state is looked for while other processes make checkpoints, before the log is taken for
/// one that belongs to a later state than the tables.
const MAX_TRIES: usize = 50;

/// A database that redb opened, and its log.
pub(super) struct Handle {
    /// Empty only while it is dropped.
    access: Option<Access>,
    path: PathBuf,
    identity: Option<FileIdentity>,
    /// The number by which its log is known; none before the schema that has one.
    log_id: Option<u64>,
    view: Mutex<LogView>,
    /// The tables as they were read last.
    kept: KeptTables,
    /// True once this process has written to the log.
    has_written: AtomicBool,
}

/// The way in which redb opened the file.
pub(super) enum Access {
    Writable(redb::Database),
    /// The file system lets this process read only.
    ReadOnly(redb::ReadOnlyDatabase),
    /// So it does, and there is something to do before the file can be read.
    Copy(Box<PrivateCopy>),
}

/// The log as far as this process has read it.
struct LogView {
    log: Option<Arc<CommitLog>>,
    end: LogEnd,
    rows: Arc<PendingRows>,
    /// True once it is known that no frames follow behind one that cannot be read.
    is_whole: bool,
}

/// A state of the whole, and the end of the log that it was read to.
struct LoggedState {
    tables: Arc<redb::ReadTransaction>,
    rows: Arc<PendingRows>,
    end: LogEnd,
    /// False if the log belongs to another state of the tables: nothing of it was taken.
    fits: bool,
}

/// The right to write, for a transaction: as long as it lives, no other process writes.
pub(super) struct Turn {
    log: Arc<CommitLog>,
    end: LogEnd,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The lock ends with the file at the latest.
        let _ = self.log.unlock();
    }
}

impl Handle {
    /// The database at `path`, where `identity` was found.
    pub(super) fn new(
        access: Access,
        path: &Path,
        identity: Option<FileIdentity>,
    ) -> Result<Self, Fault> {
        let kept = match access {
            Access::Writable(_) => KeptTables::of_file(path, identity),
            Access::ReadOnly(_) | Access::Copy(_) => KeptTables::none(),
        };
        let mut handle = Self {
            access: Some(access),
            path: path.to_owned(),
            identity,
            log_id: None,
            view: Mutex::new(LogView::of_epoch(0)),
            kept,
            has_written: AtomicBool::new(false),
        };
        let tables = ReadTxn::of_tables(handle.begin_tables()?);
        if schema::check(&tables)? >= schema::LOGGED {
            handle.log_id = Some(schema::log_id(&tables)?);
        }
        Ok(handle)
    }

    pub(super) fn access(&self) -> &Access {
        self.access.as_ref().expect("a handle is emptied only by its drop")
    }

    /// True if it shows the file at its path, where `identity` was found.
    pub(super) fn is_current(&self, identity: Option<FileIdentity>) -> bool {
        let is_current = match self.access() {
            Access::Copy(copy) => copy.is_current(),
            Access::Writable(_) | Access::ReadOnly(_) => true,
        };
        is_current && self.identity == identity
    }

    /// The identity of the file.
    pub(super) fn identity(&self) -> Option<FileIdentity> {
        self.identity
    }

    /// The present state.
    pub(super) fn begin_read(&self) -> Result<ReadTxn, Fault> {
        let LoggedState { tables, rows, .. } = self.state()?;
        Ok(ReadTxn::new(tables, rows))
    }

    /// A number that is another one after every commit, whichever process made it.
    pub(super) fn mark(&self) -> Result<(u64, u64), Fault> {
        let LogEnd { epoch, n_frames, .. } = self.state()?.end;
        Ok((epoch, n_frames))
    }

    /// A transaction, once no other process writes.
    pub(super) fn begin_write(&self) -> Result<(WriteTxn, Turn), Fault> {
        let log_id = match (self.access(), self.log_id) {
            (Access::Writable(_), Some(log_id)) => log_id,
            _ => {
                let error = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
                return Err(redb::StorageError::Io(error).into());
            }
        };
        for _ in 0..MAX_TRIES {
            let log = self.log_to_write(log_id)?;
            log.lock().map_err(|error| self.log_fault(error))?;
            let LoggedState { tables, rows, end, fits } =
                self.state().inspect_err(|_| drop(log.unlock()))?;
            let turn = Turn { log: Arc::clone(&log), end };
            if !lock(&self.view).shows(&log) {
                // Another one was put in its place before it was locked.
                continue;
            }
            if fits {
                return Ok((WriteTxn::new(ReadTxn::new(tables, rows)), turn));
            }
            // An older copy of the tables was put in the place of those that it belongs to.
            CommitLog::replace(&self.log_path(), log_id, &self.path)?;
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("{:?} is replaced again and again", self.log_path()),
        )
        .with_hint("try again")
        .into())
    }

    /// Makes what was changed in `txn` durable, and visible to everybody.
    pub(super) fn commit(&self, txn: WriteTxn, turn: Turn) -> Result<(), Fault> {
        let changes = txn.into_changes();
        if changes.is_empty() {
            return Ok(());
        }
        let payload = changes.to_bytes();
        if !turn.log.has_room(turn.end, &payload) {
            return self.checkpoint(&turn, &changes);
        }
        self.has_written.store(true, Ordering::Relaxed);
        turn.log.append(turn.end, &payload).map_err(|error| self.log_fault(error))?;
        let mut view = lock(&self.view);
        if view.shows(&turn.log) && view.end == turn.end {
            view.take(&payload, turn.end.after(&payload))
        } else {
            // Somebody has read it already.
            view.read_on()
        }
        .map_err(|error| self.log_fault(error))
    }

    /// Writes all that the log holds, and `changes`, into the tables; the log begins anew.
    fn checkpoint(&self, turn: &Turn, changes: &PendingRows) -> Result<(), Fault> {
        let Access::Writable(database) = self.access() else { return Ok(()) };
        let LoggedState { tables, rows, .. } = self.state()?;
        drop(tables);
        // As long as it is kept, none of its pages can be used again.
        self.kept.forget();
        // What the log alone made durable has to last without it.
        for (_, content) in rows.contents().chain(changes.contents()) {
            self.artifacts().put(content)?;
        }
        let txn = TablesTxn(database.begin_write()?);
        rows.write_into(&txn.0)?;
        changes.write_into(&txn.0)?;
        schema::set_log_epoch(&txn, turn.end.epoch)?;
        txn.0.commit()?;
        let next = turn.end.epoch + 1;
        turn.log.begin_epoch(next).map_err(|error| self.log_fault(error))?;
        lock(&self.view).begin(next);
        Ok(())
    }

    /// The files of artifacts beside the database.
    fn artifacts(&self) -> ArtifactFiles {
        let root = self.path.parent().unwrap_or(Path::new("."));
        ArtifactFiles::new(Store::new(root).artifacts_dir())
    }

    /// The present tables, and the epoch of the log that goes on where they end: they alone say it.
    fn tables(&self) -> Result<EpochTables, Fault> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let head = self.kept.head();
        let tables = ReadTxn::of_tables(self.begin_tables()?);
        let epoch = schema::log_epoch(&tables)? + 1;
        let tables = (tables.into_tables(), epoch);
        self.kept.keep(&tables, head);
        Ok(tables)
    }

    fn begin_tables(&self) -> Result<redb::ReadTransaction, Fault> {
        Ok(match self.access() {
            Access::Writable(database) => database.begin_read()?,
            Access::ReadOnly(database) => database.begin_read()?,
            Access::Copy(copy) => copy.database.begin_read()?,
        })
    }

    /// The present state. The tables are looked at first: what was a commit in the log then lies in one of
    /// both, unless the log is written over meanwhile, which its generation tells.
    fn state(&self) -> Result<LoggedState, Fault> {
        let mut n_tries = 0;
        loop {
            n_tries += 1;
            let (tables, epoch) = self.tables()?;
            let Some(log_id) = self.log_id else {
                let (rows, end) = (Arc::default(), LogEnd::of_epoch(0));
                return Ok(LoggedState { tables, rows, end, fits: true });
            };
            let mut view = lock(&self.view);
            view.open(&self.log_path(), matches!(self.access(), Access::Writable(_)))
                .map_err(|error| self.log_fault(error))?;
            if view.end.epoch != epoch {
                view.begin(epoch);
            }
            let fits = match &view.log {
                None => true,
                Some(log) if log.id() != log_id => false,
                Some(_) => self.catch_up(&mut view)?,
            };
            if fits
                || n_tries == MAX_TRIES
                || view.log.as_ref().is_some_and(|log| log.id() != log_id)
            {
                if !fits {
                    view.begin(epoch);
                }
                let (rows, end) = (Arc::clone(&view.rows), view.end);
                return Ok(LoggedState { tables, rows, end, fits });
            }
        }
    }

    /// Reads what was appended; false if it may have been written over meanwhile.
    fn catch_up(&self, view: &mut LogView) -> Result<bool, Fault> {
        let caught_up = (|| -> io::Result<bool> {
            view.read_on()?;
            let Some(log) = &view.log else { return Ok(true) };
            view.is_whole = view.is_whole || !log.goes_on_behind(view.end)?;
            Ok(log.generation()? <= view.end.epoch)
        })();
        let fits = caught_up.map_err(|error| self.log_fault(error))?;
        if !view.is_whole {
            let end = view.end;
            view.begin(end.epoch);
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{:?} is damaged: write {} cannot be read, and later ones follow",
                    self.log_path(),
                    end.n_frames
                ),
            )
            .with_hint(restoring())
            .into());
        }
        Ok(fits)
    }

    /// The log, which is made if none is there. Another one may lie at its path by now.
    fn log_to_write(&self, log_id: u64) -> Result<Arc<CommitLog>, Fault> {
        let path = self.log_path();
        let mut view = lock(&self.view);
        if let Some(log) = view.log.as_ref().filter(|log| log.id() == log_id) {
            // It is looked at again once it is locked.
            return Ok(Arc::clone(log));
        }
        for _ in 0..MAX_TRIES {
            view.open(&path, true).map_err(|error| self.log_fault(error))?;
            match &view.log {
                Some(log) if log.id() == log_id => return Ok(Arc::clone(log)),
                // That of a registry which lay here before.
                Some(_) => CommitLog::replace(&path, log_id, &self.path)?,
                None => CommitLog::create(&path, log_id, &self.path)?,
            }
        }
        Err(self.log_fault(io::Error::from(io::ErrorKind::NotFound)))
    }

    fn log_path(&self) -> PathBuf {
        self.path.with_extension("log")
    }

    fn log_fault(&self, error: io::Error) -> Fault {
        let path = self.log_path();
        if error.kind() == io::ErrorKind::InvalidData {
            return Error::new(
                ErrorKind::Corrupt,
                format!("the registry's log {path:?} is damaged"),
            )
            .with_hint(restoring())
            .with_source(error)
            .into();
        }
        Error::io("use the registry's log", &path, error).into()
    }

    /// Leaves the tables whole, so that the database's file can be copied alone once nobody uses it.
    fn settle(&self) -> Result<(), Fault> {
        if !self.has_written.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (_, turn) = self.begin_write()?;
        match turn.end == LogEnd::of_epoch(turn.end.epoch) {
            true => Ok(()),
            false => self.checkpoint(&turn, &PendingRows::default()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // What was committed is durable already, so nothing is lost if this fails; redb panics on some
        // damaged pages, and its closing writes to the file.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if self.settle().is_err() {
                tracing::debug!(path = %self.path.display(), "the commit log stays as it is");
            }
            self.kept.forget();
            drop(self.access.take());
        }));
    }
}

impl LogView {
    fn of_epoch(epoch: u64) -> Self {
        Self { log: None, end: LogEnd::of_epoch(epoch), rows: Arc::default(), is_whole: false }
    }

    /// Nothing of `epoch` was read yet.
    fn begin(&mut self, epoch: u64) {
        self.end = LogEnd::of_epoch(epoch);
        self.rows = Arc::default();
        self.is_whole = false;
    }

    /// Opens the log that lies at `path` now, if one does.
    fn open(&mut self, path: &Path, writable: bool) -> io::Result<()> {
        if self.log.as_ref().is_some_and(|log| log.lies_at(path)) {
            return Ok(());
        }
        self.begin(self.end.epoch);
        self.log = CommitLog::open(path, writable)?.map(Arc::new);
        Ok(())
    }

    /// True if it is `log` that was read.
    fn shows(&self, log: &Arc<CommitLog>) -> bool {
        self.log.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, log))
    }

    /// Reads the frames that were appended since.
    fn read_on(&mut self) -> io::Result<()> {
        while let Some(log) = &self.log
            && let Some((payload, next)) = log.read(self.end)?
        {
            self.take(&payload, next)?;
        }
        Ok(())
    }

    /// Adds a frame's `payload`, behind which the log goes on at `next`.
    fn take(&mut self, payload: &[u8], next: LogEnd) -> io::Result<()> {
        Arc::make_mut(&mut self.rows)
            .add(payload)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a frame has another form"))?;
        self.end = next;
        Ok(())
    }
}

fn lock(view: &Mutex<LogView>) -> MutexGuard<'_, LogView> {
    // Rows and end change together, and a panic between them is caught by nobody who reads on.
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::{
            database::Database,
            tables::NEXT_EXPERIMENT,
            transaction::{Rows as _, RowsMut as _},
        },
        *,
    };
    use crate::{error::Result, store::Store};

    struct Fixture {
        folder: tempfile::TempDir,
        store: Store,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path());
            Self { folder, store }
        }

        fn open(&self) -> Arc<Database> {
            Database::open(&self.store, 0).unwrap()
        }

        /// The store as it lies on the disk now, elsewhere.
        fn copied(&self, name: &str) -> Store {
            let to = Store::new(self.folder.path().join(name));
            fs::create_dir(to.root()).unwrap();
            for path in [self.store.registry_path(), self.store.registry_log_path()] {
                fs::copy(&path, to.root().join(path.file_name().unwrap())).unwrap();
            }
            to
        }
    }

    fn set(database: &Database, value: u64) -> Result<()> {
        database.write(|txn| txn.set_counter(NEXT_EXPERIMENT, value))
    }

    fn get(database: &Database) -> Result<u64> {
        database.read(|txn| txn.counter(NEXT_EXPERIMENT))
    }

    fn in_tables(store: &Store) -> u64 {
        let copy = tempfile::NamedTempFile::new().unwrap();
        fs::copy(store.registry_path(), copy.path()).unwrap();
        let database = super::super::database_file::builder().open(copy.path()).unwrap();
        let txn = ReadTxn::of_tables(database.begin_read().unwrap());
        txn.counter(NEXT_EXPERIMENT).unwrap_or_default()
    }

    #[test]
    fn commits_lie_in_the_log_until_it_is_full_or_its_writer_closes() {
        let f = Fixture::new();
        let database = f.open();
        set(&database, 2).unwrap();
        assert_eq!((get(&database).unwrap(), in_tables(&f.store)), (2, 1));
        // Whoever comes after a crash finds it.
        assert_eq!(get(&Database::open(&f.copied("crashed"), 0).unwrap()).unwrap(), 2);

        let n_bytes = fs::metadata(f.store.registry_log_path()).unwrap().len();
        let mut n_writes = 2;
        while in_tables(&f.store) == 1 {
            for _ in 0..500 {
                n_writes += 1;
                set(&database, n_writes).unwrap();
            }
            assert!(n_writes < 100_000);
        }
        assert_eq!(get(&database).unwrap(), n_writes);
        assert_eq!(get(&Database::open(&f.copied("begun anew"), 0).unwrap()).unwrap(), n_writes);
        assert_eq!(fs::metadata(f.store.registry_log_path()).unwrap().len(), n_bytes);
        drop(database);
        assert_eq!(in_tables(&f.store), n_writes);
    }

    #[test]
    fn a_commit_that_is_larger_than_the_log_goes_into_the_tables() {
        let f = Fixture::new();
        let database = f.open();
        set(&database, 7).unwrap();
        let bytes = vec![1; 1 << 20];
        let key = [9; 8];
        let table = super::super::tables::EXPERIMENTS;
        database.write(|txn| txn.put_raw(table, &key, &bytes)).unwrap();
        assert_eq!(in_tables(&f.store), 7);
        database
            .read(|txn| {
                assert_eq!(txn.get_raw(table, &key)?.as_deref(), Some(bytes.as_slice()));
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn whoever_else_has_it_open_sees_every_commit_and_checkpoint() {
        let f = Fixture::new();
        let ours = f.open();
        let path = f.store.registry_path();
        let access = Access::Writable(super::super::database_file::builder().open(&path).unwrap());
        let Ok(other) = Handle::new(access, &path, None) else { panic!("no handle") };
        let seen = |handle: &Handle| {
            handle.begin_read().and_then(|txn| txn.counter(NEXT_EXPERIMENT)).unwrap_or_default()
        };
        for value in 2..3000 {
            match value % 3 {
                0 => {
                    let Ok((txn, turn)) = other.begin_write() else { panic!("no transaction") };
                    assert!(txn.set_counter(NEXT_EXPERIMENT, value).is_ok());
                    assert!(other.commit(txn, turn).is_ok());
                }
                _ => set(&ours, value).unwrap(),
            }
            assert_eq!((get(&ours).unwrap(), seen(&other)), (value, value));
            if value % 100 == 0 {
                let Ok((_, turn)) = other.begin_write() else { panic!("no transaction") };
                assert!(other.checkpoint(&turn, &PendingRows::default()).is_ok());
                assert_eq!((get(&ours).unwrap(), seen(&other)), (value, value));
            }
        }
    }

    /// A frame that was begun is none; one that was changed later is damage.
    #[test]
    fn a_torn_end_is_dropped_and_damage_is_an_error() {
        let f = Fixture::new();
        let database = f.open();
        for value in 2..=5 {
            set(&database, value).unwrap();
        }
        let first = 4096;
        let n_bytes = {
            let log = fs::read(f.store.registry_log_path()).unwrap();
            let payload = u32::from_le_bytes(log[first..first + 4].try_into().unwrap()) as usize;
            (24 + payload).next_multiple_of(8)
        };
        for (name, frame, expected) in [("torn", 3, Some(4)), ("damaged", 1, None)] {
            for byte in 0..n_bytes - 8 {
                let copy = f.copied(&format!("{name} {byte}"));
                let mut log = fs::read(copy.registry_log_path()).unwrap();
                log[first + frame * n_bytes + byte] ^= 0x55;
                fs::write(copy.registry_log_path(), log).unwrap();
                match (Database::open(&copy, 0).and_then(|database| get(&database)), expected) {
                    (Ok(found), Some(expected)) => assert_eq!(found, expected, "{name} {byte}"),
                    (Err(error), None) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name} {byte}");
                        assert!(error.hint().is_some() && error.to_string().contains("write 1"));
                    }
                    (found, _) => panic!("{name} {byte}: {found:?}"),
                }
            }
        }
    }

    /// What was written last lies in it: neither half of it nor another file passes for an empty one.
    #[test]
    fn a_log_that_is_cut_off_or_has_another_head_is_damaged() {
        let f = Fixture::new();
        set(&f.open(), 2).unwrap();
        let database = f.open();
        set(&database, 3).unwrap();
        let whole = f.copied("whole");
        let bytes = fs::read(whole.registry_log_path()).unwrap();
        assert_eq!(get(&Database::open(&whole, 0).unwrap()).unwrap(), 3);
        let mut heads: Vec<Vec<u8>> = [0, 15, 16, 23, 32, 35]
            .map(|byte: usize| {
                let mut damaged = bytes.clone();
                damaged[byte] ^= 1;
                damaged
            })
            .into();
        heads.push(bytes[..bytes.len() / 2].to_vec());
        heads.push(Vec::new());
        for (idx, damaged) in heads.iter().enumerate() {
            let copy = f.copied(&format!("damaged {idx}"));
            fs::write(copy.registry_log_path(), damaged).unwrap();
            let opened = Database::open(&copy, 0);
            let error = opened.and_then(|database| get(&database)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{idx}");
            let written = Database::open(&copy, 0).and_then(|database| set(&database, 4));
            assert_eq!(written.unwrap_err().kind(), ErrorKind::Corrupt, "{idx}");
            assert_eq!(&fs::read(copy.registry_log_path()).unwrap(), damaged, "nothing is lost");
        }
    }

    /// An older copy of the file was put back: the log belongs to what lay there.
    #[test]
    fn a_log_of_another_state_or_registry_is_left_out() {
        let f = Fixture::new();
        let database = f.open();
        let old = f.folder.path().join("old");
        fs::copy(f.store.registry_path(), &old).unwrap();
        set(&database, 5).unwrap();
        drop(database);
        let database = f.open();
        set(&database, 6).unwrap();
        let newer = f.copied("newer");
        fs::copy(&old, newer.registry_path()).unwrap();
        let again = Database::open(&newer, 0).unwrap();
        assert_eq!(get(&again).unwrap(), 1);
        set(&again, 2).unwrap();
        assert_eq!(get(&again).unwrap(), 2);
        drop(again);
        assert_eq!(in_tables(&newer), 2);

        let other = Fixture::new();
        set(&other.open(), 9).unwrap();
        let mixed = f.copied("mixed");
        fs::copy(other.store.registry_path(), mixed.registry_path()).unwrap();
        let mixed = Database::open(&mixed, 0).unwrap();
        assert_eq!(get(&mixed).unwrap(), 9);
        set(&mixed, 10).unwrap();
        assert_eq!(get(&mixed).unwrap(), 10);
    }
}
