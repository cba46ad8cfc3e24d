//! Datasets end to end.

mod bad_input;
mod lab;
mod sources;
mod sql;
mod stored;
