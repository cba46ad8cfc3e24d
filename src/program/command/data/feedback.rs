//! `data from-feedback`: a dataset of predicted texts and their true labels.

use clap::Args;
use trialbook::{
    book::{FeedbackDatasetRequest, now_ms},
    data::AddRequest,
    error::Result,
    output::Output,
};

use super::super::{Session, moment::TimeArgument};

/// `data from-feedback labelled --model Reviews --last 30d`
#[derive(Debug, Clone, Args)]
pub struct FromFeedback {
    /// The name to give it
    name: String,
    /// The registered model whose predictions are labelled; without it, the store's only one
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only labels since then: so long ago (30d, 12h) or a date (2026-11-21)
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    last: Option<TimeArgument>,
    /// A dataset, a split of one (NAME.test), or a file that has the texts, found by their SHA-256: for logs that keep
    /// no texts
    #[arg(long, value_name = "DATASET|FILE")]
    texts: Option<String>,
    /// The dataset whose training split the labelled texts are added to, and whose test split is kept: versions of
    /// both compare
    #[arg(long = "with", value_name = "DATASET", conflicts_with_all = ["test_size", "seed", "positive"])]
    base: Option<String>,
    /// The part that becomes the test split; without it 0.2
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    test_size: Option<f64>,
    /// The seed of that split
    #[arg(long, default_value_t = AddRequest::DEFAULT_SEED, allow_negative_numbers = true)]
    seed: u64,
    /// The positive one of two classes; without it `positive`, or the last one
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true)]
    positive: Option<String>,
}

impl FromFeedback {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let request = FeedbackDatasetRequest {
            name: self.name.clone(),
            base: self.base.clone(),
            model: self.model.clone(),
            from_ms: self.last.map_or(i64::MIN, |moment| moment.before(now_ms())),
            texts: self.texts.clone(),
            test_size: self.test_size,
            seed: self.seed,
            positive: self.positive.clone(),
        };
        let added = session.book.dataset_from_feedback(&request, &session.monitor)?;
        Ok(added.to_output())
    }
}
