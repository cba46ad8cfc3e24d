//! Copies of artifacts on this machine, `cache/artifacts/<2 hex>/<sha256>` in the store: bounded in
//! size, least recently used first out. Any number of processes share it. A copy that is in use is
//! locked and stays; each is proved by its checksum whenever it is used. It knows no storage.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tempfile::NamedTempFile;

use super::{
    artifact_file::ArtifactFile,
    artifact_files::{ArtifactFiles, Stored, remove_path, stale_in},
};
use crate::error::{Error, Result};

/// On a file system without locks, a copy that was used so lately counts as in use.
const RECENT: Duration = Duration::from_secs(10 * 60);

/// So long what was seen of the folder is taken for what is in it: other processes add to it.
const SEEN: Duration = Duration::from_secs(1);

/// The copies.
#[derive(Debug, Clone)]
pub(super) struct ArtifactCache {
    dir: PathBuf,
    files: ArtifactFiles,
    max_bytes: u64,
    listed: Arc<Mutex<Option<Listed>>>,
}

/// The size of the folder, as far as this process knows.
#[derive(Debug, Clone, Copy)]
struct Listed {
    at: Instant,
    n_bytes: u64,
}

impl ArtifactCache {
    pub(super) fn new(dir: PathBuf, max_bytes: u64) -> Self {
        Self { files: ArtifactFiles::new(dir.clone()), dir, max_bytes, listed: Arc::default() }
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The copy of an artifact, proved and held; none if there is none, or another content has its name.
    pub(super) fn get(&self, sha256: &str, size_bytes: u64) -> Option<ArtifactFile> {
        let path = self.files.path(sha256);
        let file = File::open(&path).ok()?;
        // Without locks it is held by having been used just now.
        let _ = file.lock_shared();
        let (ours, named) = (file.metadata().ok()?, fs::metadata(&path).ok()?);
        if (ours.dev(), ours.ino()) != (named.dev(), named.ino()) {
            // Removed, and perhaps copied anew, between both steps.
            return None;
        }
        if self.files.prove(sha256, size_bytes).is_err() {
            let _ = fs::remove_file(&path);
            return None;
        }
        // Another user's file keeps its time: the order of what goes is a little worse then.
        let _ = file.set_modified(SystemTime::now());
        Some(ArtifactFile::held(path, file))
    }

    /// An empty file for a copy of `size_bytes`, for which there is room then.
    pub(super) fn begin(&self, size_bytes: u64) -> Result<NamedTempFile> {
        let file = self.files.temporary().map_err(|error| {
            error.with_hint("the store's folder `cache` has to be writable: copies lie there")
        })?;
        // Nobody takes it for one whose process died, however long it is on its way.
        let _ = file.as_file().lock_shared();
        self.prune(size_bytes);
        Ok(file)
    }

    /// Gives a copy its name, and holds it. One that others may hold already keeps the name.
    pub(super) fn keep(&self, copy: NamedTempFile, stored: &Stored) -> Result<ArtifactFile> {
        let Stored { sha256, size_bytes } = stored;
        let path = self.files.path(sha256);
        let fail = |error| Error::io("keep a copy of an artifact as", &path, error);
        fs::create_dir_all(path.parent().unwrap_or(&self.dir)).map_err(fail)?;
        let file = match copy.persist_noclobber(&path) {
            Ok(file) => file,
            Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => {
                if let Some(found) = self.get(sha256, *size_bytes) {
                    return Ok(found);
                }
                taken.file.persist(&path).map_err(|error| fail(error.error))?
            }
            Err(error) => return Err(fail(error.error)),
        };
        if let Some(listed) = self.listed().as_mut() {
            listed.n_bytes += size_bytes;
        }
        self.prune(0);
        Ok(ArtifactFile::held(path, file))
    }

    /// Forgets a copy, unless it is in use.
    pub(super) fn forget(&self, sha256: &str) {
        let path = self.files.path(sha256);
        if is_free(&path) {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes what processes left behind that died while they copied.
    pub(super) fn sweep(&self) -> Result<()> {
        let stale = stale_in(&self.dir, SystemTime::now())?;
        stale.iter().filter(|path| is_free(path)).try_for_each(|path| remove_path(path))
    }

    /// Removes what was used longest ago until `n_bytes` more would fit. What cannot be removed stays:
    /// a cache that is too large is no reason to fail.
    fn prune(&self, n_bytes: u64) {
        let mut listed = self.listed();
        let fits = |found: u64| found.saturating_add(n_bytes) <= self.max_bytes;
        if listed.is_some_and(|seen| seen.at.elapsed() < SEEN && fits(seen.n_bytes)) {
            return;
        }
        let _ = self.sweep();
        let mut copies: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for Stored { sha256, .. } in self.files.list().unwrap_or_default() {
            let path = self.files.path(&sha256);
            if let Ok(metadata) = fs::metadata(&path) {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                copies.push((used, metadata.len(), path));
            }
        }
        copies.sort();
        let mut total: u64 = copies.iter().map(|(_, size_bytes, _)| size_bytes).sum();
        for (_, size_bytes, path) in copies {
            if fits(total) {
                break;
            }
            if is_free(&path) && fs::remove_file(&path).is_ok() {
                total -= size_bytes;
            }
        }
        *listed = Some(Listed { at: Instant::now(), n_bytes: total });
    }

    fn listed(&self) -> MutexGuard<'_, Option<Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if nobody uses the copy at `path`. Whoever looks for it at this very moment finds it gone.
fn is_free(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let used = file.metadata().and_then(|metadata| metadata.modified()).ok();
            used.and_then(|used| used.elapsed().ok()).is_some_and(|age| age > RECENT)
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};
    use std::io::Write as _;

    use super::*;
    use crate::figure::hex;

    fn kept(cache: &ArtifactCache, bytes: &[u8]) -> (Stored, ArtifactFile) {
        let mut copy = cache.begin(bytes.len() as u64).unwrap();
        copy.write_all(bytes).unwrap();
        let sha256 = hex(&Sha256::digest(bytes));
        let stored = Stored { sha256, size_bytes: bytes.len() as u64 };
        let file = cache.keep(copy, &stored).unwrap();
        (stored, file)
    }

    fn aged(file: &ArtifactFile, n_seconds: u64) {
        let at = SystemTime::now() - Duration::from_secs(n_seconds);
        File::open(file).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtifactCache::new(folder.path().to_owned(), 250);
        let (first, file) = kept(&cache, &[1; 100]);
        aged(&file, 30);
        drop(file);
        let (second, file) = kept(&cache, &[2; 100]);
        aged(&file, 20);
        drop(file);
        assert!(cache.get(&first.sha256, 100).is_some(), "and used again");
        let (third, file) = kept(&cache, &[3; 100]);
        assert!(cache.get(&second.sha256, 100).is_none(), "it was used longest ago");
        let held = cache.get(&first.sha256, 100).unwrap();
        aged(&held, 60);
        drop(file);
        let (_, fourth) = kept(&cache, &[4; 100]);
        assert!(held.is_file(), "the oldest, and in use");
        assert!(cache.get(&third.sha256, 100).is_none());
        drop((held, fourth));
        let total: u64 = cache.files.list().unwrap().iter().map(|stored| stored.size_bytes).sum();
        assert!(total <= 250, "{total}");
    }

    #[test]
    fn a_copy_with_another_content_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtifactCache::new(folder.path().to_owned(), 1_000);
        let (stored, file) = kept(&cache, b"whole");
        fs::write(&file, b"other").unwrap();
        drop(file);
        assert!(cache.get(&stored.sha256, 5).is_none());
        assert!(!cache.files.path(&stored.sha256).exists(), "it would be in the way");
    }

    #[test]
    fn a_copy_that_is_in_use_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtifactCache::new(folder.path().to_owned(), 50);
        let (stored, first) = kept(&cache, b"whole");
        drop(kept(&cache, b"whole"));
        drop(kept(&cache, &[1; 48]));
        assert!(first.is_file(), "nobody put another file in its place, which nothing would hold");
        assert!(cache.get(&stored.sha256, 5).is_some());
    }

    #[test]
    fn a_copy_on_its_way_is_not_swept_however_old() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtifactCache::new(folder.path().to_owned(), 50);
        let copy = cache.begin(5).unwrap();
        let old = SystemTime::now() - Duration::from_secs(100_000);
        copy.as_file().set_modified(old).unwrap();
        cache.sweep().unwrap();
        assert!(copy.path().exists());
        let (file, path) = copy.keep().unwrap();
        drop(file);
        cache.sweep().unwrap();
        assert!(!path.exists(), "its process is gone");
    }

    #[test]
    fn what_is_larger_than_the_cache_is_there_while_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtifactCache::new(folder.path().to_owned(), 10);
        let (_, large) = kept(&cache, &[1; 100]);
        assert_eq!(fs::read(&large).unwrap().len(), 100);
        let path = large.to_path_buf();
        drop(large);
        drop(kept(&cache, &[2; 5]));
        assert!(!path.exists());
    }
}
