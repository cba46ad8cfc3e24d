//! What labels are called, in which order, and what becomes of rows without one.

use std::{collections::BTreeMap, fs::File, path::PathBuf, sync::Arc};

use polars::{
    io::parquet::write::KeyValueMetadata,
    prelude::{Column, DataFrame, DataType, IpcWriter, ParquetWriter, SerWriter as _, df},
};
use serde_json::json;
use trialbook::{
    Error, ErrorKind,
    data::{AddOutcome, AddRequest, Added, Dropped, Source},
    progress::Monitor,
};

use super::lab::{Lab, write_parquet};

/// Sixteen rows with the labels `of(row)`.
fn rows(of: impl Fn(usize) -> Column) -> DataFrame {
    let texts: Vec<String> = (0..16).map(|row| format!("text number {row}")).collect();
    let labels: Vec<Column> = (0..16).map(of).collect();
    let label = labels.into_iter().reduce(|mut all, one| {
        all.append(&one).unwrap();
        all
    });
    let mut frame = df!("text" => texts).unwrap();
    frame.with_column(label.unwrap()).unwrap();
    frame
}

fn index(row: usize, n_classes: usize) -> i64 {
    i64::try_from(row % n_classes).unwrap()
}

/// The metadata that `datasets` writes for a column of class labels.
fn hugging_face(names: &[&str]) -> String {
    json!({"info": {"features": {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": names, "_type": "ClassLabel"},
    }}})
    .to_string()
}

/// The same rows in Parquet and in Arrow's file format, with the class names of their metadata.
fn with_names(lab: &Lab, name: &str, mut frame: DataFrame, names: &[&str]) -> [PathBuf; 2] {
    let parquet = lab.write(&format!("{name}.parquet"), "");
    let pair = ("huggingface".to_owned(), hugging_face(names));
    ParquetWriter::new(File::create(&parquet).unwrap())
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(vec![pair])))
        .finish(&mut frame)
        .unwrap();
    let arrow = lab.write(&format!("{name}.arrow"), "");
    let mut writer = IpcWriter::new(File::create(&arrow).unwrap());
    let metadata = BTreeMap::from([("huggingface".into(), hugging_face(names).into())]);
    writer.set_custom_schema_metadata(Arc::new(metadata));
    writer.finish(&mut frame).unwrap();
    [parquet, arrow]
}

fn add(lab: &Lab, name: &str, request: &AddRequest) -> Result<Added, Error> {
    lab.datasets.add(name, request, &Monitor::silent())
}

#[test]
fn class_names_of_the_metadata_are_the_classes() {
    let lab = Lab::new();
    let indices =
        |n_classes: usize| rows(move |row| Column::new("label".into(), [index(row, n_classes)]));
    for (n, (declared, classes, first)) in [
        (&["ham", "spam"][..], &["ham", "spam"][..], "ham"),
        (&["spam", "ham"], &["spam", "ham"], "spam"),
        (&["World", "Sports", "Business"], &["World", "Sports", "Business"], "World"),
        // Names that say which is which are not contradicted by their order.
        (&["positive", "negative"], &["negative", "positive"], "positive"),
        (&["neg", "pos"], &["negative", "positive"], "negative"),
        (&["1", "0"], &["negative", "positive"], "positive"),
        (&["3", "2", "1"], &["3", "2", "1"], "3"),
    ]
    .into_iter()
    .enumerate()
    {
        for (m, file) in
            with_names(&lab, "named", indices(declared.len()), declared).iter().enumerate()
        {
            let name = format!("set{n}{m}");
            let added = lab.add_file(&name, file).unwrap();
            assert_eq!(added.dataset.classes, classes, "{file:?}");
            let note = format!("class names {} from the file's metadata", declared.join(", "));
            assert!(added.notes.contains(&note.into()), "{:?}", added.notes);
            let examples = lab.examples(&name);
            let of_first = examples.iter().find(|(text, _)| text == "text number 0").unwrap();
            assert_eq!(of_first.1, first, "{file:?}");
        }
    }
}

#[test]
fn a_class_label_without_a_name_is_told_and_minus_one_is_no_label() {
    let lab = Lab::new();
    let odd = |odd: i64| {
        rows(move |row| Column::new("label".into(), [if row == 5 { odd } else { index(row, 2) }]))
    };
    for file in with_names(&lab, "beyond", odd(2), &["ham", "spam"]) {
        let error = lab.add_file("beyond", &file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().ends_with(
                "row 6: label 2, but the file's metadata names the classes 0 to 1 (ham, spam)"
            ),
            "{error}"
        );
    }
    for (n, file) in with_names(&lab, "none", odd(-1), &["ham", "spam"]).iter().enumerate() {
        let error = lab.add_file("none", file).unwrap_err();
        assert!(error.to_string().contains("row 6: the label is null or -1"), "{error}");
        assert!(error.hint().unwrap().to_string().contains("--drop-unlabelled"), "{error:?}");
        let request =
            AddRequest { drop_unlabelled: true, ..AddRequest::new(Source::Path(file.clone())) };
        let added = add(&lab, &format!("none{n}"), &request).unwrap();
        assert_eq!(added.dropped, Dropped { n_unlabelled: 1, n_empty: 0 });
        assert_eq!(added.dataset.n_rows(), 15);
    }
    // Names that are none were passed over without a word, and 0 and 1 were negative and positive.
    for (n, (names, reason)) in [
        (&["ham", "ham"][..], "call \"label\" a class label with the name \"ham\" twice"),
        (&["ham", " "], "call \"label\" a class label with an empty name"),
        (&[], "call \"label\" a class label without names"),
    ]
    .into_iter()
    .enumerate()
    {
        let indices = rows(|row| Column::new("label".into(), [index(row, 2)]));
        for (m, file) in with_names(&lab, "unusable", indices, names).iter().enumerate() {
            let added = lab.add_file(&format!("unusable{n}{m}"), file).unwrap();
            let note = format!("the file's metadata {reason}: its labels are taken as they stand");
            assert!(added.notes.contains(&note.into()), "{:?}", added.notes);
        }
    }
    // Indices are indices in a column of strings too.
    let text = rows(|row| Column::new("label".into(), [index(row, 2).to_string()]));
    for (n, file) in with_names(&lab, "text", text, &["ham", "spam"]).iter().enumerate() {
        let added = lab.add_file(&format!("text{n}"), file).unwrap();
        assert_eq!(added.dataset.classes, ["ham", "spam"]);
    }
    // A class of which the file has no example is none of the dataset.
    let two = rows(|row| Column::new("label".into(), [2 * index(row, 2)]));
    let [file, _] = with_names(&lab, "unused", two, &["World", "Sports", "Business"]);
    let added = lab.add_file("unused", &file).unwrap();
    assert_eq!(added.dataset.classes, ["World", "Business"]);
    let note = "left out, for no example has it: Sports".to_owned();
    assert!(added.notes.contains(&note.into()), "{:?}", added.notes);
}

#[test]
fn every_type_of_number_is_the_same_label_in_every_format() {
    let lab = Lab::new();
    let mut files = Vec::new();
    let types = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal(9, 2),
        DataType::Boolean,
        DataType::String,
    ];
    for dtype in types {
        let column = |row| Column::new("label".into(), [index(row, 2)]).cast(&dtype).unwrap();
        let path = lab.path(&format!("{dtype}.parquet"));
        write_parquet(&path, rows(column));
        let arrow = lab.write(&format!("{dtype}.arrow"), "");
        IpcWriter::new(File::create(&arrow).unwrap()).finish(&mut rows(column)).unwrap();
        files.extend([path, arrow]);
    }
    let lines = |line: &dyn Fn(usize, i64) -> String| -> String {
        (0..16).map(|row| line(row, index(row, 2))).collect()
    };
    let float = |row: usize, label: i64| format!("text number {row},{label}.0\n");
    files.push(lab.write("float.csv", format!("text,label\n{}", lines(&float))));
    let tsv = |row: usize, label: i64| format!("text number {row}\t{label}.00\n");
    files.push(lab.write("float.tsv", format!("text\tlabel\n{}", lines(&tsv))));
    for (name, quote, zeros) in
        [("text.jsonl", "\"", ".0"), ("float.jsonl", "", ".0"), ("whole.jsonl", "", "")]
    {
        let json = |row: usize, label: i64| {
            format!(
                "{{\"text\": \"text number {row}\", \"label\": {quote}{label}{zeros}{quote}}}\n"
            )
        };
        files.push(lab.write(name, lines(&json)));
    }
    let first = files[0].clone();
    lab.add_file("set", &first).unwrap();
    let whole = lab.datasets.get("set").unwrap();
    assert_eq!(whole.classes, ["negative", "positive"]);
    for (n, file) in files.iter().enumerate() {
        let added = lab.add_file("set", file).unwrap_or_else(|error| panic!("{file:?} {error:?}"));
        assert_eq!(added.outcome, AddOutcome::Unchanged, "{file:?}");
        // One format for training, another for testing.
        let pair = Source::Pair { train: first.clone(), test: file.clone() };
        lab.add(&format!("pair{n}"), pair).unwrap_or_else(|error| panic!("{file:?} {error:?}"));
    }
}

#[test]
fn classes_that_are_numbers_are_in_their_order() {
    let lab = Lab::new();
    for (n, (labels, classes)) in [
        (&["10", "9", "1"][..], &["1", "9", "10"][..]),
        (&["4.0", "3.5", "10.0", "0.5"], &["0.5", "3.5", "4", "10"]),
        (&["+1", "-1", "0"], &["-1", "0", "+1"]),
        (&["10", "9", "many"], &["10", "9", "many"]),
    ]
    .into_iter()
    .enumerate()
    {
        let lines: String =
            (0..20).map(|row| format!("text {row},{}\n", labels[row % labels.len()])).collect();
        let file = lab.write("labels.csv", format!("text,label\n{lines}"));
        let added = lab.add_file(&format!("set{n}"), &file).unwrap();
        assert_eq!(added.dataset.classes, classes);
    }
    // Half steps of a type with fractions too; what is no number is no label.
    let stars = rows(|row| Column::new("label".into(), [row as f64 % 4.0 / 2.0]));
    let path = lab.path("stars.parquet");
    write_parquet(&path, stars);
    assert_eq!(lab.add_file("stars", &path).unwrap().dataset.classes, ["0", "0.5", "1", "1.5"]);
    let missing = rows(|row| Column::new("label".into(), [if row < 8 { 0.0 } else { f64::NAN }]));
    write_parquet(&path, missing);
    let error = lab.add_file("missing", &path).unwrap_err();
    assert!(error.to_string().contains("row 9: the label is null"), "{error}");
    let endless = rows(|_| Column::new("label".into(), [f64::INFINITY]));
    write_parquet(&path, endless);
    let error = lab.add_file("endless", &path).unwrap_err();
    assert!(error.to_string().contains("holds f64, not strings, numbers"), "{error}");
}

#[test]
fn rows_that_lack_something_are_dropped_when_asked_and_counted() {
    let lab = Lab::new();
    let good = "a,x\nb,y\nc,x\nd,y\n";
    let csv = lab.write("a.csv", format!("text,label\n{good},x\ne,\n\" \",\nf, \n"));
    let nulls = df!(
        "text" => [Some("a"), Some("b"), None, Some("c"), Some("d"), Some("e")],
        "label" => [Some("x"), Some("y"), Some("x"), Some("x"), Some("y"), None],
    );
    let parquet = lab.path("b.parquet");
    write_parquet(&parquet, nulls.unwrap());
    let request = |source: Source, drop_unlabelled, drop_empty| AddRequest {
        drop_unlabelled,
        drop_empty,
        ..AddRequest::new(source)
    };
    let path = |path: &PathBuf| Source::Path(path.clone());
    let error = add(&lab, "x", &request(path(&csv), true, false)).unwrap_err();
    assert!(error.to_string().ends_with("row 5 (line 6): the text is empty"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("--drop-empty"));
    let error = add(&lab, "x", &request(path(&csv), false, true)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("row 6 (line 7): the label is empty, and so it is in 1 more row"),
        "{error}"
    );
    let added = add(&lab, "csv", &request(path(&csv), true, true)).unwrap();
    assert_eq!(added.dropped, Dropped { n_unlabelled: 3, n_empty: 1 });
    let note = "3 rows without a label and 1 row without a text dropped".to_owned();
    assert!(added.notes.contains(&note.into()), "{:?}", added.notes);
    assert_eq!(added.to_output().json()["dropped"], json!({"n_unlabelled": 3, "n_empty": 1}));
    assert!(added.dataset.source.ends_with("4 rows dropped"), "{}", added.dataset.source);
    assert_eq!(added.dataset.n_rows(), 4);
    let pair = Source::Pair { train: csv, test: parquet };
    let added = add(&lab, "pair", &request(pair, true, true)).unwrap();
    assert_eq!(added.dropped, Dropped { n_unlabelled: 4, n_empty: 2 });
    let note = "test: 1 row without a label and 1 row without a text dropped".to_owned();
    assert!(added.notes.contains(&note.into()), "{:?}", added.notes);
    assert_eq!(lab.examples("pair").len(), 8);
}

#[test]
fn the_positive_class_is_chosen_once_for_a_name() {
    let lab = Lab::new();
    let lines: String = (0..20)
        .map(|row| format!("text {row},{}\n", if row % 4 == 0 { "spam" } else { "ham" }))
        .collect();
    let file = lab.write("mail.csv", format!("text,label\n{lines}"));
    let request = |positive: Option<&str>| AddRequest {
        positive: positive.map(str::to_owned),
        ..AddRequest::new(Source::Path(file.clone()))
    };
    let plain = add(&lab, "plain", &request(None)).unwrap();
    assert_eq!(plain.dataset.positive(), Some("spam"));
    let ham = add(&lab, "ham", &request(Some("ham"))).unwrap();
    assert_eq!(ham.dataset.classes, ["spam", "ham"]);
    assert_eq!(ham.dataset.splits[0].fingerprint.class_counts, [4, 12]);
    let print =
        |added: &Added, split: usize| added.dataset.splits[split].fingerprint.sha256.clone();
    assert_eq!(print(&plain, 0), print(&ham, 0), "the choice is no part of the fingerprint");
    let again = add(&lab, "ham", &request(Some("ham"))).unwrap();
    assert_eq!(again.outcome, AddOutcome::Unchanged);
    lab.datasets.verify("ham").unwrap();
    let error = add(&lab, "ham", &request(None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains("the positive class \"ham\", asked for \"spam\""),
        "{error}"
    );
    let error = add(&lab, "x", &request(Some("eggs"))).unwrap_err();
    assert!(error.to_string().ends_with("is none of the classes ham, spam"), "{error}");
}
