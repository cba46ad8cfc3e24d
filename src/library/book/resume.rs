//! Trainings that were interrupted and go on.

use std::fs;

use super::{
    Book, Trained,
    registering::this_process,
    train::fingerprint_tag,
    unfinished::{JOB_FILE, Lock, ResumableJob, SCHEMA_VERSION, Unfinished, folder_of, lock},
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::short,
    model::{self, Device},
    progress::Monitor,
    registry::{PROCESS_TAG, Run, RunBatch, RunStatus, RunUpdate},
};

impl Book {
    /// Continues an interrupted or failed training from its last checkpoint, in the same run and
    /// with the settings it began with; on the CPU it ends with the weights that it would have had.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown run, [`ErrorKind::Conflict`] for one that is finished,
    /// still at work, or of a model that keeps no checkpoints; then as [`Book::train`].
    pub fn resume(&self, run: &str, monitor: &Monitor) -> Result<Trained> {
        self.resume_on(run, None, monitor)
    }

    /// [`Book::resume`] on another `device` than the run began on, where one is given.
    ///
    /// # Errors
    /// As [`Book::resume`].
    pub fn resume_on(
        &self,
        run: &str,
        device: Option<Device>,
        monitor: &Monitor,
    ) -> Result<Trained> {
        self.settle_dead_runs()?;
        let registry = self.tracker()?;
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
            RunStatus::Running | RunStatus::Scheduled => {
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
        let mut job: ResumableJob = serde_json::from_slice(&bytes).map_err(|source| {
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
        if let Some(device) = device {
            job.recipe["device"] = device.to_string().into();
        }
        let fit = model::from_recipe(job.recipe)
            .map_err(|error| error.with_context(format!("{path:?}")))?;
        let running = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
        let tags = vec![(PROCESS_TAG.to_owned(), this_process())];
        registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() })?;
        registry.update_run(&run.run_id, running)?;
        registry.delete_run_tag(&run.run_id, "trialbook.error")?;
        let unfinished = Unfinished::held(folder, lock);
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
