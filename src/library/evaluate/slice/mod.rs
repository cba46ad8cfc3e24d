//! Slices: rows of a split that have something in common, how right a model is on them, and the worst
//! of them, found without being named. Pure functions on texts, values and predictions.

mod expression;
mod features;
mod group;
mod measure;
mod negation;
mod parse;
mod search;

pub use expression::Slice;
pub use features::RowFeatures;
pub use group::SliceFeature;
pub use measure::{SliceMetrics, SliceVerdict, SlicedPredictions, control_discoveries};
pub use search::{FoundSlice, find_slices};
