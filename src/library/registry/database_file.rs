//! A database's file: how redb is set up for it, and how one is made so that it appears whole.

use std::{io, path::Path};

use redb::{Builder, ConcurrencyMode};
use tempfile::NamedTempFile;

use super::{fault::Fault, transaction::TablesTxn};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{sync_dir, temporary_file},
};

/// Pages kept in memory, per process: enough for 100,000 runs, little beside a model.
const CACHE_BYTES: usize = 64 << 20;

/// Makes a database at `path` with what `fill` puts into it. It appears there whole: a process
/// that is killed meanwhile, or another that is faster, leaves no half-made file. One that exists
/// already is left as it is.
pub(super) fn create(
    path: &Path,
    fill: impl FnOnce(&TablesTxn) -> Result<(), Fault>,
) -> Result<()> {
    match prepare(path, fill)?.persist_noclobber(path) {
        Ok(_) => sync_dir(dir_of(path)),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(path, error.error)),
    }
}

/// A database with what `fill` puts into it, durable and closed, that wants nothing but its name,
/// `path`.
pub(super) fn prepare(
    path: &Path,
    fill: impl FnOnce(&TablesTxn) -> Result<(), Fault>,
) -> Result<NamedTempFile> {
    let temporary = temporary_file(dir_of(path)).map_err(|error| refused(path, error))?;
    let made = (|| -> Result<(), Fault> {
        let database = builder().create(temporary.path())?;
        let txn = TablesTxn(database.begin_write()?);
        fill(&txn)?;
        txn.0.commit()?;
        Ok(database.close()?)
    })();
    made.map_err(|fault| fault.into_error(path))?;
    temporary.as_file().sync_all().map_err(|error| refused(path, error))?;
    Ok(temporary)
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// The system's refusal to make a database at `path`.
fn refused(path: &Path, source: io::Error) -> Error {
    if forbids_writing(&source) {
        return read_only(path).with_source(source);
    }
    Error::io("create the registry", path, source)
}

/// True if the reason is that this process may not write.
pub(super) fn forbids_writing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::MultiWriter).set_cache_size(CACHE_BYTES);
    builder
}

pub(super) fn read_only(path: &Path) -> Error {
    Error::new(ErrorKind::Io, format!("the store is read-only: cannot write {path:?}"))
        .with_hint("check the permissions, or use another folder with --store DIR")
}
