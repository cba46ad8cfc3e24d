//! Trainings that were interrupted and go on. What one is continued from lies in the store, in a
//! folder of its run, until the run is finished.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Book, TrainRequest, Trained, train::this_process};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::short,
    model::{self, Fit},
    progress::Monitor,
    registry::{PROCESS_TAG, Run, RunBatch, RunStatus, RunUpdate},
    store::write_atomically,
};

const JOB_FILE: &str = "job.json";
/// The newest layout this build reads and the one it writes.
const SCHEMA_VERSION: u32 = 1;

/// What was asked, as a later process needs it.
#[derive(Serialize, Deserialize)]
struct Job {
    schema_version: u32,
    recipe: Value,
    request: TrainRequest,
}

/// The folder of a run that is not finished.
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    /// Makes the folder of a new run; none for a training that has nothing to continue from.
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
        write_atomically(&folder.join(JOB_FILE), &bytes)?;
        Ok(Some(Self(folder)))
    }

    /// Where the training keeps its states.
    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// Removes the folder: the run is finished. What cannot be removed harms nothing.
    pub(super) fn forget(&self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "cannot remove the run's checkpoints");
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
                return Err(conflict("is still at work", "stop its process first"));
            }
            RunStatus::Failed | RunStatus::Killed => {}
        }
        let folder = folder_of(self, &run);
        let path = folder.join(JOB_FILE);
        if !path.exists() {
            return Err(conflict(
                "has no checkpoint to continue from",
                "only trainings of neural nets keep one: train it again",
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
        let fit = model::from_recipe(job.recipe)
            .map_err(|error| error.with_context(format!("{path:?}")))?;
        let running = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
        let tags = vec![(PROCESS_TAG.to_owned(), this_process())];
        registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() })?;
        registry.update_run(&run.run_id, running)?;
        registry.delete_run_tag(&run.run_id, "trialbook.error")?;
        let unfinished = Unfinished(folder);
        self.in_run(&run, || {
            self.train_in(&run, fit.as_ref(), &job.request, Some(&unfinished), monitor)
        })
    }
}
