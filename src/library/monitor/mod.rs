//! Watching what is served: the log of predictions in the store, the log of their true labels, reading both
//! back, and what they say.

mod appended;
mod label;
mod label_log;
mod log;
mod performance;
mod record;
mod release_labels;
mod release_log;
mod sampling;
mod stats;
mod visit;

pub use label::{GivenLabel, SampleBy, TrueLabel, TrueLabels};
pub use label_log::{LABELS_FILE, LabelLog, LabelOutcome, read_labels};
pub use log::{LogConfig, LogText, PredictionLog};
pub use performance::{
    BesideEstimate, MeasuredMetric, MeasuredPerformance, PerformanceReport, PerformanceRequest,
    VersionPerformance, WindowPerformance, WindowSize, measure_performance,
};
pub use record::{
    Arm, LoggedPredictions, PredictionRecord, read_latest_predictions, read_predictions,
};
pub use release_labels::count_release_labels;
pub use release_log::{ReleaseLog, read_release_counts};
pub use sampling::{PickRequest, Picked, PickedText, TextSource, by_sha256, pick_texts};
pub use stats::{PredictionStats, Summary};
pub use visit::visit_predictions;

/// The log's file in the store's folder of logs.
pub const PREDICTIONS_FILE: &str = "predictions.jsonl";
