//! Logged models: made by a run, filled with files, found again.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    experiments::live_number,
    fault::Fault,
    logged_model::{ID_PREFIX, LoggedMetric, LoggedModel, ModelStatus, StoredLoggedModel},
    names,
    tables::{LOGGED_MODELS, RunKey, parse_run_id},
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::error::{Error, ErrorKind, Result};

/// A logged model that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLoggedModel {
    /// From [`Experiment::experiment_id`](super::Experiment::experiment_id).
    pub experiment_id: String,
    /// Shown to people; made up when absent.
    pub name: Option<String>,
    /// Such as `Classifier`.
    pub model_type: Option<String>,
    /// The run that makes it.
    pub source_run_id: Option<String>,
    /// Hyperparameters.
    pub params: BTreeMap<String, String>,
    /// Free key-value pairs.
    pub tags: BTreeMap<String, String>,
}

impl Registry {
    /// Makes a logged model, [`ModelStatus::Pending`] until its files are there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an experiment that does not exist, [`ErrorKind::Invalid`] for names
    /// and values beyond the limits.
    pub fn create_logged_model(&self, new: NewLoggedModel) -> Result<LoggedModel> {
        if let Some(name) = &new.name {
            names::check_logged_model_name(name)?;
        }
        new.tags.iter().try_for_each(|(key, value)| names::check_model_tag(key, value))?;
        new.params.iter().try_for_each(|(key, value)| names::check_param(key, value))?;
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            live_number(txn, &new.experiment_id)?;
            let model = LoggedModel {
                model_id: format!("{ID_PREFIX}{}", names::new_run_id()),
                experiment_id: new.experiment_id,
                name: new.name.unwrap_or_else(names::made_up_name),
                created_ms: now_ms,
                updated_ms: now_ms,
                status: ModelStatus::Pending,
                model_type: new.model_type,
                source_run_id: new.source_run_id,
                deleted: false,
                tags: new.tags,
                params: new.params,
                metrics: Vec::new(),
            };
            put(txn, &model)?;
            let details = json!({"logged_model": model.name, "run_id": model.source_run_id});
            let event = self.event(AuditAction::Create, &model.model_id, now_ms, details);
            audit::append(txn, &event)?;
            Ok(model)
        })
    }

    /// The logged model with this id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], also when it is deleted; [`ErrorKind::Invalid`] for what is no id.
    pub fn logged_model(&self, model_id: &str) -> Result<LoggedModel> {
        self.database.read(|txn| live_model(txn, model_id))
    }

    /// Every logged model that is not deleted.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn logged_models(&self) -> Result<Vec<LoggedModel>> {
        let stored = self.database.read(|txn| txn.all::<StoredLoggedModel>(LOGGED_MODELS, &[]))?;
        let models = stored.into_iter().map(|(_, StoredLoggedModel(model))| model);
        Ok(models.filter(|model| !model.deleted).collect())
    }

    /// Says how far a logged model is.
    ///
    /// # Errors
    /// As [`Registry::logged_model`].
    pub fn set_model_status(&self, model_id: &str, status: ModelStatus) -> Result<LoggedModel> {
        self.change_logged_model(model_id, |_, model| {
            model.status = status;
            Ok(())
        })
    }

    /// Sets tags of a logged model; a value of `None` removes the tag.
    ///
    /// # Errors
    /// As [`Registry::logged_model`], and [`ErrorKind::Invalid`] for a key or value beyond the limits.
    pub fn tag_logged_model(
        &self,
        model_id: &str,
        tags: &[(String, Option<String>)],
    ) -> Result<LoggedModel> {
        for (key, value) in tags {
            names::check_model_tag(key, value.as_deref().unwrap_or_default())?;
        }
        self.change_logged_model(model_id, |_, model| {
            for (key, value) in tags {
                match value {
                    Some(value) => model.tags.insert(key.clone(), value.clone()),
                    None => model.tags.remove(key),
                };
            }
            Ok(())
        })
    }

    /// Adds params to a logged model; one with another value is a conflict.
    ///
    /// # Errors
    /// As [`Registry::log`].
    pub fn log_model_params(&self, model_id: &str, params: &[(String, String)]) -> Result<()> {
        params.iter().try_for_each(|(key, value)| names::check_param(key, value))?;
        self.change_logged_model(model_id, |_, model| {
            for (key, value) in params {
                let logged = model.params.entry(key.clone()).or_insert_with(|| value.clone());
                if logged != value {
                    let message =
                        format!("param {key:?} is {logged:?} already, it cannot become {value:?}");
                    return Err(Error::new(ErrorKind::Conflict, message)
                        .with_hint("params are written once: use a tag")
                        .into());
                }
            }
            Ok(())
        })
        .map(drop)
    }

    /// Hides a logged model; `store gc` removes it for good.
    ///
    /// # Errors
    /// As [`Registry::logged_model`].
    pub fn delete_logged_model(&self, model_id: &str) -> Result<()> {
        let now_ms = clock::now_ms();
        self.change_logged_model(model_id, |txn, model| {
            model.deleted = true;
            let details = json!({"name": model.name});
            audit::append(txn, &self.event(AuditAction::Delete, model_id, now_ms, details))
        })
        .map(drop)
    }

    fn change_logged_model(
        &self,
        model_id: &str,
        change: impl FnOnce(&WriteTxn, &mut LoggedModel) -> Result<(), Fault>,
    ) -> Result<LoggedModel> {
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            let mut model = live_model(txn, model_id)?;
            change(txn, &mut model)?;
            model.updated_ms = now_ms;
            put(txn, &model)?;
            Ok(model)
        })
    }
}

/// Keeps metrics that a run measured of a logged model: of each metric, run and dataset the newest.
pub(super) fn append_metrics(
    txn: &WriteTxn,
    model_id: &str,
    metrics: &[LoggedMetric],
) -> Result<(), Fault> {
    let mut model = live_model(txn, model_id)?;
    metrics.iter().for_each(|metric| model.keep_newest(metric));
    put(txn, &model)
}

impl LoggedModel {
    /// Keeps of each metric, run and dataset the newest value.
    pub(crate) fn keep_newest_metrics(&mut self) {
        let metrics = std::mem::take(&mut self.metrics);
        metrics.iter().for_each(|metric| self.keep_newest(metric));
    }

    fn keep_newest(&mut self, metric: &LoggedMetric) {
        let same = self.metrics.iter_mut().find(|other| {
            (&other.key, &other.run_id, &other.dataset)
                == (&metric.key, &metric.run_id, &metric.dataset)
        });
        match same {
            Some(other)
                if (metric.step, metric.timestamp_ms) >= (other.step, other.timestamp_ms) =>
            {
                *other = metric.clone();
            }
            Some(_) => {}
            None => self.metrics.push(metric.clone()),
        }
    }
}

/// The key of a logged model: the 16 bytes that its id spells after `m-`.
pub(super) fn model_key(model_id: &str) -> Result<RunKey> {
    let key = model_id.strip_prefix(ID_PREFIX).and_then(parse_run_id);
    key.ok_or_else(|| {
        Error::invalid(format!(
            "{model_id:?} is no id of a logged model: m- and 32 lower-case hexadecimal digits"
        ))
    })
}

pub(super) fn unknown_model(model_id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("logged model {model_id:?} does not exist"))
        .with_hint("search the logged models of its experiment for the ids there are")
}

pub(super) fn live_model(txn: &impl Rows, model_id: &str) -> Result<LoggedModel, Fault> {
    let key = model_key(model_id)?;
    match txn.get::<StoredLoggedModel>(LOGGED_MODELS, &key)? {
        Some(StoredLoggedModel(model)) if !model.deleted => Ok(model),
        _ => Err(unknown_model(model_id).into()),
    }
}

fn put(txn: &WriteTxn, model: &LoggedModel) -> Result<(), Fault> {
    let key = model_key(&model.model_id)?;
    txn.put(LOGGED_MODELS, &key, &StoredLoggedModel(model.clone()))
}
