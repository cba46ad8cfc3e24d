//! Runs: made, logged to, ended, found, deleted and restored.
//!
//! A process that is killed cannot say so: its run stays `RUNNING`. Whoever starts runs may set
//! the tag [`PROCESS_TAG`], by which people can tell such a run from a live one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    experiments::live_number,
    fault::Fault,
    flow::RunFlow,
    logged_model::LoggedMetric,
    logged_models::append_metrics,
    names,
    record::{Lifecycle, Metric, NewRun, Run, RunBatch, RunStatus, RunUpdate},
    run_view::RunView,
    stored::{Latest, MetricBatch, StoredRun},
    tables::{METRICS, RUNS, RunKey, metrics_key, parse_run_id, run_key, run_prefix},
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::hex,
    hint::Hint,
    registry::codec,
};

/// The tag that says which process a run belongs to: `PID@HOST`.
pub const PROCESS_TAG: &str = "trialbook.process";

/// The tag of a nested run that holds the id of the run it belongs to, by MLflow's own name.
pub const PARENT_RUN_TAG: &str = "mlflow.parentRunId";

/// A shorter prefix of a run id would too often fit several runs.
const MIN_PREFIX_CHARS: usize = 4;

impl Registry {
    /// Makes a run, `RUNNING` from the start.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an experiment that does not exist, [`ErrorKind::Invalid`] for
    /// names and values beyond the limits.
    pub fn create_run(&self, new: NewRun) -> Result<Run> {
        check_new(&new)?;
        self.database.write(|txn| {
            let (key, run) = insert(txn, new)?;
            Ok(run.into_run(hex(&key)))
        })
    }

    /// As [`Registry::create_run`], with an event of it in the audit trail: for clients of a server.
    ///
    /// # Errors
    /// As [`Registry::create_run`].
    pub fn create_tracked_run(&self, new: NewRun) -> Result<Run> {
        check_new(&new)?;
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            let (key, run) = insert(txn, new)?;
            let details = json!({"run": run.name, "experiment_id": run.experiment.to_string()});
            audit::append(txn, &self.event(AuditAction::Create, &hex(&key), now_ms, details))?;
            Ok(run.into_run(hex(&key)))
        })
    }

    /// Metrics, params and tags of one run in one durable transaction. A param may be logged once;
    /// another value for it is a conflict.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for a param with another value or a deleted run,
    /// [`ErrorKind::Invalid`] for keys and values beyond the limits; then nothing is logged.
    pub fn log(&self, run_id: &str, batch: &RunBatch) -> Result<()> {
        check_batch(batch)?;
        self.change_run(run_id, |txn, key, run| apply(txn, key, run, batch))
    }

    /// As [`Registry::log`], and of the metrics what was measured of logged models, each by its id, in
    /// the same transaction.
    ///
    /// # Errors
    /// As [`Registry::log`], and [`ErrorKind::NotFound`] for a logged model that does not exist.
    pub fn log_measured(
        &self,
        run_id: &str,
        batch: &RunBatch,
        of_models: &BTreeMap<String, Vec<LoggedMetric>>,
    ) -> Result<()> {
        check_batch(batch)?;
        self.change_run(run_id, |txn, key, run| {
            apply(txn, key, run, batch)?;
            of_models
                .iter()
                .try_for_each(|(model_id, metrics)| append_metrics(txn, model_id, metrics))
        })
    }

    /// Ends a run.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for the status `RUNNING`, [`ErrorKind::Conflict`] for a deleted run.
    pub fn finish_run(&self, run_id: &str, status: RunStatus, end_ms: i64) -> Result<()> {
        check_ended(status)?;
        let update = RunUpdate { status: Some(status), end_ms: Some(end_ms), name: None };
        self.update_run(run_id, update)
    }

    /// Changes a run's name, status or end.
    ///
    /// # Errors
    /// As [`Registry::log`].
    pub fn update_run(&self, run_id: &str, update: RunUpdate) -> Result<()> {
        if let Some(name) = &update.name {
            names::check_name("run", name)?;
        }
        self.change_run(run_id, |_, _, run| {
            if let Some(name) = update.name {
                run.name = name;
            }
            if let Some(status) = update.status {
                run.status = status;
                if status == RunStatus::Running {
                    run.end_ms = None;
                }
            }
            if let Some(end_ms) = update.end_ms {
                run.end_ms = Some(end_ms);
            }
            Ok(())
        })
    }

    /// Adds a value to the list in JSON that a run's tag holds. The list may be as long as it gets.
    ///
    /// # Errors
    /// As [`Registry::log`].
    pub fn append_to_tag(&self, run_id: &str, key: &str, value: Value) -> Result<()> {
        self.change_run(run_id, |_, _, run| {
            let held = run.tags.get(key).and_then(|tag| serde_json::from_str(tag).ok());
            let mut list: Vec<Value> = held.unwrap_or_default();
            list.push(value);
            run.tags.insert(key.to_owned(), Value::from(list).to_string());
            Ok(())
        })
    }

    /// Removes a tag from a run; one that is not there is no error.
    ///
    /// # Errors
    /// As [`Registry::log`].
    pub fn delete_run_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.change_run(run_id, |_, _, run| {
            run.tags.remove(key);
            Ok(())
        })
    }

    /// The run whose whole id is `run_id`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Invalid`] for what is no id of a run.
    pub fn run_by_id(&self, run_id: &str) -> Result<Run> {
        let key = run_key(run_id)?;
        let stored = self.database.read(|txn| txn.get::<StoredRun>(RUNS, &key))?;
        Ok(stored.ok_or_else(|| unknown(run_id))?.into_run(run_id.to_owned()))
    }

    /// By id, by a unique prefix of at least 4 characters, or by a unique name. A deleted run is
    /// found by its whole id only.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Conflict`] with the candidates if several fit.
    pub fn run(&self, run: &str) -> Result<Run> {
        let found = self.database.read(|txn| {
            if let Some(key) = parse_run_id(run)
                && let Some(stored) = txn.get::<StoredRun>(RUNS, &key)?
            {
                return Ok(Some(stored.into_run(run.to_owned())));
            }
            match find(txn, run, Lifecycle::Live)? {
                Some(key) => {
                    let stored = txn.get::<StoredRun>(RUNS, &key)?;
                    Ok(stored.map(|stored| stored.into_run(hex(&key))))
                }
                None => Ok(None),
            }
        })?;
        found.ok_or_else(|| unknown(run))
    }

    /// Hides a run, found as by [`Registry::run`]; `store gc` removes it for good.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Conflict`] if it is deleted already.
    pub fn delete_run(&self, run: &str) -> Result<()> {
        self.set_deleted(run, Lifecycle::Live)
    }

    /// Brings a deleted run back; an id, prefix or name is looked up among deleted runs.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Conflict`] if it is not deleted.
    pub fn restore_run(&self, run: &str) -> Result<()> {
        self.set_deleted(run, Lifecycle::Deleted)
    }

    fn set_deleted(&self, reference: &str, present: Lifecycle) -> Result<()> {
        let at_ms = clock::now_ms();
        self.database.write(|txn| {
            let key = match parse_run_id(reference) {
                Some(key) => key,
                None => find(txn, reference, present)?.ok_or_else(|| unknown(reference))?,
            };
            let mut run = txn.get::<StoredRun>(RUNS, &key)?.ok_or_else(|| unknown(reference))?;
            if !present.fits(run.deleted) {
                let state = if run.deleted { "is deleted already" } else { "is not deleted" };
                return Err(Fault::Ours(Error::new(
                    ErrorKind::Conflict,
                    format!("run {reference:?} {state}"),
                )));
            }
            let action = if run.deleted { AuditAction::Restore } else { AuditAction::Delete };
            let details = json!({"name": run.name});
            audit::append(txn, &self.event(action, &hex(&key), at_ms, details))?;
            run.deleted = !run.deleted;
            txn.put(RUNS, &key, &run)
        })
    }

    /// Changes a live run in one transaction.
    pub(super) fn change_run(
        &self,
        run_id: &str,
        change: impl FnOnce(&WriteTxn, &RunKey, &mut StoredRun) -> Result<(), Fault>,
    ) -> Result<()> {
        let key = run_key(run_id)?;
        self.database.write(|txn| {
            let mut run = live(txn, &key)?;
            change(txn, &key, &mut run)?;
            txn.put(RUNS, &key, &run)
        })
    }
}

/// The run under `key`, which must be there and not deleted.
pub(super) fn live(txn: &impl Rows, key: &RunKey) -> Result<StoredRun, Fault> {
    let run = txn.get::<StoredRun>(RUNS, key)?.ok_or_else(|| unknown(&hex(key)))?;
    if run.deleted {
        return Err(Fault::Ours(
            Error::new(ErrorKind::Conflict, format!("run {:?} is deleted", hex(key)))
                .with_hint(Hint::from("bring it back with ").run("runs restore RUN")),
        ));
    }
    Ok(run)
}

pub(super) fn unknown(run: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("run {run:?} does not exist"))
        .with_hint(Hint::new().run("runs list").say(" shows ids and names"))
}

fn check_new(new: &NewRun) -> Result<()> {
    if let Some(name) = &new.name {
        names::check_name("run", name)?;
    }
    new.tags.iter().try_for_each(|(key, value)| names::check_tag(key, value))?;
    new.params.iter().try_for_each(|(key, value)| names::check_param(key, value))
}

fn check_batch(batch: &RunBatch) -> Result<()> {
    batch.metrics.iter().try_for_each(|metric| names::check_key("metric", &metric.key))?;
    batch.params.iter().try_for_each(|(key, value)| names::check_param(key, value))?;
    batch.tags.iter().try_for_each(|(key, value)| match key.as_str() {
        names::NAME_TAG => names::check_name("run", value),
        _ => names::check_tag(key, value),
    })
}

fn check_ended(status: RunStatus) -> Result<()> {
    if !status.is_end() {
        return Err(Error::invalid(format!("a run cannot end with the status {status}"))
            .with_hint("end it with FINISHED, FAILED or KILLED"));
    }
    Ok(())
}

/// Writes a new run.
fn insert(txn: &WriteTxn, mut new: NewRun) -> Result<(RunKey, StoredRun), Fault> {
    let named = new.tags.remove(names::NAME_TAG);
    let run = StoredRun {
        experiment: live_number(txn, &new.experiment_id)?,
        name: new.name.or(named).unwrap_or_else(names::made_up_name),
        status: RunStatus::Running,
        start_ms: new.start_ms,
        end_ms: None,
        deleted: false,
        n_batches: 0,
        params: new.params,
        tags: new.tags,
        metrics: BTreeMap::new(),
        user: new.user,
        flow: RunFlow::default(),
    };
    let key = run_key(&names::new_run_id())?;
    txn.put(RUNS, &key, &run)?;
    Ok((key, run))
}

/// Adds a batch to a run; the caller writes the run.
fn apply(txn: &WriteTxn, key: &RunKey, run: &mut StoredRun, batch: &RunBatch) -> Result<(), Fault> {
    for (param, value) in &batch.params {
        match run.params.get(param) {
            None => {
                run.params.insert(param.clone(), value.clone());
            }
            Some(logged) if logged == value => {}
            Some(logged) => {
                return Err(Fault::Ours(
                    Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "param {param:?} is {logged:?} already, it cannot become {value:?}"
                        ),
                    )
                    .with_hint("params are written once: start another run, or use a tag"),
                ));
            }
        }
    }
    for (tag, value) in &batch.tags {
        match tag.as_str() {
            names::NAME_TAG => run.name.clone_from(value),
            _ => drop(run.tags.insert(tag.clone(), value.clone())),
        }
    }
    append(txn, key, run, &batch.metrics)
}

/// Appends to a run's histories and keeps its newest values; the caller writes the run.
pub(super) fn append(
    txn: &WriteTxn,
    key: &RunKey,
    run: &mut StoredRun,
    metrics: &[Metric],
) -> Result<(), Fault> {
    if metrics.is_empty() {
        return Ok(());
    }
    for metric in metrics {
        let Metric { key, value, step, timestamp_ms } = metric;
        let latest = Latest { value: *value, step: *step, timestamp_ms: *timestamp_ms };
        match run.metrics.get_mut(key) {
            None => {
                run.metrics.insert(key.clone(), latest);
            }
            Some(present) if latest.is_newer_than(present) => *present = latest,
            Some(_) => {}
        }
    }
    txn.put(METRICS, &metrics_key(key, run.n_batches), &MetricBatch(metrics.to_vec()))?;
    run.n_batches += 1;
    Ok(())
}

/// The one run whose id begins with `reference` or whose name it is.
fn find(txn: &impl Rows, reference: &str, among: Lifecycle) -> Result<Option<RunKey>, Fault> {
    let range = run_prefix(reference).filter(|_| reference.len() >= MIN_PREFIX_CHARS);
    let mut candidates: Vec<(RunKey, String)> = Vec::new();
    txn.scan(RUNS, &[], |key, bytes| {
        let (_, content) = codec::content::<StoredRun>(key, bytes)?;
        let run = RunView::read(content).map_err(|_| codec::damaged("run", key))?;
        let key = RunKey::try_from(key).map_err(|_| codec::damaged("run", key))?;
        let has_prefix = range.is_some_and(|(first, last)| (first..=last).contains(&key));
        if among.fits(run.head.deleted) && (has_prefix || run.head.name == reference) {
            candidates.push((key, run.head.name.to_owned()));
        }
        Ok(())
    })?;
    if candidates.len() > 1 {
        let shown: Vec<String> =
            candidates.iter().take(5).map(|(key, name)| format!("{} ({name})", hex(key))).collect();
        let more = if candidates.len() > 5 { ", …" } else { "" };
        return Err(Fault::Ours(
            Error::new(
                ErrorKind::Conflict,
                format!(
                    "{reference:?} matches {} runs: {}{more}",
                    candidates.len(),
                    shown.join(", ")
                ),
            )
            .with_hint("give more characters of the id"),
        ));
    }
    Ok(candidates.pop().map(|(key, _)| key))
}
