//! A model that answers, and what it is called in every answer, in metrics and in the log. Where it
//! comes from is its [`Source`](super::source::Source)'s business.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trialbook::{
    model::Classifier,
    monitor::WordCounter,
    registry::{ModelVersion, Stage},
};

/// The model version that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The registered model's name.
    pub name: String,
    /// 1, 2, 3…
    pub version: u32,
    /// The stage that the version is in.
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

impl ModelInfo {
    /// True if this is `version`, in whichever stage that is by now. A name that was deleted and made
    /// again counts its versions from 1 again: the run tells them apart.
    pub(crate) fn is_version(&self, version: &ModelVersion) -> bool {
        self.version == version.version && self.run_id == version.run_id
    }
}

/// A loaded model and which one it is.
#[derive(Clone)]
pub struct ServedModel {
    /// Answers the questions.
    pub classifier: Arc<dyn Classifier>,
    /// Goes out with every answer.
    pub info: Arc<ModelInfo>,
    /// The words of its reference profile, which are counted in what it predicts; none without one.
    pub words: Option<WordCounter>,
}
