//! The answer to a SQL query: a frame that shows itself as a table or as JSON rows.

use polars::prelude::DataFrame;
use serde_json::{Map, Value};

use super::{datum::Datum, head::on_one_line};
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
    /// strings `"NaN"`, `"Infinity"` and `"-Infinity"`. Dates and times are strings, as in ISO 8601,
    /// also inside lists and structs. A number is a number as long as JSON's readers, which have 64
    /// bits for it, keep its digits; decimals with more of them are strings.
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
        let columns = self.data(n_shown);
        let heads = self.frame.columns().iter().map(|column| {
            let is_number = column.dtype().is_primitive_numeric() || column.dtype().is_decimal();
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

    /// Every column's first `n_rows` values, as JSON.
    pub(crate) fn values(&self, n_rows: usize) -> Vec<(String, Vec<Value>)> {
        let columns = self.data(n_rows).into_iter();
        columns.map(|(name, data)| (name, data.iter().map(Datum::to_value).collect())).collect()
    }

    /// Every column's first `n_rows` values.
    pub(crate) fn data(&self, n_rows: usize) -> Vec<(String, Vec<Datum>)> {
        let frame = self.frame.head(Some(n_rows));
        let columns = frame
            .columns()
            .iter()
            .map(|column| (column.name().to_string(), Datum::all(column.as_materialized_series())));
        columns.collect()
    }
}

fn cell(value: &Datum) -> String {
    let text = value.table_cell();
    match value {
        Datum::Text(_) | Datum::List(_) | Datum::Object(_) => on_one_line(&text, CELL_MAX_CHARS),
        _ => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{
        DataType, IntoLazy as _, NamedFrom as _, Series, as_struct, col, df, lit,
    };

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
    fn decimals_dates_and_what_holds_them_keep_their_values() {
        let frame = df!(
            "price" => ["19.99", "-3.50"],
            "exact" => ["12345678901234567890.12", "0.12345678"],
            "small" => [0.1f32, 1e-5],
            "days" => [Series::new("".into(), [19_727, 0]), Series::new("".into(), [0; 0])],
        );
        let frame = frame.unwrap().lazy().select([
            col("price").cast(DataType::Decimal(6, 2)),
            col("exact").cast(DataType::Decimal(38, 8)),
            col("small"),
            col("days").cast(DataType::List(Box::new(DataType::Date))),
            as_struct(vec![lit(1).alias("n"), lit("2024-01-05").alias("s")]).alias("both"),
        ]);
        let result = QueryResult::new(frame.collect().unwrap());
        let both = serde_json::json!({"n": 1, "s": "2024-01-05"});
        let expected = serde_json::json!([
            {"price": 19.99, "exact": "12345678901234567890.12000000", "small": 0.1,
             "days": ["2024-01-05", "1970-01-01"], "both": both},
            {"price": -3.5, "exact": 0.12345678, "small": 1e-5, "days": [], "both": both},
        ]);
        assert_eq!(result.to_json(), expected);
        let text = result.to_output(9).to_text(None);
        for expected in
            ["19.99", "-3.50", "0.12345678", "1e-5", r#"["2024-01-05","1970-01-01"]"#, r#"{"n":1,"#]
        {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
