//! The layout of the whole store: what a new one starts with, which ones this build reads, and how
//! an older one becomes the present one. The layouts of single records are `codec`'s business.

use super::{
    fault::Fault,
    record::DEFAULT_EXPERIMENT,
    stored::{Counter, StoredExperiment},
    tables::{self, NEXT_EXPERIMENT},
    transaction::{ReadTxn, Rows as _, RowsMut as _, TablesTxn},
};
use crate::error::Error;

/// The newest layout this build reads and the one it makes. 2 has API keys and the audit trail:
/// a build that knows neither must not write, since it would leave them out. 3 lies in another file,
/// which is shared between processes in another way (see `succession`). 4 has logged models and the
/// datasets of runs, which an older build would leave out of a backup; 5 has releases. 6 has a commit
/// log beside the tables, which an older build would not see (`renewal` keeps those away that run); 7 has
/// contents of artifacts in that log.
pub(super) const NEWEST: u64 = 7;

/// The first layout with a commit log.
pub(super) const LOGGED: u64 = 6;

/// The content of a marker: the schema with which registries got their present name.
const MARKED: u64 = 3;

/// Its name in the `meta` table.
const SCHEMA: &str = "schema";

/// In the `meta` table: the database's own number, which its commit log has as well, and the last epoch
/// of that log which lies in the tables.
const LOG_ID: &str = "log_id";
const LOG_EPOCH: &str = "log_epoch";

/// In the `meta` table of a marker alone: 1 if a registry was moved from there, else 0.
const HAS_MOVED: &str = "has_moved";

/// Fills a new store.
pub(super) fn initialise(txn: &TablesTxn, now_ms: i64) -> Result<(), Fault> {
    make_tables(txn)?;
    begin_log(txn)?;
    txn.set_counter(SCHEMA, NEWEST)?;
    // MLflow has experiment 0 from the start, and its clients log there unless told otherwise.
    let default = StoredExperiment::new(DEFAULT_EXPERIMENT, now_ms);
    txn.put(tables::EXPERIMENTS, &tables::experiment_key(0), &default)?;
    txn.set_counter(NEXT_EXPERIMENT, 1)
}

/// The store's schema, if this build knows it.
pub(super) fn check(txn: &ReadTxn) -> Result<u64, Fault> {
    let found = txn.counter(SCHEMA)?;
    if (1..=NEWEST).contains(&found) {
        return Ok(found);
    }
    Err(Fault::Ours(
        Error::invalid(format!(
            "the registry has schema {found}, this build reads 1 to {NEWEST}"
        ))
        .with_hint(
            "a newer trialbook wrote it: update this one, or use another folder with --store DIR",
        ),
    ))
}

/// Fills a marker, which lies where older builds look for the registry; `has_moved` is whether one
/// lay there.
pub(super) fn mark(txn: &TablesTxn, has_moved: bool) -> Result<(), Fault> {
    txn.set_counter(SCHEMA, MARKED)?;
    txn.set_counter(HAS_MOVED, u64::from(has_moved))
}

/// The content of a marker; nothing in a registry.
pub(super) fn marked(txn: &ReadTxn) -> Result<Option<bool>, Fault> {
    let found = txn.get::<Counter>(tables::META, HAS_MOVED.as_bytes())?;
    Ok(found.map(|Counter(has_moved)| has_moved > 0))
}

/// Makes the tables that the store lacks: whoever reads relies on all of them.
pub(super) fn make_tables(txn: &TablesTxn) -> Result<(), Fault> {
    for (_, table) in tables::ALL {
        txn.0.open_table(table)?;
    }
    Ok(())
}

/// Brings an older store to the present schema; the rows of tables that it has stay as they are.
pub(super) fn migrate(database: &redb::Database) -> Result<(), Fault> {
    let txn = TablesTxn(database.begin_write()?);
    let found = txn.counter(SCHEMA)?;
    // Another process may have been faster, and a newer build.
    if found >= NEWEST {
        return Ok(());
    }
    make_tables(&txn)?;
    if found < LOGGED {
        begin_log(&txn)?;
    }
    txn.set_counter(SCHEMA, NEWEST)?;
    Ok(txn.0.commit()?)
}

/// Gives the database a number, by which its commit log is known.
fn begin_log(txn: &TablesTxn) -> Result<(), Fault> {
    let (id, _) = uuid::Uuid::new_v4().as_u64_pair();
    txn.set_counter(LOG_ID, id)?;
    txn.set_counter(LOG_EPOCH, 0)
}

/// The number by which the commit log of the database is known.
pub(super) fn log_id(txn: &ReadTxn) -> Result<u64, Fault> {
    txn.counter(LOG_ID)
}

/// The last epoch of the commit log that lies in the tables.
pub(super) fn log_epoch(txn: &ReadTxn) -> Result<u64, Fault> {
    txn.counter(LOG_EPOCH)
}

/// Says that all of `epoch` lies in the tables.
pub(super) fn set_log_epoch(txn: &TablesTxn, epoch: u64) -> Result<(), Fault> {
    txn.set_counter(LOG_EPOCH, epoch)
}

/// Makes the store look like one of `schema`.
#[cfg(test)]
pub(super) fn pretend(txn: &TablesTxn, schema: u64) -> Result<(), Fault> {
    txn.set_counter(SCHEMA, schema)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Registry, database::Database, database_file::create},
        *,
    };
    use crate::{error::ErrorKind, store::Store};

    #[test]
    fn a_store_of_a_newer_schema_is_refused_with_both_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        create(&store.registry_path(), |txn| pretend(txn, NEWEST + 1)).unwrap();
        let error = Database::open(&store, 0).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "the registry has schema 8, this build reads 1 to 7");
    }

    #[test]
    fn a_store_of_schema_1_gets_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        Registry::open(&store).unwrap();
        let old = redb::Builder::new()
            .set_concurrency_mode(redb::ConcurrencyMode::MultiWriter)
            .open(store.registry_path())
            .unwrap();
        let txn = TablesTxn(old.begin_write().unwrap());
        txn.0.delete_table(tables::KEYS).unwrap();
        txn.0.delete_table(tables::AUDIT).unwrap();
        txn.0.delete_table(tables::RELEASES).unwrap();
        assert!(pretend(&txn, 1).is_ok());
        txn.0.commit().unwrap();
        drop(old);

        let registry = Registry::open(&store).unwrap();
        assert!(registry.keys().unwrap().is_empty());
        assert!(registry.verify().unwrap().is_valid());
        assert_eq!(registry.database.read(check).unwrap(), NEWEST);
    }
}
