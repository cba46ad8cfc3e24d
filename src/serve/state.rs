//! What a running server knows: the model it serves, since when, and within which bounds. The
//! model is looked up once, at the start; handlers only ever ask [`ServerState`].

use std::{sync::Arc, time::Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{error::ApiError, limits::Limits};
use crate::{
    error::{ErrorKind, Result},
    model::{self, Classifier},
    registry::{ModelVersion, Registry, Stage},
    store::Store,
};

/// Which model version answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The registered model's name.
    pub name: String,
    /// 1, 2, 3…
    pub version: u32,
    /// Where the version stood when it was loaded.
    pub stage: Stage,
    /// The run that made it.
    pub run_id: String,
}

impl From<&ModelVersion> for ModelInfo {
    fn from(version: &ModelVersion) -> Self {
        Self {
            name: version.model.clone(),
            version: version.version,
            stage: version.stage,
            run_id: version.run_id.clone(),
        }
    }
}

/// A loaded model and which one it is.
#[derive(Clone)]
pub struct ServedModel {
    /// Answers the questions.
    pub classifier: Arc<dyn Classifier>,
    /// Goes out with every answer.
    pub info: Arc<ModelInfo>,
}

impl ServedModel {
    /// The Production version of `model`, loaded; none if no version is in production or the model
    /// is not registered at all.
    ///
    /// # Errors
    /// When the registry cannot be read, or the version's files are not what was written.
    pub fn production(registry: &Registry, model: &str) -> Result<Option<Self>> {
        let version = match registry.production(model) {
            Ok(Some(version)) => version,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let in_context = |error: crate::Error| {
            error.with_context(format!("model \"{model}\" version {}", version.version))
        };
        let files = registry.model_files(&version).map_err(in_context)?;
        let classifier = Arc::from(model::load(&files).map_err(in_context)?);
        Ok(Some(Self { classifier, info: Arc::new(ModelInfo::from(&version)) }))
    }
}

/// The state behind every handler. Cheap to clone.
#[derive(Clone)]
pub struct ServerState(Arc<Inner>);

struct Inner {
    model: String,
    served: Option<ServedModel>,
    limits: Limits,
    permits: Arc<Semaphore>,
    started: Instant,
}

impl ServerState {
    /// A server of the registered model called `model`; without `served` it says so on every
    /// question.
    pub fn new(model: impl Into<String>, served: Option<ServedModel>, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            model: model.into(),
            served,
            permits: Arc::new(Semaphore::new(limits.n_parallel)),
            limits,
            started: Instant::now(),
        }))
    }

    /// Loads `models:/NAME/Production` from the store. Without a version in production the server
    /// still has a state: it starts, and says what to do.
    ///
    /// # Errors
    /// When the registry cannot be opened, or the version's files are not what was written.
    pub fn load(store: &Store, model: &str, limits: Limits) -> Result<Self> {
        let registry = Registry::open(store)?;
        let served = ServedModel::production(&registry, model)?;
        match &served {
            Some(served) => {
                let ModelInfo { version, run_id, .. } = &*served.info;
                tracing::info!(model, version, run_id, "model loaded");
            }
            None => tracing::warn!(model, "no version in production: predictions answer 503"),
        }
        Ok(Self::new(model, served, limits))
    }

    /// Which model version answers, if there is one.
    pub fn model_info(&self) -> Option<&ModelInfo> {
        self.0.served.as_ref().map(|served| &*served.info)
    }

    /// The model that answers.
    ///
    /// # Errors
    /// 503 with what to do when no version is in production.
    pub(crate) fn served(&self) -> Result<ServedModel, ApiError> {
        self.0.served.clone().ok_or_else(|| ApiError::model_unavailable(&self.0.model))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Permits for long work beside the async threads.
    pub(crate) fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.permits)
    }

    pub(crate) fn uptime_s(&self) -> f64 {
        // Milliseconds are enough, and read better.
        (self.0.started.elapsed().as_secs_f64() * 1e3).round() / 1e3
    }
}
