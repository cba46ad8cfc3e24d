//! The inputs and outputs of a run, told while it runs: datasets, logged models.

use std::collections::BTreeMap;

use super::{
    Registry,
    fault::Fault,
    flow::{CONTEXT_TAG, DatasetRecord, RunDataset, RunFlow},
    logged_model::StoredLoggedModel,
    logged_models::{model_key, unknown_model},
    names,
    stored::StoredRun,
    tables::{DATASETS, LOGGED_MODELS, RUNS, dataset_key},
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::error::{Error, Result};

/// MLflow's limits, in characters.
const MAX_DATASET_NAME_CHARS: usize = 500;
const MAX_DIGEST_CHARS: usize = 36;
const MAX_SOURCE_CHARS: usize = 65_535;
const MAX_SCHEMA_CHARS: usize = 1_048_575;
const MAX_PROFILE_CHARS: usize = 16_777_215;

/// A dataset as runs of an experiment used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetUse {
    /// The experiment of the runs.
    pub experiment_id: String,
    /// The dataset's name.
    pub name: String,
    /// The digest by which its content is known.
    pub digest: String,
    /// The use that was made of it, such as `training`.
    pub context: Option<String>,
}

impl Registry {
    /// Adds datasets, each with the tags that say what it was read for, and logged models to what a
    /// run read. What was told before stays as it is.
    ///
    /// # Errors
    /// As [`Registry::log`], and [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a model that
    /// does not exist; then nothing is added.
    pub fn log_inputs(
        &self,
        run_id: &str,
        datasets: &[(DatasetRecord, BTreeMap<String, String>)],
        models: &[String],
    ) -> Result<()> {
        datasets.iter().try_for_each(|(dataset, tags)| check_dataset(dataset, tags))?;
        self.change_run(run_id, |txn, _, run| {
            for (dataset, tags) in datasets {
                let DatasetRecord { name, digest, .. } = dataset;
                let key = dataset_key(run.experiment, name, digest);
                if txn.get_raw(DATASETS, &key)?.is_none() {
                    txn.put(DATASETS, &key, dataset)?;
                }
                let input =
                    RunDataset { name: name.clone(), digest: digest.clone(), tags: tags.clone() };
                // Clients tell of a dataset again, without its tags, when they log a metric on it.
                let is_told = run.flow.datasets.iter().any(|told| {
                    let is_same = (&told.name, &told.digest) == (name, digest);
                    is_same && (tags.is_empty() || told.tags == *tags)
                });
                if !is_told {
                    run.flow.datasets.push(input);
                }
            }
            for model_id in models {
                existing_model(txn, model_id)?;
                if !run.flow.model_inputs.contains(model_id) {
                    run.flow.model_inputs.push(model_id.clone());
                }
            }
            Ok(())
        })
    }

    /// Adds logged models, each with its step, to what a run made.
    ///
    /// # Errors
    /// As [`Registry::log_inputs`].
    pub fn log_outputs(&self, run_id: &str, models: &[(String, i64)]) -> Result<()> {
        self.change_run(run_id, |txn, _, run| {
            for output in models {
                existing_model(txn, &output.0)?;
                if !run.flow.model_outputs.contains(output) {
                    run.flow.model_outputs.push(output.clone());
                }
            }
            Ok(())
        })
    }

    /// The records of the datasets of runs, in the order of each run's `flow`.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn datasets_of(&self, flows: &[(&str, &RunFlow)]) -> Result<Vec<Vec<DatasetRecord>>> {
        if flows.iter().all(|(_, flow)| flow.datasets.is_empty()) {
            return Ok(vec![Vec::new(); flows.len()]);
        }
        self.database.read(|txn| {
            let of_run = |(experiment_id, flow): &(&str, &RunFlow)| {
                let number = super::experiments::experiment_number(experiment_id)?;
                let of_input = |input: &RunDataset| {
                    let key = dataset_key(number, &input.name, &input.digest);
                    let found = txn.get::<DatasetRecord>(DATASETS, &key)?;
                    // Known by its name alone where its row was left out of an old backup.
                    Ok(found.unwrap_or_else(|| DatasetRecord {
                        name: input.name.clone(),
                        digest: input.digest.clone(),
                        ..DatasetRecord::default()
                    }))
                };
                flow.datasets.iter().map(of_input).collect::<Result<_, Fault>>()
            };
            flows.iter().map(of_run).collect()
        })
    }

    /// The datasets that the runs of experiments have read, each use once.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn datasets_read_in(&self, experiment_ids: &[String]) -> Result<Vec<DatasetUse>> {
        let mut found: Vec<DatasetUse> = Vec::new();
        self.database.read(|txn| {
            for (_, run) in txn.all::<StoredRun>(RUNS, &[])? {
                let experiment_id = run.experiment.to_string();
                if run.deleted || !experiment_ids.contains(&experiment_id) {
                    continue;
                }
                for RunDataset { name, digest, mut tags } in run.flow.datasets {
                    let context = tags.remove(CONTEXT_TAG);
                    let experiment_id = experiment_id.clone();
                    let read = DatasetUse { experiment_id, name, digest, context };
                    if !found.contains(&read) {
                        found.push(read);
                    }
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}

fn check_dataset(dataset: &DatasetRecord, tags: &BTreeMap<String, String>) -> Result<()> {
    let DatasetRecord { name, digest, source, schema, profile, source_type } = dataset;
    for (what, value) in [("name", name), ("digest", digest), ("source_type", source_type)] {
        if value.is_empty() {
            return Err(Error::invalid(format!("the {what} of a dataset is empty")));
        }
    }
    names::check_text("the name of a dataset", name, MAX_DATASET_NAME_CHARS)?;
    names::check_text("the digest of a dataset", digest, MAX_DIGEST_CHARS)?;
    names::check_text("the source of a dataset", source, MAX_SOURCE_CHARS)?;
    names::check_text(
        "the schema of a dataset",
        schema.as_deref().unwrap_or_default(),
        MAX_SCHEMA_CHARS,
    )?;
    names::check_text(
        "the profile of a dataset",
        profile.as_deref().unwrap_or_default(),
        MAX_PROFILE_CHARS,
    )?;
    tags.iter().try_for_each(|(key, value)| names::check_tag(key, value))
}

fn existing_model(txn: &WriteTxn, model_id: &str) -> Result<(), Fault> {
    let key = model_key(model_id)?;
    match txn.get::<StoredLoggedModel>(LOGGED_MODELS, &key)? {
        Some(StoredLoggedModel(model)) if !model.deleted => Ok(()),
        _ => Err(unknown_model(model_id).into()),
    }
}
