//! The folder of a checkpoint's files: in the folder itself, or in the snapshot that a model's
//! folder in the hub's cache calls its main one.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use super::CONFIG_FILE;
use crate::error::{Error, ErrorKind, Result};

/// The folder with the files of the checkpoint `folder`. That of a model in the hub's cache,
/// `models--ORG--NAME`, has them in `snapshots/COMMIT`, and the commit in `refs/main`
/// (<https://huggingface.co/docs/huggingface_hub/guides/manage-cache>); where no file says which,
/// a single snapshot is it.
///
/// # Errors
/// A cache without the snapshot that is to be used, or with several of which none is named.
pub fn snapshot(folder: &Path) -> Result<PathBuf> {
    let snapshots = folder.join("snapshots");
    if folder.join(CONFIG_FILE).exists() || !snapshots.is_dir() {
        return Ok(folder.to_owned());
    }
    let fetch = "download the model again, or name the folder of a snapshot";
    let fail = |kind, what| Error::new(kind, format!("{folder:?}: {what}")).with_hint(fetch);
    let main = folder.join("refs").join("main");
    match fs::read_to_string(&main) {
        Ok(commit) => {
            let commit = Path::new(commit.trim());
            let is_name = matches!(
                commit.components().collect::<Vec<_>>().as_slice(),
                [Component::Normal(_)]
            );
            let found = snapshots.join(commit);
            if !is_name || !found.is_dir() {
                let what = format!("refs/main names the snapshot {commit:?}, which is not there");
                return Err(fail(ErrorKind::NotFound, what));
            }
            Ok(found)
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            let entries = fs::read_dir(&snapshots)
                .map_err(|source| Error::io("read the folder", &snapshots, source))?;
            let mut found: Vec<PathBuf> =
                entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
            match (found.pop(), found.len()) {
                (Some(only), 0) => Ok(only),
                (None, _) => Err(fail(ErrorKind::NotFound, "it has no snapshot".to_owned())),
                (Some(_), others) => Err(fail(
                    ErrorKind::Invalid,
                    format!("it has {} snapshots, and no refs/main that chooses one", others + 1),
                )),
            }
        }
        Err(source) => Err(Error::io("read", &main, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_that_main_names_is_opened() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--org--name");
        let snapshots = folder.join("snapshots");
        let error = || snapshot(&folder).unwrap_err().to_string();
        fs::create_dir_all(&snapshots).unwrap();
        assert!(error().contains("it has no snapshot"), "{}", error());
        fs::create_dir(snapshots.join("old")).unwrap();
        assert_eq!(snapshot(&folder).unwrap(), snapshots.join("old"));
        fs::create_dir(snapshots.join("new")).unwrap();
        assert!(error().contains("it has 2 snapshots"), "{}", error());
        fs::create_dir(folder.join("refs")).unwrap();
        for commit in ["old", "new", "new\n"] {
            fs::write(folder.join("refs/main"), commit).unwrap();
            assert_eq!(snapshot(&folder).unwrap(), snapshots.join(commit.trim()));
        }
        for commit in ["gone", "../refs", "", "/"] {
            fs::write(folder.join("refs/main"), commit).unwrap();
            assert!(error().contains("which is not there"), "{commit}: {}", error());
        }
        // What has a configuration of its own is a checkpoint, whatever else lies there.
        fs::write(folder.join(CONFIG_FILE), "{}").unwrap();
        assert_eq!(snapshot(&folder).unwrap(), folder);
        assert_eq!(snapshot(cache.path()).unwrap(), cache.path());
        assert_eq!(snapshot(Path::new("/nowhere")).unwrap(), Path::new("/nowhere"));
    }
}
