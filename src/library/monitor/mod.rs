//! Watching what is served: the log of predictions in the store, the log of their true labels, reading both
//! back, and what they say.

mod appended;
pub mod drift;
mod files;
mod label;
mod label_log;
mod line;
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
mod window;

pub use label::{GivenLabel, SampleBy, TrueLabel, TrueLabels};
pub use label_log::{LabelLog, LabelOutcome, read_labels};
pub use line::PredictionView;
pub use log::{LogConfig, LogText, PredictionLog};
pub use performance::{
    BesideEstimate, MeasuredMetric, MeasuredPerformance, PerformanceMeter, PerformanceReport,
    PerformanceRequest, VersionPerformance, WindowPerformance, WindowSize, measure_performance,
};
pub use profile::{
    ConfidenceCounts, EmbeddingProfile, MAX_PROFILE_ROWS, PROFILE_FILE, ProfileRows,
    ReferenceProfile, WordCounter, encoded_embedding, n_unknown_words,
};
pub use reader::{
    LogSink, LoggedPredictions, read_latest_log, read_latest_predictions, read_log,
    read_predictions, visit_predictions,
};
pub use record::{Arm, PredictionRecord};
pub use release_labels::read_release_labels;
pub use release_log::{ReleaseLog, read_release_counts};
pub use sampling::{PickRequest, Picked, PickedText, TextSource, by_sha256, pick_texts};
pub use stats::{LogStats, PredictionStats, Summary};
pub use tally::{MIN_TALLIED_TEXTS, WordTally, WordsLine};
pub use window::{CountedAnswer, WindowChoice, WindowCounts, sample_key};

/// The log's file in the store's folder of logs.
pub const PREDICTIONS_FILE: &str = "predictions.jsonl";
