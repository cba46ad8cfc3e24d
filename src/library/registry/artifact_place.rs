//! The place of a store's artifacts, for all who write, read, check and remove them: its own folder,
//! or S3-compatible storage.

use std::{fs::File, io::Read, path::Path, time::SystemTime};

use tempfile::NamedTempFile;

use super::{
    artifact_bucket::ArtifactBucket,
    artifact_cache::ArtifactCache,
    artifact_file::ArtifactFile,
    artifact_files::{
        ArtifactContent, ArtifactFiles, Received, Stored, holding, remove_path, stale_in,
    },
    artifact_location::ArtifactLocation,
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::Store,
};

/// The place of a store's artifacts.
#[derive(Debug, Clone)]
pub(super) enum ArtifactPlace {
    Folder(ArtifactFiles),
    Bucket(Box<ArtifactBucket>),
}

/// The condition of an artifact that a row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileCondition {
    Valid,
    Corrupt,
    Missing,
}

/// An artifact that arrived whole and is not named yet.
pub(super) enum Arrived {
    Folder(Received),
    Bucket(NamedTempFile),
}

impl ArtifactPlace {
    /// The place that the store says, or that it is asked for.
    ///
    /// # Errors
    /// When the artifacts lie elsewhere already, or the storage that is to hold them refuses.
    pub(super) fn open(store: &Store) -> Result<Self> {
        Ok(match ArtifactLocation::of(store)? {
            None => Self::Folder(ArtifactFiles::new(store.artifacts_dir())),
            Some(location) => {
                let cache =
                    ArtifactCache::new(store.artifact_cache_dir(), store.artifact_cache_bytes());
                Self::Bucket(Box::new(ArtifactBucket::new(location, cache)))
            }
        })
    }

    /// Stores `bytes`.
    pub(super) fn put(&self, mut bytes: &[u8]) -> Result<Stored> {
        match self {
            Self::Folder(files) => files.put(bytes),
            Self::Bucket(bucket) => bucket.put(&mut bytes),
        }
    }

    /// Stores the content of `file`.
    pub(super) fn put_file(&self, file: &Path) -> Result<Stored> {
        match self {
            Self::Folder(files) => files.put_file(file),
            Self::Bucket(bucket) => {
                let mut input = File::open(file).map_err(|e| Error::io("read", file, e))?;
                bucket.put(&mut input)
            }
        }
    }

    /// Stores what `input` reads.
    pub(super) fn put_from(&self, mut input: &mut dyn Read) -> Result<Stored> {
        match self {
            Self::Folder(files) => files.put_from(input),
            Self::Bucket(bucket) => bucket.put(&mut input),
        }
    }

    /// An empty file for an artifact that arrives in pieces.
    pub(super) fn temporary(&self) -> Result<NamedTempFile> {
        match self {
            Self::Folder(files) => files.temporary(),
            Self::Bucket(bucket) => bucket.temporary(),
        }
    }

    /// A file with `bytes`.
    pub(super) fn spill(&self, bytes: &[u8]) -> Result<NamedTempFile> {
        holding(self.temporary()?, bytes)
    }

    /// Makes content that arrived from elsewhere durable.
    pub(super) fn receive(&self, content: ArtifactContent, stored: &Stored) -> Result<Arrived> {
        Ok(match self {
            Self::Folder(files) => Arrived::Folder(files.receive(content, stored)?),
            Self::Bucket(bucket) => {
                let mut file = match content {
                    ArtifactContent::File(file) => file,
                    ArtifactContent::Memory(bytes) => self.spill(&bytes)?,
                };
                bucket.send(&mut file, stored)?;
                Arrived::Bucket(file)
            }
        })
    }

    /// Sees under the write transaction that what arrived is there for good. A content that is returned is
    /// so only once it is in the commit log; `is_logged` is whether it was there before.
    pub(super) fn place(
        &self,
        arrived: Arrived,
        stored: &Stored,
        is_logged: bool,
    ) -> Result<Option<Vec<u8>>> {
        match (self, arrived) {
            (Self::Folder(files), Arrived::Folder(received)) => {
                files.place(received, stored, is_logged)
            }
            (Self::Bucket(bucket), Arrived::Bucket(mut file)) => {
                if bucket.contain(std::slice::from_ref(stored))? != [true] {
                    bucket.send(&mut file, stored)?;
                }
                bucket.keep(file, stored)?;
                Ok(None)
            }
            _ => Err(Error::new(ErrorKind::Internal, "an artifact arrived at another place")),
        }
    }

    /// Writes again what the commit log has of contents whose files were lost.
    pub(super) fn restore<'a>(
        &self,
        mut contents: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<()> {
        let Self::Folder(files) = self else { return Ok(()) };
        contents.try_for_each(|(sha256, content)| files.restore(sha256, content))
    }

    /// For each whether it is there with the right length; contents are not read.
    pub(super) fn contain(&self, wanted: &[Stored]) -> Result<Vec<bool>> {
        match self {
            Self::Folder(files) => {
                let found = |stored: &Stored| files.contains(&stored.sha256, stored.size_bytes);
                Ok(wanted.iter().map(found).collect())
            }
            Self::Bucket(bucket) => bucket.contain(wanted),
        }
    }

    /// The bytes, once their checksum is right.
    pub(super) fn read(&self, sha256: &str, size_bytes: u64) -> Result<Vec<u8>> {
        match self {
            Self::Folder(files) => files.read(sha256, size_bytes),
            Self::Bucket(bucket) => {
                let file = bucket.prove(sha256, size_bytes)?;
                std::fs::read(&file).map_err(|e| Error::io("read", &file, e))
            }
        }
    }

    /// A file that holds it, once the checksum of its content is right.
    pub(super) fn prove(&self, sha256: &str, size_bytes: u64) -> Result<ArtifactFile> {
        match self {
            Self::Folder(files) => files.prove(sha256, size_bytes).map(ArtifactFile::lasting),
            Self::Bucket(bucket) => bucket.prove(sha256, size_bytes),
        }
    }

    /// The condition of an artifact where it lies, whatever copies there are.
    ///
    /// # Errors
    /// When it cannot be told: the storage is away.
    pub(super) fn inspect(&self, sha256: &str, size_bytes: u64) -> Result<FileCondition> {
        match self {
            Self::Folder(files) => Ok(match files.prove(sha256, size_bytes) {
                Ok(_) => FileCondition::Valid,
                Err(_) if !files.path(sha256).exists() => FileCondition::Missing,
                Err(_) => FileCondition::Corrupt,
            }),
            Self::Bucket(bucket) => match bucket.inspect(sha256, size_bytes) {
                Ok(()) => Ok(FileCondition::Valid),
                Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
                Err(_) if bucket.holds(sha256)? => Ok(FileCondition::Corrupt),
                Err(_) => Ok(FileCondition::Missing),
            },
        }
    }

    /// Every artifact, by name; what is none is left out.
    pub(super) fn list(&self) -> Result<Vec<Stored>> {
        match self {
            Self::Folder(files) => files.list(),
            Self::Bucket(bucket) => bucket.list(),
        }
    }

    /// Removes artifacts that nothing names, under the write transaction.
    pub(super) fn remove(&self, unnamed: &[Stored]) -> Result<()> {
        match self {
            Self::Folder(files) => {
                unnamed.iter().try_for_each(|stored| remove_path(&files.path(&stored.sha256)))
            }
            Self::Bucket(bucket) => bucket.remove(unnamed),
        }
    }

    /// Sends the artifacts that lie in `folder`, proved before, to other storage; the store's own folder
    /// takes files by moving them.
    pub(super) fn take_in(&self, folder: &Path) -> Result<()> {
        let Self::Bucket(bucket) = self else { return Ok(()) };
        let files = ArtifactFiles::new(folder.to_owned());
        let sent = |stored: &Stored| bucket.take_in(&files.path(&stored.sha256), stored);
        files.list()?.iter().try_for_each(sent)
    }

    /// Removes what processes left behind that died while they wrote.
    pub(super) fn sweep(&self) -> Result<()> {
        match self {
            Self::Folder(files) => {
                let stale = stale_in(files.dir(), SystemTime::now())?;
                stale.iter().try_for_each(|path| remove_path(path))
            }
            Self::Bucket(bucket) => bucket.sweep(),
        }
    }
}
