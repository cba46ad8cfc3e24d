//! The values of a kept column as numbers, so that they can be counted against labels. It knows
//! nothing of what is concluded from that.

use std::collections::HashMap;

use polars::prelude::{Column, DataType, col};

use super::{ColumnCodes, Datasets, guarded::first_line};
use crate::error::{Error, ErrorKind, Result};

/// Numbers with more different values than this are counted by ranges.
const MAX_SINGLE_NUMBERS: usize = 50;

/// Ranges with equally many rows.
const N_RANGES: usize = 200;

impl Datasets {
    /// The kept column `column` of a split with its values numbered; nothing for types whose values
    /// cannot be written as text.
    ///
    /// # Errors
    /// No such dataset, split or column, and what reading it returns.
    pub(crate) fn column_codes(
        &self,
        dataset: &str,
        split: &str,
        column: &str,
    ) -> Result<Option<ColumnCodes>> {
        let reference = format!("{dataset}.{split}");
        let frame = self.frame(&reference)?.select([col(column)]).collect().map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot read {reference}"))
                .with_source(first_line(&source))
        })?;
        Ok(frame.columns().first().and_then(codes))
    }
}

fn codes(column: &Column) -> Option<ColumnCodes> {
    let name = column.name().to_string();
    let series = column.as_materialized_series();
    let is_number = series.dtype().is_primitive_numeric() || series.dtype().is_decimal();
    if is_number && series.n_unique().ok()? > MAX_SINGLE_NUMBERS {
        let numbers = series.cast(&DataType::Float64).ok()?;
        let numbers: Vec<Option<f64>> =
            numbers.f64().ok()?.iter().map(|number| number.filter(|n| !n.is_nan())).collect();
        let (codes, values) = by_range(&numbers);
        return Some(ColumnCodes { name, codes, values });
    }
    let texts = series.cast(&DataType::String).ok()?;
    let mut numbered: HashMap<&str, u32> = HashMap::new();
    let mut values = Vec::new();
    let codes = texts.str().ok()?.iter().map(|text| {
        text.map(|text| {
            *numbered.entry(text).or_insert_with(|| {
                values.push(text.to_owned());
                values.len() as u32 - 1
            })
        })
    });
    Some(ColumnCodes { name, codes: codes.collect(), values })
}

/// The range of each number, and the ranges.
fn by_range(numbers: &[Option<f64>]) -> (Vec<Option<u32>>, Vec<String>) {
    let mut sorted: Vec<f64> = numbers.iter().flatten().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    // The first number of each range; equal numbers are never parted.
    let mut starts: Vec<f64> = (0..N_RANGES)
        .filter_map(|nth| sorted.get(nth * sorted.len() / N_RANGES).copied())
        .collect();
    starts.dedup();
    let code = |number: &f64| starts.partition_point(|start| start <= number).max(1) as u32 - 1;
    let codes = numbers.iter().map(|number| number.as_ref().map(code)).collect();
    let said = |(nth, start): (usize, &f64)| match starts.get(nth + 1) {
        Some(end) => format!("from {start} to below {end}"),
        None => format!("{start} or more"),
    };
    (codes, starts.iter().enumerate().map(said).collect())
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoColumn as _, NamedFrom as _, Series};

    use super::*;

    #[test]
    fn texts_and_few_numbers_are_numbered_as_they_come() {
        let column =
            Series::new("stars".into(), [Some(5i64), None, Some(1), Some(5)]).into_column();
        let found = codes(&column).unwrap();
        assert_eq!(found.codes, [Some(0), None, Some(1), Some(0)]);
        assert_eq!(found.values, ["5", "1"]);
    }

    #[test]
    fn many_numbers_are_ranges_and_equal_ones_stay_together() {
        let numbers: Vec<f64> = (0..1_000)
            .map(|n| if n < 500 { 0.0 } else { f64::from(n) })
            .chain([f64::NAN])
            .collect();
        let column = Series::new("x".into(), numbers).into_column();
        let found = codes(&column).unwrap();
        assert!(found.codes[..500].iter().all(|code| *code == Some(0)));
        assert_eq!(found.codes[1_000], None);
        assert_eq!(found.values.len(), 101);
        assert_eq!(found.values[0], "from 0 to below 500");
        assert_eq!(found.values[100], "995 or more");
        let ranges: Vec<u32> = found.codes.iter().flatten().copied().collect();
        assert!(ranges.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
