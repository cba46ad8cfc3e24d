//! `slices MODEL`: how right a version is on slices of a split, and the worst of them.

use clap::Args;
use trialbook::{
    book::SlicesRequest,
    error::Result,
    evaluate::{Slice, SliceFeature},
    output::Output,
    registry::VersionSelector,
};

use super::{
    Session,
    named::{SplitFlag, reference, version_forms, version_read_forms, version_word},
};

/// `slices SentimentClassifier/1 --by length --by genre`
#[derive(Debug, Clone, Args)]
pub struct SlicesCommand {
    #[arg(help = version_read_forms!(""))]
    model: String,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// The dataset, or one split of it: NAME.train; without a split NAME.test; without this option the
    /// dataset that the version was trained on
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    #[command(flatten)]
    split: SplitFlag,
    /// Only slices of this feature: length, unknown, negation or a column of the dataset; may be given
    /// several times
    #[arg(long, value_name = "FEATURE")]
    by: Vec<SliceFeature>,
    /// Measure this slice too, such as "unknown>0.2", "genre=drama and negation" or "/regex/"; may be
    /// given several times
    #[arg(long, value_name = "SLICE")]
    slice: Vec<Slice>,
    /// Rows that a slice has at least, unless --slice names it
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    min_rows: usize,
}

impl SlicesCommand {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let model = reference(session, &self.model, self.version.as_ref())?;
        let (dataset, split) = self.split.apart(self.data.as_deref())?;
        let request = SlicesRequest {
            dataset,
            split,
            by: self.by.clone(),
            slices: self.slice.clone(),
            min_rows: self.min_rows,
            ..SlicesRequest::new(model.to_string())
        };
        Ok(session.book.slices(&request)?.to_output())
    }
}
