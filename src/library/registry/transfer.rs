//! Records that are taken over whole from another tracking store: with their ids, times, lifecycle and
//! stages, a transaction each, so that a process that dies leaves none in part. It knows nothing of
//! where they come from. What is here already stays as it is.

use std::collections::BTreeSet;
use std::io::Read;

use serde_json::json;

use super::{
    Registry,
    artifact_files::Stored,
    audit::{self, AuditAction},
    clock,
    experiments::{self, experiment_number},
    fault::Fault,
    flow::DatasetRecord,
    logged_model::{LoggedModel, StoredLoggedModel},
    logged_models::model_key,
    names,
    record::{Artifact, DEFAULT_EXPERIMENT, Experiment, Metric, Run},
    runs,
    stored::{StoredExperiment, StoredRun},
    tables::{
        ARTIFACTS, DATASETS, EXPERIMENTS, LOGGED_MODELS, NEXT_EXPERIMENT, RUNS, artifact_key,
        dataset_key, experiment_key, parse_run_id, run_key,
    },
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::error::{Error, ErrorKind, Result};

/// Metrics in one row of a history.
const METRICS_PER_BATCH: usize = 1_000;

/// Experiment numbers above this are not kept: a file store makes them up from 18 digits, and the next
/// experiment would count on from there.
const MAX_KEPT_NUMBER: u64 = 999_999;

/// The number of the experiment that there is from the start.
const FIRST_EXPERIMENT: u64 = 0;

/// A run with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct WholeRun {
    /// The run, with an experiment of this registry. Its metrics are computed from the history.
    pub(crate) run: Run,
    /// Every value of every metric, in the order they were logged.
    pub(crate) history: Vec<Metric>,
    /// The datasets of `run.flow`, in its order.
    pub(crate) datasets: Vec<DatasetRecord>,
    /// Its artifacts, from [`Registry::store_artifact`].
    pub(crate) artifacts: Vec<Artifact>,
}

impl WholeRun {
    /// Removes what this registry cannot hold; the reasons, one for each thing.
    pub(crate) fn leave_out_unfit(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let mut fits = |checked: Result<()>| match checked {
            Ok(()) => true,
            Err(error) => {
                left.push(error.to_string());
                false
            }
        };
        self.run.params.retain(|key, value| fits(names::check_param(key, value)));
        self.run.tags.retain(|key, value| fits(names::check_tag(key, value)));
        self.artifacts.retain(|artifact| fits(names::check_artifact_path(&artifact.path)));
        let mut refused = BTreeSet::new();
        self.history.retain(|metric| {
            if refused.contains(&metric.key) {
                return false;
            }
            let fits = fits(names::check_key("metric", &metric.key));
            if !fits {
                refused.insert(metric.key.clone());
            }
            fits
        });
        if !fits(names::check_name("run", &self.run.name)) {
            self.run.name = names::made_up_name();
        }
        left
    }
}

impl Registry {
    /// Stores the bytes of `input`, which are to be an artifact called `path` of what is written next.
    pub(crate) fn store_artifact(&self, path: &str, input: &mut dyn Read) -> Result<Artifact> {
        names::check_artifact_path(path)?;
        let Stored { sha256, size_bytes } = self.files.put_from(input)?;
        Ok(Artifact { path: path.to_owned(), sha256, size_bytes })
    }

    /// True if there is a run with this id, live or deleted.
    pub(crate) fn has_run(&self, run_id: &str) -> Result<bool> {
        let Some(key) = parse_run_id(run_id) else { return Ok(false) };
        Ok(self.database.read(|txn| txn.get_raw(RUNS, &key))?.is_some())
    }

    /// True if there is a logged model with this id, live or deleted.
    pub(crate) fn has_logged_model(&self, model_id: &str) -> Result<bool> {
        let Ok(key) = model_key(model_id) else { return Ok(false) };
        Ok(self.database.read(|txn| txn.get_raw(LOGGED_MODELS, &key))?.is_some())
    }

    /// The experiment here for one of the store at `origin`, and true if it was made for it: by its
    /// name, or, for the one that a store begins with (`is_first`), the one here with the number 0,
    /// which takes over the other's name while it has no runs. Tags that are not here are added.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it is deleted here and not there, [`ErrorKind::Invalid`] for a name
    /// that cannot be used.
    pub(crate) fn take_experiment(
        &self,
        from: &Experiment,
        is_first: bool,
        origin: &str,
    ) -> Result<(Experiment, bool)> {
        names::check_experiment_name(&from.name)?;
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            let mut named = experiments::named(txn, &from.name)?;
            let mut takes_name = false;
            if is_first && named.is_none() {
                let key = experiment_key(FIRST_EXPERIMENT);
                let first = txn.get::<StoredExperiment>(EXPERIMENTS, &key)?;
                takes_name = first.as_ref().is_some_and(|e| e.name == DEFAULT_EXPERIMENT)
                    && !has_runs(txn, FIRST_EXPERIMENT)?;
                named = first.map(|stored| stored.into_experiment(FIRST_EXPERIMENT));
            }
            let is_new = named.is_none();
            let number = match &named {
                Some(present) => experiment_number(&present.experiment_id)?,
                None => new_number(txn, &from.experiment_id)?,
            };
            let mut stored = match named {
                Some(present) if present.deleted && !from.deleted => {
                    let message = format!("experiment {:?} is deleted here", present.name);
                    return Err(Error::new(ErrorKind::Conflict, message)
                        .with_hint("restore it, and import again")
                        .into());
                }
                Some(_) => {
                    let stored = txn.get(EXPERIMENTS, &experiment_key(number))?;
                    stored.unwrap_or_else(|| StoredExperiment::new(&from.name, now_ms))
                }
                None => StoredExperiment {
                    updated_ms: from.updated_ms,
                    deleted: from.deleted,
                    artifact_location: from.artifact_location.clone(),
                    ..StoredExperiment::new(&from.name, from.created_ms)
                },
            };
            if takes_name {
                from.name.clone_into(&mut stored.name);
                (stored.created_ms, stored.updated_ms) = (from.created_ms, from.updated_ms);
            }
            let before = stored.tags.len();
            for (key, value) in &from.tags {
                stored.tags.entry(key.clone()).or_insert_with(|| value.clone());
            }
            if is_new || takes_name || stored.tags.len() > before {
                txn.put(EXPERIMENTS, &experiment_key(number), &stored)?;
                let details = json!({"experiment": from.name, "from": origin});
                let subject = number.to_string();
                let event = self.event(AuditAction::Import, &subject, now_ms, details);
                audit::append(txn, &event)?;
            }
            Ok((stored.into_experiment(number), is_new))
        })
    }

    /// Writes runs that are not here yet, all of them in one transaction; how many those were.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an id that is none, [`ErrorKind::Corrupt`] for an artifact that is
    /// not in the store; then nothing is written.
    pub(crate) fn take_runs(&self, runs: &[WholeRun], origin: &str) -> Result<usize> {
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            let mut n_taken = 0;
            for whole in runs {
                let key = run_key(&whole.run.run_id)?;
                if txn.get_raw(RUNS, &key)?.is_some() {
                    continue;
                }
                n_taken += 1;
                let mut stored = stored_run(&whole.run)?;
                for metrics in whole.history.chunks(METRICS_PER_BATCH) {
                    runs::append(txn, &key, &mut stored, metrics)?;
                }
                for dataset in &whole.datasets {
                    let key = dataset_key(stored.experiment, &dataset.name, &dataset.digest);
                    if txn.get_raw(DATASETS, &key)?.is_none() {
                        txn.put(DATASETS, &key, dataset)?;
                    }
                }
                self.name_artifacts(txn, &key, &whole.artifacts)?;
                txn.put(RUNS, &key, &stored)?;
                let details = json!({"run": whole.run.name, "from": origin});
                let subject = whole.run.run_id.as_str();
                audit::append(txn, &self.event(AuditAction::Import, subject, now_ms, details))?;
            }
            Ok(n_taken)
        })
    }

    /// Writes a logged model with its files, unless it is here; true if it was not.
    ///
    /// # Errors
    /// As [`Registry::take_runs`].
    pub(crate) fn take_logged_model(
        &self,
        model: &LoggedModel,
        artifacts: &[Artifact],
        origin: &str,
    ) -> Result<bool> {
        let key = model_key(&model.model_id)?;
        names::check_logged_model_name(&model.name)?;
        model.tags.iter().try_for_each(|(key, value)| names::check_model_tag(key, value))?;
        model.params.iter().try_for_each(|(key, value)| names::check_param(key, value))?;
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            if txn.get_raw(LOGGED_MODELS, &key)?.is_some() {
                return Ok(false);
            }
            self.name_artifacts(txn, &key, artifacts)?;
            txn.put(LOGGED_MODELS, &key, &StoredLoggedModel(model.clone()))?;
            let details = json!({"logged_model": model.name, "from": origin});
            let subject = model.model_id.as_str();
            audit::append(txn, &self.event(AuditAction::Import, subject, now_ms, details))?;
            Ok(true)
        })
    }

    /// Names artifacts of a new owner.
    fn name_artifacts(
        &self,
        txn: &WriteTxn,
        owner: &[u8; 16],
        artifacts: &[Artifact],
    ) -> Result<(), Fault> {
        for artifact in artifacts {
            self.require_file(artifact)?;
            txn.put(ARTIFACTS, &artifact_key(owner, &artifact.path), artifact)?;
        }
        Ok(())
    }

    /// Refuses an artifact whose file another process has removed since it was stored.
    pub(super) fn require_file(&self, artifact: &Artifact) -> Result<()> {
        let Artifact { path, sha256, size_bytes } = artifact;
        let wanted = Stored { sha256: sha256.clone(), size_bytes: *size_bytes };
        if self.files.contain(std::slice::from_ref(&wanted))? == [true] {
            return Ok(());
        }
        let message = format!("{path}: artifact {sha256} is missing from the store");
        Err(Error::new(ErrorKind::Corrupt, message).with_hint("import again"))
    }
}

/// Checks that `run_id` is one that a run can have here.
pub(crate) fn check_run_id(run_id: &str) -> Result<()> {
    run_key(run_id).map(drop)
}

fn stored_run(run: &Run) -> Result<StoredRun> {
    Ok(StoredRun {
        experiment: experiment_number(&run.experiment_id)?,
        name: run.name.clone(),
        status: run.status,
        start_ms: run.start_ms,
        end_ms: run.end_ms,
        deleted: run.deleted,
        n_batches: 0,
        params: run.params.clone(),
        tags: run.tags.clone(),
        metrics: Default::default(),
        user: run.user.clone(),
        flow: run.flow.clone(),
    })
}

/// The number for a new experiment: the one it had, where it is free and of our kind.
fn new_number(txn: &WriteTxn, experiment_id: &str) -> Result<u64, Fault> {
    let next = txn.counter(NEXT_EXPERIMENT)?;
    let former = experiment_number(experiment_id).ok().filter(|n| *n <= MAX_KEPT_NUMBER);
    let number = match former {
        Some(number) if txn.get_raw(EXPERIMENTS, &experiment_key(number))?.is_none() => number,
        _ => next,
    };
    txn.set_counter(NEXT_EXPERIMENT, next.max(number + 1))?;
    Ok(number)
}

fn has_runs(txn: &WriteTxn, experiment: u64) -> Result<bool, Fault> {
    let runs = txn.all::<StoredRun>(RUNS, &[])?;
    Ok(runs.iter().any(|(_, run)| run.experiment == experiment))
}
