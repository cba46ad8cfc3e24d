//! Watching what is served: the log of predictions in the store, the log of their true labels, reading both
//! back, and what they say.

mod appended;
pub mod drift;
mod label;
mod label_log;
mod log;
mod performance;
mod profile;
mod reader;
mod record;
mod release_labels;
mod release_log;
mod sampling;
mod stats;
mod tally;
mod visit;
mod window;

pub use label::{GivenLabel, SampleBy, TrueLabel, TrueLabels};
pub use label_log::{LABELS_FILE, LabelLog, LabelOutcome, read_labels};
pub use log::{LogConfig, LogText, PredictionLog};
pub use performance::{
    BesideEstimate, MeasuredMetric, MeasuredPerformance, PerformanceReport, PerformanceRequest,
    VersionPerformance, WindowPerformance, WindowSize, measure_performance,
};
pub use profile::{
    ConfidenceCounts, EmbeddingProfile, MAX_PROFILE_ROWS, PROFILE_FILE, ProfileRows,
    ReferenceProfile, WordCounter, encoded_embedding, n_unknown_words,
};
pub use reader::{LogSink, PredictionView, read_latest_log, read_log};
pub use record::{
    Arm, LoggedPredictions, PredictionRecord, read_latest_predictions, read_predictions,
};
pub use release_labels::read_release_labels;
pub use release_log::{ReleaseLog, read_release_counts};
pub use sampling::{PickRequest, Picked, PickedText, TextSource, by_sha256, pick_texts};
pub use stats::{LogStats, PredictionStats, Summary};
pub use tally::{MIN_TALLIED_TEXTS, WordTally, WordsLine};
pub use visit::visit_predictions;
pub use window::{CountedAnswer, WindowChoice, WindowCounts, sample_key};

/// The log's file in the store's folder of logs.
pub const PREDICTIONS_FILE: &str = "predictions.jsonl";
