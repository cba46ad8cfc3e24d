//! Registered models and versions as clients of a server make and change them: what is not their
//! stages, aliases and tags.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    models::new_model,
    names,
    record::{Artifact, Lineage, ModelVersion, NewVersion, RegisteredModel},
    registered::{all, existing, existing_model},
    registration::Registration,
    tables::{MODELS, VERSIONS, version_key, versions_prefix},
    transaction::Rows,
};
use crate::error::{Error, ErrorKind, Result};

/// Longest description, in characters: MLflow's limit.
const MAX_DESCRIPTION_CHARS: usize = 5_000;

/// What a client registers a version with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registering {
    /// The registered model, which must be there.
    pub model: String,
    /// The run that made it; empty where none is known.
    pub run_id: String,
    /// The model's files, if this store has them; the names are those inside the model folder.
    pub files: Vec<Artifact>,
    /// Metrics of the run.
    pub metrics: BTreeMap<String, f64>,
    /// Where it came from.
    pub lineage: Lineage,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
    /// What is said of it.
    pub registration: Registration,
}

impl Registry {
    /// Makes a registered model with a description and tags.
    ///
    /// # Errors
    /// As [`Registry::create_model`], and [`ErrorKind::Invalid`] for texts beyond the limits.
    pub fn create_described_model(
        &self,
        name: &str,
        description: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<RegisteredModel> {
        names::check_model_name(name)?;
        names::check_text("the description", description, MAX_DESCRIPTION_CHARS)?;
        tags.iter().try_for_each(|(key, value)| names::check_model_tag(key, value))?;
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            if txn.get_raw(MODELS, name.as_bytes())?.is_some() {
                return Err(taken(name));
            }
            let mut model = new_model(now_ms);
            description.clone_into(&mut model.description);
            model.tags.clone_from(tags);
            txn.put(MODELS, name.as_bytes(), &model)?;
            audit::append(txn, &self.event(AuditAction::Create, name, now_ms, json!({})))?;
            Ok(model.into_model(name.to_owned()))
        })
    }

    /// Gives a model another name, with all its versions.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Conflict`] if the new name is taken,
    /// [`ErrorKind::Invalid`] if it cannot be used.
    pub fn rename_model(&self, name: &str, new_name: &str) -> Result<RegisteredModel> {
        names::check_model_name(new_name)?;
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            let mut model = existing_model(txn, name)?;
            if txn.get_raw(MODELS, new_name.as_bytes())?.is_some() {
                return Err(taken(new_name));
            }
            for mut version in all(txn, name)? {
                new_name.clone_into(&mut version.model);
                txn.put(VERSIONS, &version_key(new_name, version.version), &version)?;
            }
            txn.remove_all(VERSIONS, &versions_prefix(name))?;
            txn.remove(MODELS, name.as_bytes())?;
            model.updated_ms = now_ms;
            txn.put(MODELS, new_name.as_bytes(), &model)?;
            let details = json!({"from": name, "to": new_name});
            audit::append(txn, &self.event(AuditAction::Rename, new_name, now_ms, details))?;
            Ok(model.into_model(new_name.to_owned()))
        })
    }

    /// Describes a model or one of its versions.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Invalid`] for a description that is too long.
    pub fn describe_model(
        &self,
        name: &str,
        version: Option<u32>,
        description: &str,
    ) -> Result<()> {
        names::check_text("the description", description, MAX_DESCRIPTION_CHARS)?;
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            let mut model = existing_model(txn, name)?;
            model.updated_ms = now_ms;
            let subject = match version {
                None => {
                    description.clone_into(&mut model.description);
                    name.to_owned()
                }
                Some(number) => {
                    let mut version = existing(txn, name, number)?;
                    let registration = version.registration.get_or_insert_default();
                    description.clone_into(&mut registration.description);
                    registration.updated_ms = now_ms;
                    txn.put(VERSIONS, &version_key(name, number), &version)?;
                    version.reference().to_string()
                }
            };
            txn.put(MODELS, name.as_bytes(), &model)?;
            let details = json!({"description": description});
            audit::append(txn, &self.event(AuditAction::Update, &subject, now_ms, details))
        })
    }

    /// Registers the next version of a model that is there.
    ///
    /// # Errors
    /// As [`Registry::create_version`], and [`ErrorKind::NotFound`] if there is no such model.
    pub fn register(&self, new: Registering) -> Result<ModelVersion> {
        let Registering { model, run_id, files, metrics, lineage, tags, registration } = new;
        tags.iter().try_for_each(|(key, value)| names::check_model_tag(key, value))?;
        let Registration { description, .. } = &registration;
        names::check_text("the description", description, MAX_DESCRIPTION_CHARS)?;
        let created_ms = clock::now_ms();
        let new = NewVersion { model, run_id, files, lineage, metrics, created_ms };
        let said = (tags, Registration { updated_ms: created_ms, ..registration });
        self.create_version_with(new, Some(said))
    }
}

fn taken(name: &str) -> Fault {
    Fault::Ours(Error::new(ErrorKind::Conflict, format!("model {name:?} exists already")))
}
