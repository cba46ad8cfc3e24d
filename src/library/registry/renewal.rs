//! The way of a registry to the layout with a commit log, while an older build has its file open. Such
//! a build writes the tables without looking at a log, and looks at the schema only when it opens a file.
//! So the new layout gets another file at the same name: the older build notices that before its next
//! transaction, opens what lies there, and refuses it for its schema. A transaction that waits for its
//! turn meanwhile finds no database's header where its own was.

use std::path::Path;

use super::{
    database_file::builder,
    fault::Fault,
    locked_file::{LockedFile, keep_owner},
    retired, schema,
};
use crate::{
    error::Error,
    store::{sync_dir, temporary_file},
};

/// Puts a copy of the database at `path`, brought to the present schema, in its place. Another process
/// may do so at the same time, or have done so.
///
/// # Errors
/// When the system refuses, also for want of room for the copy; then everything is as it was.
pub(super) fn renew(path: &Path) -> Result<(), Fault> {
    let fail = |error| Error::io("bring the registry to its present schema", path, error);
    let old = LockedFile::to_move(path).map_err(fail)?;
    if !old.lies_at(path).map_err(fail)? {
        return Ok(());
    }
    old.stop_writers().map_err(fail)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let file = temporary_file(dir).map_err(fail)?;
    old.copy_into(file.as_file()).map_err(fail)?;
    let database = builder().open(file.path())?;
    schema::migrate(&database)?;
    database.close()?;
    keep_owner(&old.metadata().map_err(fail)?, file.as_file()).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    sync_dir(dir)?;
    Ok(old.retire(&retired::header(path)).map_err(fail)?)
}

#[cfg(test)]
mod tests {
    use redb::ReadableDatabase as _;

    use super::{
        super::{
            database::Database,
            database_file::create,
            locked_file::header_of,
            tables::NEXT_EXPERIMENT,
            transaction::{ReadTxn, Rows as _, RowsMut as _, TablesTxn},
        },
        *,
    };
    use crate::store::Store;

    #[test]
    fn an_older_build_that_has_the_file_open_writes_no_more_and_finds_the_new_schema() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let path = store.registry_path();
        create(&path, |txn| {
            schema::initialise(txn, 0)?;
            schema::pretend(txn, 5)?;
            txn.set_counter(NEXT_EXPERIMENT, 7)
        })
        .unwrap();
        let older = builder().open(&path).unwrap();
        let txn = TablesTxn(older.begin_write().unwrap());
        assert!(txn.set_counter(NEXT_EXPERIMENT, 8).is_ok());
        txn.0.commit().unwrap();

        let opened = Database::open(&store, 0).unwrap();
        assert_eq!(opened.read(|txn| txn.counter(NEXT_EXPERIMENT)).unwrap(), 8);
        assert_eq!(opened.read(schema::check).unwrap(), schema::NEWEST);
        assert!(older.begin_write().is_err());
        opened.write(|txn| txn.set_counter(NEXT_EXPERIMENT, 9)).unwrap();
        assert!(header_of(&path).unwrap().starts_with(b"redb"));
        drop(older);

        let again = builder().open(&path).unwrap();
        let txn = ReadTxn::of_tables(again.begin_read().unwrap());
        assert!(schema::check(&txn).is_ok_and(|found| found == schema::NEWEST));
        drop((txn, again));
        assert_eq!(opened.read(|txn| txn.counter(NEXT_EXPERIMENT)).unwrap(), 9);
    }
}
