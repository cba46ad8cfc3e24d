//! Artifacts in S3-compatible storage: `PREFIX/<2 hex>/<sha256>`, with copies on this machine. An
//! artifact is sent whole before its row is written; what comes back is proved before anyone sees it.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    path::Path,
    sync::{Arc, OnceLock},
};

use tempfile::NamedTempFile;

use super::{
    artifact_cache::ArtifactCache,
    artifact_file::ArtifactFile,
    artifact_files::{HashedWriter, Stored, check, copy_hashed, is_sha256, missing},
    artifact_location::ArtifactLocation,
};
use crate::{
    error::{Error, Result},
    s3::Bucket,
};

/// The artifacts of one store in S3-compatible storage.
#[derive(Debug, Clone)]
pub(super) struct ArtifactBucket {
    location: ArtifactLocation,
    /// Connected when an artifact is first needed: a store's rows are read without credentials too.
    bucket: Arc<OnceLock<Bucket>>,
    cache: ArtifactCache,
}

impl ArtifactBucket {
    pub(super) fn new(location: ArtifactLocation, cache: ArtifactCache) -> Self {
        Self { location, bucket: Arc::default(), cache }
    }

    /// Sends what `input` holds.
    pub(super) fn put(&self, input: &mut dyn Read) -> Result<Stored> {
        let mut copy = self.temporary()?;
        let fail = |error| Error::io("write an artifact on its way, at", self.cache.dir(), error);
        let (sha256, size_bytes) = copy_hashed(input, copy.as_file_mut()).map_err(fail)?;
        let stored = Stored { sha256, size_bytes };
        self.send(&mut copy, &stored)?;
        self.cache.keep(copy, &stored)?;
        Ok(stored)
    }

    /// An empty file for an artifact on its way.
    pub(super) fn temporary(&self) -> Result<NamedTempFile> {
        self.cache.begin(0)
    }

    /// Sends a file that arrived whole.
    pub(super) fn send(&self, copy: &mut NamedTempFile, stored: &Stored) -> Result<()> {
        let path = copy.path().to_owned();
        let file = copy.as_file_mut();
        file.rewind().map_err(|error| Error::io("read", &path, error))?;
        self.bucket()?.send(&name(&stored.sha256), file, stored.size_bytes)
    }

    /// Keeps a copy of what was sent.
    pub(super) fn keep(&self, copy: NamedTempFile, stored: &Stored) -> Result<()> {
        self.cache.keep(copy, stored).map(drop)
    }

    /// For each whether it is there with the right length; contents are not read.
    pub(super) fn contain(&self, wanted: &[Stored]) -> Result<Vec<bool>> {
        let names: Vec<String> = wanted.iter().map(|stored| name(&stored.sha256)).collect();
        let sizes = self.bucket()?.sizes_bytes(&names)?;
        Ok(wanted.iter().zip(sizes).map(|(stored, size)| size == Some(stored.size_bytes)).collect())
    }

    /// True if an object has its name, whatever is in it.
    pub(super) fn holds(&self, sha256: &str) -> Result<bool> {
        Ok(self.bucket()?.size_bytes(&name(sha256))?.is_some())
    }

    /// A copy of the artifact on this machine, proved.
    pub(super) fn prove(&self, sha256: &str, size_bytes: u64) -> Result<ArtifactFile> {
        if let Some(copy) = self.cache.get(sha256, size_bytes) {
            return Ok(copy);
        }
        let mut copy = self.cache.begin(size_bytes)?;
        self.receive(sha256, size_bytes, copy.as_file_mut())?;
        self.cache.keep(copy, &Stored { sha256: sha256.to_owned(), size_bytes })
    }

    /// Reads the artifact where it lies, whatever copies there are.
    pub(super) fn inspect(&self, sha256: &str, size_bytes: u64) -> Result<()> {
        self.receive(sha256, size_bytes, &mut io::sink())
    }

    /// Every artifact, by name.
    pub(super) fn list(&self) -> Result<Vec<Stored>> {
        let objects = self.bucket()?.list("")?.into_iter();
        let stored = objects.filter_map(|object| {
            let (shard, sha256) = object.name.split_once('/')?;
            let is_ours = is_sha256(sha256) && sha256.get(..2) == Some(shard);
            is_ours.then(|| Stored { sha256: sha256.to_owned(), size_bytes: object.size_bytes })
        });
        Ok(stored.collect())
    }

    /// Removes artifacts.
    pub(super) fn remove(&self, unnamed: &[Stored]) -> Result<()> {
        if unnamed.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = unnamed.iter().map(|stored| name(&stored.sha256)).collect();
        // Never those of another store.
        self.location.claim(self.bucket()?)?;
        unnamed.iter().for_each(|stored| self.cache.forget(&stored.sha256));
        self.bucket()?.remove(&names)
    }

    /// Sends the artifact that lies in a file of its name.
    pub(super) fn take_in(&self, file: &Path, stored: &Stored) -> Result<()> {
        let mut input = File::open(file).map_err(|source| Error::io("read", file, source))?;
        self.bucket()?.send(&name(&stored.sha256), &mut input, stored.size_bytes)
    }

    /// Removes copies whose processes died while they made them.
    pub(super) fn sweep(&self) -> Result<()> {
        self.cache.sweep()
    }

    fn receive(&self, sha256: &str, size_bytes: u64, output: &mut dyn io::Write) -> Result<()> {
        let mut output = HashedWriter::new(output);
        let bucket = self.bucket()?;
        let name = name(sha256);
        let proved = match bucket.receive(&name, &mut output)? {
            true => {
                let (found, n_bytes) = output.finish();
                check(sha256, size_bytes, &found, n_bytes)
            }
            false => Err(missing(sha256)),
        };
        proved.map_err(|error| error.with_context(bucket.url(&name)))
    }

    fn bucket(&self) -> Result<&Bucket> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket);
        }
        let url = self.location.url()?;
        let connected = Bucket::connect(&url)
            .map_err(|error| error.with_context(format!("the store's artifacts lie in {url}")))?;
        Ok(self.bucket.get_or_init(|| connected))
    }
}

fn name(sha256: &str) -> String {
    // A name that is too short comes only from a damaged row; it then names no object.
    format!("{}/{sha256}", sha256.get(..2).unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::{error::ErrorKind, store::Store};

    /// The artifacts of the store in `folder`, in a bucket that lies in memory.
    fn opened(folder: &Path, objects: &Arc<InMemory>) -> ArtifactBucket {
        let url = "s3://models/team".parse().unwrap();
        let bucket = Bucket::of(&url, Arc::clone(objects) as _);
        let location = ArtifactLocation::settled(&Store::new(folder), &url, |_| Ok(bucket.clone()));
        let cache = ArtifactCache::new(folder.join("cache"), 1_000);
        let opened = ArtifactBucket::new(location.unwrap(), cache);
        opened.bucket.set(bucket).unwrap();
        opened
    }

    #[test]
    fn what_was_put_is_proved_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let files = opened(folder.path(), &Arc::default());
        let stored = files.put(&mut &b"weights"[..]).unwrap();
        let absent = Stored { sha256: "0".repeat(64), size_bytes: 7 };
        let longer = Stored { size_bytes: 8, ..stored.clone() };
        let wanted = [stored.clone(), absent, longer];
        assert_eq!(files.contain(&wanted).unwrap(), [true, false, false]);
        std::fs::remove_dir_all(folder.path().join("cache")).unwrap();
        let copy = files.prove(&stored.sha256, 7).unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), b"weights");
        assert_eq!(files.list().unwrap(), std::slice::from_ref(&stored), "the mark is none");
        drop(copy);
        files.remove(std::slice::from_ref(&stored)).unwrap();
        assert!(files.list().unwrap().is_empty());
        let error = files.prove(&stored.sha256, 7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("s3://models/team/"), "{error}");
    }

    #[test]
    fn a_damaged_object_never_becomes_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let files = opened(folder.path(), &Arc::default());
        let stored = files.put(&mut &b"weights"[..]).unwrap();
        files.bucket().unwrap().send(&name(&stored.sha256), &mut &b"weighty"[..], 7).unwrap();
        assert!(files.prove(&stored.sha256, 7).is_ok(), "the copy that was made on the way");
        assert_eq!(files.inspect(&stored.sha256, 7).unwrap_err().kind(), ErrorKind::Corrupt);
        std::fs::remove_dir_all(folder.path().join("cache")).unwrap();
        assert_eq!(files.prove(&stored.sha256, 7).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(files.cache.get(&stored.sha256, 7).is_none());
        // Written again, it is whole again.
        files.put(&mut &b"weights"[..]).unwrap();
        files.inspect(&stored.sha256, 7).unwrap();
    }

    #[test]
    fn nothing_is_removed_beside_the_mark_of_another_store() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let objects = Arc::new(InMemory::new());
        let files = opened(folder.path(), &objects);
        let stored = files.put(&mut &b"weights"[..]).unwrap();
        // As if the prefix had been handed on to another store by removing the mark.
        files.bucket().unwrap().remove(&["store.json".to_owned()]).unwrap();
        opened(other.path(), &objects);
        let error = files.remove(&[stored]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(files.list().unwrap().len(), 1);
    }
}
