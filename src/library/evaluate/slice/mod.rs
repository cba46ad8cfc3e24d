//! Slices: rows of a split that have something in common, how right a model is on them, and the worst
//! of them, found without being named. Pure functions on texts, values and predictions.

mod expression;
mod features;
mod negation;
mod parse;

pub use expression::Slice;
pub use features::RowFeatures;
