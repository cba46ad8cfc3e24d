//! The columns that are kept besides text and label.

use std::{fs::File, path::Path};

use polars::prelude::{
    DataFrame, DataType, IntoLazy as _, IpcWriter, NamedFrom as _, SerWriter as _, Series,
    TimeUnit, as_struct, col, df,
};
use serde_json::json;
use trialbook::{
    Error,
    data::{AddOutcome, AddRequest, Added, KeepColumns, Source},
    progress::Monitor,
};

use super::lab::{Lab, write_parquet};

const N_ROWS: usize = 12;

fn frame() -> DataFrame {
    let rows = 0..N_ROWS;
    df!(
        "id" => rows.clone().map(|row| row as i64).collect::<Vec<_>>(),
        "review" => rows.clone().map(|row| format!("text number {row}")).collect::<Vec<_>>(),
        "sentiment" => rows.clone().map(|row| ["neg", "pos"][row % 2]).collect::<Vec<_>>(),
        "price" => rows.clone().map(|row| row as f64 + 0.5).collect::<Vec<_>>(),
        "country" => rows.map(|row| (row != 3).then_some("at")).collect::<Vec<_>>(),
    )
    .unwrap()
}

fn delimited(delimiter: char) -> String {
    let d = delimiter;
    let lines = (0..N_ROWS).map(|row| {
        let (label, country) = (["neg", "pos"][row % 2], if row == 3 { "" } else { "at" });
        format!("{row}{d}text number {row}{d}{label}{d}{row}.5{d}{country}\n")
    });
    format!("id{d}review{d}sentiment{d}price{d}country\n{}", lines.collect::<String>())
}

fn json_lines() -> String {
    let line = |row: usize| {
        let country = if row == 3 { json!(null) } else { json!("at") };
        let label = ["neg", "pos"][row % 2];
        let object = json!({
            "id": row, "review": format!("text number {row}"), "sentiment": label,
            "price": row as f64 + 0.5, "country": country,
        });
        object.to_string() + "\n"
    };
    (0..N_ROWS).map(line).collect()
}

fn add(lab: &Lab, name: &str, path: &Path, columns: &str) -> Result<Added, Error> {
    let request =
        AddRequest { columns: columns.parse()?, ..AddRequest::new(Source::Path(path.to_owned())) };
    lab.datasets.add(name, &request, &Monitor::silent())
}

fn types(added: &Added) -> Vec<(&str, &str)> {
    let columns = added.dataset.columns.iter();
    columns.map(|column| (column.name.as_str(), column.dtype.as_str())).collect()
}

#[test]
fn every_format_keeps_its_columns_with_their_types() {
    let lab = Lab::new();
    let parquet = lab.path("a.parquet");
    write_parquet(&parquet, frame());
    let arrow = lab.write("a.arrow", "");
    IpcWriter::new(File::create(&arrow).unwrap()).finish(&mut frame()).unwrap();
    let files = [
        parquet,
        arrow,
        lab.write("a.csv", delimited(',')),
        lab.write("a.tsv", delimited('\t')),
        lab.write("a.jsonl", json_lines()),
    ];
    for (n, file) in files.iter().enumerate() {
        let name = format!("set{n}");
        let added = add(&lab, &name, file, "all").unwrap();
        assert_eq!(
            types(&added),
            [("id", "i64"), ("price", "f64"), ("country", "str")],
            "{file:?}"
        );
        let note = "kept for queries, not for training: id (i64), price (f64), country (str) (leave \
                    out with --columns none)";
        assert_eq!(added.notes.last().unwrap(), &note);
        // Each value stays with its text, in both splits.
        let found =
            lab.sql(&format!("select text, id, price, country, split from {name} order by id"));
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), N_ROWS);
        for (row, found) in found.iter().enumerate() {
            assert_eq!(found["text"], format!("text number {row}"), "{file:?}");
            assert_eq!(found["id"], row);
            assert_eq!(found["price"], row as f64 + 0.5);
            assert_eq!(found["country"], if row == 3 { json!(null) } else { json!("at") });
        }
        lab.datasets.verify(&name).unwrap();
        let text = lab.datasets.describe(&name).unwrap().to_output().to_text(None);
        assert!(text.contains("kept columns: id (i64), price (f64), country (str)"), "{text}");
        let text = lab.datasets.get(&name).unwrap().to_output().to_text(None);
        assert!(text.contains("kept columns: id (i64), price (f64), country (str)"), "{text}");
        // They are no part of what a dataset is.
        let bare = add(&lab, &format!("bare{n}"), file, "none").unwrap();
        assert_eq!(types(&bare), []);
        let print = |added: &Added| added.dataset.splits[0].fingerprint.clone();
        assert_eq!(print(&bare), print(&added));
    }
}

#[test]
fn columns_are_chosen_by_name_or_left_out() {
    let lab = Lab::new();
    let file = lab.write("a.csv", delimited(','));
    let added = add(&lab, "part", &file, "country, id").unwrap();
    assert_eq!(types(&added), [("id", "i64"), ("country", "str")]);
    for (columns, expected) in [
        ("id,colour", "no column \"colour\" to keep in the source"),
        ("review", "column \"review\" holds the texts or the labels"),
        ("id,,price", "columns \"id,,price\": a name is empty"),
    ] {
        let error = add(&lab, "x", &file, columns).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(
            error.hint().unwrap().to_string().contains("olumns") || columns.contains(",,"),
            "{error:?}"
        );
    }
    let request = AddRequest {
        columns: KeepColumns::Only(vec!["id".into()]),
        ..AddRequest::new(Source::Sample { seed: 1 })
    };
    let error = lab.datasets.add("x", &request, &Monitor::silent()).unwrap_err();
    assert!(error.to_string().contains("this source has no columns"), "{error}");
    // The same examples with other columns are the same dataset, and one is told.
    let again = add(&lab, "part", &file, "price").unwrap();
    assert_eq!(again.outcome, AddOutcome::Unchanged);
    assert_eq!(types(&again), [("id", "i64"), ("country", "str")]);
    assert!(
        again
            .notes
            .last()
            .unwrap()
            .to_string()
            .contains("stay as they are: id (i64), country (str)")
    );
}

#[test]
fn names_that_a_dataset_has_itself_are_changed_and_said() {
    let lab = Lab::new();
    let lines: String =
        (0..8).map(|row| format!("t{row},{},x{row},{row},q,\n", ["a", "b"][row % 2])).collect();
    let file = lab.write("a.csv", format!("body,stars,text,split,split,\n{lines}"));
    let request = AddRequest {
        text_column: Some("body".into()),
        label_column: Some("stars".into()),
        ..AddRequest::new(Source::Path(file))
    };
    let added = lab.datasets.add("a", &request, &Monitor::silent()).unwrap();
    assert_eq!(types(&added), [("text.1", "str"), ("split.1", "i64"), ("split.1.1", "str")]);
    assert!(
        added.notes.contains(&"column \"text\" kept as \"text.1\", its own name is taken".into())
    );
    let found = lab.sql("select text, \"text.1\" as t, \"split.1\" as s, \"split.1.1\" as u from a order by text limit 1");
    assert_eq!(found, json!([{"text": "t0", "t": "x0", "s": 0, "u": "q"}]));
}

#[test]
fn what_only_one_split_has_is_null_in_the_other() {
    let lab = Lab::new();
    let train = lab
        .write("train.csv", "text,label,zip,year\na,x,1010,1999\nb,y,1020,2001\ne,x,,\nf,y,1,2\n");
    let test = lab.write(
        "test.jsonl",
        "{\"text\": \"c\", \"label\": \"x\", \"year\": 2.5}\n\
         {\"text\": \"d\", \"label\": \"y\", \"zip\": \"0999\", \"tags\": [\"p\", 1]}\n",
    );
    let added = lab.add("mixed", Source::Pair { train, test }).unwrap();
    assert_eq!(types(&added), [("zip", "str"), ("year", "f64"), ("tags", "str")]);
    let found = lab.sql("select text, zip, year, tags from mixed order by text");
    assert_eq!(
        found,
        json!([
            {"text": "a", "zip": "1010", "year": 1999.0, "tags": null},
            {"text": "b", "zip": "1020", "year": 2001.0, "tags": null},
            {"text": "c", "zip": null, "year": 2.5, "tags": null},
            {"text": "d", "zip": "0999", "year": null, "tags": "[\"p\", 1]"},
            {"text": "e", "zip": null, "year": null, "tags": null},
            {"text": "f", "zip": "1", "year": 2.0, "tags": null},
        ])
    );
}

#[test]
fn typed_columns_stay_what_they_are_and_bytes_stay_out() {
    let lab = Lab::new();
    let days = Series::new("day".into(), (0..N_ROWS as i32).collect::<Vec<_>>())
        .cast(&DataType::Date)
        .unwrap();
    let times = Series::new("at".into(), (0..N_ROWS as i64).collect::<Vec<_>>())
        .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
        .unwrap();
    let money =
        Series::new("money".into(), vec!["19.99"; N_ROWS]).cast(&DataType::Decimal(9, 2)).unwrap();
    let bytes = Series::new("image".into(), vec![&b"\x00\xff"[..]; N_ROWS]);
    let kinds = Series::new("kind".into(), vec!["a"; N_ROWS]);
    let list = Series::new(
        "tags".into(),
        (0..N_ROWS).map(|row| Series::new("".into(), [row as i64, 7])).collect::<Vec<_>>(),
    );
    let mut frame = frame();
    for series in [days, times, money, bytes, kinds, list] {
        frame.with_column(series.into()).unwrap();
    }
    let frame = frame
        .lazy()
        .with_column(as_struct(vec![col("id"), col("country")]).alias("both"))
        .collect()
        .unwrap();
    let parquet = lab.path("a.parquet");
    write_parquet(&parquet, frame.clone());
    let arrow = lab.write("a.arrow", "");
    IpcWriter::new(File::create(&arrow).unwrap()).finish(&mut frame.clone()).unwrap();
    for (n, file) in [parquet, arrow].iter().enumerate() {
        let name = format!("set{n}");
        let added = add(&lab, &name, file, "all").unwrap();
        let expected = [
            ("id", "i64"),
            ("price", "f64"),
            ("country", "str"),
            ("day", "date"),
            ("at", "datetime[ms]"),
            ("money", "decimal[9,2]"),
            ("kind", "str"),
            ("tags", "list[i64]"),
            ("both", "struct[2]"),
        ];
        assert_eq!(types(&added), expected);
        let note = "column \"image\" (bytes, not text) was left out";
        assert!(added.notes.iter().any(|found| found == &note), "{:?}", added.notes);
        let error = add(&lab, "x", file, "image").unwrap_err();
        assert_eq!(error.to_string(), "column \"image\" cannot be kept: bytes, not text");
        // Row by row what the file has.
        let kept = lab.datasets.frame(&name).unwrap().sort(["id"], Default::default());
        let kept = kept.collect().unwrap();
        for (column, _) in expected {
            let (found, expected) = (kept.column(column).unwrap(), frame.column(column).unwrap());
            assert!(found.equals_missing(expected), "{file:?} {found:?} {expected:?}");
        }
    }
}
