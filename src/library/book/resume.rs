//! Trainings that were interrupted and go on. What one is continued from lies in the store, in a
//! folder of its run, until the run is finished.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Book, TrainRequest, Trained,
    train::{fingerprint_tag, this_process},
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::short,
    model::{self, Fit},
    progress::Monitor,
    registry::{PROCESS_TAG, Run, RunBatch, RunStatus, RunUpdate},
    store::write_atomically,
};

const JOB_FILE: &str = "job.json";
const LOCK_FILE: &str = "lock";
/// The newest layout this build reads and the one it writes.
const SCHEMA_VERSION: u32 = 1;

/// What was asked, as a later process needs it.
#[derive(Serialize, Deserialize)]
struct Job {
    schema_version: u32,
    recipe: Value,
    request: TrainRequest,
}

/// The folder of a run that is not finished, and the right to work on it.
pub(super) struct Unfinished {
    folder: PathBuf,
    /// None where the file system knows no locks.
    _lock: Option<File>,
}

enum Lock {
    /// By this value, until it is dropped or the process ends; nothing holds it where there are no
    /// locks.
    Held(Option<File>),
    /// By another process, or another training of this one.
    Taken,
}

/// The lock of a run's folder. The system gives it back however a process ends, and two processes
/// never both hold it: a process number says neither, least of all that of another container.
fn lock(folder: &Path) -> Result<Lock> {
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
        let job = Job { schema_version: SCHEMA_VERSION, recipe, request: request.clone() };
        let bytes = serde_json::to_vec_pretty(&job).expect("plain values");
        // The lock first: a folder with a job and without a holder is one whose process is gone.
        let lock = match lock(&folder)? {
            Lock::Held(lock) => lock,
            Lock::Taken => return Err(Error::new(ErrorKind::Internal, "a new run is locked")),
        };
        write_atomically(&folder.join(JOB_FILE), &bytes)?;
        Ok(Some(Self { folder, _lock: lock }))
    }

    /// Whether some process, on whatever machine, works on the run; none where that cannot be told
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

    /// Where the training keeps its states.
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

fn folder_of(book: &Book, run: &Run) -> PathBuf {
    book.store().checkpoints_dir().join(&run.run_id)
}

impl Book {
    /// Continues an interrupted or failed training from its last checkpoint, in the same run and
    /// with the settings it began with; on the CPU it ends with the weights that it would have had.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown run, [`ErrorKind::Conflict`] for one that is finished,
    /// still at work, or of a model that keeps no checkpoints; then as [`Book::train`].
    pub fn resume(&self, run: &str, monitor: &Monitor) -> Result<Trained> {
        self.settle_dead_runs()?;
        let registry = self.registry()?;
        let run = registry.run(run)?;
        let conflict = |what: &str, hint: &str| {
            let name = short(&run.run_id);
            Error::new(ErrorKind::Conflict, format!("run {} ({name}) {what}", run.name))
                .with_hint(hint)
        };
        match run.status {
            RunStatus::Finished => {
                return Err(conflict("is finished", "train again for another version"));
            }
            RunStatus::Running => {
                return Err(conflict("is still running", "stop its process first"));
            }
            RunStatus::Failed | RunStatus::Killed => {}
        }
        let folder = folder_of(self, &run);
        let path = folder.join(JOB_FILE);
        if !path.exists() {
            return Err(conflict(
                "has no checkpoint to continue from",
                "only trainings of neural nets save checkpoints, and not in cross-validation: train it again",
            ));
        }
        let bytes = fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
        let job: Job = serde_json::from_slice(&bytes).map_err(|source| {
            Error::new(ErrorKind::Corrupt, format!("{path:?} is damaged")).with_source(source)
        })?;
        if job.schema_version > SCHEMA_VERSION {
            return Err(Error::invalid(format!(
                "{path:?}: schema {}, this build reads up to {SCHEMA_VERSION}",
                job.schema_version
            ))
            .with_hint("use the version of trialbook that began the run, or a newer one"));
        }
        let Lock::Held(lock) = lock(&folder)? else {
            return Err(conflict("is still running", "stop its process first"));
        };
        // Whoever held it until now may have finished.
        if registry.run(&run.run_id)?.status == RunStatus::Finished {
            return Err(conflict("is finished", "train again for another version"));
        }
        self.check_data(&run, &job.request.dataset)?;
        let fit = model::from_recipe(job.recipe)
            .map_err(|error| error.with_context(format!("{path:?}")))?;
        let running = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
        let tags = vec![(PROCESS_TAG.to_owned(), this_process())];
        registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() })?;
        registry.update_run(&run.run_id, running)?;
        registry.delete_run_tag(&run.run_id, "trialbook.error")?;
        let unfinished = Unfinished { folder, _lock: lock };
        self.in_run(&run, || {
            self.train_in(&run, fit.as_ref(), &job.request, Some(&unfinished), monitor)
        })
    }

    /// # Errors
    /// [`ErrorKind::Conflict`] when the dataset is not the one that the run began with.
    fn check_data(&self, run: &Run, dataset: &str) -> Result<()> {
        for split in &self.datasets().get(dataset)?.splits {
            let found = &split.fingerprint.sha256;
            let Some(expected) = run.tags.get(&fingerprint_tag(&split.name)) else { continue };
            if found != expected {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "{dataset}.{} has the fingerprint {}, run {} began with {}",
                        split.name,
                        short(found),
                        run.name,
                        short(expected)
                    ),
                )
                .with_hint("add the original data again, or start a new training"));
            }
        }
        Ok(())
    }
}
