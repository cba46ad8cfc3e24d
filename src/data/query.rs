//! The answer to a SQL query: a frame that shows itself as a table or as JSON rows.

use polars::prelude::{AnyValue, DataFrame, DataType, Series};
use serde_json::{Map, Number, Value};

use super::head::on_one_line;
use crate::{
    figure,
    output::{Align, Output, Table},
};

/// Cells of text are cut to this many characters in tables; the JSON has them whole.
const CELL_MAX_CHARS: usize = 80;

/// The rows and columns that a query returned.
#[derive(Debug, Clone)]
pub struct QueryResult {
    frame: DataFrame,
}

impl QueryResult {
    pub(crate) fn new(frame: DataFrame) -> Self {
        Self { frame }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.frame.height()
    }

    /// Name and type of every column, such as `("n", "u32")`.
    pub fn columns(&self) -> Vec<(String, String)> {
        let columns = self.frame.columns().iter();
        columns.map(|column| (column.name().to_string(), column.dtype().to_string())).collect()
    }

    /// The first `n_rows` rows alone.
    #[must_use]
    pub fn head(&self, n_rows: usize) -> Self {
        Self { frame: self.frame.head(Some(n_rows)) }
    }

    /// The frame itself.
    pub fn dataframe(&self) -> &DataFrame {
        &self.frame
    }

    /// The frame itself, for notebooks.
    pub fn into_dataframe(self) -> DataFrame {
        self.frame
    }

    /// One object a row, keys in column order. JSON has no NaN and no infinity: they are the
    /// strings `"NaN"`, `"Infinity"` and `"-Infinity"`. Dates and times are strings.
    pub fn to_json(&self) -> Value {
        let columns = self.values(self.n_rows());
        let rows = (0..self.n_rows()).map(|row_idx| {
            let cells =
                columns.iter().map(|(name, values)| (name.clone(), values[row_idx].clone()));
            Value::Object(cells.collect::<Map<_, _>>())
        });
        Value::Array(rows.collect())
    }

    /// A table of the first `max_rows` rows; all rows are in the JSON.
    pub fn to_output(&self, max_rows: usize) -> Output {
        let n_shown = self.n_rows().min(max_rows);
        let columns = self.values(n_shown);
        let heads = self.frame.columns().iter().map(|column| {
            let is_number = column.dtype().is_primitive_numeric();
            (column.name().as_str(), if is_number { Align::Right } else { Align::Left })
        });
        let mut table = Table::new(heads);
        for row_idx in 0..n_shown {
            table.push(columns.iter().map(|(_, values)| cell(&values[row_idx])));
        }
        let output = Output::new(self.to_json());
        match (self.frame.width(), self.n_rows() - n_shown) {
            (0, _) => output.text("no columns"),
            _ if self.n_rows() == 0 => output.table(table).text("no rows"),
            (_, 0) => output.table(table),
            (_, n_more) => output.table(table).text(format!(
                "… and {} more rows of {}",
                figure::count(n_more),
                figure::count(self.n_rows())
            )),
        }
    }

    /// Every column's first `n_rows` values.
    pub(crate) fn values(&self, n_rows: usize) -> Vec<(String, Vec<Value>)> {
        let frame = self.frame.head(Some(n_rows));
        let columns = frame.columns().iter().map(|column| {
            let series = column.as_materialized_series();
            // polars spells dates and times itself.
            let spelt = series.dtype().is_temporal().then(|| series.cast(&DataType::String).ok());
            let series = spelt.flatten().unwrap_or_else(|| series.clone());
            (column.name().to_string(), series_values(&series))
        });
        columns.collect()
    }
}

fn series_values(series: &Series) -> Vec<Value> {
    series.rechunk().iter().map(|value| json(&value)).collect()
}

fn json(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(value) => Value::Bool(*value),
        AnyValue::String(value) => Value::String((*value).to_owned()),
        AnyValue::StringOwned(value) => Value::String(value.to_string()),
        AnyValue::Float32(value) => float(f64::from(*value)),
        AnyValue::Float64(value) => float(*value),
        AnyValue::List(values) => Value::Array(series_values(values)),
        other => {
            if let Some(number) = other.extract::<i64>() {
                return Value::Number(number.into());
            }
            match (other.extract::<u64>(), other.get_str()) {
                (Some(number), _) => Value::Number(number.into()),
                (None, Some(text)) => Value::String(text.to_owned()),
                (None, None) => Value::String(format!("{other:?}")),
            }
        }
    }
}

fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => on_one_line(text, CELL_MAX_CHARS),
        other => plain_cell(other),
    }
}

/// A value as it stands in a table, however long.
pub(crate) fn plain_cell(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => float_cell(number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

/// Up to six digits after the point where that says something, a power of ten where it does not.
fn float_cell(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:e}");
    }
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0');
    match text.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;

    #[test]
    fn rows_become_objects_and_odd_floats_strings() {
        let frame = df!(
            "word" => ["a\nb", "c"],
            "n" => [Some(1i64), None],
            "x" => [f64::NAN, f64::NEG_INFINITY],
            "yes" => [true, false],
        );
        let result = QueryResult::new(frame.unwrap());
        let expected = serde_json::json!([
            {"word": "a\nb", "n": 1, "x": "NaN", "yes": true},
            {"word": "c", "n": null, "x": "-Infinity", "yes": false},
        ]);
        assert_eq!(result.to_json(), expected);
        let types: Vec<String> = result.columns().into_iter().map(|(_, dtype)| dtype).collect();
        assert_eq!(types, ["str", "i64", "f64", "bool"]);
    }

    #[test]
    fn a_table_is_cut_and_says_so_while_the_json_is_whole() {
        let frame = df!("n" => (0..1_200).collect::<Vec<i64>>()).unwrap();
        let output = QueryResult::new(frame).to_output(2);
        assert_eq!(output.to_text(None), "n\n─\n0\n1\n… and 1,198 more rows of 1,200");
        assert_eq!(output.json().as_array().unwrap().len(), 1_200);
    }

    #[test]
    fn floats_are_short() {
        for (value, expected) in [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (2.0 / 3.0, "0.666667"),
            (-12.25, "-12.25"),
            (1e-9, "1e-9"),
            (1e20, "1e20"),
        ] {
            assert_eq!(float_cell(value), expected);
        }
    }
}
