//! Watching what is served: the log of predictions in the store, reading it back, and what it says.

pub mod drift;
mod log;
mod profile;
mod reader;
mod record;
mod stats;
mod tally;
mod window;

pub use log::{LogConfig, LogText, PredictionLog};
pub use profile::{
    ConfidenceCounts, EmbeddingProfile, MAX_PROFILE_ROWS, PROFILE_FILE, ProfileRows,
    ReferenceProfile, WordCounter, encoded_embedding, n_unknown_words,
};
pub use reader::{LogSink, PredictionView, read_log};
pub use record::{
    Arm, LoggedPredictions, PredictionRecord, read_latest_predictions, read_predictions,
};
pub use stats::{LogStats, PredictionStats, Summary};
pub use tally::{MIN_TALLIED_TEXTS, WordTally, WordsLine};
pub use window::{CountedAnswer, WindowChoice, WindowCounts, sample_key};

/// The log's file in the store's folder of logs.
pub const PREDICTIONS_FILE: &str = "predictions.jsonl";
