//! Experiments: named groups of runs, numbered from 0 as in MLflow.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Registry,
    audit::{self, AuditAction},
    clock, codec,
    fault::Fault,
    names,
    record::{Experiment, Lifecycle},
    stored::{StoredExperiment, StoredRun},
    tables::{EXPERIMENTS, NEXT_EXPERIMENT, RUNS, experiment_key},
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::error::{Error, ErrorKind, Result};

/// An experiment that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewExperiment {
    /// Unique among experiments.
    pub name: String,
    /// A URI under which clients keep the artifacts of its runs; none for this store.
    pub artifact_location: Option<String>,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
}

impl Registry {
    /// The experiment called `name`, created if it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that is empty or too long, [`ErrorKind::Conflict`] if it is
    /// deleted.
    pub fn experiment(&self, name: &str) -> Result<Experiment> {
        names::check_experiment_name(name)?;
        if let Some(experiment) = live_only(self.named_experiment(name)?)? {
            return Ok(experiment);
        }
        let created_ms = clock::now_ms();
        self.database.write(|txn| {
            // Another process may have made it since.
            if let Some(experiment) = live_only(named(txn, name)?)? {
                return Ok(experiment);
            }
            insert(txn, StoredExperiment::new(name, created_ms))
        })
    }

    /// Makes an experiment.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if one has this name, also a deleted one; [`ErrorKind::Invalid`] for a
    /// name, tag or location beyond the limits.
    pub fn create_experiment(&self, new: NewExperiment) -> Result<Experiment> {
        names::check_experiment_name(&new.name)?;
        new.tags.iter().try_for_each(|(key, value)| names::check_experiment_tag(key, value))?;
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            forbid_taken(txn, &new.name)?;
            let NewExperiment { name, artifact_location, tags } = new;
            let stored = StoredExperiment {
                artifact_location,
                tags,
                ..StoredExperiment::new(&name, now_ms)
            };
            let made = insert(txn, stored)?;
            let details = json!({"experiment": name});
            let subject = made.experiment_id.as_str();
            audit::append(txn, &self.event(AuditAction::Create, subject, now_ms, details))?;
            Ok(made)
        })
    }

    /// Gives an experiment another name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if it is deleted or the name is taken.
    pub fn rename_experiment(&self, experiment_id: &str, name: &str) -> Result<()> {
        names::check_experiment_name(name)?;
        self.change_experiment(experiment_id, AuditAction::Rename, |txn, stored| {
            check_live(experiment_id, stored)?;
            if stored.name != name {
                forbid_taken(txn, name)?;
            }
            let details = json!({"from": stored.name, "to": name});
            name.clone_into(&mut stored.name);
            Ok(details)
        })
    }

    /// Deletes an experiment with its runs, or brings them back. Nothing is removed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if it is so already.
    pub fn set_experiment_deleted(&self, experiment_id: &str, deleted: bool) -> Result<()> {
        let action = if deleted { AuditAction::Delete } else { AuditAction::Restore };
        let number = experiment_number(experiment_id)?;
        self.change_experiment(experiment_id, action, |txn, stored| {
            if stored.deleted == deleted {
                let state = if deleted { "is deleted already" } else { "is not deleted" };
                let message = format!("experiment {experiment_id:?} {state}");
                return Err(Error::new(ErrorKind::Conflict, message).into());
            }
            stored.deleted = deleted;
            let mut runs = Vec::new();
            txn.scan(RUNS, &[], |key, bytes| {
                let run: StoredRun = codec::unseal(key, bytes)?;
                if run.experiment == number && run.deleted != deleted {
                    runs.push((key.to_vec(), run));
                }
                Ok(())
            })?;
            for (key, run) in &mut runs {
                run.deleted = deleted;
                txn.put(RUNS, key, run)?;
            }
            Ok(json!({"experiment": stored.name, "n_runs": runs.len()}))
        })
    }

    /// Sets a tag of an experiment, or removes it if `value` is `None`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if the experiment is deleted,
    /// [`ErrorKind::Invalid`] for a key or value beyond the limits.
    pub fn tag_experiment(
        &self,
        experiment_id: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<()> {
        names::check_experiment_tag(key, value.unwrap_or_default())?;
        self.change_experiment(experiment_id, AuditAction::Update, |_, stored| {
            check_live(experiment_id, stored)?;
            match value {
                Some(value) => stored.tags.insert(key.to_owned(), value.to_owned()),
                None => stored.tags.remove(key),
            };
            Ok(json!({"tag": key, "value": value}))
        })
    }

    /// Changes an experiment and writes the event of it, with the details that `change` returns.
    fn change_experiment(
        &self,
        experiment_id: &str,
        action: AuditAction,
        change: impl FnOnce(&WriteTxn, &mut StoredExperiment) -> Result<Value, Fault>,
    ) -> Result<()> {
        let key = experiment_key(experiment_number(experiment_id)?);
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            let stored = txn.get::<StoredExperiment>(EXPERIMENTS, &key)?;
            let mut stored = stored.ok_or_else(|| unknown(experiment_id))?;
            let details = change(txn, &mut stored)?;
            if action != AuditAction::Update {
                stored.updated_ms = now_ms;
            }
            txn.put(EXPERIMENTS, &key, &stored)?;
            audit::append(txn, &self.event(action, experiment_id, now_ms, details))
        })
    }

    /// The experiment with this id or, if there is none, with this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the names there are.
    pub fn find_experiment(&self, id_or_name: &str) -> Result<Experiment> {
        let experiments = self.experiments()?;
        let found = experiments
            .iter()
            .find(|experiment| experiment.experiment_id == id_or_name)
            .or_else(|| experiments.iter().find(|experiment| experiment.name == id_or_name));
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = experiments.iter().take(10).map(|e| e.name.as_str()).collect();
            Error::new(ErrorKind::NotFound, format!("experiment {id_or_name:?} does not exist"))
                .with_hint(format!("there are: {}", names.join(", ")))
        })
    }

    /// The experiment called `name`, also if it is deleted.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn named_experiment(&self, name: &str) -> Result<Option<Experiment>> {
        self.database.read(|txn| named(txn, name))
    }

    /// The experiment with this id, also if it is deleted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Invalid`] for what is no id.
    pub fn experiment_by_id(&self, experiment_id: &str) -> Result<Experiment> {
        let number = experiment_number(experiment_id)?;
        let key = experiment_key(number);
        let stored = self.database.read(|txn| txn.get::<StoredExperiment>(EXPERIMENTS, &key))?;
        Ok(stored.ok_or_else(|| unknown(experiment_id))?.into_experiment(number))
    }

    /// The places of artifacts of the experiments with these ids, by id: of those, deleted ones too, that do
    /// not leave it to the store.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is no id.
    pub fn artifact_locations(
        &self,
        experiment_ids: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, String>> {
        self.database.read(|txn| {
            let mut locations = BTreeMap::new();
            for id in experiment_ids {
                let key = experiment_key(experiment_number(id)?);
                let stored = txn.get::<StoredExperiment>(EXPERIMENTS, &key)?;
                if let Some(location) = stored.and_then(|stored| stored.artifact_location) {
                    locations.insert((*id).to_owned(), location);
                }
            }
            Ok(locations)
        })
    }

    /// Every experiment that is not deleted, oldest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn experiments(&self) -> Result<Vec<Experiment>> {
        self.experiments_among(Lifecycle::Live)
    }

    /// The experiments of a lifecycle, oldest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn experiments_among(&self, lifecycle: Lifecycle) -> Result<Vec<Experiment>> {
        let mut experiments = self.database.read(all)?;
        experiments.retain(|experiment| lifecycle.fits(experiment.deleted));
        Ok(experiments)
    }
}

fn insert(txn: &WriteTxn, stored: StoredExperiment) -> Result<Experiment, Fault> {
    let number = txn.counter(NEXT_EXPERIMENT)?;
    txn.put(EXPERIMENTS, &experiment_key(number), &stored)?;
    txn.set_counter(NEXT_EXPERIMENT, number + 1)?;
    Ok(stored.into_experiment(number))
}

pub(super) fn named(txn: &impl Rows, name: &str) -> Result<Option<Experiment>, Fault> {
    Ok(all(txn)?.into_iter().find(|experiment| experiment.name == name))
}

fn forbid_taken(txn: &impl Rows, name: &str) -> Result<(), Fault> {
    let Some(other) = named(txn, name)? else { return Ok(()) };
    let state = if other.deleted { " and is deleted" } else { "" };
    let message = format!("experiment {name:?} exists already{state}");
    let hint =
        if other.deleted { "restore it, or choose another name" } else { "choose another name" };
    Err(Error::new(ErrorKind::Conflict, message).with_hint(hint).into())
}

fn live_only(found: Option<Experiment>) -> Result<Option<Experiment>> {
    match found {
        Some(experiment) if experiment.deleted => Err(deleted(&experiment.name)),
        found => Ok(found),
    }
}

fn check_live(experiment_id: &str, stored: &StoredExperiment) -> Result<(), Fault> {
    if stored.deleted { Err(deleted(experiment_id).into()) } else { Ok(()) }
}

fn deleted(experiment: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("experiment {experiment:?} is deleted"))
        .with_hint("restore it, or use another one")
}

fn all(txn: &impl Rows) -> Result<Vec<Experiment>, Fault> {
    let stored = txn.all::<StoredExperiment>(EXPERIMENTS, &[])?;
    Ok(stored
        .into_iter()
        .map(|(key, experiment)| {
            // Keys of this table are 8 bytes, and each was proved with its row's checksum.
            let number = key.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            experiment.into_experiment(number)
        })
        .collect())
}

fn unknown(experiment_id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("experiment id {experiment_id:?} does not exist"))
        .with_hint("`Registry::experiment` finds or makes one by name")
}

/// The number in an experiment id, once that experiment exists and is not deleted.
pub(super) fn live_number(txn: &impl Rows, experiment_id: &str) -> Result<u64, Fault> {
    let number = experiment_number(experiment_id)?;
    match txn.get::<StoredExperiment>(EXPERIMENTS, &experiment_key(number))? {
        Some(stored) => check_live(experiment_id, &stored).map(|()| number),
        None => Err(unknown(experiment_id).into()),
    }
}

/// The number that an experiment id spells.
pub(super) fn experiment_number(experiment_id: &str) -> Result<u64> {
    experiment_id
        .parse()
        .ok()
        .filter(|number: &u64| number.to_string() == experiment_id)
        .ok_or_else(|| {
            Error::invalid(format!("experiment id {experiment_id:?} is not a decimal number"))
        })
}
