//! CSV and TSV. A reader of our own instead of polars', because every complaint must name the line
//! that the user sees, also after quoted line breaks, and nothing may be guessed into a null, or
//! rows into one row, without a word.

mod header;
mod records;
mod stream;
mod survey;
mod suspicion;

pub(super) use {
    stream::{RecordStream, ragged},
    survey::settle,
};
