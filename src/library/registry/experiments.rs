//! Experiments: named groups of runs, numbered from 0 as in MLflow.

use super::{
    Registry, clock,
    fault::Fault,
    names,
    record::Experiment,
    stored::StoredExperiment,
    tables::{EXPERIMENTS, NEXT_EXPERIMENT, experiment_key},
    transaction::Rows,
};
use crate::error::{Error, ErrorKind, Result};

impl Registry {
    /// The experiment called `name`, created if it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that is empty or too long.
    pub fn experiment(&self, name: &str) -> Result<Experiment> {
        names::check_name("experiment", name)?;
        let existing = |experiments: Vec<Experiment>| {
            experiments.into_iter().find(|experiment| experiment.name == name)
        };
        if let Some(experiment) = existing(self.experiments()?) {
            return Ok(experiment);
        }
        let created_ms = clock::now_ms();
        self.database.write(|txn| {
            // Another process may have made it since.
            if let Some(experiment) = existing(all(txn)?) {
                return Ok(experiment);
            }
            let number = txn.counter(NEXT_EXPERIMENT)?;
            let stored = StoredExperiment { name: name.to_owned(), created_ms };
            txn.put(EXPERIMENTS, &experiment_key(number), &stored)?;
            txn.set_counter(NEXT_EXPERIMENT, number + 1)?;
            Ok(stored.into_experiment(number))
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

    /// Every experiment, oldest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn experiments(&self) -> Result<Vec<Experiment>> {
        self.database.read(all)
    }
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

/// The number in an experiment id, once that experiment exists.
pub(super) fn existing_number(txn: &impl Rows, experiment_id: &str) -> Result<u64, Fault> {
    let number = experiment_number(experiment_id)?;
    if txn.get_raw(EXPERIMENTS, &experiment_key(number))?.is_none() {
        return Err(Fault::Ours(
            Error::new(
                ErrorKind::NotFound,
                format!("experiment id {experiment_id:?} does not exist"),
            )
            .with_hint("`Registry::experiment` finds or makes one by name"),
        ));
    }
    Ok(number)
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
