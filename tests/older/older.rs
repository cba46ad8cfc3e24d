//! How trialbook up to schema 2 uses a store's registry: one open handle, which is opened afresh when
//! another file lies at the path or the old one cannot be used any more, and a look at the schema
//! whenever a file is opened. `tests/older` builds this with the redb 4.4 that such a trialbook has,
//! the integration tests with the present one, whose transactions begin in the same way.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use redb::{
    Builder, ConcurrencyMode, Database, TableDefinition, TransactionError, WriteTransaction,
};

const META: TableDefinition<&[u8], &[u8]> = TableDefinition::new("meta");

/// What is written here: a row per process, with the number of its newest write and a filler.
pub(crate) const OLDER: TableDefinition<u64, (u64, &[u8])> = TableDefinition::new("older");

/// The newest schema that this one reads.
const NEWEST: u8 = 2;

/// Writes number after number, and says of each on standard output when it is durable; at last says
/// why it stopped.
pub(crate) fn write_until_refused(store: &Path) {
    let mut registry = Registry { path: store.join("registry.redb"), open: None };
    for number in 1.. {
        match registry.write(number) {
            Ok(()) => say(&format!("ack {number}")),
            Err(reason) => return say(&format!("ack refused {reason}")),
        }
    }
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).expect("the test reads what is said");
}

struct Registry {
    path: PathBuf,
    open: Option<(Database, (u64, u64))>,
}

impl Registry {
    fn write(&mut self, number: u64) -> Result<(), String> {
        let process = u64::from(std::process::id());
        let txn = self.begin()?;
        {
            let mut table = txn.open_table(OLDER).map_err(|e| e.to_string())?;
            // Pages are taken and given back, and now and then the file grows.
            let filler = vec![7; (number as usize * 997) % 40_000];
            table.insert(process, (number, filler.as_slice())).map_err(|e| e.to_string())?;
        }
        txn.commit().map_err(|e| e.to_string())
    }

    fn begin(&mut self) -> Result<WriteTransaction, String> {
        match self.handle()?.begin_write() {
            Err(TransactionError::Storage(
                redb::StorageError::PreviousIo | redb::StorageError::Corrupted(_),
            )) => {
                self.open = None;
                self.handle()?.begin_write().map_err(|e| e.to_string())
            }
            begun => begun.map_err(|e| e.to_string()),
        }
    }

    fn handle(&mut self) -> Result<&Database, String> {
        let there = fs::metadata(&self.path).map_err(|e| e.to_string())?;
        let identity = (there.dev(), there.ino());
        if self.open.as_ref().is_none_or(|(_, open)| *open != identity) {
            self.open = None;
            self.open = Some((connect(&self.path)?, identity));
        }
        Ok(&self.open.as_ref().expect("it was opened above").0)
    }
}

fn connect(path: &Path) -> Result<Database, String> {
    let database = Builder::new()
        .set_concurrency_mode(ConcurrencyMode::MultiWriter)
        .open(path)
        .map_err(|e| e.to_string())?;
    let schema = {
        use redb::{ReadableDatabase as _, ReadableTable};
        let txn = database.begin_read().map_err(|e| e.to_string())?;
        let meta = txn.open_table(META).map_err(|e| e.to_string())?;
        let row = ReadableTable::get(&meta, b"schema".as_slice()).map_err(|e| e.to_string())?;
        // After a version and a checksum comes the number, which one byte holds.
        row.and_then(|row| row.value().get(5).copied()).unwrap_or_default()
    };
    if !(1..=NEWEST).contains(&schema) {
        return Err(format!("the registry has schema {schema}, this build reads 1 to {NEWEST}"));
    }
    Ok(database)
}
