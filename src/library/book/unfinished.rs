//! The state from which an interrupted training is continued: a folder of its run in the store,
//! until the run is finished, and the lock that says who works on it.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Book, TrainRequest};
use crate::{
    error::{Error, ErrorKind, Result},
    model::Fit,
    registry::Run,
    store::write_atomically,
};

/// The file with the request, in the folder of a run.
pub(super) const JOB_FILE: &str = "job.json";
const LOCK_FILE: &str = "lock";
/// The newest layout this build reads. A training without a decision is written as 1, which older builds
/// continue; they would leave a threshold out, so one with a decision is 2.
pub(super) const SCHEMA_VERSION: u32 = 2;

/// A request, as a later process needs it.
#[derive(Serialize, Deserialize)]
pub(super) struct ResumableJob {
    pub(super) schema_version: u32,
    pub(super) recipe: Value,
    pub(super) request: TrainRequest,
}

/// The folder of a run that is not finished, and the right to work on it.
pub(super) struct Unfinished {
    folder: PathBuf,
    /// None where the file system knows no locks.
    _lock: Option<File>,
}

pub(super) enum Lock {
    /// By this value, until it is dropped or the process ends; nothing holds it where there are no
    /// locks.
    Held(Option<File>),
    /// By another process, or another training of this one.
    Taken,
}

/// The lock of a run's folder. The system gives it back however a process ends, and two processes
/// never both hold it: a process number says neither, least of all that of another container.
pub(super) fn lock(folder: &Path) -> Result<Lock> {
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(|source| Error::io("create", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::Held(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Lock::Taken),
        Err(TryLockError::Error(error)) => {
            tracing::debug!(path = %path.display(), %error, "no locks here");
            Ok(Lock::Held(None))
        }
    }
}

impl Unfinished {
    /// Makes the folder of a new run, and holds its lock; none for a training that has nothing to
    /// continue from.
    pub(super) fn begin(
        book: &Book,
        run: &Run,
        fit: &dyn Fit,
        request: &TrainRequest,
    ) -> Result<Option<Self>> {
        let Some(recipe) = fit.recipe() else { return Ok(None) };
        let folder = folder_of(book, run);
        book.store().make_dir(&folder)?;
        let schema_version = if request.decision.is_empty() { 1 } else { SCHEMA_VERSION };
        let job = ResumableJob { schema_version, recipe, request: request.clone() };
        let bytes = serde_json::to_vec_pretty(&job).expect("plain values");
        // The lock first: a folder with a job and without a holder is one whose process is gone.
        let lock = match lock(&folder)? {
            Lock::Held(lock) => lock,
            Lock::Taken => return Err(Error::new(ErrorKind::Internal, "a new run is locked")),
        };
        write_atomically(&folder.join(JOB_FILE), &bytes)?;
        Ok(Some(Self::held(folder, lock)))
    }

    /// The folder of a run whose lock is held.
    pub(super) fn held(folder: PathBuf, lock: Option<File>) -> Self {
        Self { folder, _lock: lock }
    }

    /// True if some process, on whatever machine, works on the run; none where that cannot be told
    /// by its folder.
    pub(super) fn is_at_work(book: &Book, run: &Run) -> Option<bool> {
        let folder = folder_of(book, run);
        if !folder.join(JOB_FILE).exists() || !folder.join(LOCK_FILE).exists() {
            return None;
        }
        match lock(&folder).ok()? {
            Lock::Taken => Some(true),
            Lock::Held(Some(_)) => Some(false),
            Lock::Held(None) => None,
        }
    }

    /// The folder in which the training keeps its states.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes the folder: the run is finished. What cannot be removed harms nothing.
    pub(super) fn forget(&self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "cannot remove the run's checkpoints");
        }
    }
}

/// The folder in which the training of `run` keeps what it is continued from.
pub(super) fn folder_of(book: &Book, run: &Run) -> PathBuf {
    book.store().checkpoints_dir().join(&run.run_id)
}
