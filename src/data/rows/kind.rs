//! What the values of a column have in common, for formats whose columns have types.

use polars::prelude::Column;
use serde_json::Value;

use super::chunk::Row;

/// The narrowest type that holds every value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No value yet but null.
    Unknown,
    Boolean,
    Integer,
    Float,
    Text,
    /// Lists, objects, and whatever does not go together: their JSON.
    Json,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Unknown,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => Self::Integer,
            Value::Number(number) if number.is_f64() => Self::Float,
            Value::String(_) => Self::Text,
            // Whole numbers too large for 63 bits: as floats they would be others.
            Value::Number(_) | Value::Array(_) | Value::Object(_) => Self::Json,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (same, other) if same == other => same,
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Integer, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            _ => Self::Json,
        }
    }

    /// `values` as a column of this kind.
    fn column<'a>(self, name: &str, values: impl Iterator<Item = &'a Value>) -> Column {
        let name = name.into();
        match self {
            Self::Boolean => Column::new(name, values.map(Value::as_bool).collect::<Vec<_>>()),
            Self::Integer => Column::new(name, values.map(Value::as_i64).collect::<Vec<_>>()),
            Self::Float => Column::new(name, values.map(Value::as_f64).collect::<Vec<_>>()),
            Self::Unknown | Self::Text => {
                Column::new(name, values.map(Value::as_str).collect::<Vec<_>>())
            }
            Self::Json => {
                let json = values.map(|value| (!value.is_null()).then(|| value.to_string()));
                Column::new(name, json.collect::<Vec<_>>())
            }
        }
    }
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
        for (idx, (name, value)) in row.iter().enumerate() {
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

    /// Makes room for the rows of `other` too, whose new columns come last.
    pub(in crate::data) fn or(mut self, other: Self) -> Self {
        for (name, kind) in other.0 {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = known.or(kind),
                None => self.0.push((name, kind)),
            }
        }
        self
    }

    /// `rows` as columns; what a row does not have is null.
    pub(in crate::data) fn columns(&self, rows: &[Row]) -> Vec<Column> {
        let columns = self.0.iter().map(|(name, kind)| {
            kind.column(name, rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null)))
        });
        columns.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn a_column_has_the_narrowest_type_that_holds_its_values() {
        for (values, dtype) in [
            (json!([1, null, -2]), "i64"),
            (json!([1, 2.5]), "f64"),
            (json!([true, null]), "bool"),
            (json!(["a", null]), "str"),
            (json!([null, null]), "str"),
            (json!([1, "a"]), "str"),
            (json!([[1], null]), "str"),
            (json!([18_446_744_073_709_551_615_u64]), "str"),
        ] {
            let rows: Vec<Map<String, Value>> = values
                .as_array()
                .unwrap()
                .iter()
                .map(|value| Map::from_iter([("x".to_owned(), value.clone())]))
                .collect();
            let mut kinds = Kinds::default();
            rows.iter().for_each(|row| kinds.extend(row));
            let columns = kinds.columns(&rows);
            assert_eq!(columns[0].dtype().to_string(), dtype, "{values}");
            let n_nulls = values.as_array().unwrap().iter().filter(|value| value.is_null()).count();
            assert_eq!(columns[0].null_count(), n_nulls, "{values}");
        }
    }

    #[test]
    fn rows_may_have_their_fields_in_any_order_and_lack_some() {
        let rows = [json!({"a": 1, "b": "x"}), json!({"b": "y", "c": true}), json!({})];
        let rows = rows.map(|row| row.as_object().unwrap().clone());
        let mut kinds = Kinds::default();
        rows.iter().for_each(|row| kinds.extend(row));
        assert_eq!(kinds.names(), ["a", "b", "c"]);
        let n_nulls: Vec<usize> = kinds.columns(&rows).iter().map(Column::null_count).collect();
        assert_eq!(n_nulls, [2, 1, 2]);
    }
}
