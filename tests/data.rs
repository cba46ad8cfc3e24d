//! Datasets end to end.

mod arrival;
mod bad_input;
mod lab;
mod sources;
mod sql;
mod stored;
