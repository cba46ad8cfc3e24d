//! The way of a registry to the place where this build looks for it: a new one is made there, and
//! one that an older build wrote is moved there, also while older builds have it open.
//!
//! Builds up to schema 2 stand on redb 4.4, this one on 4.6. Both share a file between processes, in
//! ways that must not meet: 4.6 does not see that a 4.4 has the file open, and an older build that
//! opens a file writes to it before it looks at the schema. So the two never open the same file:
//!
//! - the registry lies at a name that no older build knows (`registry-v3.redb`);
//! - at the old name (`registry.redb`) lies a **marker**, a small database whose schema is 3 and which
//!   this build never opens, only makes. An older build says of it, in its own words, that a newer one
//!   wrote it. A new store has one too: otherwise an older build would begin a second registry there.
//!
//! Keeping the old name would not be safe: an older build that is started opens, repairs and closes
//! whatever lies there, under locks that this build's processes do not see.
//!
//! An older build that has the old file open goes on writing to it until something stops it. So the
//! file is moved like this ([`LockedFile`] has the locks; whoever moves holds the mover's throughout):
//!
//! 1. with writers stopped, the file is copied, and they go on;
//! 2. a copy of the copy is brought to schema 3, and a marker is made, all under temporary names;
//! 3. the first copy gets its name, as the backup (`registry-v2-backup.redb`), and the second one the
//!    name under which it waits (`registry-v3.redb.new`);
//! 4. writers are stopped again. If any of them has committed since step 1, all is done again, the last
//!    time without letting them go on; so everything that they were told is written is in the copies;
//! 5. the old file's header is replaced by a note of the backup's name. redb 4.4 reads the header at
//!    the beginning of every transaction, after it got the lock, and refuses one that is none: from here
//!    on no older build commits to this file, or writes a header to it;
//! 6. the marker replaces the old file, and the locks end. Each older build now opens what lies at the
//!    old name afresh, finds the marker, and says so;
//! 7. the new registry gets its name.
//!
//! Whoever is killed before step 5 has changed nothing. After it, whoever comes next finds the note and
//! goes on from the backup, or finds the marker and what waits, which nobody can have got ahead of.
//! Everything that needs room on the disk is done before step 5.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

use redb::ReadableDatabase as _;
use tempfile::{NamedTempFile, PersistError};

use super::{
    database_file::{builder, forbids_writing, prepare, read_only},
    fault::Fault,
    locked_file::{Header, LockedFile, header_of, keep_owner},
    private_copy::PrivateCopy,
    retired::{self, is_retired},
    schema,
    transaction::ReadTxn,
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    store::{Store, sync_dir, temporary_file},
};

/// So often the files are looked at again when other processes have changed them meanwhile.
const MAX_TRIES: usize = 100;

/// So often writers go on while the rest is made of a copy.
const MAX_COPIES: usize = 3;

/// The steps of moving a registry: after each, a process may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Copied,
    Prepared,
    BackedUp,
    Retired,
    Marked,
    Placed,
}

/// Makes sure that the store's registry lies where this build looks for it. Where that cannot be
/// written, everything stays as it is.
///
/// # Errors
/// When the system refuses, when an older registry is damaged, and when one that was there is gone.
pub(super) fn settle(store: &Store, now_ms: i64) -> Result<()> {
    Place::of(store).settle(now_ms, &mut |_| Ok(()))
}

/// A readable copy of a registry that does not lie where this build looks for it, because this
/// process may not move it.
///
/// # Errors
/// When there is none either.
pub(super) fn read_unmoved(live: &Path) -> Result<PrivateCopy> {
    let place = Place::below(live);
    if !place.older.exists() {
        return Err(place.gone());
    }
    place.read_unmoved().map_err(|fault| fault.into_error(&place.older))
}

/// The fault of what lies at the name that older builds know, if it has one.
///
/// # Errors
/// When the system refuses to read.
pub(super) fn inspect_marker(live: &Path) -> Result<Option<String>> {
    let place = Place::below(live);
    // Where none was moved, what lies there is the registry itself.
    if !live.exists() || !place.older.exists() || is_retired(&header_at(&place.older)?) {
        return Ok(None);
    }
    let inspect = || -> Result<Option<String>, Fault> {
        let locked = LockedFile::shared(&place.older).map_err(|e| place.fail("read", e))?;
        // Beside it, or where else there is room for some pages.
        let copy = PrivateCopy::of(&locked, &place.older, &place.dir)
            .or_else(|_| PrivateCopy::of(&locked, &place.older, &std::env::temp_dir()))?;
        Ok(match marked(&copy.database)? {
            Some(_) => None,
            None => Some(format!(
                "{:?} holds another registry, which only older versions use: move it into a store \
                 of its own",
                place.older
            )),
        })
    };
    match inspect() {
        Err(Fault::Redb(error)) => Ok(Some(format!(
            "{:?}, which stops older versions of trialbook, is damaged ({error}): delete it, and the \
             next command creates it again",
            place.older
        ))),
        Err(Fault::Ours(error)) => Err(error),
        Ok(problem) => Ok(problem),
    }
}

/// The files of one store's registry.
struct Place {
    dir: PathBuf,
    live: PathBuf,
    /// The new file, which waits for the older one to be out of use, to become the live one.
    waiting: PathBuf,
    older: PathBuf,
}

/// The result of an attempt.
enum MoveOutcome {
    /// Something has changed, here or elsewhere: look again.
    LookAgain,
    /// The store can only be read.
    ReadOnly,
}

impl Place {
    fn of(store: &Store) -> Self {
        Self {
            dir: store.root().to_owned(),
            live: store.registry_path(),
            waiting: store.registry_path().with_extension("redb.new"),
            older: store.older_registry_path(),
        }
    }

    fn below(live: &Path) -> Self {
        Self::of(&Store::new(live.parent().unwrap_or(Path::new("."))))
    }

    fn settle(&self, now_ms: i64, done: &mut dyn FnMut(Step) -> Result<()>) -> Result<()> {
        for _ in 0..MAX_TRIES {
            if self.live.exists() {
                return self.complete();
            }
            let outcome = match fs::symlink_metadata(&self.older) {
                Ok(found) if found.is_symlink() => return Err(self.is_link()),
                Ok(_) => self.move_here(now_ms, done),
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.begin(now_ms),
                Err(error) => Err(self.fail("read", error).into()),
            };
            match outcome.map_err(|fault| fault.into_error(&self.older))? {
                MoveOutcome::LookAgain => {}
                MoveOutcome::ReadOnly => return Ok(()),
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("the registry {:?} changes while it is opened", self.live),
        )
        .with_hint("try again"))
    }

    /// Makes a new registry. The marker goes first: an older build that comes between finds it.
    fn begin(&self, now_ms: i64) -> Result<MoveOutcome, Fault> {
        let fresh = prepare(&self.live, |txn| schema::initialise(txn, now_ms))?;
        let marker = self.marker(false, None)?;
        if put_new(marker, &self.older)? {
            self.place(fresh)?;
        }
        Ok(MoveOutcome::LookAgain)
    }

    /// The registry, at its name; one that lies there already is left as it is.
    fn place(&self, registry: NamedTempFile) -> Result<()> {
        put_new(registry, &self.live)?;
        sync_dir(&self.dir)
    }

    /// Puts a marker where none is: after a crash, or into a store that was restored.
    fn complete(&self) -> Result<()> {
        let completed = match header_of(&self.older) {
            Ok(header) if !is_retired(&header) => return Ok(()),
            Ok(_) => self.marker(true, None).and_then(|marker| self.put_marker(marker)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self
                .marker(false, None)
                .and_then(|marker| Ok(put_new(marker, &self.older)?))
                .map(drop),
            Err(error) => Err(self.fail("read", error).into()),
        };
        match completed {
            // It protects from older builds; who cannot put it there may still use the registry.
            Err(fault) => {
                let error = fault.into_error(&self.older);
                tracing::debug!(error = %error.chain(), "no marker for older versions was made");
                Ok(())
            }
            Ok(()) => sync_dir(&self.dir),
        }
    }

    /// Moves what an older build has at the old name.
    fn move_here(
        &self,
        now_ms: i64,
        done: &mut dyn FnMut(Step) -> Result<()>,
    ) -> Result<MoveOutcome, Fault> {
        let old = match LockedFile::to_move(&self.older) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(MoveOutcome::LookAgain);
            }
            Err(error) if forbids_writing(&error) => return Ok(MoveOutcome::ReadOnly),
            locked => locked.map_err(|e| self.fail("write", e))?,
        };
        let fail = |error| self.fail("move", error);
        if !old.lies_at(&self.older).map_err(fail)? {
            return Ok(MoveOutcome::LookAgain);
        }
        let owner = old.metadata().map_err(fail)?;
        for n_copies in 1.. {
            old.stop_writers().map_err(fail)?;
            let header = old.header().map_err(fail)?;
            if is_retired(&header) {
                let backup = retired::backup(&header, &self.older)?;
                let FoundRegistry::Registry { file, .. } = self.successor(&owner, &backup)? else {
                    return Err(self.gone().into());
                };
                self.wait(file)?;
                let marker = self.marker(true, Some(&owner))?;
                return self.hand_over(old, marker, &backup, done);
            }
            let backup = match temporary_file(&self.dir) {
                Err(error) if forbids_writing(&error) => return Ok(MoveOutcome::ReadOnly),
                file => file.map_err(fail)?,
            };
            old.copy_into(backup.as_file()).map_err(fail)?;
            let goes_on = n_copies <= MAX_COPIES;
            if goes_on {
                old.let_writers_go_on().map_err(fail)?;
            }
            keep_owner(&owner, backup.as_file()).map_err(fail)?;
            done(Step::Copied)?;
            let (registry, found) = match self.successor(&owner, backup.path())? {
                FoundRegistry::Registry { file, schema } => (file, schema),
                FoundRegistry::Marker { has_moved } => {
                    drop(old);
                    return self.find_moved(has_moved, now_ms);
                }
            };
            let marker = self.marker(true, Some(&owner))?;
            done(Step::Prepared)?;
            let backup = self.name_backup(backup, found)?;
            self.wait(registry)?;
            done(Step::BackedUp)?;
            if goes_on {
                old.stop_writers().map_err(fail)?;
                if old.header().map_err(fail)? != header {
                    old.let_writers_go_on().map_err(fail)?;
                    fs::remove_file(&backup).map_err(fail)?;
                    continue;
                }
            }
            old.retire(&retired::header(&backup)).map_err(fail)?;
            done(Step::Retired)?;
            return self.hand_over(old, marker, &backup, done);
        }
        Ok(MoveOutcome::LookAgain)
    }

    /// Gives the successor the name under which it waits, durably.
    fn wait(&self, registry: NamedTempFile) -> Result<(), Fault> {
        registry.persist(&self.waiting).map_err(|error| self.fail("move", error.error))?;
        Ok(sync_dir(&self.dir)?)
    }

    /// The end of a move, once the old file is out of use: the marker and the registry get their names.
    fn hand_over(
        &self,
        old: LockedFile,
        marker: NamedTempFile,
        backup: &Path,
        done: &mut dyn FnMut(Step) -> Result<()>,
    ) -> Result<MoveOutcome, Fault> {
        self.put_marker(marker)?;
        // Older builds that waited for the lock find the marker.
        drop(old);
        // Before the registry gets its name: an older build must never find its own file beside it.
        sync_dir(&self.dir)?;
        done(Step::Marked)?;
        self.find_moved(true, 0)?;
        done(Step::Placed)?;
        tell(backup);
        Ok(MoveOutcome::LookAgain)
    }

    /// The outcome where a marker and no registry is: a store whose making was cut short gets its
    /// own, and what waits its name, unless another process was faster.
    fn find_moved(&self, has_moved: bool, now_ms: i64) -> Result<MoveOutcome, Fault> {
        if !has_moved {
            self.place(prepare(&self.live, |txn| schema::initialise(txn, now_ms))?)?;
            return Ok(MoveOutcome::LookAgain);
        }
        match fs::rename(&self.waiting, &self.live) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.live.exists() => {
                Err(self.gone().into())
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.fail("move", error).into())
            }
            _ => {
                sync_dir(&self.dir)?;
                Ok(MoveOutcome::LookAgain)
            }
        }
    }

    /// Puts the marker in the place of the old file.
    fn put_marker(&self, marker: NamedTempFile) -> Result<(), Fault> {
        marker.persist(&self.older).map_err(|error| self.fail("replace", error.error))?;
        Ok(())
    }

    /// The file that is to lie at the registry's name, made of a copy of the old file.
    fn successor(&self, owner: &Metadata, copy: &Path) -> Result<FoundRegistry, Fault> {
        let fail = |error| self.fail("move", error);
        let file = temporary_file(&self.dir).map_err(fail)?;
        io::copy(&mut File::open(copy).map_err(fail)?, &mut file.as_file()).map_err(fail)?;
        let database = builder().open(file.path())?;
        if let Some(has_moved) = marked(&database)? {
            return Ok(FoundRegistry::Marker { has_moved });
        }
        let schema = schema::check(&ReadTxn::of_tables(database.begin_read()?))?;
        schema::migrate(&database)?;
        database.close()?;
        keep_owner(owner, file.as_file()).map_err(fail)?;
        Ok(FoundRegistry::Registry { file, schema })
    }

    fn marker(&self, has_moved: bool, owner: Option<&Metadata>) -> Result<NamedTempFile, Fault> {
        let marker = prepare(&self.older, |txn| schema::mark(txn, has_moved))?;
        if let Some(owner) = owner {
            keep_owner(owner, marker.as_file()).map_err(|error| self.fail("write", error))?;
        }
        Ok(marker)
    }

    /// Gives the backup the first name that is free: an earlier one is never replaced.
    fn name_backup(&self, mut backup: NamedTempFile, schema: u64) -> Result<PathBuf> {
        let mut number = 1;
        loop {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let path = self.dir.join(format!("registry-v{schema}-backup{suffix}.redb"));
            match backup.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(PersistError { error, file })
                    if error.kind() == io::ErrorKind::AlreadyExists =>
                {
                    backup = file;
                    number += 1;
                }
                Err(error) => return Err(Error::io("write the backup", &path, error.error)),
            }
        }
    }

    /// A copy, for this process alone, of a registry that it may not move.
    fn read_unmoved(&self) -> Result<PrivateCopy, Fault> {
        let fail = |error| self.fail("read", error);
        let mut locked = LockedFile::shared(&self.older).map_err(fail)?;
        let mut source = self.older.clone();
        let header = locked.header().map_err(fail)?;
        if is_retired(&header) {
            source = retired::backup(&header, &self.older)?;
            locked = LockedFile::shared(&source).map_err(fail)?;
        }
        let copy = PrivateCopy::of(&locked, &source, &std::env::temp_dir())?;
        if marked(&copy.database)?.is_some() {
            // Whoever moved it was killed before it had its name.
            let locked = match LockedFile::shared(&self.waiting) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(self.gone().into());
                }
                locked => locked.map_err(fail)?,
            };
            return PrivateCopy::of(&locked, &self.waiting, &std::env::temp_dir());
        }
        schema::check(&ReadTxn::of_tables(copy.database.begin_read()?))?;
        copy.migrate()?;
        Ok(copy)
    }

    fn gone(&self) -> Error {
        Error::new(ErrorKind::Io, format!("the registry {:?} is missing", self.live)).with_hint(
            Hint::from("put it back, or restore a backup with ").run("store restore FILE"),
        )
    }

    fn is_link(&self) -> Error {
        Error::invalid(format!(
            "{:?} is a link, and the registry of an older version is moved only where its file lies",
            self.older
        ))
        .with_hint("close all trialbook programs, and replace the link with the file itself")
    }

    fn fail(&self, what: &str, error: io::Error) -> Error {
        Error::io(&format!("{what} the registry"), &self.older, error)
    }
}

/// The content of a copy of the old file.
enum FoundRegistry {
    Registry { file: NamedTempFile, schema: u64 },
    Marker { has_moved: bool },
}

/// Gives `file` its name unless something has it already.
fn put_new(file: NamedTempFile, path: &Path) -> Result<bool> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) if forbids_writing(&error.error) => {
            Err(read_only(path).with_source(error.error))
        }
        Err(error) => Err(Error::io("create the registry", path, error.error)),
    }
}

fn marked(database: &redb::Database) -> Result<Option<bool>, Fault> {
    schema::marked(&ReadTxn::of_tables(database.begin_read()?))
}

fn header_at(path: &Path) -> Result<Header> {
    header_of(path).map_err(|error| Error::io("read the registry", path, error))
}

fn tell(backup: &Path) {
    tracing::warn!(
        backup = %backup.display(),
        "the registry has schema {} now, and older versions of trialbook refuse the store; a copy of \
         the old registry is kept",
        schema::NEWEST
    );
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            database::Database,
            database_file::create,
            tables::NEXT_EXPERIMENT,
            transaction::{Rows as _, RowsMut as _},
        },
        *,
    };

    /// A store that an older build has written to.
    fn older_store(folder: &Path) -> Store {
        let store = Store::new(folder);
        fs::create_dir_all(folder).unwrap();
        create(&store.older_registry_path(), |txn| {
            schema::initialise(txn, 0)?;
            schema::pretend(txn, 2)?;
            txn.set_counter(NEXT_EXPERIMENT, 7)
        })
        .unwrap();
        store
    }

    fn next_experiment(store: &Store) -> u64 {
        let database = Database::open(store, 0).unwrap();
        assert_eq!(database.read(schema::check).unwrap(), schema::NEWEST);
        database.read(|txn| txn.counter(NEXT_EXPERIMENT)).unwrap()
    }

    fn backups(store: &Store) -> Vec<String> {
        let entries = fs::read_dir(store.root()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("registry-v2-backup")).collect()
    }

    #[test]
    fn a_move_that_ends_anywhere_is_finished_by_whoever_comes_next() {
        use Step::{BackedUp, Copied, Marked, Placed, Prepared, Retired};
        for last in [Copied, Prepared, BackedUp, Retired, Marked, Placed] {
            let folder = tempfile::tempdir().unwrap();
            let store = older_store(folder.path());
            let ended = Place::of(&store).settle(0, &mut |step| match step == last {
                true => Err(Error::invalid("ended")),
                false => Ok(()),
            });
            assert_eq!(ended.err().unwrap().to_string(), "ended", "{last:?}");
            let is_retired = is_retired(&header_of(&store.older_registry_path()).unwrap());
            assert_eq!(is_retired, last == Retired, "{last:?}");

            // Whoever may only read finds everything, wherever it lies.
            if !store.registry_path().exists() {
                let copy = read_unmoved(&store.registry_path()).unwrap();
                let txn = ReadTxn::of_tables(copy.database.begin_read().unwrap());
                assert!(txn.counter(NEXT_EXPERIMENT).is_ok_and(|next| next == 7), "{last:?}");
            }
            assert_eq!(next_experiment(&store), 7, "{last:?}");
            let n_backups = if last == BackedUp { 2 } else { 1 };
            assert_eq!(backups(&store).len(), n_backups, "{last:?}");
            assert_eq!(inspect_marker(&store.registry_path()).unwrap(), None, "{last:?}");
            let header = header_of(&store.older_registry_path()).unwrap();
            assert!(header.starts_with(b"redb"), "{last:?}");
        }
    }

    #[test]
    fn what_older_builds_find_is_put_back_and_says_whether_a_registry_was_moved() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("new"));
        assert_eq!(next_experiment(&store), 1);
        fs::remove_file(store.older_registry_path()).unwrap();
        assert_eq!(next_experiment(&store), 1);
        assert_eq!(inspect_marker(&store.registry_path()).unwrap(), None);

        // The making of a new store was cut short.
        fs::remove_file(store.registry_path()).unwrap();
        assert_eq!(next_experiment(&store), 1);

        // A registry that was moved, and is gone, is not begun anew.
        let store = older_store(&folder.path().join("older"));
        assert_eq!(next_experiment(&store), 7);
        fs::remove_file(store.registry_path()).unwrap();
        let error = Database::open(&store, 0).err().unwrap();
        assert!(error.to_string().contains("registry-v3.redb"), "{error}");
        assert!(error.to_string().contains("is missing"), "{error}");
        assert!(!store.registry_path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn an_older_registry_that_is_a_link_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = older_store(&folder.path().join("elsewhere"));
        let store = Store::new(folder.path().join("linked"));
        store.make_dir(store.root()).unwrap();
        let (target, link) = (elsewhere.older_registry_path(), store.older_registry_path());
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let before = fs::read(&target).unwrap();
        let error = Database::open(&store, 0).err().unwrap();
        assert!(error.to_string().contains("is a link"), "{error}");
        assert_eq!(fs::read(&target).unwrap(), before);
    }

    #[cfg(unix)]
    #[test]
    fn who_could_use_the_older_registry_can_use_the_new_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = older_store(folder.path());
        let older = store.older_registry_path();
        fs::set_permissions(&older, fs::Permissions::from_mode(0o660)).unwrap();
        assert_eq!(next_experiment(&store), 7);
        let backup = store.root().join(&backups(&store)[0]);
        for path in [older, store.registry_path(), backup] {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o660, "{path:?}");
        }
    }
}
