//! Checking a whole store: the database file, every record, what the records promise each other, and
//! the bytes of every artifact. Changes nothing of its own.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{
    Registry,
    artifact_place::FileCondition,
    audit::StoredEvent,
    codec::{self, Record},
    fault::Fault,
    flow::DatasetRecord,
    keys::ApiKey,
    logged_model::StoredLoggedModel,
    record::{Artifact, ModelVersion, Stage},
    release::Release,
    stored::{Counter, MetricBatch, StoredExperiment, StoredModel, StoredRun},
    tables::{
        ARTIFACTS, AUDIT, AUDIT_EVENTS, DATASETS, EXPERIMENTS, KEYS, LOGGED_MODELS, META, METRICS,
        MODELS, RELEASES, RUNS, RowTable, VERSIONS, audit_key, experiment_key, run_key,
    },
    transaction::{ReadTxn, Rows},
    upkeep::Verification,
};
use crate::{
    error::{ErrorKind, Result},
    figure::hex,
};

/// Every artifact that a record names: SHA-256 to length.
pub(super) type Named = BTreeMap<String, u64>;

impl Registry {
    /// Reads everything there is and compares it with what was written. Others may write meanwhile;
    /// they wait only while the database file is copied for its check.
    ///
    /// # Errors
    /// When the system refuses to read. Damage is not an error: it is what the result tells.
    pub fn verify(&self) -> Result<Verification> {
        // Files first, names second: then a file without a name is an orphan or is being written.
        let listing = self.files.list()?;
        let mut problems = Vec::new();
        let checked = self.database.check_file();
        let inspected = self.database.read(|txn| inspect(txn, &mut problems));
        let mut database_valid = match checked {
            Err(error) if error.kind() == ErrorKind::Corrupt => false,
            checked => checked?,
        };
        let named = match inspected {
            Ok((named, records_valid)) => {
                database_valid &= records_valid;
                named
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                problems.push(error.chain());
                return Ok(Verification { problems, ..Verification::default() });
            }
            Err(error) => return Err(error),
        };

        problems.extend(self.database.check_marker()?);
        let checked: Vec<(String, FileCondition)> = named
            .par_iter()
            .map(|(sha256, size_bytes)| {
                Ok((sha256.clone(), self.files.inspect(sha256, *size_bytes)?))
            })
            .collect::<Result<_>>()?;
        let with = |wanted: FileCondition| {
            let found = checked.iter().filter(move |(_, condition)| *condition == wanted);
            found.map(|(sha256, _)| sha256.clone())
        };
        let orphaned = listing.into_iter().map(|stored| stored.sha256);
        Ok(Verification {
            n_valid: with(FileCondition::Valid).count(),
            corrupt: with(FileCondition::Corrupt).collect(),
            missing: with(FileCondition::Missing).collect(),
            orphaned: orphaned.filter(|sha256| !named.contains_key(sha256)).collect(),
            database_valid,
            problems,
        })
    }
}

/// Every artifact that a run (unless `leave_out` holds it) or a model version names.
pub(super) fn named_artifacts(
    txn: &impl Rows,
    leave_out: &BTreeSet<Vec<u8>>,
) -> Result<Named, Fault> {
    let mut named = Named::new();
    txn.scan(ARTIFACTS, &[], |key, bytes| {
        let artifact: Artifact = codec::unseal(key, bytes)?;
        if !key.get(..16).is_some_and(|run| leave_out.contains(run)) {
            named.insert(artifact.sha256, artifact.size_bytes);
        }
        Ok(())
    })?;
    for (_, version) in txn.all::<ModelVersion>(VERSIONS, &[])? {
        named.extend(version.files.into_iter().map(|file| (file.sha256, file.size_bytes)));
    }
    Ok(named)
}

/// Reads every record. What is wrong goes to `problems`; false if a record cannot be read.
fn inspect(txn: &ReadTxn, problems: &mut Vec<String>) -> Result<(Named, bool), Fault> {
    let mut n_damaged = 0;
    let mut note = |problem: String| {
        n_damaged += 1;
        problems.push(problem);
    };
    readable::<Counter>(txn, META, &mut note)?;
    readable::<StoredExperiment>(txn, EXPERIMENTS, &mut note)?;
    readable::<MetricBatch>(txn, METRICS, &mut note)?;
    let runs = readable::<StoredRun>(txn, RUNS, &mut note)?;
    let artifacts = readable::<Artifact>(txn, ARTIFACTS, &mut note)?;
    let models = readable::<StoredModel>(txn, MODELS, &mut note)?;
    let versions = readable::<ModelVersion>(txn, VERSIONS, &mut note)?;
    readable::<StoredLoggedModel>(txn, LOGGED_MODELS, &mut note)?;
    readable::<DatasetRecord>(txn, DATASETS, &mut note)?;
    readable::<ApiKey>(txn, KEYS, &mut note)?;
    let releases = readable::<Release>(txn, RELEASES, &mut note)?;
    let events = readable::<StoredEvent>(txn, AUDIT, &mut note)?;
    let records_valid = n_damaged == 0;

    // Events are never removed: a number that is missing was taken out by other means.
    let n_events = txn.counter(AUDIT_EVENTS)?;
    let is_whole = events.iter().zip(1..).all(|((key, _), number)| **key == audit_key(number))
        && events.len() as u64 == n_events;
    if records_valid && !is_whole {
        let found = events.len();
        problems.push(format!("the audit trail has {found} of {n_events} events"));
    }

    for (key, run) in &runs {
        if txn.get_raw(EXPERIMENTS, &experiment_key(run.experiment))?.is_none() {
            let experiment = run.experiment;
            problems.push(format!("run {} belongs to no experiment: {experiment}", hex(key)));
        }
    }
    for (key, artifact) in &artifacts {
        let owner = key.get(..16).unwrap_or_default();
        let is_owned =
            txn.get_raw(RUNS, owner)?.is_some() || txn.get_raw(LOGGED_MODELS, owner)?.is_some();
        if !is_owned {
            problems.push(format!(
                "artifact {:?} belongs to no run: {}",
                artifact.path,
                hex(owner)
            ));
        }
    }
    let mut in_production: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, version) in &versions {
        let ModelVersion { model, version: number, .. } = version;
        if txn.get_raw(MODELS, model.as_bytes())?.is_none() {
            problems.push(format!("version {number} belongs to no model: {model:?}"));
        }
        let run = run_key(&version.run_id).ok();
        let has_run = run.map(|run| txn.get_raw(RUNS, &run)).transpose()?.flatten().is_some();
        let needs_run = version.registration.is_none() || !version.run_id.is_empty();
        if needs_run && !has_run {
            let run_id = &version.run_id;
            problems.push(format!("version {number} of model {model:?} has no run: {run_id}"));
        }
        if version.stage == Stage::Production
            && let Some(other) = in_production.insert(model, *number)
        {
            problems
                .push(format!("model {model:?} has two Production versions: {other}, {number}"));
        }
    }
    for (key, model) in &models {
        let name = String::from_utf8_lossy(key);
        for (alias, target) in &model.aliases {
            let exists = versions.iter().any(|(_, v)| v.model == name && v.version == *target);
            if !exists {
                problems.push(format!("alias {name}@{alias} points at no version: {target}"));
            }
        }
    }

    let mut running: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, release) in &releases {
        let Release { model, number, .. } = release;
        if txn.get_raw(MODELS, model.as_bytes())?.is_none() {
            problems.push(format!("release {number} belongs to no model: {model:?}"));
        }
        if release.is_running()
            && let Some(other) = running.insert(model, *number)
        {
            problems.push(format!("model {model:?} has two running releases: {other}, {number}"));
        }
    }

    let files = versions.into_iter().flat_map(|(_, version)| version.files);
    let artifacts = artifacts.into_iter().map(|(_, artifact)| artifact).chain(files);
    let named = artifacts.map(|artifact| (artifact.sha256, artifact.size_bytes)).collect();
    Ok((named, records_valid))
}

/// The records of a table that can be read; `note` is told of the others.
fn readable<R: Record>(
    txn: &ReadTxn,
    table: RowTable,
    note: &mut impl FnMut(String),
) -> Result<Vec<(Vec<u8>, R)>, Fault> {
    let mut records = Vec::new();
    txn.scan(table, &[], |key, bytes| {
        match codec::unseal(key, bytes) {
            Ok(record) => records.push((key.to_vec(), record)),
            Err(error) => note(error.to_string()),
        }
        Ok(())
    })?;
    Ok(records)
}
