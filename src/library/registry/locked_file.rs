//! A database's file as bytes, under the lock that its writers take. While that is held, no other
//! process is or comes into a write transaction on that file, whatever version of redb it runs: 4.3
//! to 4.6 use the same byte for it.
//!
//! The offsets are those of redb's docs/design.md, "Lock bytes"; locks that belong to a file
//! description, as these do, hold between threads of one process too.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    ops::Bound,
    path::Path,
};

use redb::{StorageBackend as _, backends::FileBackend};

/// Whoever writes holds it from before it reads the header until its last commit is in the file:
/// for a write transaction, for repair when it opens the file, and to close it.
const WRITER_BYTE: (Bound<u64>, Bound<u64>) = (Bound::Included(1 << 62), Bound::Included(1 << 62));

/// Whoever moves the registry away holds it: one of those that redb leaves to others.
const MOVER_BYTE: (Bound<u64>, Bound<u64>) =
    (Bound::Included((1 << 62) + 1000), Bound::Included((1 << 62) + 1000));

/// Whoever reads the header shares them; whoever writes it holds them alone.
const HEADER_BYTES: (Bound<u64>, Bound<u64>) =
    (Bound::Included(0), Bound::Excluded(HEADER_LEN as u64));

/// Every commit changes these first bytes of the file.
const HEADER_LEN: usize = 320;

/// The first bytes of a database's file.
pub(super) type Header = [u8; HEADER_LEN];

/// A file, with what this process has locked of it until this is dropped.
pub(super) struct LockedFile {
    file: File,
    locks: FileBackend,
}

impl LockedFile {
    /// Waits until nobody else is moving the registry that lies at `path`; others may write to it.
    pub(super) fn to_move(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        Self::lock(file, |locks| locks.lock_range(MOVER_BYTE.0, MOVER_BYTE.1))
    }

    /// Waits until nobody writes, and keeps everybody from it; for a file that this process perhaps
    /// may only read.
    pub(super) fn shared(path: &Path) -> io::Result<Self> {
        Self::lock(File::open(path)?, |locks| locks.lock_shared_range(WRITER_BYTE.0, WRITER_BYTE.1))
    }

    /// Waits until nobody writes, and keeps everybody from it.
    pub(super) fn stop_writers(&self) -> io::Result<()> {
        Ok(self.locks.lock_range(WRITER_BYTE.0, WRITER_BYTE.1)?)
    }

    pub(super) fn let_writers_go_on(&self) -> io::Result<()> {
        Ok(self.locks.unlock_range(WRITER_BYTE.0, WRITER_BYTE.1)?)
    }

    fn lock(
        file: File,
        take: impl FnOnce(&FileBackend) -> Result<(), redb::BackendError>,
    ) -> io::Result<Self> {
        // The same file description, so that the locks end when both are closed.
        let locks = FileBackend::new(file.try_clone()?).map_err(io::Error::other)?;
        take(&locks)?;
        Ok(Self { file, locks })
    }

    /// True if it still is the file at `path`.
    pub(super) fn lies_at(&self, path: &Path) -> io::Result<bool> {
        let same = |there: &fs::Metadata, here: &fs::Metadata| identity(there) == identity(here);
        match fs::metadata(path) {
            Ok(there) => Ok(same(&there, &self.file.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Its permissions, and who owns it.
    pub(super) fn metadata(&self) -> io::Result<fs::Metadata> {
        self.file.metadata()
    }

    pub(super) fn header(&self) -> io::Result<Header> {
        self.locks.len().and_then(|len| {
            let mut header = [0; HEADER_LEN];
            let n_there = usize::try_from(len).unwrap_or(HEADER_LEN).min(HEADER_LEN);
            self.locks.read(0, &mut header[..n_there])?;
            Ok(header)
        })
    }

    /// Writes the whole content into the empty `output`.
    pub(super) fn copy_into(&self, mut output: &File) -> io::Result<()> {
        let mut input = &self.file;
        input.rewind()?;
        io::copy(&mut input, &mut output).map(drop)
    }

    /// Puts `header` in the place of the present one, and keeps everybody from reading it as long as
    /// `self` lives. Writers are to be stopped.
    pub(super) fn retire(&self, header: &Header) -> io::Result<()> {
        self.locks.lock_range(HEADER_BYTES.0, HEADER_BYTES.1)?;
        self.locks.write(0, header)
    }
}

/// The first bytes of the file at `path`, without any lock: good for telling whether it has changed.
pub(super) fn header_of(path: &Path) -> io::Result<Header> {
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    File::open(path)?.take(HEADER_LEN as u64).read_to_end(&mut bytes)?;
    let mut header = [0; HEADER_LEN];
    header[..bytes.len()].copy_from_slice(&bytes);
    Ok(header)
}

/// Whoever could use another file, whose `owner` this is, can use `file`; durable when this returns.
pub(super) fn keep_owner(owner: &fs::Metadata, file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        // Only root can, and only root need.
        let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
    file.set_permissions(owner.permissions())?;
    file.sync_all()
}

/// The identity of a file: its device and number.
pub(super) type FileIdentity = (u64, u64);

#[cfg(unix)]
pub(super) fn identity(metadata: &fs::Metadata) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(_metadata: &fs::Metadata) -> Option<FileIdentity> {
    None
}
