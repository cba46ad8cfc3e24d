//! Registered models and versions as clients of a server make and change them: what is not their
//! stages, aliases and tags.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    flow::{CONTEXT_TAG, RunFlow},
    models::new_model,
    names,
    record::{Artifact, Lineage, ModelVersion, NewVersion, RegisteredModel},
    registered::{all, existing, existing_model},
    registration::Registration,
    releases,
    stored::StoredRun,
    tables::{MODELS, RUNS, VERSIONS, run_key, version_key, versions_prefix},
    transaction::{Rows, RowsMut as _},
};
use crate::error::{Error, ErrorKind, Result};

/// Longest description, in characters: MLflow's limit.
const MAX_DESCRIPTION_CHARS: usize = 5_000;

/// The contexts of datasets that a model is measured on.
const TEST_CONTEXTS: [&str; 5] = ["test", "testing", "eval", "evaluation", "validation"];

/// The metric that the gate judges by, and what clients call it.
const F1: &str = "f1";
const F1_NAMES: [&str; 3] = ["f1_score", "test_f1", "test_f1_score"];

/// A version that a client registers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRegistration {
    /// The registered model, which must be there.
    pub model: String,
    /// The run that made it; empty where none is known.
    pub run_id: String,
    /// The model's files, if this store has them; the names are those inside the model folder.
    pub files: Vec<Artifact>,
    /// Metrics, of a copy; those of the run are taken from there.
    pub metrics: BTreeMap<String, f64>,
    /// The lineage, of a copy.
    pub lineage: Lineage,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
    /// The words of whoever registers it.
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
            releases::rename(txn, name, new_name)?;
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
    pub fn register(&self, new: NewRegistration) -> Result<ModelVersion> {
        let NewRegistration { model, run_id, files, metrics, lineage, tags, registration } = new;
        tags.iter().try_for_each(|(key, value)| names::check_model_tag(key, value))?;
        let Registration { description, .. } = &registration;
        names::check_text("the description", description, MAX_DESCRIPTION_CHARS)?;
        let created_ms = clock::now_ms();
        let new = NewVersion { model, run_id, files, lineage, metrics, created_ms };
        let said = (tags, Registration { updated_ms: created_ms, ..registration });
        self.create_version_with(new, Some(said))
    }
}

impl Registry {
    /// A version that a client registered, with the metrics and the test dataset that its run has by
    /// now: clients measure before they register or after it. Other versions stay as they are.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the version does not exist.
    pub(crate) fn refresh_registered(&self, model: &str, number: u32) -> Result<ModelVersion> {
        let present = self.version(model, number)?;
        if !present.is_from_outside() || present.run_id.is_empty() {
            return Ok(present);
        }
        let run = run_key(&present.run_id)?;
        self.write_models(|txn| {
            existing_model(txn, model)?;
            let mut version = existing(txn, model, number)?;
            if let Some(stored) = txn.get::<StoredRun>(RUNS, &run)? {
                take_from_run(&mut version.metrics, &mut version.lineage, &stored);
                txn.put(VERSIONS, &version_key(model, number), &version)?;
            }
            Ok(version)
        })
    }
}

impl ModelVersion {
    /// True if a client of MLflow's made it: this program knows neither what it learnt nor how to ask
    /// it.
    pub fn is_from_outside(&self) -> bool {
        self.registration.is_some() && self.lineage.code_version.is_empty()
    }
}

/// Takes over the metrics of a stored run, and the dataset that they were measured on as far as it
/// tells.
pub(super) fn take_from_run(
    metrics: &mut BTreeMap<String, f64>,
    lineage: &mut Lineage,
    run: &StoredRun,
) {
    let measured = run.metrics.iter().map(|(key, latest)| (key.clone(), latest.value)).collect();
    take_measured(metrics, lineage, &measured, &run.flow);
}

/// Takes over what a run measured, and the dataset that it was measured on as far as its inputs tell.
pub(super) fn take_measured(
    metrics: &mut BTreeMap<String, f64>,
    lineage: &mut Lineage,
    measured: &BTreeMap<String, f64>,
    flow: &RunFlow,
) {
    metrics.extend(measured.iter().map(|(key, value)| (key.clone(), *value)));
    let other_name = F1_NAMES.iter().find_map(|name| measured.get(*name));
    if let (false, Some(f1)) = (measured.contains_key(F1), other_name) {
        metrics.insert(F1.to_owned(), *f1);
    }
    let measured_on = flow.datasets.iter().find(|dataset| {
        let context = dataset.tags.get(CONTEXT_TAG).map(|context| context.to_ascii_lowercase());
        context.is_some_and(|context| TEST_CONTEXTS.contains(&context.as_str()))
    });
    if let Some(dataset) = measured_on {
        lineage.dataset.clone_from(&dataset.name);
        // Never that of a split of ours, which is a SHA-256.
        lineage.test_fingerprint = format!("mlflow:{}:{}", dataset.name, dataset.digest);
    }
}

fn taken(name: &str) -> Fault {
    Fault::Ours(Error::new(ErrorKind::Conflict, format!("model {name:?} exists already")))
}
