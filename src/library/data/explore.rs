//! A first look at a frame in a notebook: how often each value occurs, and what each column holds.

use polars::prelude::{
    Column, DataFrame, DataType, IntoLazy as _, LazyFrame, NamedFrom as _, QuantileMethod, Series,
    SortMultipleOptions, col, len,
};

use super::{Datasets, QueryResult, guarded::first_line};
use crate::error::{Error, ErrorKind, Result};

/// The methods that pandas' users type first, for any frame.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::prelude::*;
/// # fn main() -> trialbook::Result<()> {
/// let df = df!("label" => ["pos", "neg", "pos"], "stars" => [5, 1, 4]).expect("equal lengths");
/// let counts = df.value_counts("label")?;
/// assert_eq!(counts.column("count").expect("it is there").u32().expect("counts").get(0), Some(2));
/// assert_eq!(df.describe()?.height(), 2);
/// # Ok(())
/// # }
/// ```
pub trait Explore {
    /// Each value of the column with how often it occurs (`count`) and its share of all rows
    /// (`share`), the most frequent first. A null is a value.
    ///
    /// # Errors
    /// No such column, or one whose values cannot be grouped.
    fn value_counts(&self, column: &str) -> Result<DataFrame>;

    /// One row a column: `column`, `type`, `count` (values that are not null), `nulls`, `distinct`, and of
    /// numbers and truth values `mean`, `std` (of a sample, n - 1), `min`, `q25`, `median`, `q75`
    /// (interpolated, as numpy's) and `max`.
    ///
    /// # Errors
    /// A column that cannot be computed with.
    fn describe(&self) -> Result<DataFrame>;
}

impl Datasets {
    /// [`Explore::value_counts`] of a column of a dataset, or of one split: `imdb.train`.
    ///
    /// # Errors
    /// No such dataset, split or column, and what reading it returns.
    pub fn value_counts(&self, reference: &str, column: &str) -> Result<QueryResult> {
        let frame = self.frame(reference)?;
        let read = |frame: LazyFrame| {
            frame.collect().map_err(|source| {
                Error::new(ErrorKind::Io, format!("cannot read {reference}"))
                    .with_source(first_line(&source))
            })
        };
        // The empty frame knows its columns; texts, which are most of a dataset, are not read.
        let known = read(frame.clone().limit(0))?;
        if known.column(column).is_err() {
            return known.value_counts(column).map(QueryResult::new);
        }
        read(frame.select([col(column)]))?.value_counts(column).map(QueryResult::new)
    }
}

impl Explore for DataFrame {
    fn value_counts(&self, column: &str) -> Result<DataFrame> {
        if self.column(column).is_err() {
            let names: Vec<&str> = self.columns().iter().map(|c| c.name().as_str()).collect();
            return Err(Error::invalid(format!("column {column:?} does not exist"))
                .with_hint(format!("there are {}", names.join(", "))));
        }
        let n_rows = self.height().max(1) as f64;
        let by_count = SortMultipleOptions::default().with_order_descending_multi([true, false]);
        self.clone()
            .lazy()
            .group_by([col(column)])
            .agg([len().alias("count")])
            .sort(["count", column], by_count)
            .with_column((col("count").cast(DataType::Float64) / n_rows.into()).alias("share"))
            .collect()
            .map_err(|source| failed(column, &source))
    }

    fn describe(&self) -> Result<DataFrame> {
        let facts: Vec<Facts> = self.columns().iter().map(Facts::of).collect::<Result<_>>()?;
        let texts = |name: &str, fact: fn(&Facts) -> String| -> Column {
            Series::new(name.into(), facts.iter().map(fact).collect::<Vec<_>>()).into()
        };
        let counts = |name: &str, fact: fn(&Facts) -> u64| -> Column {
            Series::new(name.into(), facts.iter().map(fact).collect::<Vec<_>>()).into()
        };
        let numbers = |name: &str, idx: usize| -> Column {
            Series::new(name.into(), facts.iter().map(|f| f.numbers[idx]).collect::<Vec<_>>())
                .into()
        };
        let mut columns = vec![
            texts("column", |facts| facts.name.clone()),
            texts("type", |facts| facts.dtype.clone()),
            counts("count", |facts| facts.n_values),
            counts("nulls", |facts| facts.n_nulls),
            counts("distinct", |facts| facts.n_distinct),
        ];
        let names = ["mean", "std", "min", "q25", "median", "q75", "max"];
        columns.extend(names.iter().enumerate().map(|(idx, name)| numbers(name, idx)));
        DataFrame::new(facts.len(), columns).map_err(|source| failed("", &source))
    }
}

/// The facts about one column.
struct Facts {
    name: String,
    dtype: String,
    n_values: u64,
    n_nulls: u64,
    n_distinct: u64,
    /// Mean, standard deviation, minimum, the three quartiles, maximum.
    numbers: [Option<f64>; 7],
}

impl Facts {
    fn of(column: &Column) -> Result<Self> {
        let name = column.name().to_string();
        let fail = |source| failed(&name, &source);
        let series = column.as_materialized_series();
        let dtype = series.dtype();
        let mut numbers = [None; 7];
        if dtype.is_primitive_numeric() || dtype.is_bool() || dtype.is_decimal() {
            let values = series.cast(&DataType::Float64).map_err(fail)?;
            let quantile = |share: f64| -> Result<Option<f64>> {
                let found = values.quantile_reduce(share, QuantileMethod::Linear).map_err(fail)?;
                Ok(found.value().extract::<f64>())
            };
            numbers = [
                values.mean(),
                values.std(1),
                values.min::<f64>().map_err(fail)?,
                quantile(0.25)?,
                quantile(0.5)?,
                quantile(0.75)?,
                values.max::<f64>().map_err(fail)?,
            ];
        }
        let n_nulls = series.null_count();
        // A null is no value of its own here, as in pandas' `nunique`.
        let n_distinct = series.n_unique().map_err(fail)? - usize::from(n_nulls > 0);
        Ok(Self {
            dtype: dtype.to_string(),
            n_values: (series.len() - n_nulls) as u64,
            n_nulls: n_nulls as u64,
            n_distinct: n_distinct as u64,
            numbers,
            name,
        })
    }
}

fn failed(column: &str, source: &polars::prelude::PolarsError) -> Error {
    Error::invalid(format!("column {column:?} cannot be counted")).with_source(first_line(source))
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;

    fn json(frame: DataFrame) -> serde_json::Value {
        QueryResult::new(frame).to_json()
    }

    #[test]
    fn values_are_counted_the_most_frequent_first() {
        let frame = df!("label" => [Some("b"), Some("a"), None, Some("a")]).unwrap();
        let expected = serde_json::json!([
            {"label": "a", "count": 2, "share": 0.5},
            {"label": null, "count": 1, "share": 0.25},
            {"label": "b", "count": 1, "share": 0.25},
        ]);
        assert_eq!(json(frame.value_counts("label").unwrap()), expected);
        let error = frame.value_counts("lable").unwrap_err();
        assert_eq!(error.to_string(), "column \"lable\" does not exist");
        assert_eq!(error.hint().map(ToString::to_string).as_deref(), Some("there are label"));
    }

    /// The figures are those of pandas' `describe()`.
    #[test]
    fn columns_are_described_one_in_a_row() {
        let frame =
            df!("x" => [Some(1.0), Some(2.0), Some(3.0), None], "s" => ["a", "b", "a", "a"]);
        let expected = serde_json::json!([
            {"column": "x", "type": "f64", "count": 3, "nulls": 1, "distinct": 3,
             "mean": 2.0, "std": 1.0, "min": 1.0, "q25": 1.5, "median": 2.0, "q75": 2.5,
             "max": 3.0},
            {"column": "s", "type": "str", "count": 4, "nulls": 0, "distinct": 2, "mean": null,
             "std": null, "min": null, "q25": null, "median": null, "q75": null, "max": null},
        ]);
        assert_eq!(json(frame.unwrap().describe().unwrap()), expected);
        assert_eq!(DataFrame::empty().describe().unwrap().height(), 0);
    }
}
