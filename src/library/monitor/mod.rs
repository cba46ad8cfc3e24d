//! Watching what is served: the log of predictions in the store, reading it back, and what it says.

mod log;
mod record;
mod release_log;
mod stats;

pub use log::{LogConfig, LogText, PredictionLog};
pub use record::{
    Arm, LoggedPredictions, PredictionRecord, read_latest_predictions, read_predictions,
};
pub use release_log::{ReleaseLog, read_release_counts};
pub use stats::{PredictionStats, Summary};

/// The log's file in the store's folder of logs.
pub const PREDICTIONS_FILE: &str = "predictions.jsonl";
