//! Datasets end to end.

mod bad_input;
mod columns;
mod lab;
mod labels;
mod sources;
mod sql;
mod stored;
