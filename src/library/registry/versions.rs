//! Model versions: registered with their files and lineage, found by reference, loaded with proof.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Registry,
    artifact_files::Stored,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    models::new_model,
    names,
    record::{Artifact, ModelVersion, NewVersion, Stage},
    reference::{ModelReference, VersionSelector},
    registered::{all, existing, existing_model, missing, newest_in, unknown_alias},
    registering::take_from_run,
    registration::Registration,
    runs,
    stored::{StoredModel, StoredRun},
    tables::{MODELS, RUNS, VERSIONS, run_key, version_key},
    transaction::{Rows, RowsMut as _},
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::ModelFiles,
};

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
        mut new: NewVersion,
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
                let stored = txn.get::<StoredRun>(RUNS, &run)?;
                let stored = stored.ok_or_else(|| runs::unknown(&new.run_id))?;
                if said.is_some() && new.lineage.code_version.is_empty() {
                    take_from_run(&mut new.metrics, &mut new.lineage, &stored);
                }
            }
            if let Some(file) = self.absent(&new.files)? {
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
                let (subject, at_ms) = (version.reference().to_string(), version.created_ms);
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

    /// The reference of each run's version, such as `Reviews/3`, by the run's id; of the newest
    /// version where a run has several.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn versions_by_run(&self) -> Result<BTreeMap<String, String>> {
        let mut names = BTreeMap::new();
        for model in self.models()? {
            for version in self.versions(&model.name)? {
                let reference = version.reference().to_string();
                names.insert(version.run_id, reference);
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

    /// The version that a reference names. Everywhere in trialbook a `NAME` alone is its Production
    /// version or, while none is in Production, its newest version; a stage that holds several
    /// versions gives the newest. Servers alone go by another rule: they follow Production.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the versions and aliases there are.
    pub fn resolve(&self, reference: &ModelReference) -> Result<ModelVersion> {
        let ModelReference { model, version } = reference;
        self.database.read(|txn| {
            let stored = existing_model(txn, model)?;
            let (found, wanted) = match version {
                VersionSelector::Number(number) => return existing(txn, model, *number),
                VersionSelector::Alias(alias) => {
                    let number = stored.aliases.get(alias).copied();
                    let number = number.ok_or_else(|| unknown_alias(model, alias, &stored))?;
                    return existing(txn, model, number);
                }
                VersionSelector::Stage(stage) => {
                    (newest_in(txn, model, *stage)?, format!("no version in {stage}"))
                }
                VersionSelector::Latest => (all(txn, model)?.pop(), "no version".to_owned()),
                VersionSelector::Default => {
                    let mut versions = all(txn, model)?;
                    let production =
                        versions.iter().rposition(|version| version.stage == Stage::Production);
                    let found = match production {
                        Some(idx) => Some(versions.swap_remove(idx)),
                        None => versions.pop(),
                    };
                    let wanted = "no version: its name alone means the Production version, or else \
                                  the newest";
                    (found, wanted.to_owned())
                }
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
    pub(crate) fn set_verdict(&self, model: &str, version: u32, verdict: Value) -> Result<()> {
        let at_ms = clock::now_ms();
        self.write_models(|txn| {
            existing_model(txn, model)?;
            let mut stored = existing(txn, model, version)?;
            audit::append(
                txn,
                &self.event(
                    AuditAction::Gate,
                    &stored.reference().to_string(),
                    at_ms,
                    verdict.clone(),
                ),
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
        let (mut files, mut locks) = (BTreeMap::new(), Vec::new());
        for file in &version.files {
            let found = self.artifact_path(file).map_err(|error| {
                error.with_context(format!("model {:?} version {}", version.model, version.version))
            })?;
            let (path, lock) = found.into_parts();
            files.insert(file.path.clone(), path);
            locks.extend(lock);
        }
        Ok(ModelFiles::new(files).kept_by(locks))
    }

    /// The first of `files` that is not in the store with its length.
    pub(super) fn absent<'a>(&self, files: &'a [Artifact]) -> Result<Option<&'a Artifact>> {
        let wanted = files
            .iter()
            .map(|file| Stored { sha256: file.sha256.clone(), size_bytes: file.size_bytes });
        let are_there = self.files.contain(&wanted.collect::<Vec<_>>())?;
        Ok(files.iter().zip(are_there).find(|(_, is_there)| !is_there).map(|(file, _)| file))
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
