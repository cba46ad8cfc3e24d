//! Registered models: named lines of versions, with tags and aliases.

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    fault::Fault,
    names,
    record::{ModelVersion, RegisteredModel, Stage},
    reference::{ModelReference, VersionSelector},
    registered::{existing, existing_model, unknown_alias},
    releases,
    stored::StoredModel,
    tables::{
        MODELS, MODELS_GENERATION, RELEASES, VERSIONS, releases_prefix, version_key,
        versions_prefix,
    },
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::error::{Error, ErrorKind, Result};

impl Registry {
    /// Every registered model, by name.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn models(&self) -> Result<Vec<RegisteredModel>> {
        let models = self.database.read(|txn| txn.all::<StoredModel>(MODELS, &[]))?;
        Ok(models
            .into_iter()
            .map(|(key, model)| model.into_model(String::from_utf8_lossy(&key).into_owned()))
            .collect())
    }

    /// The registered model called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the names there are.
    pub fn model(&self, name: &str) -> Result<RegisteredModel> {
        self.database.read(|txn| Ok(existing_model(txn, name)?.into_model(name.to_owned())))
    }

    /// Registers a model without versions; `create_version` does this by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it exists, [`ErrorKind::Invalid`] for a name that cannot be used.
    pub fn create_model(&self, name: &str) -> Result<RegisteredModel> {
        names::check_model_name(name)?;
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            if txn.get_raw(MODELS, name.as_bytes())?.is_some() {
                return Err(Fault::Ours(Error::new(
                    ErrorKind::Conflict,
                    format!("model {name:?} exists already"),
                )));
            }
            let model = new_model(now_ms);
            txn.put(MODELS, name.as_bytes(), &model)?;
            Ok(model.into_model(name.to_owned()))
        })
    }

    /// Changes with every change to any registered model or version: who follows stages reads
    /// this first and looks further only if it moved.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn models_generation(&self) -> Result<u64> {
        self.database.read(|txn| txn.counter(MODELS_GENERATION))
    }

    /// Sets a tag of a model or of one of its versions, or removes it if `value` is `None`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Invalid`] for a key or value beyond the limits.
    pub fn tag_model(
        &self,
        model: &str,
        version: Option<u32>,
        key: &str,
        value: Option<&str>,
    ) -> Result<()> {
        names::check_tag(key, value.unwrap_or_default())?;
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            let mut stored = existing_model(txn, model)?;
            let subject = if let Some(number) = version {
                let mut version = existing(txn, model, number)?;
                set_or_remove(&mut version.tags, key, value.map(str::to_owned));
                txn.put(VERSIONS, &version_key(model, number), &version)?;
                version.reference().to_string()
            } else {
                set_or_remove(&mut stored.tags, key, value.map(str::to_owned));
                model.to_owned()
            };
            let details = json!({"tag": key, "value": value});
            audit::append(txn, &self.event(AuditAction::Update, &subject, now_ms, details))?;
            stored.updated_ms = now_ms;
            txn.put(MODELS, model.as_bytes(), &stored)
        })
    }

    /// Points an alias at a version, or removes it if `version` is `None`. An alias that has the
    /// version already stays as it is. The audit trail says which version it pointed at before.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Invalid`] for an alias that cannot be used.
    pub fn set_alias(&self, model: &str, alias: &str, version: Option<u32>) -> Result<()> {
        if version.is_some() {
            names::check_alias(alias)?;
        }
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            let mut stored = existing_model(txn, model)?;
            let former = stored.aliases.get(alias).copied();
            if let Some(number) = version {
                existing(txn, model, number)?;
            } else if former.is_none() {
                return Err(Fault::Ours(unknown_alias(model, alias, &stored)));
            }
            if former == version {
                return Ok(());
            }
            let action = match version {
                Some(_) => AuditAction::SetAlias,
                None => AuditAction::DeleteAlias,
            };
            let reference = ModelReference {
                model: model.to_owned(),
                version: VersionSelector::Alias(alias.to_owned()),
            };
            let details = json!({"from": former, "to": version});
            audit::append(txn, &self.event(action, &reference.to_string(), now_ms, details))?;
            set_or_remove(&mut stored.aliases, alias, version);
            stored.updated_ms = now_ms;
            txn.put(MODELS, model.as_bytes(), &stored)
        })
    }

    /// Deletes a version or, without one, the whole model. A version in Staging or Production is
    /// refused. Artifacts stay until `store gc`; a deleted version's number is not used again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Conflict`] for a version that is in use.
    pub fn delete_model(&self, model: &str, version: Option<u32>) -> Result<()> {
        let now_ms = clock::now_ms();
        self.write_models(|txn| {
            let mut stored = existing_model(txn, model)?;
            if let Some(number) = version {
                let version = existing(txn, model, number)?;
                refuse_in_use(&version)?;
                releases::refuse_tried(txn, model, number)?;
                let details = json!({"run_id": version.run_id});
                audit::append(
                    txn,
                    &self.event(
                        AuditAction::Delete,
                        &version.reference().to_string(),
                        now_ms,
                        details,
                    ),
                )?;
                txn.remove(VERSIONS, &version_key(model, number))?;
                stored.aliases.retain(|_, target| *target != number);
                stored.former_production.retain(|former| *former != number);
                stored.updated_ms = now_ms;
                return txn.put(MODELS, model.as_bytes(), &stored);
            }
            let versions = txn.all::<ModelVersion>(VERSIONS, &versions_prefix(model))?;
            versions.iter().try_for_each(|(_, version)| refuse_in_use(version))?;
            let details = json!({"n_versions": versions.len()});
            audit::append(txn, &self.event(AuditAction::Delete, model, now_ms, details))?;
            txn.remove_all(VERSIONS, &versions_prefix(model))?;
            txn.remove_all(RELEASES, &releases_prefix(model))?;
            txn.remove(MODELS, model.as_bytes())
        })
    }

    /// A write that touches models or versions: it moves the generation.
    pub(super) fn write_models<T>(
        &self,
        work: impl FnOnce(&WriteTxn) -> Result<T, Fault>,
    ) -> Result<T> {
        self.database.write(|txn| {
            let outcome = work(txn)?;
            txn.set_counter(MODELS_GENERATION, txn.counter(MODELS_GENERATION)? + 1)?;
            Ok(outcome)
        })
    }
}

pub(super) fn new_model(now_ms: i64) -> StoredModel {
    StoredModel {
        created_ms: now_ms,
        updated_ms: now_ms,
        next_version: 1,
        ..StoredModel::default()
    }
}

fn refuse_in_use(version: &ModelVersion) -> Result<(), Fault> {
    if !matches!(version.stage, Stage::Staging | Stage::Production) {
        return Ok(());
    }
    Err(Fault::Ours(
        Error::new(
            ErrorKind::Conflict,
            format!(
                "version {} of model {:?} is in {} and cannot be deleted",
                version.version, version.model, version.stage
            ),
        )
        .with_hint("archive it first, or promote another version in its place"),
    ))
}

fn set_or_remove<V>(map: &mut std::collections::BTreeMap<String, V>, key: &str, value: Option<V>) {
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_model_keeps_the_name_it_has_and_none_is_made_that_is_read_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&Store::new(folder.path())).unwrap();
        // Written when names might have commas.
        registry.write_models(|txn| txn.put(MODELS, b"A,B", &new_model(1))).unwrap();
        for refused in ["C,D", "Production", "3", "..", "-x", "a/b"] {
            let error = registry.create_model(refused).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{refused}");
        }
        assert_eq!(registry.model("A,B").unwrap().name, "A,B");
        registry.tag_model("A,B", None, "team", Some("mail")).unwrap();
        registry.delete_model("A,B", None).unwrap();
        assert_eq!(registry.models().unwrap().len(), 0);
        assert_eq!(registry.create_model("A,B").unwrap_err().kind(), ErrorKind::Invalid);
    }
}
