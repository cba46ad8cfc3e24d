//! Registered models with their versions, taken over whole from another registry: numbers, stages,
//! aliases and times as they were there. A model has one version in Production here too, and one that
//! serves already keeps its place.

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    models::new_model,
    names,
    record::{ModelVersion, RegisteredModel, Stage, StageChange},
    registered::{existing_model, newest_in},
    registering::take_from_run,
    runs,
    stored::{StoredModel, StoredRun},
    tables::{MODELS, RUNS, VERSIONS, run_key, version_key},
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::error::Result;

/// A registered model with all its versions.
#[derive(Debug, Clone)]
pub(crate) struct WholeModel {
    /// The model.
    pub(crate) model: RegisteredModel,
    /// Its versions, oldest first, each with the stage it had.
    pub(crate) versions: Vec<ModelVersion>,
    /// The highest number that was given, also to a version that is deleted.
    pub(crate) highest: u32,
}

/// The outcome for a registered model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TakenModel {
    /// True if the model was not here.
    pub(crate) is_new: bool,
    /// The numbers of the versions that were not here.
    pub(crate) versions: Vec<u32>,
    /// A thing that was not taken, and the reason.
    pub(crate) left: Vec<(String, String)>,
}

impl Registry {
    /// The highest version number that a model has given, also to a version that is deleted; 0 for
    /// none.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the model does not exist.
    pub(crate) fn highest_version(&self, model: &str) -> Result<u32> {
        let stored = self.database.read(|txn| existing_model(txn, model))?;
        Ok(stored.next_version.saturating_sub(1))
    }

    /// Writes a model and those of its versions that are not here, in one transaction. A version is
    /// here already if one with its number has its run and its time.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name that cannot be used,
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for a file that is not in the store.
    pub(crate) fn take_model(&self, from: &WholeModel, origin: &str) -> Result<TakenModel> {
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            let name = from.model.name.as_str();
            let mut taken = TakenModel::default();
            let present = txn.get::<StoredModel>(MODELS, name.as_bytes())?;
            taken.is_new = present.is_none();
            let mut stored = match present {
                Some(stored) => stored,
                None => {
                    names::check_model_name(name)?;
                    StoredModel {
                        updated_ms: from.model.updated_ms,
                        description: from.model.description.clone(),
                        ..new_model(from.model.created_ms)
                    }
                }
            };
            let first_free = stored.next_version;
            for version in &from.versions {
                let key = version_key(name, version.version);
                if let Some(present) = txn.get::<ModelVersion>(VERSIONS, &key)? {
                    if !is_same(&present, version) {
                        taken.leave(version, "another version has this number here");
                    }
                } else if version.version < first_free {
                    taken.leave(version, "a version that was deleted here had this number");
                } else {
                    self.take_version(txn, version, origin, &mut taken)?;
                }
            }
            take_tags(&mut stored, from, &mut taken);
            take_aliases(txn, &mut stored, from, &mut taken)?;
            stored.next_version = stored.next_version.max(from.highest.saturating_add(1));
            txn.put(MODELS, name.as_bytes(), &stored)?;
            if taken.is_new {
                let details = json!({"from": origin});
                audit::append(txn, &self.event(AuditAction::Import, name, now_ms, details))?;
            }
            Ok(taken)
        })
    }

    fn take_version(
        &self,
        txn: &WriteTxn,
        from: &ModelVersion,
        origin: &str,
        taken: &mut TakenModel,
    ) -> Result<(), Fault> {
        let now_ms = clock::now_ms();
        let mut version = from.clone();
        version.files.iter().try_for_each(|file| self.require_file(file))?;
        if !version.run_id.is_empty() {
            let run = txn.get::<StoredRun>(RUNS, &run_key(&version.run_id)?)?;
            let run = run.ok_or_else(|| runs::unknown(&version.run_id))?;
            if version.lineage.code_version.is_empty() {
                take_from_run(&mut version.metrics, &mut version.lineage, &run);
            }
        }
        version.tags.retain(|key, value| match names::check_model_tag(key, value) {
            Ok(()) => true,
            Err(error) => {
                taken.leave(from, &error.to_string());
                false
            }
        });
        if version.stage == Stage::Production
            && let Some(other) = newest_in(txn, &version.model, Stage::Production)?
        {
            // Versions come oldest first: the newest one of the other store is the one that serves.
            if taken.versions.contains(&other.version) {
                let why = format!("comes as Archived: version {} is newer", version.version);
                taken.leave(&other, &why);
                let mut other = other;
                move_to(&mut other, Stage::Archived, origin, now_ms);
                txn.put(VERSIONS, &version_key(&other.model, other.version), &other)?;
            } else {
                let why = format!(
                    "comes with the stage None: version {} is in Production here",
                    other.version
                );
                taken.leave(from, &why);
                version.stage = Stage::None;
            }
        }
        let stage = version.stage;
        version.stage = Stage::None;
        version.history = Vec::new();
        if stage != Stage::None {
            // The time of the move is not kept there: no later than the last change.
            let moved_ms = version.updated_ms();
            move_to(&mut version, stage, origin, moved_ms);
        }
        txn.put(VERSIONS, &version_key(&version.model, version.version), &version)?;
        taken.versions.push(version.version);
        let details = json!({"from": origin, "run_id": version.run_id, "stage": stage});
        let subject = version.reference().to_string();
        audit::append(txn, &self.event(AuditAction::Import, &subject, now_ms, details))
    }
}

impl TakenModel {
    fn leave(&mut self, version: &ModelVersion, why: &str) {
        self.left.push((version.reference().to_string(), why.to_owned()));
    }
}

fn is_same(present: &ModelVersion, from: &ModelVersion) -> bool {
    (present.created_ms, &present.run_id) == (from.created_ms, &from.run_id)
}

fn move_to(version: &mut ModelVersion, to: Stage, origin: &str, at_ms: i64) {
    let note = format!("imported from {origin}");
    version.history.push(StageChange { from: version.stage, to, at_ms, note });
    version.stage = to;
}

fn take_tags(stored: &mut StoredModel, from: &WholeModel, taken: &mut TakenModel) {
    for (key, value) in &from.model.tags {
        match names::check_model_tag(key, value) {
            Ok(()) => drop(stored.tags.entry(key.clone()).or_insert_with(|| value.clone())),
            Err(error) => taken.left.push((from.model.name.clone(), error.to_string())),
        }
    }
}

fn take_aliases(
    txn: &WriteTxn,
    stored: &mut StoredModel,
    from: &WholeModel,
    taken: &mut TakenModel,
) -> Result<(), Fault> {
    let name = &from.model.name;
    for (alias, number) in &from.model.aliases {
        let why = match stored.aliases.get(alias) {
            Some(present) if present == number => continue,
            Some(present) => format!("the alias points at version {present} here"),
            None if txn.get_raw(VERSIONS, &version_key(name, *number))?.is_none() => {
                format!("version {number} is not here")
            }
            None => match names::check_alias(alias) {
                Ok(()) => {
                    stored.aliases.insert(alias.clone(), *number);
                    continue;
                }
                Err(error) => error.to_string(),
            },
        };
        taken.left.push((format!("{name}@{alias}"), why));
    }
    Ok(())
}
