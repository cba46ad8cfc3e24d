//! The work inside a transaction: rows read, scanned and written, in either kind. Knows tables and
//! records, not what they mean; beginning and ending transactions is the database's business.

use std::{cell::RefCell, ops::ControlFlow};

use redb::ReadableTable;

use super::{
    codec::{self, Record},
    fault::Fault,
    stored::Counter,
    tables::{self, RowTable},
};

/// Sees a row's key and bytes; breaks to see no more.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Fault> + 'a;

/// A consistent state of the database.
pub(super) struct ReadTxn(pub(super) redb::ReadTransaction);

/// The one write under way.
pub(super) struct WriteTxn {
    pub(super) inner: redb::WriteTransaction,
    /// The values that the work under way has replaced, in a transaction that several pieces of work share.
    replaced: Option<RefCell<Vec<Replaced>>>,
}

/// A row as it was before a change.
struct Replaced {
    table: RowTable,
    key: Vec<u8>,
    bytes: Option<Vec<u8>>,
}

/// Rows by key, in either kind of transaction.
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

fn visit_range<T: ReadableTable<&'static [u8], &'static [u8]>>(
    table: &T,
    first: &[u8],
    visit: &mut Visit,
) -> Result<(), Fault> {
    let mut n_rows = 0;
    for row in table.range(first..)? {
        let (key, bytes) = row?;
        if visit(key.value(), bytes.value())?.is_break() {
            return Ok(());
        }
        n_rows += 1;
    }
    // redb proves page checksums only on repair: a damaged inner page can hide rows.
    if first.is_empty() && n_rows != table.len()? {
        let message = format!("{n_rows} of {} rows were found", table.len()?);
        return Err(redb::StorageError::Corrupted(message).into());
    }
    Ok(())
}

impl Rows for ReadTxn {
    fn get_raw(&self, table: RowTable, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let table = self.0.open_table(table)?;
        Ok(ReadableTable::get(&table, key)?.map(|bytes| bytes.value().to_vec()))
    }

    fn scan_from(&self, table: RowTable, first: &[u8], visit: &mut Visit) -> Result<(), Fault> {
        visit_range(&self.0.open_table(table)?, first, visit)
    }
}

impl Rows for WriteTxn {
    fn get_raw(&self, table: RowTable, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let table = self.inner.open_table(table)?;
        Ok(table.get(key)?.map(|bytes| bytes.value().to_vec()))
    }

    fn scan_from(&self, table: RowTable, first: &[u8], visit: &mut Visit) -> Result<(), Fault> {
        visit_range(&self.inner.open_table(table)?, first, visit)
    }
}

impl WriteTxn {
    /// A transaction that one piece of work has for itself.
    pub(super) fn new(inner: redb::WriteTransaction) -> Self {
        Self { inner, replaced: None }
    }

    /// A transaction of several pieces of work, each of which can be undone alone.
    pub(super) fn shared(inner: redb::WriteTransaction) -> Self {
        Self { inner, replaced: Some(RefCell::default()) }
    }

    /// The work under way is done: what it changed stays, if the transaction is committed.
    pub(super) fn keep(&self) {
        if let Some(replaced) = &self.replaced {
            replaced.borrow_mut().clear();
        }
    }

    /// Undoes what was changed since the last work was kept.
    pub(super) fn undo(&self) -> Result<(), Fault> {
        let Some(replaced) = &self.replaced else { return Ok(()) };
        for Replaced { table, key, bytes } in replaced.take().into_iter().rev() {
            let mut table = self.inner.open_table(table)?;
            match bytes {
                Some(bytes) => table.insert(key.as_slice(), bytes.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
        Ok(())
    }

    fn note(&self, table: RowTable, key: &[u8], bytes: Option<&[u8]>) {
        if let Some(replaced) = &self.replaced {
            let (key, bytes) = (key.to_vec(), bytes.map(<[u8]>::to_vec));
            replaced.borrow_mut().push(Replaced { table, key, bytes });
        }
    }

    /// Writes `record` under `key`.
    pub(super) fn put<R: Record>(
        &self,
        table: RowTable,
        key: &[u8],
        record: &R,
    ) -> Result<(), Fault> {
        self.put_raw(table, key, &codec::seal(key, record))
    }

    /// Writes a row's bytes as they are.
    pub(super) fn put_raw(&self, table: RowTable, key: &[u8], bytes: &[u8]) -> Result<(), Fault> {
        let mut rows = self.inner.open_table(table)?;
        let before = rows.insert(key, bytes)?;
        self.note(table, key, before.as_ref().map(|bytes| bytes.value()));
        Ok(())
    }

    pub(super) fn remove(&self, table: RowTable, key: &[u8]) -> Result<(), Fault> {
        let mut rows = self.inner.open_table(table)?;
        if let Some(before) = rows.remove(key)? {
            self.note(table, key, Some(before.value()));
        }
        Ok(())
    }

    /// Removes every row whose key begins with `prefix`.
    pub(super) fn remove_all(&self, table: RowTable, prefix: &[u8]) -> Result<(), Fault> {
        let mut keys = Vec::new();
        self.scan(table, prefix, |key, _| {
            keys.push(key.to_vec());
            Ok(())
        })?;
        keys.iter().try_for_each(|key| self.remove(table, key))
    }

    pub(super) fn set_counter(&self, name: &str, value: u64) -> Result<(), Fault> {
        self.put(tables::META, name.as_bytes(), &Counter(value))
    }
}
