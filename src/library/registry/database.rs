//! The database: making it, opening it once per process, and transactions whose errors name its
//! file. It knows nothing of what the rows mean.
//!
//! Any number of processes read and write it at once: redb runs in its multi-writer mode, and the commit
//! log beside it has one writer at a time. Each commit is durable (fsync) before it is acknowledged, and a
//! process that is killed loses only what it had not yet been told is written.

use std::{
    any::Any,
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use redb::ReadableDatabase as _;

use super::{
    database_file::{builder, forbids_writing, read_only},
    fault::{Fault, explain},
    handle::{Access, Handle, Turn},
    locked_file::{FileIdentity, LockedFile, identity},
    private_copy::PrivateCopy,
    renewal, schema, succession,
    transaction::{ReadTxn, WriteTxn},
    writer_group::WriterGroup,
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    store::Store,
};

/// So often the file is opened again when other processes replace it meanwhile.
const MAX_TRIES: usize = 10;

/// One database file, shared by everything in this process that opened it.
pub(super) struct Database {
    path: PathBuf,
    /// Empty after a failed write: redb refuses to go on with a handle that met an I/O error, so
    /// the next call opens a fresh one. So it does when another file lies at the path.
    handle: Mutex<Option<Arc<Handle>>>,
    /// The writers of this process.
    group: WriterGroup<(Turn, Arc<Handle>)>,
}

static OPEN: Mutex<BTreeMap<PathBuf, Weak<Database>>> = Mutex::new(BTreeMap::new());

impl Database {
    /// Opens the store's database, making it on first use, and moving it there if an older build
    /// made it.
    pub(super) fn open(store: &Store, now_ms: i64) -> Result<Arc<Self>> {
        if !store.root().exists() {
            store.make_dir(store.root())?;
        }
        let path = store.registry_path();
        guarded(&path, || Ok(succession::settle(store, now_ms)?), || ())?;
        let fail = |error| Error::io("open the registry", &path, error);
        let path = match fs::canonicalize(&path) {
            // An older one that may only be read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let root = fs::canonicalize(store.root()).map_err(fail)?;
                Store::new(root).registry_path()
            }
            found => found.map_err(fail)?,
        };

        let mut open = lock(&OPEN);
        if let Some(database) = open.get(&path).and_then(Weak::upgrade) {
            // It may still hold a file that lay here before.
            database.handle()?;
            return Ok(database);
        }
        let handle = connect(&path)?;
        let database = Arc::new(Self {
            path: path.clone(),
            handle: Mutex::new(Some(Arc::new(handle))),
            group: WriterGroup::default(),
        });
        open.retain(|_, database| database.strong_count() > 0);
        open.insert(path, Arc::downgrade(&database));
        Ok(database)
    }

    /// True if the file system forbids writing.
    pub(super) fn is_read_only(&self) -> Result<bool> {
        Ok(!matches!(self.handle()?.access(), Access::Writable(_)))
    }

    /// Runs `work` on one consistent state; writers do not disturb it.
    pub(super) fn read<T>(&self, work: impl FnOnce(&ReadTxn) -> Result<T, Fault>) -> Result<T> {
        self.guarded(|| {
            let (_handle, txn) = self.begin(Handle::begin_read)?;
            work(&txn)
        })
    }

    /// A number that is another one after every commit, whichever process made it.
    pub(super) fn mark(&self) -> Result<u64> {
        self.guarded(|| {
            let (handle, mark) = self.begin(Handle::mark)?;
            let mut hasher = DefaultHasher::new();
            (handle.identity(), mark).hash(&mut hasher);
            Ok(hasher.finish())
        })
    }

    /// Runs `work` as the only writer among all processes; everything it did is durable when this
    /// returns, or undone if it failed. Threads that write at the same time share one transaction, and
    /// so its syncs.
    pub(super) fn write<T>(&self, work: impl FnOnce(&WriteTxn) -> Result<T, Fault>) -> Result<T> {
        if self.is_read_only()? {
            return Err(read_only(&self.path));
        }
        let begin = || {
            self.guarded(|| {
                let (handle, (txn, turn)) = self.begin(Handle::begin_write)?;
                Ok((txn, (turn, handle)))
            })
        };
        let commit = |txn, (turn, handle): (Turn, Arc<Handle>)| handle.commit(txn, turn);
        self.group.write(begin, work, commit, |ended| self.guarded(ended))
    }

    /// Begins a transaction, on a fresh handle if the present one is spent.
    fn begin<T>(
        &self,
        begin: impl Fn(&Handle) -> Result<T, Fault>,
    ) -> Result<(Arc<Handle>, T), Fault> {
        let handle = self.handle()?;
        match begin(&handle) {
            Err(Fault::Redb(error))
                if matches!(*error, redb::Error::PreviousIo | redb::Error::Corrupted(_)) =>
            {
                drop(handle);
                self.discard();
                let handle = self.handle()?;
                let txn = begin(&handle)?;
                Ok((handle, txn))
            }
            begun => Ok((handle, begun?)),
        }
    }

    /// Turns redb's errors, and its panics on damaged pages, into errors that name the file.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T> {
        guarded(&self.path, work, || self.discard())
    }

    /// The open database of the file that lies at the path now. Another one may have been put
    /// there, such as a backup that was restored: it is opened. One that is gone is no registry,
    /// though the system would still let us read it.
    fn handle(&self) -> Result<Arc<Handle>> {
        let mut handle = lock(&self.handle);
        let identity = file_identity(&self.path);
        if let Some(handle) = handle.as_ref().filter(|handle| handle.is_current(identity)) {
            return Ok(Arc::clone(handle));
        }
        handle.take();
        let fresh = Arc::new(connect(&self.path)?);
        *handle = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    fn discard(&self) {
        lock(&self.handle).take();
    }

    /// redb's own check of structure and page checksums, on a copy: on the file itself it would try
    /// to repair what it finds. No other process writes while the copy is made.
    pub(super) fn check_file(&self) -> Result<bool> {
        let handle = self.handle()?;
        let near = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        let (source, dir) = match handle.access() {
            Access::Writable(_) => (self.path.as_path(), near),
            Access::ReadOnly(_) => (self.path.as_path(), std::env::temp_dir()),
            Access::Copy(copy) => (copy.source(), std::env::temp_dir()),
        };
        let locked =
            LockedFile::shared(source).map_err(|e| Error::io("copy for its check", source, e))?;
        let check = AssertUnwindSafe(|| -> Result<bool, Fault> {
            let mut copy = PrivateCopy::of(&locked, source, &dir)?;
            drop(locked);
            Ok(copy.database.check_integrity()?)
        });
        match catch_unwind(check) {
            Ok(Err(Fault::Ours(error))) => Err(error),
            Ok(Err(Fault::Redb(_))) | Err(_) => Ok(false),
            Ok(Ok(is_sound)) => Ok(is_sound),
        }
    }

    /// The fault of the marker that keeps older builds away from this store, if it has one.
    pub(super) fn check_marker(&self) -> Result<Option<String>> {
        succession::inspect_marker(&self.path)
    }
}

/// Opens the file at `path`, and brings one of an older schema, which a backup may hold, to the present
/// one. Where none lies, that of an older build may be read.
fn connect(path: &Path) -> Result<Handle> {
    guarded(path, || connect_unguarded(path), || ())
}

fn connect_unguarded(path: &Path) -> Result<Handle, Fault> {
    if !path.exists() {
        let copy = succession::read_unmoved(path)?;
        return Handle::new(Access::Copy(Box::new(copy)), path, None);
    }
    for _ in 0..MAX_TRIES {
        // Before it is opened: one that is put there meanwhile is opened by the next call.
        let identity = file_identity(path);
        let access = open(path)?;
        let found = schema::check(&ReadTxn::of_tables(match &access {
            Access::Writable(database) => database.begin_read()?,
            Access::ReadOnly(database) => database.begin_read()?,
            Access::Copy(copy) => copy.database.begin_read()?,
        }))?;
        if found == schema::NEWEST {
            return Handle::new(access, path, identity);
        }
        match access {
            Access::Writable(database) if found < schema::LOGGED => {
                drop(database);
                renewal::renew(path)?;
                continue;
            }
            Access::Writable(ref database) => schema::migrate(database)?,
            Access::Copy(ref copy) => copy.migrate()?,
            // Whoever reads relies on every table of the present schema.
            Access::ReadOnly(_) => {
                let copy = copy_to_read(path)?;
                copy.migrate()?;
                return Handle::new(Access::Copy(Box::new(copy)), path, identity);
            }
        }
        return Handle::new(access, path, identity);
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("the registry {path:?} changes while it is opened"),
    )
    .with_hint("try again")
    .into())
}

/// Does the `work` on the database at `path`. What redb refuses, or panics on, is an error that names
/// the file, and the handle is `spoilt`.
fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Fault>,
    spoilt: impl FnOnce(),
) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(Fault::Ours(error))) => Err(error),
        Ok(Err(Fault::Redb(error))) => {
            spoilt();
            Err(explain(path, *error))
        }
        Err(panic) => {
            spoilt();
            Err(unreadable(path, panic))
        }
    }
}

fn open(path: &Path) -> Result<Access, Fault> {
    match builder().open(path) {
        Err(redb::DatabaseError::Storage(redb::StorageError::Io(error)))
            if forbids_writing(&error) =>
        {
            open_to_read(path)
        }
        opened => Ok(Access::Writable(opened?)),
    }
}

/// Opens a database to read. Where every process that could write was killed, redb wants to be let
/// write before anybody reads, though hardly ever there is something to repair. A copy can be
/// written.
fn open_to_read(path: &Path) -> Result<Access, Fault> {
    match builder().open_read_only(path) {
        Err(redb::DatabaseError::RepairAborted) => Ok(Access::Copy(Box::new(copy_to_read(path)?))),
        opened => Ok(Access::ReadOnly(opened?)),
    }
}

fn copy_to_read(path: &Path) -> Result<PrivateCopy, Fault> {
    let locked = LockedFile::shared(path).map_err(|e| Error::io("read the registry", path, e))?;
    PrivateCopy::of(&locked, path, &std::env::temp_dir())
}

fn unreadable(path: &Path, panic: Box<dyn Any + Send>) -> Error {
    let reason = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    Error::new(ErrorKind::Corrupt, format!("registry {path:?} cannot be read: {reason}"))
        .with_hint(Hint::from("run ").run("store verify").say(", then restore a backup"))
}

fn file_identity(path: &Path) -> Option<FileIdentity> {
    fs::metadata(path).ok().and_then(|metadata| identity(&metadata))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half-done while these locks are held, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            tables::NEXT_EXPERIMENT,
            transaction::{Rows as _, RowsMut as _},
        },
        *,
    };

    #[test]
    fn opening_twice_in_one_process_shares_one_database() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let first = Database::open(&store, 0).unwrap();
        let again = Database::open(&Store::new(folder.path().join(".")), 0).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
    }

    /// A file that was open stayed open for good, whatever lay at the path.
    #[test]
    fn a_file_that_is_taken_away_or_replaced_is_noticed() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::new(folder.path());
        let database = Database::open(&store, 0).unwrap();
        let counter = |database: &Database| database.read(|txn| txn.counter(NEXT_EXPERIMENT));
        assert_eq!(counter(&database).unwrap(), 1);

        let aside = folder.path().join("aside");
        fs::rename(store.registry_path(), &aside).unwrap();
        let error = counter(&database).unwrap_err();
        // Not "not found": to whoever asks for a row that would say that there is none.
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        assert!(error.to_string().contains("is missing"), "{error}");
        assert!(database.write(|txn| txn.set_counter(NEXT_EXPERIMENT, 7)).is_err());

        let restored = Store::new(other.path());
        let writer = Database::open(&restored, 0).unwrap();
        writer.write(|txn| txn.set_counter(NEXT_EXPERIMENT, 5)).unwrap();
        drop(writer);
        fs::rename(restored.registry_path(), store.registry_path()).unwrap();
        assert_eq!(counter(&database).unwrap(), 5);
        assert!(Arc::ptr_eq(&database, &Database::open(&store, 0).unwrap()));
        fs::rename(&aside, store.registry_path()).unwrap();
        assert_eq!(counter(&database).unwrap(), 1);
    }

    /// Bytes as a process that was killed leaves them, and no such process: a copy of an open file.
    #[test]
    fn a_copy_is_read_of_a_file_that_wants_repair_until_somebody_writes_to_it() {
        let (folder, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = Database::open(&Store::new(folder.path()), 0).unwrap();
        database.write(|txn| txn.set_counter(NEXT_EXPERIMENT, 5)).unwrap();
        let (store, copied) = (Store::new(folder.path()), Store::new(aside.path()));
        let path = copied.registry_path();
        fs::copy(store.registry_path(), &path).unwrap();
        fs::copy(store.registry_log_path(), copied.registry_log_path()).unwrap();
        let opened = builder().open_read_only(&path);
        assert!(matches!(opened, Err(redb::DatabaseError::RepairAborted)));

        let handle = |access| {
            Handle::new(access, &path, file_identity(&path)).unwrap_or_else(|_| panic!("no handle"))
        };
        let Ok(access @ Access::Copy(_)) = open_to_read(&path) else { panic!("no copy was made") };
        let copy = handle(access);
        let next = |handle: &Handle| {
            handle.begin_read().and_then(|txn| txn.counter(NEXT_EXPERIMENT)).unwrap_or_default()
        };
        assert_eq!(next(&copy), 5);
        assert!(copy.is_current(file_identity(&path)));
        assert!(copy.begin_write().is_err());

        let writer = handle(Access::Writable(builder().open(&path).unwrap()));
        let Ok((txn, turn)) = writer.begin_write() else { panic!("no transaction") };
        assert!(txn.set_counter(NEXT_EXPERIMENT, 6).is_ok());
        assert!(writer.commit(txn, turn).is_ok());
        assert_eq!((next(&writer), next(&copy)), (6, 6), "the log is read where it lies");
        drop(writer);
        assert!(!copy.is_current(file_identity(&path)), "the next call makes another copy");
    }

    #[test]
    fn a_failed_or_panicking_write_is_undone_and_the_next_one_works() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&Store::new(folder.path()), 0).unwrap();
        let failed = database.write(|txn| -> Result<(), Fault> {
            txn.set_counter(NEXT_EXPERIMENT, 77)?;
            Err(Error::invalid("no").into())
        });
        assert_eq!(failed.err().unwrap().to_string(), "no");
        let panicked = database.write(|txn| -> Result<(), Fault> {
            txn.set_counter(NEXT_EXPERIMENT, 78)?;
            panic!("a bug")
        });
        assert_eq!(panicked.err().unwrap().kind(), ErrorKind::Corrupt);
        assert_eq!(database.read(|txn| txn.counter(NEXT_EXPERIMENT)).unwrap(), 1);
        database.write(|txn| txn.set_counter(NEXT_EXPERIMENT, 2)).unwrap();
        assert_eq!(database.read(|txn| txn.counter(NEXT_EXPERIMENT)).unwrap(), 2);
    }
}
