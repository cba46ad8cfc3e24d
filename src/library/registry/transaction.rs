//! The work inside a transaction: rows read, scanned and written. Knows tables and records, not what
//! they mean; beginning and ending transactions is the database's business.

use std::{
    cell::RefCell,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use rayon::prelude::*;
use redb::{ReadableTable, ReadableTableMetadata};

use super::{
    codec::{self, Record},
    fault::Fault,
    pending::{Change, PendingRows, Replaced, layered},
    stored::Counter,
    tables::{self, RowTable},
};

/// Sees a row's key and bytes; breaks to see no more.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Fault> + 'a;

/// From so many rows on, a scan is worth all cores, in so many parts.
const MIN_ROWS_IN_PARTS: u64 = 4096;
const N_PARTS: usize = 32;

/// A consistent state of the database: its tables, and above them what was committed since they were
/// written.
pub(super) struct ReadTxn {
    tables: Arc<redb::ReadTransaction>,
    committed: Arc<PendingRows>,
}

/// The one write under way: a state, and above it what was changed. Nothing of it is in the database
/// before it is committed, so that dropping it takes all of it back.
pub(super) struct WriteTxn {
    before: ReadTxn,
    changes: RefCell<Arc<PendingRows>>,
    /// The changes that the work under way has replaced, in a transaction that several pieces of work share.
    replaced: RefCell<Vec<Replaced>>,
}

/// A transaction of the tables themselves, for whoever makes a database or brings it to another schema.
pub(super) struct TablesTxn(pub(super) redb::WriteTransaction);

/// Rows by key, in any kind of transaction.
pub(super) trait Rows {
    /// The bytes of one row.
    fn get_raw(&self, table: RowTable, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// Shows `visit` every row from `first` on, in key order, until it breaks.
    fn scan_from(&self, table: RowTable, first: &[u8], visit: &mut Visit) -> Result<(), Fault>;

    /// The record under `key`.
    fn get<R: Record>(&self, table: RowTable, key: &[u8]) -> Result<Option<R>, Fault> {
        match self.get_raw(table, key)? {
            Some(bytes) => Ok(Some(codec::unseal(key, &bytes)?)),
            None => Ok(None),
        }
    }

    /// Shows `visit` every row whose key begins with `prefix`, in key order.
    fn scan(
        &self,
        table: RowTable,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault>
    where
        Self: Sized,
    {
        self.scan_from(table, prefix, &mut |key, bytes| {
            if !key.starts_with(prefix) {
                return Ok(ControlFlow::Break(()));
            }
            visit(key, bytes)?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The records whose keys begin with `prefix`, with their keys, in key order.
    fn all<R: Record>(&self, table: RowTable, prefix: &[u8]) -> Result<Vec<(Vec<u8>, R)>, Fault>
    where
        Self: Sized,
    {
        let mut records = Vec::new();
        self.scan(table, prefix, |key, bytes| {
            records.push((key.to_vec(), codec::unseal(key, bytes)?));
            Ok(())
        })?;
        Ok(records)
    }

    /// The counter called `name`; 0 before it was first set.
    fn counter(&self, name: &str) -> Result<u64, Fault> {
        let counter = self.get::<Counter>(tables::META, name.as_bytes())?;
        Ok(counter.map_or(0, |Counter(value)| value))
    }
}

/// Rows that can be written.
pub(super) trait RowsMut: Rows {
    /// Writes a row's bytes as they are.
    fn put_raw(&self, table: RowTable, key: &[u8], bytes: &[u8]) -> Result<(), Fault>;

    fn remove(&self, table: RowTable, key: &[u8]) -> Result<(), Fault>;

    /// Writes `record` under `key`.
    fn put<R: Record>(&self, table: RowTable, key: &[u8], record: &R) -> Result<(), Fault> {
        self.put_raw(table, key, &codec::seal(key, record))
    }

    /// Removes every row whose key begins with `prefix`.
    fn remove_all(&self, table: RowTable, prefix: &[u8]) -> Result<(), Fault>
    where
        Self: Sized,
    {
        let mut keys = Vec::new();
        self.scan(table, prefix, |key, _| {
            keys.push(key.to_vec());
            Ok(())
        })?;
        keys.iter().try_for_each(|key| self.remove(table, key))
    }

    fn set_counter(&self, name: &str, value: u64) -> Result<(), Fault> {
        self.put(tables::META, name.as_bytes(), &Counter(value))
    }
}

/// Shows `visit` the rows of a table from `first` on, up to `end` if there is one, as they are with
/// `changes`, which are in key order and of the same range. Returns the number of rows that the table has
/// there, if it came to the end.
fn visit_range<'a, T: ReadableTable<&'static [u8], &'static [u8]>>(
    table: &T,
    changes: impl Iterator<Item = Change<'a>>,
    first: &[u8],
    end: Option<&[u8]>,
    visit: &mut Visit,
) -> Result<Option<u64>, Fault> {
    let mut changes = changes.peekable();
    let mut n_rows = 0;
    let end = end.map_or(Bound::Unbounded, Bound::Excluded);
    for row in table.range::<&[u8]>((Bound::Included(first), end))? {
        let (key, bytes) = row?;
        n_rows += 1;
        let mut seen = Some(bytes.value());
        while let Some((changed, bytes)) = changes.next_if(|(changed, _)| *changed <= key.value()) {
            if changed == key.value() {
                seen = bytes;
            } else if let Some(bytes) = bytes
                && visit(changed, bytes)?.is_break()
            {
                return Ok(None);
            }
        }
        if let Some(bytes) = seen
            && visit(key.value(), bytes)?.is_break()
        {
            return Ok(None);
        }
    }
    for (key, bytes) in changes {
        if let Some(bytes) = bytes
            && visit(key, bytes)?.is_break()
        {
            return Ok(None);
        }
    }
    Ok(Some(n_rows))
}

/// As [`visit_range`] to the table's end.
fn visit_from<'a, T: ReadableTable<&'static [u8], &'static [u8]>>(
    table: &T,
    changes: impl Iterator<Item = Change<'a>>,
    first: &[u8],
    visit: &mut Visit,
) -> Result<(), Fault> {
    match visit_range(table, changes, first, None, visit)? {
        Some(n_rows) if first.is_empty() => check_whole(table, n_rows),
        _ => Ok(()),
    }
}

/// redb proves page checksums only on repair: a damaged inner page can hide rows.
fn check_whole<T: ReadableTableMetadata>(table: &T, n_rows: u64) -> Result<(), Fault> {
    if n_rows == table.len()? {
        return Ok(());
    }
    let message = format!("{n_rows} of {} rows were found", table.len()?);
    Err(redb::StorageError::Corrupted(message).into())
}

impl ReadTxn {
    /// The state of the tables with the rows that were `committed` since they were written.
    pub(super) fn new(tables: Arc<redb::ReadTransaction>, committed: Arc<PendingRows>) -> Self {
        Self { tables, committed }
    }

    /// The state of the tables alone.
    pub(super) fn of_tables(tables: redb::ReadTransaction) -> Self {
        Self::new(Arc::new(tables), Arc::default())
    }

    /// Shows `visit` every row of a table whose keys are evenly spread, on all cores: each adds what it
    /// finds to an outcome of its own. Small tables are one part. The parts are in key order.
    pub(super) fn scan_in_parts<T: Default + Send>(
        &self,
        table: RowTable,
        visit: impl Fn(&mut T, &[u8], &[u8]) -> Result<(), Fault> + Sync,
    ) -> Result<Vec<T>, Fault> {
        let n_rows = self.tables.open_table(table)?.len()?;
        let n_parts = if n_rows < MIN_ROWS_IN_PARTS { 1 } else { N_PARTS };
        let parts = (0..n_parts).into_par_iter().map(|part| -> Result<(T, u64), Fault> {
            let first_byte = |part: usize| u8::try_from(part * 256 / n_parts).ok();
            let first = first_byte(part).filter(|byte| *byte > 0).map(|byte| [byte]);
            let end = first_byte(part + 1).map(|byte| [byte]);
            let first = first.as_ref().map_or([].as_slice(), <[u8; 1]>::as_slice);
            let end = end.as_ref().map(<[u8; 1]>::as_slice);
            let mut found = T::default();
            let changes = self.committed.range(table, first, end);
            let n_seen = visit_range(
                &self.tables.open_table(table)?,
                changes,
                first,
                end,
                &mut |key, bytes| visit(&mut found, key, bytes).map(ControlFlow::Continue),
            )?;
            Ok((found, n_seen.unwrap_or_default()))
        });
        let parts = parts.collect::<Result<Vec<_>, Fault>>()?;
        check_whole(&self.tables.open_table(table)?, parts.iter().map(|(_, n_seen)| n_seen).sum())?;
        Ok(parts.into_iter().map(|(found, _)| found).collect())
    }

    /// The contents of artifacts that the commit log has, by name.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.committed.contents()
    }

    /// The state of the tables that it shows.
    pub(super) fn into_tables(self) -> Arc<redb::ReadTransaction> {
        self.tables
    }
}

impl Rows for ReadTxn {
    fn get_raw(&self, table: RowTable, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        if let Some(bytes) = self.committed.get(table, key) {
            return Ok(bytes.as_deref().map(<[u8]>::to_vec));
        }
        let table = self.tables.open_table(table)?;
        Ok(ReadableTable::get(&table, key)?.map(|bytes| bytes.value().to_vec()))
    }

    fn scan_from(&self, table: RowTable, first: &[u8], visit: &mut Visit) -> Result<(), Fault> {
        let changes = self.committed.range(table, first, None);
        visit_from(&self.tables.open_table(table)?, changes, first, visit)
    }
}

impl Rows for WriteTxn {
    fn get_raw(&self, table: RowTable, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.changes.borrow().get(table, key) {
            Some(bytes) => Ok(bytes.as_deref().map(<[u8]>::to_vec)),
            None => self.before.get_raw(table, key),
        }
    }

    fn scan_from(&self, table: RowTable, first: &[u8], visit: &mut Visit) -> Result<(), Fault> {
        // `visit` may write: it is shown the rows as they are now.
        let changes = Arc::clone(&self.changes.borrow());
        let before = self.before.committed.range(table, first, None);
        let changes = layered(changes.range(table, first, None), before);
        visit_from(&self.before.tables.open_table(table)?, changes, first, visit)
    }
}

impl RowsMut for WriteTxn {
    fn put_raw(&self, table: RowTable, key: &[u8], bytes: &[u8]) -> Result<(), Fault> {
        self.change(table, key, Some(bytes));
        Ok(())
    }

    fn remove(&self, table: RowTable, key: &[u8]) -> Result<(), Fault> {
        self.change(table, key, None);
        Ok(())
    }
}

impl WriteTxn {
    /// One that begins where `before` ends.
    pub(super) fn new(before: ReadTxn) -> Self {
        Self { before, changes: RefCell::default(), replaced: RefCell::default() }
    }

    fn change(&self, table: RowTable, key: &[u8], bytes: Option<&[u8]>) {
        let mut changes = self.changes.borrow_mut();
        let replaced = Arc::make_mut(&mut changes).set(table, key, bytes.map(Arc::from));
        self.replaced.borrow_mut().push(replaced);
    }

    /// The work under way is done: what it changed stays, if the transaction is committed.
    pub(super) fn keep(&self) {
        self.replaced.borrow_mut().clear();
    }

    /// Undoes what was changed since the last work was kept.
    pub(super) fn undo(&self) {
        let mut changes = self.changes.borrow_mut();
        for replaced in self.replaced.take().into_iter().rev() {
            Arc::make_mut(&mut changes).put_back(replaced);
        }
    }

    /// Keeps an artifact's content in the commit log until its file is durable.
    pub(super) fn put_content(&self, sha256: &str, bytes: &[u8]) {
        let mut changes = self.changes.borrow_mut();
        let replaced = Arc::make_mut(&mut changes).set_content(sha256, Some(bytes.into()));
        self.replaced.borrow_mut().push(replaced);
    }

    /// Lets the commit log forget an artifact's content, whose file goes.
    pub(super) fn remove_content(&self, sha256: &str) {
        let mut changes = self.changes.borrow_mut();
        let replaced = Arc::make_mut(&mut changes).set_content(sha256, None);
        self.replaced.borrow_mut().push(replaced);
    }

    /// True if the commit log has the content of an artifact.
    pub(super) fn has_content(&self, sha256: &str) -> bool {
        let changes = self.changes.borrow();
        let found = changes.content(sha256).or_else(|| self.before.committed.content(sha256));
        found.is_some_and(Option::is_some)
    }

    /// All that was changed.
    pub(super) fn into_changes(self) -> Arc<PendingRows> {
        self.changes.into_inner()
    }
}

impl Rows for TablesTxn {
    fn get_raw(&self, table: RowTable, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let table = self.0.open_table(table)?;
        Ok(table.get(key)?.map(|bytes| bytes.value().to_vec()))
    }

    fn scan_from(&self, table: RowTable, first: &[u8], visit: &mut Visit) -> Result<(), Fault> {
        visit_from(&self.0.open_table(table)?, std::iter::empty(), first, visit)
    }
}

impl RowsMut for TablesTxn {
    fn put_raw(&self, table: RowTable, key: &[u8], bytes: &[u8]) -> Result<(), Fault> {
        self.0.open_table(table)?.insert(key, bytes)?;
        Ok(())
    }

    fn remove(&self, table: RowTable, key: &[u8]) -> Result<(), Fault> {
        self.0.open_table(table)?.remove(key)?;
        Ok(())
    }
}
