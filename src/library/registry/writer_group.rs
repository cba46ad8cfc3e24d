//! Writers of one process that come at the same time share a transaction: each piece of work runs
//! alone in it, one after the other, and one commit makes all of them durable. Nobody hears of
//! success before that commit is over. It knows nothing of files or of what the work does.
//!
//! The last writer to have worked commits. Whoever comes while a commit is under way waits for it,
//! and all of those make the next group. A piece of work that fails is undone alone.

use std::{
    error::Error as StdError,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{fault::Fault, transaction::WriteTxn};
use crate::error::{Error, Result};

/// Pieces of work in one transaction at most, so that the first of them need not wait for long.
const MAX_MEMBERS: usize = 128;

/// The writers of one process. `T` is the right to write that a transaction has.
pub(super) struct WriterGroup<T> {
    state: Mutex<State<T>>,
    /// Told whenever the state has changed so that somebody may go on.
    changed: Condvar,
}

struct State<T> {
    open: Option<Open<T>>,
    /// Writers that have come and not worked yet.
    n_coming: usize,
    is_committing: bool,
}

/// A transaction that is not committed yet.
struct Open<T> {
    txn: WriteTxn,
    n_members: usize,
    ended: Arc<WriteEnd>,
    /// Dropped after the transaction.
    turn: T,
}

/// The end of a transaction, for its members: the error that undid it, if one did.
type WriteEnd = OnceLock<Option<Error>>;

impl<T> Default for WriterGroup<T> {
    fn default() -> Self {
        let state = State { open: None, n_coming: 0, is_committing: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<T> WriterGroup<T> {
    /// Runs `work` in a transaction that `begin` made for it or for a writer before it; `commit` ends the
    /// transaction. `guarded` runs what may meet an error or a panic of the database's, and says what
    /// happened in our words.
    pub(super) fn write<V>(
        &self,
        begin: impl FnOnce() -> Result<(WriteTxn, T)>,
        work: impl FnOnce(&WriteTxn) -> Result<V, Fault>,
        commit: impl FnOnce(WriteTxn, T) -> Result<(), Fault>,
        guarded: impl Fn(&mut dyn FnMut() -> Result<(), Fault>) -> Result<()>,
    ) -> Result<V> {
        let mut state = self.lock();
        state.n_coming += 1;
        while state.is_committing || state.is_full() {
            state = self.wait(state);
        }
        let outcome = state.run(begin, work, &guarded);
        state.n_coming -= 1;
        let (value, ended) = match outcome {
            Ok(done) => done,
            Err(error) => {
                // Others may wait for this one to have worked.
                self.changed.notify_all();
                return Err(error);
            }
        };
        loop {
            if let Some(error) = ended.get() {
                return match error {
                    None => Ok(value),
                    Some(error) => Err(again(error)),
                };
            }
            if !state.is_committing && (state.n_coming == 0 || state.is_full()) {
                let committed = self.commit(state, commit, &guarded);
                return committed.map(|()| value);
            }
            state = self.wait(state);
        }
    }

    /// Commits the open transaction, with its members and without the lock.
    fn commit(
        &self,
        mut state: MutexGuard<'_, State<T>>,
        commit: impl FnOnce(WriteTxn, T) -> Result<(), Fault>,
        guarded: &impl Fn(&mut dyn FnMut() -> Result<(), Fault>) -> Result<()>,
    ) -> Result<()> {
        let Some(open) = state.open.take() else { return Ok(()) };
        state.is_committing = true;
        drop(state);
        let Open { txn, ended, turn, .. } = open;
        let mut parts = Some((commit, txn, turn));
        let committed = guarded(&mut || match parts.take() {
            Some((commit, txn, turn)) => commit(txn, turn),
            None => Ok(()),
        });
        let mut state = self.lock();
        state.is_committing = false;
        let _ = ended.set(committed.as_ref().err().map(again));
        drop(state);
        self.changed.notify_all();
        committed
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Work that panics is caught while the lock is held, so a panic leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.n_members >= MAX_MEMBERS)
    }

    /// Runs `work` in the open transaction. What it changed stays there or is undone.
    fn run<V>(
        &mut self,
        begin: impl FnOnce() -> Result<(WriteTxn, T)>,
        work: impl FnOnce(&WriteTxn) -> Result<V, Fault>,
        guarded: &impl Fn(&mut dyn FnMut() -> Result<(), Fault>) -> Result<()>,
    ) -> Result<(V, Arc<WriteEnd>)> {
        if self.open.is_none() {
            let (txn, turn) = begin()?;
            self.open = Some(Open { txn, n_members: 0, ended: Arc::default(), turn });
        }
        let Some(open) = &mut self.open else { return Err(lost()) };
        let (mut work, mut refused, mut value) = (Some(work), None, None);
        let ran = guarded(&mut || {
            match work.take().map(|work| work(&open.txn)) {
                Some(Ok(found)) => value = Some(found),
                // A refusal of ours leaves the database well: only this work is undone.
                Some(Err(Fault::Ours(error))) => {
                    refused = Some(error);
                    open.txn.undo();
                }
                Some(Err(fault)) => return Err(fault),
                None => {}
            }
            Ok(())
        });
        if let Err(error) = ran {
            // What the database refused, or panicked on, spoils the transaction for its members.
            self.abandon(&error);
            return Err(error);
        }
        if let Some(error) = refused {
            if open.n_members == 0 {
                self.abandon(&error);
            }
            return Err(error);
        }
        let Some(value) = value else { return Err(lost()) };
        open.txn.keep();
        open.n_members += 1;
        Ok((value, Arc::clone(&open.ended)))
    }

    /// Ends the open transaction without what was done in it.
    fn abandon(&mut self, error: &Error) {
        if let Some(open) = self.open.take() {
            let _ = open.ended.set(Some(again(error)));
        }
    }
}

/// The same error for another member of the transaction.
fn again(error: &Error) -> Error {
    let mut same = Error::new(error.kind(), error.to_string());
    let mut cause = StdError::source(error);
    while let Some(found) = cause {
        // The system's reason is what callers act on, such as a full disk.
        if let Some(io) = found.downcast_ref::<io::Error>() {
            same = same.with_source(io::Error::new(io.kind(), io.to_string()));
            break;
        }
        cause = found.source();
    }
    match error.hint() {
        Some(hint) => same.with_hint(hint.clone()),
        None => same,
    }
}

fn lost() -> Error {
    Error::new(crate::error::ErrorKind::Internal, "a write lost its transaction")
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;
    use crate::{
        error::ErrorKind,
        registry::{
            database_file::builder,
            fault::explain,
            schema,
            tables::{META, NEXT_EXPERIMENT},
            transaction::{ReadTxn, Rows as _, RowsMut as _, TablesTxn},
        },
    };
    use redb::ReadableDatabase as _;

    struct Fixture {
        database: redb::Database,
        group: WriterGroup<redb::WriteTransaction>,
        n_transactions: AtomicUsize,
        _folder: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = builder().create(folder.path().join("group.redb")).unwrap();
            let txn = TablesTxn(database.begin_write().unwrap());
            assert!(schema::make_tables(&txn).is_ok());
            txn.0.commit().unwrap();
            let fixture = Self {
                database,
                group: WriterGroup::default(),
                n_transactions: AtomicUsize::new(0),
                _folder: folder,
            };
            fixture.write(|txn| txn.set_counter(NEXT_EXPERIMENT, 0)).unwrap();
            fixture
        }

        fn write<T>(&self, work: impl FnOnce(&WriteTxn) -> Result<T, Fault>) -> Result<T> {
            let begin = || {
                self.n_transactions.fetch_add(1, Ordering::SeqCst);
                let turn = self.database.begin_write().unwrap();
                let before = ReadTxn::of_tables(self.database.begin_read().unwrap());
                Ok((WriteTxn::new(before), turn))
            };
            let commit = |txn: WriteTxn, turn: redb::WriteTransaction| {
                txn.into_changes().write_into(&turn)?;
                Ok(turn.commit()?)
            };
            let guarded = |step: &mut dyn FnMut() -> Result<(), Fault>| {
                let path = std::path::Path::new("group.redb");
                step().map_err(|fault| match fault {
                    Fault::Ours(error) => error,
                    Fault::Redb(error) => explain(path, *error),
                })
            };
            self.group.write(begin, work, commit, guarded)
        }

        fn counter(&self, name: &str) -> u64 {
            let txn = ReadTxn::of_tables(self.database.begin_read().unwrap());
            txn.counter(name).unwrap_or_else(|_| panic!("no counter"))
        }
    }

    #[test]
    fn writers_at_the_same_time_share_transactions_and_lose_nothing() {
        const N_WRITERS: usize = 16;
        const N_WRITES: usize = 50;
        let f = Fixture::new();
        let start = Barrier::new(N_WRITERS);
        thread::scope(|scope| {
            for _ in 0..N_WRITERS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..N_WRITES {
                        let found = f
                            .write(|txn| {
                                let next = txn.counter(NEXT_EXPERIMENT)? + 1;
                                txn.set_counter(NEXT_EXPERIMENT, next)?;
                                Ok(next)
                            })
                            .unwrap();
                        assert!(f.counter(NEXT_EXPERIMENT) >= found, "told before it was durable");
                    }
                });
            }
        });
        assert_eq!(f.counter(NEXT_EXPERIMENT), (N_WRITERS * N_WRITES) as u64);
        let n_transactions = f.n_transactions.load(Ordering::SeqCst);
        assert!(n_transactions < N_WRITERS * N_WRITES, "{n_transactions} transactions");
    }

    #[test]
    fn a_failed_work_takes_back_its_own_changes_and_nobody_elses() {
        let f = Fixture::new();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for idx in 0..8_u64 {
                let (f, start) = (&f, &start);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..50_u64 {
                        let outcome = f.write(|txn| {
                            let next = txn.counter(NEXT_EXPERIMENT)? + 1;
                            txn.set_counter(NEXT_EXPERIMENT, next)?;
                            txn.set_counter(&format!("own {idx} {round}"), next)?;
                            if idx % 2 == 0 {
                                txn.remove(META, NEXT_EXPERIMENT.as_bytes())?;
                                return Err(Error::invalid("no").into());
                            }
                            Ok(())
                        });
                        assert_eq!(outcome.is_ok(), idx % 2 == 1);
                    }
                });
            }
        });
        assert_eq!(f.counter(NEXT_EXPERIMENT), 4 * 50);
        for idx in 0..8 {
            let is_there = f.counter(&format!("own {idx} 7")) > 0;
            assert_eq!(is_there, idx % 2 == 1, "{idx}");
        }
    }

    #[test]
    fn what_the_database_refuses_is_told_to_every_member() {
        let f = Fixture::new();
        let error = f
            .write(|_| -> Result<(), Fault> {
                Err(redb::StorageError::Corrupted("page 7".to_owned()).into())
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        f.write(|txn| txn.set_counter(NEXT_EXPERIMENT, 3)).unwrap();
        assert_eq!(f.counter(NEXT_EXPERIMENT), 3);
    }
}
