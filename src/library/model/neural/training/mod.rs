//! Training a neural net: settings, the loop with its checkpoints, and the state that a run is
//! continued from.

mod adamw;
mod evaluation;
mod job;
mod loss;
pub(super) mod memory;
mod schedule;
mod settings;
mod state;
mod state_file;

pub use evaluation::{LossAndAccuracy, evaluate};
pub use job::{Observer, TrainingJob, TrainingOutcome, train};
pub use memory::memory_estimate;
pub use settings::TrainSettings;
pub use state::{EpochReport, Moments, Position, TrainState};

#[cfg(test)]
mod tests;
