//! Rows that are read, predicted and written together.

use std::{borrow::Cow, fmt};

use polars::prelude::{Column, DataFrame, DataType, PolarsResult};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::data::{
    datum::{Datum, push_object},
    excerpt::excerpt,
};

/// The beginning of the error for a name that an object has twice.
pub(in crate::data) const TWICE: &str = "two values of the key";

/// One row of a text file: its columns, each with its value, in the file's order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::data) struct TextRow(Vec<(String, Datum)>);

impl TextRow {
    pub(in crate::data) fn fields(&self) -> &[(String, Datum)] {
        &self.0
    }

    pub(in crate::data) fn get(&self, name: &str) -> Option<&Datum> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// As [`TextRow::get`], for a column that most rows have at the place `idx`.
    pub(super) fn get_near(&self, idx: usize, name: &str) -> Option<&Datum> {
        match self.0.get(idx) {
            Some((same, value)) if same == name => Some(value),
            _ => self.get(name),
        }
    }

    /// Puts a field behind the others, unless there is one of its name.
    pub(super) fn add(&mut self, name: &str, value: Datum) -> Result<(), Taken> {
        match self.get(name) {
            Some(_) => Err(Taken),
            None => {
                self.0.push((name.to_owned(), value));
                Ok(())
            }
        }
    }

    /// Takes a field away, if there is one of this name.
    pub(in crate::data) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// As one object of JSON.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::new();
        push_object(&mut json, self.0.iter().map(|(name, value)| (name.as_str(), value)));
        json
    }
}

/// A row has a field of that name already.
#[derive(Debug)]
pub(super) struct Taken;

impl<V: Into<Datum>> FromIterator<(String, V)> for TextRow {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

/// From an object of JSON, in which every name stands once: of two values one would be lost.
impl<'de> Deserialize<'de> for TextRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = TextRow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextRow, A::Error> {
                let mut fields: Vec<(String, Datum)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Datum>()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format_args!("{TWICE} {}", excerpt(&name))));
                    }
                    fields.push((name, value));
                }
                Ok(TextRow(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Some rows of a file, in their order.
#[derive(Debug)]
pub(crate) struct RowChunk {
    /// One a row; none where the row has no text.
    pub(crate) texts: Vec<Option<String>>,
    pub(super) cells: Cells,
}

/// All columns of the rows.
#[derive(Debug)]
pub(super) enum Cells {
    /// Of a text file.
    Values(Vec<TextRow>),
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

    pub(super) fn value(&self, row_idx: usize) -> Datum {
        match &self.values {
            AddedValues::Text(values) => values[row_idx].clone().map_or(Datum::Null, Datum::Text),
            AddedValues::Number(values) => values[row_idx].map_or(Datum::Null, Datum::Float),
        }
    }
}

impl RowChunk {
    /// Number of rows.
    pub(crate) fn n_rows(&self) -> usize {
        self.texts.len()
    }

    /// True for each row of a file of text that has the column and no value in it, as JSON's null says.
    pub(crate) fn nulls(&self, name: &str) -> Vec<bool> {
        match &self.cells {
            Cells::Values(rows) => {
                rows.iter().map(|row| row.get(name) == Some(&Datum::Null)).collect()
            }
            Cells::Frame(frame) => vec![false; frame.height()],
        }
    }

    /// The cells of a column as text; none where the row has none.
    pub(crate) fn column(&self, name: &str) -> Vec<Option<String>> {
        match &self.cells {
            Cells::Values(rows) => rows
                .iter()
                .map(|row| row.get(name).and_then(Datum::to_cell).map(Cow::into_owned))
                .collect(),
            Cells::Frame(frame) => {
                let texts = frame.column(name).and_then(|column| column.cast(&DataType::String));
                match texts.as_ref().map(|column| column.as_materialized_series().str()) {
                    Ok(Ok(texts)) => texts.iter().map(|text| text.map(str::to_owned)).collect(),
                    _ => vec![None; frame.height()],
                }
            }
        }
    }
}

/// `frame` with `added` behind its columns.
pub(super) fn widened(mut frame: DataFrame, added: &[AddedColumn]) -> PolarsResult<DataFrame> {
    for column in added {
        frame.with_column(column.to_column())?;
    }
    Ok(frame)
}
