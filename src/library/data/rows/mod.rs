//! Files of rows with any columns, read and written a chunk at a time: every column is kept, one of
//! them holds texts, and columns are added. However long a file is, what is held is a chunk of it.

mod chunk;
mod csv;
mod format;
mod kind;
mod reader;
#[cfg(test)]
mod round_trip;
mod typed;
mod writer;

pub(crate) use chunk::{AddedColumn, AddedValues, RowChunk};
pub(in crate::data) use chunk::{TWICE, TextRow};
pub(crate) use format::RowsFormat;
pub(in crate::data) use kind::Kinds;
pub(crate) use reader::RowsReader;
pub(crate) use writer::RowsWriter;
pub use writer::{check_file, check_new, exists};
