//! Rows that are read, predicted and written together.

use polars::prelude::{Column, DataFrame, PolarsResult};
use serde_json::{Map, Value};

/// One row of a text file, by its columns.
pub(super) type Row = Map<String, Value>;

/// Some rows of a file, in their order.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// One a row; none where the row has no text.
    pub(crate) texts: Vec<Option<String>>,
    pub(super) cells: Cells,
}

/// All columns of the rows.
#[derive(Debug)]
pub(super) enum Cells {
    /// Of a text file.
    Values(Vec<Row>),
    /// Of a file with types of its own, which a file of the same format keeps.
    Frame(DataFrame),
}

/// A column that the input does not have.
#[derive(Debug, Clone)]
pub(crate) struct AddedColumn {
    pub(crate) name: String,
    pub(crate) values: AddedValues,
}

/// One value a row; none where there is nothing to say of it.
#[derive(Debug, Clone)]
pub(crate) enum AddedValues {
    Text(Vec<Option<String>>),
    Number(Vec<Option<f64>>),
}

impl AddedColumn {
    pub(super) fn to_column(&self) -> Column {
        match &self.values {
            AddedValues::Text(values) => Column::new(self.name.as_str().into(), values),
            AddedValues::Number(values) => Column::new(self.name.as_str().into(), values),
        }
    }

    pub(super) fn value(&self, row_idx: usize) -> Value {
        match &self.values {
            AddedValues::Text(values) => values[row_idx].clone().into(),
            AddedValues::Number(values) => values[row_idx].into(),
        }
    }
}

impl Chunk {
    /// Number of rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.texts.len()
    }
}

/// `frame` with `added` behind its columns.
pub(super) fn widened(mut frame: DataFrame, added: &[AddedColumn]) -> PolarsResult<DataFrame> {
    for column in added {
        frame.with_column(column.to_column())?;
    }
    Ok(frame)
}
