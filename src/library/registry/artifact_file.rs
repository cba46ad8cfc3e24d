//! A file that holds an artifact, as long as someone reads it.

use std::{
    fs::File,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that holds an artifact. A copy of what lies in other storage stays at least as long as this.
#[derive(Debug, Clone)]
pub struct ArtifactFile {
    path: PathBuf,
    /// The lock that keeps a copy.
    lock: Option<Arc<File>>,
}

impl ArtifactFile {
    /// A file that stays anyway.
    pub(super) fn lasting(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    /// A copy that `lock` keeps.
    pub(super) fn held(path: PathBuf, lock: File) -> Self {
        Self { path, lock: Some(Arc::new(lock)) }
    }

    /// The path, and the lock that keeps what lies there.
    pub(super) fn into_parts(self) -> (PathBuf, Option<Arc<File>>) {
        (self.path, self.lock)
    }
}

impl Deref for ArtifactFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for ArtifactFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}
