//! How good predictions are: pure functions on slices.
