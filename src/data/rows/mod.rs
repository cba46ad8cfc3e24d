//! Files of rows with any columns, read and written a chunk at a time: every column is kept, one of
//! them holds texts, and columns are added. However long a file is, what is held is a chunk of it.

mod arrow;
mod chunk;
mod csv;
mod format;
mod kind;
mod parquet;
mod reader;
mod writer;

pub(crate) use chunk::{AddedColumn, AddedValues, Chunk};
pub(crate) use format::RowsFormat;
pub(crate) use reader::RowsReader;
pub(crate) use writer::{RowsWriter, exists};
