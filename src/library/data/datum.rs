//! One value of a row, as text files, JSON and tables spell it. What has exact digits keeps them:
//! nothing but a float goes through a float. Nothing here is ever Rust's debug text.
//!
//! | type | text of a cell | JSON |
//! |---|---|---|
//! | whole numbers, booleans | their digits, `true` and `false` | the same |
//! | decimals | all digits of their scale: `3.50` | the same; a string where readers would round it |
//! | floats | the shortest digits that give the same float | the same; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | dates, times | `2024-01-05`, `10:00:00.5` | a string |
//! | datetimes | `2024-01-05 10:00:00.000000+01:00`, digits by their unit | a string |
//! | durations | ISO 8601: `P1DT2H0.5S` | a string |
//! | categories | their names | a string |
//! | lists, structs | their JSON | arrays, objects |
//! | bytes | lower-case hexadecimal digits | a string |

use std::{borrow::Cow, fmt::Write as _};

use chrono::{DateTime, Duration, NaiveDate, NaiveTime};
use polars::prelude::{AnyValue, Series, TimeUnit, TimeZone};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Number, Value, value::RawValue};

use super::number::{decimal_text, survives_double};
use crate::figure::hex;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum {
    Null,
    Bool(bool),
    /// A number with exactly these digits, as JSON writes it.
    Number(String),
    /// A float; one of single precision has the digits that it prints as.
    Float(f64),
    Text(String),
    List(Vec<Datum>),
    Object(Vec<(String, Datum)>),
    /// A list or an object in the words of the JSON that it was read from.
    Json(String),
}

impl Datum {
    /// Every value of `series`.
    pub(super) fn all(series: &Series) -> Vec<Self> {
        series.rechunk().iter().map(|value| Self::of(&value)).collect()
    }

    fn of(value: &AnyValue<'_>) -> Self {
        match value {
            AnyValue::Null => Self::Null,
            AnyValue::Boolean(value) => Self::Bool(*value),
            AnyValue::Int8(value) => Self::Number(value.to_string()),
            AnyValue::Int16(value) => Self::Number(value.to_string()),
            AnyValue::Int32(value) => Self::Number(value.to_string()),
            AnyValue::Int64(value) => Self::Number(value.to_string()),
            AnyValue::Int128(value) => Self::Number(value.to_string()),
            AnyValue::UInt8(value) => Self::Number(value.to_string()),
            AnyValue::UInt16(value) => Self::Number(value.to_string()),
            AnyValue::UInt32(value) => Self::Number(value.to_string()),
            AnyValue::UInt64(value) => Self::Number(value.to_string()),
            AnyValue::UInt128(value) => Self::Number(value.to_string()),
            // As a float of twice the size 0.1 would be 0.10000000149011612.
            AnyValue::Float32(value) => {
                Self::Float(value.to_string().parse().unwrap_or(f64::from(*value)))
            }
            AnyValue::Float64(value) => Self::Float(*value),
            AnyValue::Decimal(value, _, scale) => {
                let text = decimal_text(*value, *scale);
                match *scale == 0 || survives_double(&text) {
                    true => Self::Number(text),
                    false => Self::Text(text),
                }
            }
            AnyValue::String(text) => Self::Text((*text).to_owned()),
            AnyValue::StringOwned(text) => Self::Text(text.to_string()),
            AnyValue::Date(days) => Self::Text(date(*days)),
            AnyValue::Datetime(value, unit, zone) => Self::Text(datetime(*value, *unit, *zone)),
            AnyValue::DatetimeOwned(value, unit, zone) => {
                Self::Text(datetime(*value, *unit, zone.as_deref()))
            }
            AnyValue::Duration(value, unit) => Self::Text(duration(*value, *unit)),
            AnyValue::Time(value) => Self::Text(time(*value)),
            AnyValue::List(values) | AnyValue::Array(values, _) => Self::List(Self::all(values)),
            AnyValue::Struct(_, _, fields) => {
                let names = fields.iter().map(|field| field.name().to_string());
                let values = value._iter_struct_av();
                Self::Object(names.zip(values.map(|value| Self::of(&value))).collect())
            }
            AnyValue::StructOwned(content) => {
                let (values, fields) = &**content;
                let names = fields.iter().map(|field| field.name().to_string());
                Self::Object(names.zip(values.iter().map(Self::of)).collect())
            }
            AnyValue::Binary(bytes) => Self::Text(hex(bytes)),
            AnyValue::BinaryOwned(bytes) => Self::Text(hex(bytes)),
            other => Self::Text(match other.get_str() {
                Some(category) => category.to_owned(),
                None => other.to_string(),
            }),
        }
    }

    /// As a cell of a text file; none for a null.
    pub(super) fn to_cell(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => if *value { "true" } else { "false" }.into(),
            Self::Number(text) | Self::Text(text) | Self::Json(text) => text.into(),
            Self::Float(value) => match Number::from_f64(*value) {
                Some(number) => number.to_string().into(),
                None => not_finite(*value).into(),
            },
            Self::List(_) | Self::Object(_) => {
                let mut json = String::new();
                self.push_json(&mut json);
                json.into()
            }
        })
    }

    /// Adds its JSON to `json`.
    pub(super) fn push_json(&self, json: &mut String) {
        match self {
            Self::Null => json.push_str("null"),
            Self::Text(text) => push_string(json, text),
            Self::Float(value) if !value.is_finite() => push_string(json, not_finite(*value)),
            Self::List(values) => {
                json.push('[');
                for (idx, value) in values.iter().enumerate() {
                    json.push_str(if idx > 0 { "," } else { "" });
                    value.push_json(json);
                }
                json.push(']');
            }
            Self::Object(fields) => {
                push_object(json, fields.iter().map(|(name, value)| (name.as_str(), value)));
            }
            Self::Bool(_) | Self::Number(_) | Self::Float(_) | Self::Json(_) => {
                json.push_str(&self.to_cell().unwrap_or_default());
            }
        }
    }

    /// As a value of JSON in memory, which has 64 bits for a number: one that needs more is a string.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(text) => number(text).map_or_else(|| text.as_str().into(), Value::Number),
            Self::Float(value) => match Number::from_f64(*value) {
                Some(number) => Value::Number(number),
                None => not_finite(*value).into(),
            },
            Self::Text(text) => Value::String(text.clone()),
            Self::List(values) => Value::Array(values.iter().map(Self::to_value).collect()),
            Self::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), value.to_value()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            Self::Json(json) => serde_json::from_str(json).unwrap_or_else(|_| json.clone().into()),
        }
    }

    /// As it stands in a table, however long.
    pub(crate) fn table_cell(&self) -> Cow<'_, str> {
        match self {
            Self::Float(value) if value.is_finite() => float_cell(*value).into(),
            other => other.to_cell().unwrap_or("null".into()),
        }
    }

    /// Its kind, for an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Json(json) if json.starts_with('[') => "an array",
            Self::Object(_) | Self::Json(_) => "an object",
        }
    }
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(text),
            list_or_object => Self::Json(list_or_object.to_string()),
        }
    }
}

/// From JSON, whose numbers keep every digit.
impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match json.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => Self::Text(serde_json::from_str(json).map_err(D::Error::custom)?),
            Some(b'[' | b'{') => Self::Json(json.to_owned()),
            _ => Self::Number(json.to_owned()),
        })
    }
}

/// Adds an object of JSON to `json`.
pub(super) fn push_object<'a>(
    json: &mut String,
    fields: impl Iterator<Item = (&'a str, &'a Datum)>,
) {
    json.push('{');
    for (idx, (name, value)) in fields.enumerate() {
        json.push_str(if idx > 0 { "," } else { "" });
        push_string(json, name);
        json.push(':');
        value.push_json(json);
    }
    json.push('}');
}

fn push_string(json: &mut String, text: &str) {
    // Nothing can fail in memory, and a string has no keys that could be none.
    json.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The strings for the floats that JSON has no number for.
pub(super) const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

fn not_finite(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => NOT_FINITE[0],
        value if value > 0.0 => NOT_FINITE[1],
        _ => NOT_FINITE[2],
    }
}

/// The number that `text` is, if 64 bits hold it.
fn number(text: &str) -> Option<Number> {
    let whole = text.parse::<i64>().ok().map(Number::from);
    whole.or_else(|| text.parse::<u64>().ok().map(Number::from)).or_else(|| {
        survives_double(text).then(|| text.parse().ok().and_then(Number::from_f64)).flatten()
    })
}

/// Up to six digits after the point where that says something, a power of ten where it does not.
pub(crate) fn float_cell(value: f64) -> String {
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

/// A moment beyond the calendar of the library, as the file has it.
fn since_epoch(value: impl std::fmt::Display, unit: &str) -> String {
    format!("{value} {unit} since 1970-01-01")
}

fn date(days: i32) -> String {
    let epoch = NaiveDate::default();
    match epoch.checked_add_signed(Duration::days(days.into())) {
        Some(date) => date.to_string(),
        None => since_epoch(days, "days"),
    }
}

fn datetime(value: i64, unit: TimeUnit, zone: Option<&TimeZone>) -> String {
    let (at, n_digits, name) = match unit {
        TimeUnit::Milliseconds => (DateTime::from_timestamp_millis(value), 3, "ms"),
        TimeUnit::Microseconds => (DateTime::from_timestamp_micros(value), 6, "us"),
        TimeUnit::Nanoseconds => (Some(DateTime::from_timestamp_nanos(value)), 9, "ns"),
    };
    let local = match (at, zone.map(TimeZone::to_chrono)) {
        (Some(at), None) => Some(at.format(&format!("%F %T%.{n_digits}f")).to_string()),
        (Some(at), Some(Ok(zone))) => {
            let at = at.with_timezone(&zone);
            Some(at.format(&format!("%F %T%.{n_digits}f%:z")).to_string())
        }
        (None, _) | (_, Some(Err(_))) => None,
    };
    local.unwrap_or_else(|| since_epoch(value, name))
}

/// `value` nanoseconds since midnight.
fn time(value: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    let seconds = u32::try_from(value.div_euclid(SECOND)).ok();
    let rest = u32::try_from(value.rem_euclid(SECOND)).unwrap_or_default();
    let time =
        seconds.and_then(|seconds| NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest));
    time.map_or_else(
        || format!("{value} ns since midnight"),
        |time| time.format("%T%.f").to_string(),
    )
}

/// As ISO 8601 says, a day being 24 hours.
fn duration(value: i64, unit: TimeUnit) -> String {
    let (second, n_digits) = match unit {
        TimeUnit::Milliseconds => (1_000, 3),
        TimeUnit::Microseconds => (1_000_000, 6),
        TimeUnit::Nanoseconds => (1_000_000_000, 9),
    };
    let size = value.unsigned_abs();
    let (seconds, fraction) = (size / second, size % second);
    let mut text = String::from(if value < 0 { "-P" } else { "P" });
    let days = seconds / 86_400;
    if days > 0 {
        let _ = write!(text, "{days}D");
    }
    if days > 0 && seconds % 86_400 == 0 && fraction == 0 {
        return text;
    }
    text.push('T');
    for (part, name) in [(seconds / 3_600 % 24, 'H'), (seconds / 60 % 60, 'M')] {
        if part > 0 {
            let _ = write!(text, "{part}{name}");
        }
    }
    if fraction > 0 {
        let fraction = format!("{fraction:0n_digits$}");
        let _ = write!(text, "{}.{}S", seconds % 60, fraction.trim_end_matches('0'));
    } else if seconds % 60 > 0 || size == 0 {
        let _ = write!(text, "{}S", seconds % 60);
    }
    text
}

#[cfg(test)]
mod tests {
    use polars::prelude::NamedFrom as _;

    use super::*;

    fn check(value: &AnyValue<'_>, cell: &str, json: &str) {
        let datum = Datum::of(value);
        let mut written = String::new();
        datum.push_json(&mut written);
        assert_eq!((&*datum.to_cell().unwrap_or_default(), &*written), (cell, json), "{value:?}");
    }

    #[test]
    fn values_keep_their_digits() {
        for (value, expected) in [
            (AnyValue::Decimal(1_999, 10, 2), "19.99"),
            (AnyValue::Decimal(-350, 10, 2), "-3.50"),
            (AnyValue::Decimal(49, 38, 2), "0.49"),
            (AnyValue::Decimal(i128::MAX, 38, 0), "170141183460469231731687303715884105727"),
            (AnyValue::UInt64(u64::MAX), "18446744073709551615"),
            (AnyValue::Int128(i128::MIN), "-170141183460469231731687303715884105728"),
            (AnyValue::Float32(0.1), "0.1"),
            (AnyValue::Float32(16_777_216.0), "16777216.0"),
            (AnyValue::Float32(f32::MIN_POSITIVE), "1.1754944e-38"),
            (AnyValue::Float64(0.1 + 0.2), "0.30000000000000004"),
            (AnyValue::Boolean(true), "true"),
        ] {
            check(&value, expected, expected);
        }
        check(&AnyValue::Null, "", "null");
        // Readers of JSON would make 12345678901234567000 of this.
        let big = AnyValue::Decimal(1_234_567_890_123_456_789_012, 38, 2);
        check(&big, "12345678901234567890.12", "\"12345678901234567890.12\"");
        check(&AnyValue::Float32(f32::NAN), "NaN", "\"NaN\"");
        check(&AnyValue::Float64(f64::NEG_INFINITY), "-Infinity", "\"-Infinity\"");
    }

    #[test]
    fn dates_and_times_are_iso_8601_wherever_they_lie() {
        let (day, hour) = (86_400_i64, 3_600_i64);
        for (value, expected) in [
            (AnyValue::Date(19_727), "2024-01-05"),
            (AnyValue::Date(-719_529), "-0001-12-31"),
            (AnyValue::Date(i32::MAX), "2147483647 days since 1970-01-01"),
            (AnyValue::Time(36_000_500_000_000), "10:00:00.500"),
            (AnyValue::Time(0), "00:00:00"),
            (AnyValue::Time(-1), "-1 ns since midnight"),
            (
                AnyValue::Datetime(1_704_448_800_000, TimeUnit::Milliseconds, None),
                "2024-01-05 10:00:00.000",
            ),
            (AnyValue::Datetime(-1, TimeUnit::Nanoseconds, None), "1969-12-31 23:59:59.999999999"),
            (
                AnyValue::Datetime(i64::MAX, TimeUnit::Milliseconds, None),
                "9223372036854775807 ms since 1970-01-01",
            ),
            (AnyValue::Duration(0, TimeUnit::Microseconds), "PT0S"),
            (AnyValue::Duration(day * 1_000, TimeUnit::Milliseconds), "P1D"),
            (
                AnyValue::Duration((day + 2 * hour) * 1_000 + 500, TimeUnit::Milliseconds),
                "P1DT2H0.5S",
            ),
            (AnyValue::Duration(-61, TimeUnit::Nanoseconds), "-PT0.000000061S"),
            (AnyValue::Duration(i64::MIN, TimeUnit::Microseconds), "-P106751991DT4H54.775808S"),
        ] {
            check(&value, expected, &format!("{expected:?}"));
        }
        for (zone, expected) in [
            ("Europe/Berlin", "2024-01-05 11:00:00.000000+01:00"),
            ("Asia/Kolkata", "2024-01-05 15:30:00.000000+05:30"),
            ("UTC", "2024-01-05 10:00:00.000000+00:00"),
        ] {
            let zone = TimeZone::opt_try_new(Some(zone)).unwrap();
            let unit = TimeUnit::Microseconds;
            let value = AnyValue::Datetime(1_704_448_800_000_000, unit, zone.as_ref());
            check(&value, expected, &format!("{expected:?}"));
        }
    }

    #[test]
    fn lists_and_structs_are_json_with_every_value_in_its_own_spelling() {
        let days = Series::new("".into(), [Some(19_727), None]);
        let days = days.cast(&polars::prelude::DataType::Date).unwrap();
        let fields = vec![
            polars::prelude::Field::new("a \"b\"".into(), polars::prelude::DataType::String),
            polars::prelude::Field::new("price".into(), polars::prelude::DataType::Decimal(9, 2)),
        ];
        let values = vec![AnyValue::String("x\ny"), AnyValue::Decimal(1_050, 9, 2)];
        let row = AnyValue::StructOwned(Box::new((values, fields)));
        for (value, expected) in [
            (AnyValue::List(days), r#"["2024-01-05",null]"#),
            (AnyValue::List(Series::new("".into(), [0.1f32, f32::NAN])), r#"[0.1,"NaN"]"#),
            (row, r#"{"a \"b\"":"x\ny","price":10.50}"#),
        ] {
            check(&value, expected, expected);
        }
    }

    #[test]
    fn json_is_read_digit_by_digit() {
        for json in [
            "null",
            "true",
            "false",
            "1",
            "-0",
            "1.0",
            "19.990",
            "1E5",
            "1e400",
            "123456789012345678901234567890",
            "0.1000000000000000055511151231257827",
            "\"a\\n\\\"\"",
            "[1, {\"a\": 1.50}]",
            "{\"b\":  [ ]}",
        ] {
            let datum: Datum = serde_json::from_str(json).unwrap();
            let mut written = String::new();
            datum.push_json(&mut written);
            assert_eq!(written, json);
        }
        assert_eq!(serde_json::from_str::<Datum>("\"\\u00e9\"").unwrap(), Datum::Text("é".into()));
        assert!(serde_json::from_str::<Datum>("\"\\ud800\"").is_err());
        for (number, expected) in [
            ("18446744073709551615", serde_json::json!(u64::MAX)),
            ("10.50", serde_json::json!(10.5)),
            ("18446744073709551616", serde_json::json!("18446744073709551616")),
            ("1e400", serde_json::json!("1e400")),
        ] {
            assert_eq!(Datum::Number(number.into()).to_value(), expected);
        }
    }

    #[test]
    fn floats_in_tables_are_short() {
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
        assert_eq!(Datum::Number("0.12345678".into()).table_cell(), "0.12345678");
        assert_eq!(Datum::Null.table_cell(), "null");
    }
}
