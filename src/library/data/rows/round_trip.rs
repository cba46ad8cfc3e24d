//! Whatever a typed file holds comes out of every format that is written as it went in. What each
//! value is spelt as is worked out here once more, from its parts and not from polars' values.

use std::{fs::File, path::Path, sync::Arc};

use chrono::NaiveDate;
use polars::prelude::*;
use proptest::prelude::*;
use serde_json::json;

use super::{
    RowsReader, RowsWriter,
    chunk::{Cells, Row},
};
use crate::{
    data::{Dialect, datum::Datum},
    progress::Interrupt,
};

/// A value, what stands for it in a cell of text, and its JSON.
#[derive(Debug, Clone)]
struct Sample {
    value: AnyValue<'static>,
    /// None is a null.
    cell: Option<String>,
    json: String,
}

impl Sample {
    fn null() -> Self {
        Self { value: AnyValue::Null, cell: None, json: "null".into() }
    }

    /// A number, a boolean, a list or a struct.
    fn bare(value: AnyValue<'static>, text: String) -> Self {
        Self { value, cell: Some(text.clone()), json: text }
    }

    fn quoted(value: AnyValue<'static>, text: String) -> Self {
        let json = json!(text).to_string();
        Self { value, cell: Some(text), json }
    }
}

fn float(value: AnyValue<'static>, shortest: f64) -> Sample {
    match shortest {
        number if number.is_nan() => Sample::quoted(value, "NaN".into()),
        f64::INFINITY => Sample::quoted(value, "Infinity".into()),
        f64::NEG_INFINITY => Sample::quoted(value, "-Infinity".into()),
        number => Sample::bare(value, json!(number).to_string()),
    }
}

fn decimal(value: i128, precision: usize, scale: usize) -> Sample {
    let mut text = value.unsigned_abs().to_string();
    while text.len() <= scale {
        text.insert(0, '0');
    }
    if scale > 0 {
        text.insert(text.len() - scale, '.');
    }
    if value < 0 {
        text.insert(0, '-');
    }
    let value = AnyValue::Decimal(value, precision, scale);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_start_matches('-').trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.trim_start_matches('-').to_owned(),
    };
    // Rust prints the shortest digits, and no exponents.
    let read = trimmed(&text.parse::<f64>().unwrap().to_string());
    match scale == 0 || read == trimmed(&text) {
        true => Sample::bare(value, text),
        false => Sample::quoted(value, text),
    }
}

fn clock(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn day(days: i64) -> String {
    let days = i32::try_from(days + 719_163).unwrap();
    NaiveDate::from_num_days_from_ce_opt(days).unwrap().to_string()
}

/// The number of a unit in a second, and the digits of that number.
fn per_second(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Milliseconds => (1_000, 3),
        TimeUnit::Microseconds => (1_000_000, 6),
        TimeUnit::Nanoseconds => (1_000_000_000, 9),
    }
}

fn datetime(days: i64, seconds: i64, rest: i64, unit: TimeUnit, zone: Option<&str>) -> Sample {
    let (second, n_digits) = per_second(unit);
    let rest = rest % second;
    let value = (days * 86_400 + seconds) * second + rest;
    let (offset_hours, offset) = match zone {
        None => (0, ""),
        Some("UTC") => (0, "+00:00"),
        Some(_) => (5, "+05:00"),
    };
    let local = days * 86_400 + seconds + offset_hours * 3_600;
    let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let text = format!("{} {}.{rest:0n_digits$}{offset}", day(days), clock(seconds));
    let zone = TimeZone::opt_try_new(zone).unwrap().map(Arc::new);
    Sample::quoted(AnyValue::DatetimeOwned(value, unit, zone), text)
}

fn time(seconds: i64, rest: i64) -> Sample {
    let fraction = match rest {
        0 => String::new(),
        rest if rest % 1_000_000 == 0 => format!(".{:03}", rest / 1_000_000),
        rest if rest % 1_000 == 0 => format!(".{:06}", rest / 1_000),
        rest => format!(".{rest:09}"),
    };
    let value = AnyValue::Time(seconds * 1_000_000_000 + rest);
    Sample::quoted(value, clock(seconds) + &fraction)
}

fn duration(is_negative: bool, days: i64, seconds: i64, rest: i64, unit: TimeUnit) -> Sample {
    let (second, n_digits) = per_second(unit);
    let rest = rest % second;
    let value = (days * 86_400 + seconds) * second + rest;
    let sign = if is_negative && value != 0 { "-" } else { "" };
    let part = |n: i64, name: &str| if n > 0 { format!("{n}{name}") } else { String::new() };
    let fraction = format!(".{rest:0n_digits$}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let last = match (seconds % 60, fraction) {
        (0, "") => String::new(),
        (whole, fraction) => format!("{whole}{fraction}S"),
    };
    let clock = part(seconds / 3_600, "H") + &part(seconds / 60 % 60, "M") + &last;
    let text = match (value, clock.as_str()) {
        (0, _) => "PT0S".to_owned(),
        (_, "") => format!("{sign}P{}", part(days, "D")),
        (_, clock) => format!("{sign}P{}T{clock}", part(days, "D")),
    };
    Sample::quoted(AnyValue::Duration(if is_negative { -value } else { value }, unit), text)
}

fn series(values: &[Sample], dtype: &DataType) -> Series {
    let values: Vec<AnyValue<'_>> = values.iter().map(|sample| sample.value.clone()).collect();
    Series::from_any_values_and_dtype("".into(), &values, dtype, true).unwrap()
}

fn jsons(values: &[Sample]) -> String {
    let values: Vec<&str> = values.iter().map(|sample| sample.json.as_str()).collect();
    format!("[{}]", values.join(","))
}

fn words() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        "[ -~äß\u{feff}\r\n\t\"\\\\;,]{0,6}",
        Just(String::new()),
        Just("null".to_owned()),
        Just("1.50".to_owned()),
    ]
    .boxed()
}

/// A value of the type `dtype`, now and then a null.
fn sample(dtype: &DataType) -> BoxedStrategy<Sample> {
    let (days, seconds, rest) = (-100_000..100_000i64, 0..86_400i64, 0..1_000_000_000i64);
    let rest = prop_oneof![Just(0), Just(500_000_000), Just(1_000), rest];
    macro_rules! numbers {
        ($type:ty, $variant:ident) => {
            prop_oneof![any::<$type>(), Just(<$type>::MIN), Just(<$type>::MAX)]
                .prop_map(|value| Sample::bare(AnyValue::$variant(value), value.to_string()))
                .boxed()
        };
    }
    let some = match dtype {
        DataType::Int8 => numbers!(i8, Int8),
        DataType::Int16 => numbers!(i16, Int16),
        DataType::Int32 => numbers!(i32, Int32),
        DataType::Int64 => numbers!(i64, Int64),
        DataType::Int128 => numbers!(i128, Int128),
        DataType::UInt8 => numbers!(u8, UInt8),
        DataType::UInt16 => numbers!(u16, UInt16),
        DataType::UInt32 => numbers!(u32, UInt32),
        DataType::UInt64 => numbers!(u64, UInt64),
        DataType::Boolean => any::<bool>()
            .prop_map(|value| Sample::bare(AnyValue::Boolean(value), value.to_string()))
            .boxed(),
        DataType::Float32 => prop_oneof![any::<f32>(), Just(f32::NAN), Just(0.1)]
            .prop_map(|value| {
                let shortest: f64 = value.to_string().parse().unwrap();
                assert!(value.is_nan() || shortest as f32 == value);
                float(AnyValue::Float32(value), shortest)
            })
            .boxed(),
        DataType::Float64 => prop_oneof![any::<f64>(), Just(f64::NEG_INFINITY), Just(-0.0)]
            .prop_map(|value| float(AnyValue::Float64(value), value))
            .boxed(),
        DataType::String => words()
            .prop_map(|text| Sample::quoted(AnyValue::StringOwned(text.as_str().into()), text))
            .boxed(),
        DataType::Categorical(..) => prop::sample::select(vec!["spam", "ham, \"eggs\"", ""])
            .prop_map(|text| Sample::quoted(AnyValue::StringOwned(text.into()), text.to_owned()))
            .boxed(),
        DataType::Date => days
            .prop_map(|days| {
                Sample::quoted(AnyValue::Date(i32::try_from(days).unwrap()), day(days))
            })
            .boxed(),
        DataType::Datetime(unit, zone) => {
            let (unit, zone) = (*unit, zone.clone());
            (days, seconds, rest)
                .prop_map(move |(days, seconds, rest)| {
                    datetime(days, seconds, rest, unit, zone.as_ref().map(|zone| zone.as_str()))
                })
                .boxed()
        }
        DataType::Time => (seconds, rest).prop_map(|(seconds, rest)| time(seconds, rest)).boxed(),
        DataType::Duration(unit) => {
            let unit = *unit;
            (any::<bool>(), prop_oneof![Just(0), 0..1_000i64], prop_oneof![Just(0), seconds], rest)
                .prop_map(move |(is_negative, days, seconds, rest)| {
                    duration(is_negative, days, seconds, rest, unit)
                })
                .boxed()
        }
        DataType::Decimal(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            let end = 10i128.pow(u32::try_from(precision).unwrap());
            prop_oneof![1 - end..end, (-9_999i128).max(1 - end)..end.min(9_999)]
                .prop_map(move |value| decimal(value, precision, scale))
                .boxed()
        }
        DataType::List(inner) => {
            let inner = (**inner).clone();
            prop::collection::vec(sample(&inner), 0..3)
                .prop_map(move |values| {
                    Sample::bare(AnyValue::List(series(&values, &inner)), jsons(&values))
                })
                .boxed()
        }
        DataType::Array(inner, width) => {
            let (inner, width) = ((**inner).clone(), *width);
            prop::collection::vec(sample(&inner), width)
                .prop_map(move |values| {
                    let value = AnyValue::Array(series(&values, &inner), width);
                    Sample::bare(value, jsons(&values))
                })
                .boxed()
        }
        DataType::Struct(fields) => {
            let values: Vec<_> = fields.iter().map(|field| sample(field.dtype())).collect();
            let fields = fields.clone();
            values
                .prop_map(move |values| {
                    let json: Vec<String> = fields
                        .iter()
                        .zip(&values)
                        .map(|(field, value)| {
                            format!("{}:{}", json!(field.name().as_str()), value.json)
                        })
                        .collect();
                    let values = values.into_iter().map(|sample| sample.value).collect();
                    let value = AnyValue::StructOwned(Box::new((values, fields.clone())));
                    Sample::bare(value, format!("{{{}}}", json.join(",")))
                })
                .boxed()
        }
        _ => return Just(Sample::null()).boxed(),
    };
    prop_oneof![4 => some, 1 => Just(Sample::null())].boxed()
}

fn dtype() -> BoxedStrategy<DataType> {
    let units = [TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds];
    let unit = prop::sample::select(units.to_vec());
    let zone = prop::sample::select(vec![None, Some("UTC"), Some("Etc/GMT-5")])
        .prop_map(|zone| TimeZone::opt_try_new(zone).unwrap());
    let plain = prop::sample::select(vec![
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Int128,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Boolean,
        DataType::String,
        DataType::Date,
        DataType::Time,
        DataType::Null,
        DataType::from_categories(Categories::global()),
    ]);
    let leaf = prop_oneof![
        4 => plain,
        2 => (unit.clone(), zone).prop_map(|(unit, zone)| DataType::Datetime(unit, zone)),
        1 => unit.prop_map(DataType::Duration),
        2 => (1..=38usize).prop_flat_map(|precision| {
            (0..=precision).prop_map(move |scale| DataType::Decimal(precision, scale))
        }),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let field_names = ["a", "b \"c\"", "d,\n"];
        prop_oneof![
            inner.clone().prop_map(|inner| DataType::List(Box::new(inner))),
            (inner.clone(), 1..3usize)
                .prop_map(|(inner, width)| DataType::Array(Box::new(inner), width)),
            prop::collection::vec(inner, 1..=3).prop_map(move |types| {
                let fields = field_names.iter().zip(types);
                DataType::Struct(
                    fields.map(|(name, dtype)| Field::new((*name).into(), dtype)).collect(),
                )
            }),
        ]
    })
    .boxed()
}

/// Columns of up to five rows.
fn columns() -> impl Strategy<Value = Vec<(DataType, Vec<Sample>)>> {
    (1..=5usize).prop_flat_map(|n_rows| {
        let column = dtype().prop_flat_map(move |dtype| {
            let values = prop::collection::vec(sample(&dtype), n_rows);
            (Just(dtype), values)
        });
        prop::collection::vec(column, 1..=4)
    })
}

/// Every row that our reader finds in the file at `path`.
fn read(path: &Path) -> Vec<Row> {
    let mut reader = RowsReader::open(path, &Dialect::default(), Some("text")).unwrap();
    let mut found = Vec::new();
    while let Some(chunk) = reader.next().unwrap() {
        match chunk.cells {
            Cells::Values(rows) => found.extend(rows),
            Cells::Frame(frame) => {
                let columns: Vec<(String, Vec<Datum>)> = frame
                    .columns()
                    .iter()
                    .map(|column| {
                        let values = Datum::all(column.as_materialized_series());
                        (column.name().to_string(), values)
                    })
                    .collect();
                found.extend((0..frame.height()).map(|row_idx| -> Row {
                    let cells = columns.iter();
                    cells.map(|(name, values)| (name.clone(), values[row_idx].clone())).collect()
                }));
            }
        }
    }
    found
}

/// Writes the rows of the file `from` to the file `to`.
fn convert(from: &Path, to: &Path) {
    let interrupt = Interrupt::default();
    let mut reader = RowsReader::open(from, &Dialect::default(), Some("text")).unwrap();
    let mut writer = RowsWriter::create(to, &reader, &[], &interrupt).unwrap();
    while let Some(chunk) = reader.next().unwrap() {
        writer.write(chunk, &[]).unwrap();
    }
    writer.finish(false).unwrap();
}

fn check(columns: &[(DataType, Vec<Sample>)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let n_rows = columns[0].1.len();
    let mut frame = DataFrame::new(n_rows, vec![Column::new("text".into(), vec!["fine"; n_rows])]);
    let frame = frame.as_mut().unwrap();
    for (idx, (dtype, samples)) in columns.iter().enumerate() {
        let values = series(samples, dtype).with_name(format!("c{idx}").into());
        frame.with_column(values.into_column()).unwrap();
    }
    ParquetWriter::new(File::create(path("in.parquet")).unwrap()).finish(frame).unwrap();
    IpcWriter::new(File::create(path("in.arrow")).unwrap()).finish(frame).unwrap();

    for input in ["in.parquet", "in.arrow"] {
        for output in ["csv", "tsv", "jsonl", "parquet"] {
            let output = format!("{input}.{output}");
            convert(&path(input), &path(&output));
            let rows = read(&path(&output));
            assert_eq!(rows.len(), n_rows, "{output}");
            for (idx, (dtype, samples)) in columns.iter().enumerate() {
                for (row, sample) in rows.iter().zip(samples) {
                    let found = row.get(&format!("c{idx}")).unwrap();
                    let context = format!("{output}: {dtype:?}: {sample:?}");
                    assert_eq!(found.to_cell().as_deref(), sample.cell.as_deref(), "{context}");
                    if output.ends_with("jsonl") || output.ends_with(".parquet") {
                        let mut json = String::new();
                        found.push_json(&mut json);
                        assert_eq!(json, sample.json, "{context}");
                    }
                }
            }
        }
        let written = File::open(path(&format!("{input}.parquet"))).unwrap();
        let written = ParquetReader::new(written).finish().unwrap();
        assert_eq!(written.schema(), frame.schema());
        assert!(written.equals_missing(frame), "{written:?} {frame:?}");
        // By way of JSON nothing is lost either.
        convert(&path(&format!("{input}.jsonl")), &path(&format!("{input}.2.csv")));
        let text = |name: String| std::fs::read_to_string(path(&name)).unwrap();
        assert_eq!(text(format!("{input}.2.csv")), text(format!("{input}.csv")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_type_comes_out_of_every_format_as_it_went_in(columns in columns()) {
        check(&columns);
    }
}
