//! The values of a kept column, a cell a row, as numbers or as text. It knows nothing of what they are
//! asked for.

use polars::prelude::{Column, DataType, col};

use super::{Datasets, guarded::first_line};
use crate::error::{Error, ErrorKind, Result};

/// A kept column of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnCells {
    /// Its name.
    pub name: String,
    /// One cell a row.
    pub values: CellValues,
}

/// Cells; none of a row without a value.
#[derive(Debug, Clone, PartialEq)]
pub enum CellValues {
    /// Of a column of numbers; one that is not finite is no value.
    Numbers(Vec<Option<f64>>),
    /// Of any other column, as polars writes them.
    Texts(Vec<Option<String>>),
}

impl CellValues {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// True without a row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Datasets {
    /// The cells of the kept column `column` of a split; nothing for types whose values cannot be
    /// written as text.
    ///
    /// # Errors
    /// No such dataset, split or column, and what reading it returns.
    pub fn column_cells(
        &self,
        dataset: &str,
        split: &str,
        column: &str,
    ) -> Result<Option<ColumnCells>> {
        let reference = format!("{dataset}.{split}");
        let frame = self.frame(&reference)?.select([col(column)]).collect().map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot read {reference}"))
                .with_source(first_line(&source))
        })?;
        Ok(frame.columns().first().and_then(cells))
    }
}

fn cells(column: &Column) -> Option<ColumnCells> {
    let series = column.as_materialized_series();
    let is_number = series.dtype().is_primitive_numeric() || series.dtype().is_decimal();
    let values = if is_number {
        let numbers = series.cast(&DataType::Float64).ok()?;
        let finite = |number: Option<f64>| number.filter(|number| number.is_finite());
        CellValues::Numbers(numbers.f64().ok()?.iter().map(finite).collect())
    } else {
        let texts = series.cast(&DataType::String).ok()?;
        CellValues::Texts(texts.str().ok()?.iter().map(|text| text.map(str::to_owned)).collect())
    };
    Some(ColumnCells { name: column.name().to_string(), values })
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoColumn as _, NamedFrom as _, Series};

    use super::*;

    fn of(series: Series) -> CellValues {
        cells(&series.into_column()).unwrap().values
    }

    #[test]
    fn numbers_are_numbers_and_the_rest_is_text() {
        let whole = of(Series::new("stars".into(), [Some(5i64), None]));
        assert_eq!(whole, CellValues::Numbers(vec![Some(5.0), None]));
        let broken = of(Series::new("x".into(), [1.5, f64::NAN, f64::INFINITY]));
        assert_eq!(broken, CellValues::Numbers(vec![Some(1.5), None, None]));
        let texts = |values: &[Option<&str>]| {
            CellValues::Texts(values.iter().map(|value| value.map(str::to_owned)).collect())
        };
        assert_eq!(of(Series::new("t".into(), ["a", ""])), texts(&[Some("a"), Some("")]));
        let flags = of(Series::new("b".into(), [Some(true), Some(false), None]));
        assert_eq!(flags, texts(&[Some("true"), Some("false"), None]));
    }
}
