//! Model versions: registered with their files and lineage, found by reference, loaded with proof.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    models::new_model,
    names,
    record::{Artifact, ModelVersion, NewVersion, Stage},
    registered::{all, existing, existing_model, missing, newest_in, unknown_alias},
    registration::Registration,
    runs,
    stored::StoredModel,
    tables::{MODELS, RUNS, VERSIONS, run_key, version_key},
    transaction::Rows,
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::ModelFiles,
};

/// What MLflow puts in front of a reference.
const SCHEME: &str = "models:/";

impl Registry {
    /// The next version of `new.model`, which is created if it does not exist; refused unless every
    /// artifact lies in the store.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a run that does not exist, [`ErrorKind::Corrupt`] for a file
    /// that is not in the store, [`ErrorKind::Invalid`] for names that cannot be used or no files.
    pub fn create_version(&self, new: NewVersion) -> Result<ModelVersion> {
        self.create_version_with(new, None)
    }

    /// As [`Registry::create_version`]; with tags and a registration it is a client's, of a model that
    /// must be there, and an event in the audit trail.
    pub(super) fn create_version_with(
        &self,
        new: NewVersion,
        said: Option<(BTreeMap<String, String>, Registration)>,
    ) -> Result<ModelVersion> {
        check_new(&new, said.is_some())?;
        let run = match new.run_id.as_str() {
            "" if said.is_some() => None,
            run_id => Some(run_key(run_id)?),
        };
        // Proved before the transaction: others need not wait while large files are read.
        new.files.iter().try_for_each(|file| self.artifact_path(file).map(drop))?;
        self.write_models(|txn| {
            if let Some(run) = run {
                txn.get_raw(RUNS, &run)?.ok_or_else(|| runs::unknown(&new.run_id))?;
            }
            if let Some(file) =
                new.files.iter().find(|file| !self.files.contains(&file.sha256, file.size_bytes))
            {
                return Err(Fault::Ours(Error::new(
                    ErrorKind::Corrupt,
                    format!("{}: artifact {} is missing from the store", file.path, file.sha256),
                )));
            }
            let mut model = match txn.get::<StoredModel>(MODELS, new.model.as_bytes())? {
                Some(model) => model,
                None if said.is_some() => existing_model(txn, &new.model)?,
                None => {
                    names::check_model_name(&new.model).map_err(Fault::Ours)?;
                    new_model(new.created_ms)
                }
            };
            let (tags, registration) = match said {
                Some((tags, registration)) => (tags, Some(registration)),
                None => (BTreeMap::new(), None),
            };
            let version = ModelVersion {
                model: new.model,
                version: model.next_version,
                stage: Stage::None,
                run_id: new.run_id,
                created_ms: new.created_ms,
                files: new.files,
                lineage: new.lineage,
                metrics: new.metrics,
                tags,
                verdict: None,
                history: Vec::new(),
                registration,
            };
            model.next_version += 1;
            model.updated_ms = version.created_ms;
            txn.put(MODELS, version.model.as_bytes(), &model)?;
            txn.put(VERSIONS, &version_key(&version.model, version.version), &version)?;
            if let Some(registration) = &version.registration {
                let details = json!({"run_id": version.run_id, "source": registration.source});
                let (subject, at_ms) = (version.reference(), version.created_ms);
                let event = self.event(AuditAction::Register, &subject, at_ms, details);
                audit::append(txn, &event)?;
            }
            Ok(version)
        })
    }

    /// Every version of a model, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the model does not exist.
    pub fn versions(&self, model: &str) -> Result<Vec<ModelVersion>> {
        self.database.read(|txn| {
            existing_model(txn, model)?;
            all(txn, model)
        })
    }

    /// What each run's version is called, such as `Reviews/3`, by the run's id; the newest where a
    /// run has several.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn versions_by_run(&self) -> Result<BTreeMap<String, String>> {
        let mut names = BTreeMap::new();
        for model in self.models()? {
            for version in self.versions(&model.name)? {
                names.insert(version.run_id, format!("{}/{}", version.model, version.version));
            }
        }
        Ok(names)
    }

    /// One version of a model.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the versions there are.
    pub fn version(&self, model: &str, version: u32) -> Result<ModelVersion> {
        self.database.read(|txn| {
            existing_model(txn, model)?;
            existing(txn, model, version)
        })
    }

    /// The version that is in Production, if one is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the model does not exist.
    pub fn production(&self, model: &str) -> Result<Option<ModelVersion>> {
        self.database.read(|txn| {
            existing_model(txn, model)?;
            newest_in(txn, model, Stage::Production)
        })
    }

    /// `NAME/3`, `NAME/Production`, `NAME/Staging`, `NAME/latest`, `NAME@alias` or `NAME`
    /// (Production, else the newest), each also with `models:/` in front. A stage that holds
    /// several versions gives the newest.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with what there is instead.
    pub fn resolve(&self, reference: &str) -> Result<ModelVersion> {
        let plain = reference.strip_prefix(SCHEME).unwrap_or(reference);
        self.database.read(|txn| {
            if let Some((model, alias)) = plain.split_once('@') {
                let stored = existing_model(txn, model)?;
                let number = stored.aliases.get(alias).copied();
                let number = number.ok_or_else(|| unknown_alias(model, alias, &stored))?;
                return existing(txn, model, number);
            }
            let (model, part) = match plain.split_once('/') {
                Some((model, part)) => (model, Some(part)),
                None => (plain, None),
            };
            existing_model(txn, model)?;
            let (found, wanted) = match part {
                None => {
                    let found = match newest_in(txn, model, Stage::Production)? {
                        Some(version) => Some(version),
                        None => all(txn, model)?.pop(),
                    };
                    (found, "no version".to_owned())
                }
                Some(part) if part.eq_ignore_ascii_case("latest") => {
                    (all(txn, model)?.pop(), "no version".to_owned())
                }
                Some(part) => match part.parse::<u32>() {
                    Ok(number) => return existing(txn, model, number),
                    Err(_) => {
                        let stage: Stage = part.parse().map_err(|_| malformed(reference))?;
                        (newest_in(txn, model, stage)?, format!("no version in {stage}"))
                    }
                },
            };
            match found {
                Some(version) => Ok(version),
                None => Err(missing(txn, model, &wanted)?),
            }
        })
    }

    /// Stores a gate's verdict with the version; the newest one counts.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the version does not exist.
    pub fn set_verdict(&self, model: &str, version: u32, verdict: Value) -> Result<()> {
        let at_ms = clock::now_ms();
        self.write_models(|txn| {
            existing_model(txn, model)?;
            let mut stored = existing(txn, model, version)?;
            audit::append(
                txn,
                &self.event(AuditAction::Gate, &stored.reference(), at_ms, verdict.clone()),
            )?;
            stored.verdict = Some(verdict);
            txn.put(VERSIONS, &version_key(model, version), &stored)
        })
    }

    /// A version's files for `model::load`, after every checksum was proved.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a file's bytes are not those that were written, or not there.
    pub fn model_files(&self, version: &ModelVersion) -> Result<ModelFiles> {
        let prove = |file: &Artifact| Ok((file.path.clone(), self.artifact_path(file)?));
        let files = version.files.iter().map(prove).collect::<Result<BTreeMap<_, _>>>();
        files.map(ModelFiles::new).map_err(|error| {
            error.with_context(format!("model {:?} version {}", version.model, version.version))
        })
    }
}

fn check_new(new: &NewVersion, is_clients: bool) -> Result<()> {
    names::check_known_model_name(&new.model)?;
    // A client's files may lie elsewhere.
    if new.files.is_empty() && !is_clients {
        return Err(Error::invalid(format!("a version of model {:?} needs files", new.model))
            .with_hint("log the saved model as artifacts of its run first"));
    }
    let mut paths = BTreeSet::new();
    for file in &new.files {
        names::check_artifact_path(&file.path)?;
        if !paths.insert(&file.path) {
            return Err(Error::invalid(format!("the model file {:?} comes twice", file.path)));
        }
    }
    new.metrics.keys().try_for_each(|key| names::check_key("metric", key))
}

fn malformed(reference: &str) -> Error {
    Error::invalid(format!("{reference:?} names no model version"))
        .with_hint("write NAME, NAME/3, NAME/Production, NAME/latest or NAME@alias")
}
