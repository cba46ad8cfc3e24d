//! `store gc`: removing for good what was deleted, and artifact files that nothing names.
//!
//! A file that another process has written but not yet named is in no danger. Files are removed only
//! under the write transaction, and whoever names a file looks, under its own write transaction,
//! whether it is still there, and writes it again if not. Temporary files are left alone for an
//! hour, far longer than writing one takes.

use std::{collections::BTreeSet, time::SystemTime};

use serde_json::json;

use super::{
    Registry,
    artifact_files::{Stored, remove_path, stale_in},
    audit::{self, AuditAction, STORE},
    clock,
    fault::Fault,
    logged_model::StoredLoggedModel,
    record::ModelVersion,
    stored::StoredRun,
    tables::{ARTIFACTS, LOGGED_MODELS, METRICS, RUNS, VERSIONS, run_key},
    transaction::{Rows, RowsMut as _},
    upkeep::Collection,
    verify::{Named, named_artifacts},
};
use crate::{error::Result, figure::hex};

impl Registry {
    /// Removes deleted runs, with their metrics and artifacts, and artifact files that nothing
    /// names; with `dry_run` only says what it would remove. A deleted run stays as long as a
    /// model version came from it.
    ///
    /// # Errors
    /// When the system refuses to read or remove.
    pub fn gc(&self, dry_run: bool) -> Result<Collection> {
        let at_ms = clock::now_ms();
        let listing = self.files.list()?;
        let unnamed = |named: Named| -> Vec<Stored> {
            let artifacts = listing.iter();
            artifacts.filter(|stored| !named.contains_key(&stored.sha256)).cloned().collect()
        };
        if dry_run {
            return self.database.read(|txn| {
                let runs = collectable(txn)?;
                let owners = runs.iter().cloned().chain(deleted_models(txn)?).collect();
                let files = unnamed(named_artifacts(txn, &owners)?);
                Ok(summary(runs.len(), &files))
            });
        }
        // The rows first, in their own transaction: a crash after it leaves files without names,
        // for the next collection; the other way round it would leave names without files.
        let n_runs = self.database.write(|txn| {
            let runs = collectable(txn)?;
            for model in deleted_models(txn)? {
                txn.remove_all(ARTIFACTS, &model)?;
                txn.remove(LOGGED_MODELS, &model)?;
            }
            for run in &runs {
                txn.remove_all(METRICS, run)?;
                txn.remove_all(ARTIFACTS, run)?;
                txn.remove(RUNS, run)?;
            }
            if !runs.is_empty() {
                let run_ids: Vec<String> = runs.iter().map(|run| hex(run)).collect();
                let details = json!({"run_ids": run_ids});
                audit::append(txn, &self.event(AuditAction::Collect, STORE, at_ms, details))?;
            }
            Ok(runs.len())
        })?;
        self.database.write(|txn| {
            let files = unnamed(named_artifacts(txn, &BTreeSet::new())?);
            self.files.remove(&files)?;
            files.iter().for_each(|stored| txn.remove_content(&stored.sha256));
            self.files.sweep()?;
            let stale = stale_in(self.store().root(), SystemTime::now())?;
            stale.iter().try_for_each(|path| remove_path(path))?;
            Ok(summary(n_runs, &files))
        })
    }
}

/// Runs that are deleted and that no model version came from.
fn collectable(txn: &impl Rows) -> Result<BTreeSet<Vec<u8>>, Fault> {
    let mut kept = BTreeSet::new();
    for (_, version) in txn.all::<ModelVersion>(VERSIONS, &[])? {
        // A client's version may come from no run.
        kept.extend(run_key(&version.run_id).ok().map(|run| run.to_vec()));
    }
    let runs = txn.all::<StoredRun>(RUNS, &[])?;
    let deleted = runs.into_iter().filter(|(key, run)| run.deleted && !kept.contains(key));
    Ok(deleted.map(|(key, _)| key).collect())
}

/// The keys of logged models that are deleted.
fn deleted_models(txn: &impl Rows) -> Result<Vec<Vec<u8>>, Fault> {
    let models = txn.all::<StoredLoggedModel>(LOGGED_MODELS, &[])?;
    let deleted = models.into_iter().filter(|(_, StoredLoggedModel(model))| model.deleted);
    Ok(deleted.map(|(key, _)| key).collect())
}

fn summary(n_runs: usize, files: &[Stored]) -> Collection {
    Collection {
        n_runs,
        n_artifacts: files.len(),
        n_bytes: files.iter().map(|stored| stored.size_bytes).sum(),
    }
}
