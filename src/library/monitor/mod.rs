//! Watching what is served: the log of predictions in the store, reading it back, and what it says.

mod log;
mod profile;
mod reader;
mod record;
mod stats;
mod tally;
mod window;

pub use log::{LogConfig, LogText, PredictionLog};
pub use profile::{
    ConfidenceCounts, EmbeddingProfile, MAX_PROFILE_ROWS, PROFILE_FILE, ProfileRows, ReferenceProfile,
    WordCounter,
};
pub use record::{
    Arm, LoggedPredictions, PredictionRecord, read_latest_predictions, read_predictions,
};
pub use reader::{LogSink, PredictionView, read_log};
pub use stats::{PredictionStats, Summary};
pub use tally::{MIN_TALLIED_TEXTS, WordTally, WordsLine};
pub use window::{WindowChoice, WindowCounts};

/// The log's file in the store's folder of logs.
pub const PREDICTIONS_FILE: &str = "predictions.jsonl";
