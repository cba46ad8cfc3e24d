//! Datasets end to end.

mod arrival;
mod bad_input;
mod columns;
mod issues;
mod lab;
mod labels;
mod sources;
mod sql;
mod stored;
