//! The flags of `serve` for models that are asked in batches. Each one is an environment variable as
//! well.

use std::time::Duration;

use clap::Args;

use crate::serve::Limits;

/// The options for a model that answers many texts together faster than one after the other.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Batches of neural models")]
pub(super) struct Batching {
    /// The most texts that the model gets at once
    #[arg(
        long,
        env = "TRIALBOOK_MODEL_BATCH",
        value_name = "TEXTS",
        default_value_t = Limits::default().model_batch_texts
    )]
    model_batch: usize,
    /// The most tokens that the model gets at once; a text that has more goes alone [default: what
    /// suits the model, on a CPU 4096 for a distilbert and 8192 for other nets, on a GPU 16384]
    #[arg(long, env = "TRIALBOOK_MODEL_BATCH_TOKENS", value_name = "TOKENS")]
    model_batch_tokens: Option<usize>,
    /// The time that the first text waits for others. Texts that arrive while the model is busy go
    /// together in any case
    #[arg(
        long,
        env = "TRIALBOOK_MODEL_BATCH_WAIT",
        value_name = "MILLISECONDS",
        default_value_t = 0
    )]
    model_batch_wait: u64,
    /// The most texts that wait; more are refused at once
    #[arg(
        long,
        env = "TRIALBOOK_QUEUE_TEXTS",
        value_name = "TEXTS",
        default_value_t = Limits::default().queue_texts
    )]
    queue_texts: usize,
}

impl Batching {
    /// `limits` with these.
    pub(super) fn limits(&self, limits: Limits) -> Limits {
        Limits {
            model_batch_texts: self.model_batch,
            model_batch_tokens: self.model_batch_tokens,
            model_batch_wait: Duration::from_millis(self.model_batch_wait),
            queue_texts: self.queue_texts,
            ..limits
        }
    }
}
