//! A copy of a database's file that nobody else sees, opened and repaired: what is read where the file
//! itself must not be opened or cannot be. That is a read-only store whose last writer was killed,
//! which redb opens only to repair it; a read-only store that an older version wrote and may still
//! have open; and any store whose file is to be checked, which could change it.

use std::{
    fs::File,
    io::Seek as _,
    path::{Path, PathBuf},
};

use redb::backends::FileBackend;

use super::{
    database_file::builder,
    fault::Fault,
    locked_file::{Header, LockedFile, header_of},
    schema,
};
use crate::error::Error;

/// A file's content as it was at one moment between two commits.
pub(super) struct PrivateCopy {
    pub(super) database: redb::Database,
    source: PathBuf,
    header: Header,
}

impl PrivateCopy {
    /// Copies `source`, at which the file that `locked` holds lies, into a file without a name, in
    /// `dir`.
    pub(super) fn of(locked: &LockedFile, source: &Path, dir: &Path) -> Result<Self, Fault> {
        let fail = |error| {
            let error = Error::io("copy the registry into", dir, error);
            match dir == std::env::temp_dir() {
                true => error.with_hint("set TMPDIR to a folder that can be written and has room"),
                false => error,
            }
        };
        let header = locked.header().map_err(|error| Error::io("read", source, error))?;
        let mut file: File = tempfile::tempfile_in(dir).map_err(fail)?;
        locked.copy_into(&file).map_err(fail)?;
        file.rewind().map_err(fail)?;
        let database = builder().create_with_backend(FileBackend::new(file)?)?;
        Ok(Self { database, source: source.to_owned(), header })
    }

    /// Brings the copy, not what it was made of, to the present schema.
    pub(super) fn migrate(&self) -> Result<(), Fault> {
        schema::migrate(&self.database)
    }

    /// True if nothing was committed since it was made.
    pub(super) fn is_current(&self) -> bool {
        header_of(&self.source).is_ok_and(|header| header == self.header)
    }

    /// The path of the file of which it is a copy.
    pub(super) fn source(&self) -> &Path {
        &self.source
    }
}
