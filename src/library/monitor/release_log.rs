//! The counts of a release, shared by the servers of one store: a small file for each server below
//! `logs/releases/ID`, written anew every second while the release runs. The sum of all files is what the
//! release is judged by. A server that was killed leaves its file, so that nothing it counted is lost but
//! its last second. Files, because counts need no transaction: the registry keeps what was decided.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{
    error::{Error, Result},
    gate::ReleaseCounts,
    store::write_atomically,
};

/// The folder in the store's folder of logs.
const DIR: &str = "releases";
/// The time that the counts of a release are kept, whose end the registry remembers for good.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// One server's file of one release.
#[derive(Debug)]
pub struct ReleaseLog {
    dir: PathBuf,
    file: String,
}

impl ReleaseLog {
    /// The file of this server for the release `id`, in the folder of logs `logs_dir`. Counts of releases
    /// that are long over are removed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(logs_dir: &Path, id: &str) -> Result<Self> {
        let all = logs_dir.join(DIR);
        let dir = all.join(id);
        fs::create_dir_all(&dir).map_err(|source| Error::io("create the folder", &dir, source))?;
        forget_old(&all, SystemTime::now());
        Ok(Self { dir, file: format!("{}.json", uuid::Uuid::new_v4().simple()) })
    }

    /// Writes this server's `counts`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn publish(&self, counts: &ReleaseCounts) -> Result<()> {
        let json = serde_json::to_vec(counts).map_err(|source| {
            Error::invalid("the counts of a release cannot be written").with_source(source)
        })?;
        write_atomically(&self.dir.join(&self.file), &json)
    }

    /// The counts of the other servers, and how many there are.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn others(&self) -> Result<(ReleaseCounts, usize)> {
        read(&self.dir, Some(&self.file))
    }
}

/// The counts of every server of the release `id`, and how many there are.
///
/// # Errors
/// When the system refuses.
pub fn read_release_counts(logs_dir: &Path, id: &str) -> Result<(ReleaseCounts, usize)> {
    read(&logs_dir.join(DIR).join(id), None)
}

fn read(dir: &Path, own: Option<&str>) -> Result<(ReleaseCounts, usize)> {
    let mut counts = ReleaseCounts::default();
    let mut n_servers = 0;
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok((counts, 0)),
        Err(source) => return Err(Error::io("read the folder", dir, source)),
    };
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("read the folder", dir, source))?;
        let name = entry.file_name();
        let is_counts = name.to_str().is_some_and(|name| name.ends_with(".json"));
        if !is_counts || name.to_str() == own {
            continue;
        }
        // One that is being replaced or cannot be read is another second's.
        let read = fs::read(entry.path()).ok();
        let Some(found) = read.and_then(|json| serde_json::from_slice(&json).ok()) else {
            continue;
        };
        counts.add(&found);
        n_servers += 1;
    }
    Ok((counts, n_servers))
}

/// Removes the folders of releases whose counts are older than [`KEPT`] at `now`. What cannot be removed
/// stays: it is small.
fn forget_old(all: &Path, now: SystemTime) {
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    for entry in entries {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_see_the_sum_of_what_they_counted_also_of_one_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_release_counts(folder.path(), "a").unwrap().1, 0);
        let [one, other] = [0, 1].map(|_| ReleaseLog::open(folder.path(), "a").unwrap());
        let mut counts = ReleaseCounts::default();
        for _ in 0..3 {
            counts.at(0).candidate.failed();
            one.publish(&counts).unwrap();
        }
        drop(one);
        let (seen, n_servers) = other.others().unwrap();
        assert_eq!((seen.step(0).candidate.n_errors, n_servers), (3, 1));
        counts.at(1).candidate.failed();
        other.publish(&counts).unwrap();
        fs::write(folder.path().join(DIR).join("a/torn.json"), b"{\"steps\":[").unwrap();
        let (all, n_servers) = read_release_counts(folder.path(), "a").unwrap();
        assert_eq!((all.total().candidate.n_errors, n_servers), (7, 2));
    }

    #[test]
    fn counts_of_old_releases_go() {
        let folder = tempfile::tempdir().unwrap();
        let log = ReleaseLog::open(folder.path(), "old").unwrap();
        log.publish(&ReleaseCounts::default()).unwrap();
        let all = folder.path().join(DIR);
        forget_old(&all, SystemTime::now());
        assert!(all.join("old").is_dir());
        forget_old(&all, SystemTime::now() + KEPT + Duration::from_secs(60));
        assert!(!all.join("old").exists());
    }
}
