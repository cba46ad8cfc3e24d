//! The common type of a column's values, for formats whose columns have types.

use polars::prelude::Column;

use super::chunk::Row;
use crate::data::{
    datum::{Datum, NOT_FINITE},
    number::is_double,
};

/// Whole numbers up to this size are floats of 64 bits too.
const MAX_WHOLE_FLOAT: i128 = 1 << 53;

/// The narrowest type that holds every value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No value yet but null.
    Unknown,
    Boolean,
    /// Whole numbers from the first to the second.
    Integer(i128, i128),
    Float,
    /// The strings that JSON has for a float that is no number or not finite.
    NotFinite,
    Text,
    /// Lists, objects, numbers that no type holds, and whatever does not go together: their JSON.
    Json,
}

impl Kind {
    fn of(value: &Datum) -> Self {
        match value {
            Datum::Null => Self::Unknown,
            Datum::Bool(_) => Self::Boolean,
            Datum::Number(number) => match number.parse::<i128>() {
                // As a whole number it would lose its sign.
                Ok(0) if number.starts_with('-') => Self::Float,
                Ok(whole) => Self::Integer(whole, whole),
                Err(_) if number.contains(['.', 'e', 'E']) && is_double(number) => Self::Float,
                Err(_) => Self::Json,
            },
            Datum::Float(value) if value.is_finite() => Self::Float,
            Datum::Text(text) if NOT_FINITE.contains(&text.as_str()) => Self::NotFinite,
            Datum::Text(_) => Self::Text,
            Datum::Float(_) | Datum::List(_) | Datum::Object(_) | Datum::Json(_) => Self::Json,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (same, other) if same == other => same,
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Integer(low, high), Self::Integer(other_low, other_high)) => {
                Self::Integer(low.min(other_low), high.max(other_high))
            }
            (Self::Float, Self::NotFinite) | (Self::NotFinite, Self::Float) => Self::Float,
            (Self::Text, Self::NotFinite) | (Self::NotFinite, Self::Text) => Self::Text,
            (Self::Integer(low, high), Self::Float | Self::NotFinite)
            | (Self::Float | Self::NotFinite, Self::Integer(low, high))
                if low >= -MAX_WHOLE_FLOAT && high <= MAX_WHOLE_FLOAT =>
            {
                Self::Float
            }
            _ => Self::Json,
        }
    }

    /// `values` as a column of this kind.
    fn column<'a>(self, name: &str, values: impl Iterator<Item = &'a Datum>) -> Column {
        let name = name.into();
        match self {
            Self::Boolean => Column::new(name, values.map(boolean).collect::<Vec<_>>()),
            Self::Integer(low, high) if fits::<i64>(low, high) => {
                Column::new(name, values.map(parsed::<i64>).collect::<Vec<_>>())
            }
            Self::Integer(low, high) if fits::<u64>(low, high) => {
                Column::new(name, values.map(parsed::<u64>).collect::<Vec<_>>())
            }
            Self::Float => Column::new(name, values.map(float).collect::<Vec<_>>()),
            Self::Unknown | Self::NotFinite | Self::Text => {
                Column::new(name, values.map(text).collect::<Vec<_>>())
            }
            Self::Integer(..) | Self::Json => {
                Column::new(name, values.map(json).collect::<Vec<_>>())
            }
        }
    }
}

fn fits<T: TryFrom<i128>>(low: i128, high: i128) -> bool {
    T::try_from(low).is_ok() && T::try_from(high).is_ok()
}

fn boolean(value: &Datum) -> Option<bool> {
    match value {
        Datum::Bool(value) => Some(*value),
        _ => None,
    }
}

fn parsed<T: std::str::FromStr>(value: &Datum) -> Option<T> {
    match value {
        Datum::Number(number) => number.parse().ok(),
        _ => None,
    }
}

fn float(value: &Datum) -> Option<f64> {
    match value {
        Datum::Float(value) => Some(*value),
        Datum::Text(text) => text.parse().ok(),
        number => parsed(number),
    }
}

fn text(value: &Datum) -> Option<&str> {
    match value {
        Datum::Text(text) => Some(text),
        _ => None,
    }
}

fn json(value: &Datum) -> Option<String> {
    let mut json = String::new();
    value.push_json(&mut json);
    (*value != Datum::Null).then_some(json)
}

/// Columns in the order in which they were first seen.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Kinds(Vec<(String, Kind)>);

impl Kinds {
    /// Columns of strings.
    pub(super) fn texts(names: Vec<String>) -> Self {
        Self(names.into_iter().map(|name| (name, Kind::Text)).collect())
    }

    pub(in crate::data) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Makes room for `row`.
    pub(in crate::data) fn extend(&mut self, row: &Row) {
        for (idx, (name, value)) in row.fields().iter().enumerate() {
            // Most rows have the columns of those before, in their order.
            let place = match self.0.get(idx) {
                Some((same, _)) if same == name => Some(idx),
                _ => self.0.iter().position(|(known, _)| known == name),
            };
            match place {
                Some(place) => self.0[place].1 = self.0[place].1.or(Kind::of(value)),
                None => self.0.push((name.clone(), Kind::of(value))),
            }
        }
    }

    /// `rows` as columns; what a row does not have is null.
    pub(in crate::data) fn columns(&self, rows: &[Row]) -> Vec<Column> {
        let columns = self.0.iter().enumerate().map(|(idx, (name, kind))| {
            let values = rows.iter().map(|row| row.get_near(idx, name).unwrap_or(&Datum::Null));
            kind.column(name, values)
        });
        columns.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(objects: [&str; N]) -> [Row; N] {
        objects.map(|object| serde_json::from_str(object).unwrap())
    }

    #[test]
    fn a_column_has_the_narrowest_type_that_holds_its_values() {
        for (values, dtype) in [
            (&["1", "null", "-2"][..], "i64"),
            (&["1", "2.5"], "f64"),
            (&["true", "null"], "bool"),
            (&["\"a\"", "null"], "str"),
            (&["null", "null"], "str"),
            (&["1", "\"a\""], "str"),
            (&["[1]", "null"], "str"),
            (&["18446744073709551615", "0"], "u64"),
            (&["18446744073709551615", "-1"], "str"),
            (&["18446744073709551616"], "str"),
            (&["9007199254740993", "0.5"], "str"),
            (&["9007199254740992", "0.5"], "f64"),
            (&["-0", "1"], "f64"),
            (&["12345678901234567890.12"], "str"),
            (&["1e400"], "str"),
            (&["0.5", "\"NaN\"", "\"-Infinity\""], "f64"),
            (&["\"NaN\"", "1"], "f64"),
            (&["\"NaN\"", "\"a\""], "str"),
            (&["\"Infinity\"", "null"], "str"),
            (&["1e5", "0.30000000000000004441"], "f64"),
        ] {
            let rows: Vec<Row> = values
                .iter()
                .map(|value| serde_json::from_str(&format!("{{\"x\": {value}}}")).unwrap())
                .collect();
            let mut kinds = Kinds::default();
            rows.iter().for_each(|row| kinds.extend(row));
            let columns = kinds.columns(&rows);
            assert_eq!(columns[0].dtype().to_string(), dtype, "{values:?}");
            let n_nulls = values.iter().filter(|value| **value == "null").count();
            assert_eq!(columns[0].null_count(), n_nulls, "{values:?}");
        }
    }

    #[test]
    fn rows_may_have_their_fields_in_any_order_and_lack_some() {
        let rows = rows([r#"{"a": 1, "b": "x"}"#, r#"{"b": "y", "c": true}"#, "{}"]);
        let mut kinds = Kinds::default();
        rows.iter().for_each(|row| kinds.extend(row));
        assert_eq!(kinds.names(), ["a", "b", "c"]);
        let n_nulls: Vec<usize> = kinds.columns(&rows).iter().map(Column::null_count).collect();
        assert_eq!(n_nulls, [2, 1, 2]);
    }
}
