//! The request for a training, as it is also kept for a later process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::DecisionRequest;

/// A training that is asked for: its data, and the place of its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainRequest {
    /// The dataset's name; its `train` split is learnt, its `test` split is measured.
    pub dataset: String,
    /// The experiment the run belongs to. Empty, which is the default, for that of the dataset: see
    /// [`DefaultNames`](crate::registry::DefaultNames).
    pub experiment: String,
    /// The registered model that gets a new version, or `None` to keep only the run. An empty name,
    /// which is the default, is that of the dataset: see
    /// [`DefaultNames`](crate::registry::DefaultNames).
    pub model: Option<String>,
    /// The run's name, made up when absent.
    pub run_name: Option<String>,
    /// Tags of the run.
    pub tags: BTreeMap<String, String>,
    /// The seed that everything random comes from. Default 42.
    pub seed: u64,
    /// The share of each class of the train split that is held out to choose by, between 0 and 1: it
    /// is not learnt, the run's metrics (`validation_f1` and so on) are of it, and the test split is
    /// measured for the registered version alone. Default: none, then the run's metrics are of the
    /// test split.
    #[serde(default)]
    pub validation_size: Option<f64>,
    /// The calibration and the threshold of the model, made by rows that it does not learn: those held out,
    /// and for a baseline that holds none out five folds of the train split. Default: none.
    #[serde(default, skip_serializing_if = "DecisionRequest::is_empty")]
    pub decision: DecisionRequest,
}

impl TrainRequest {
    /// Training on `dataset` with every default.
    pub fn new(dataset: &str) -> Self {
        Self {
            dataset: dataset.to_owned(),
            experiment: String::new(),
            model: Some(String::new()),
            run_name: None,
            tags: BTreeMap::new(),
            seed: 42,
            validation_size: None,
            decision: DecisionRequest::default(),
        }
    }
}
