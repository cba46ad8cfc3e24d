//! Files of rows: from every format to every format, with all columns, whole or not at all.

use std::{collections::BTreeMap, fs, path::Path};

use polars::prelude::*;
use serde_json::{Value, json};
use trialbook::{
    Book, ErrorKind, book::PredictFileRequest, data::Dialect, model::Classifier, progress::Monitor,
    registry::ModelReference,
};

use crate::cli::Trialbook;

/// A store with a version in production, and a folder for files.
struct Desk {
    program: Trialbook,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let program = Trialbook::new();
        program.json(&["data", "sample"]);
        program.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
        Self { program, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn predict(&self, input: &str, output: &str, more: &[&str]) -> Value {
        let (input, output) = (self.path(input), self.path(output));
        self.program.json(&[&["predict", "--in", &input, "--out", &output], more].concat())
    }

    fn fails(&self, input: &str, output: &str, more: &[&str]) -> String {
        let (input, output) = (self.path(input), self.path(output));
        self.program.fails(1, &[&["predict", "--in", &input, "--out", &output], more].concat())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The rows of a file, as objects of text cells: what all formats have in common.
    fn rows(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        let path = self.path(name);
        let frame = match Path::new(&path).extension().unwrap().to_str().unwrap() {
            "csv" => CsvReadOptions::default()
                .with_infer_schema_length(Some(0))
                .try_into_reader_with_file_path(Some(path.into()))
                .unwrap()
                .finish(),
            "jsonl" => JsonReader::new(fs::File::open(path).unwrap())
                .with_json_format(JsonFormat::JsonLines)
                .finish(),
            _ => ParquetReader::new(fs::File::open(path).unwrap()).finish(),
        };
        let frame = frame.unwrap();
        let cell = |column: &Column, row_idx: usize| match column.get(row_idx).unwrap() {
            AnyValue::Null => String::new(),
            value => value.get_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        (0..frame.height())
            .map(|row_idx| {
                let columns = frame.columns().iter();
                columns.map(|column| (column.name().to_string(), cell(column, row_idx))).collect()
            })
            .collect()
    }
}

const CSV: &str = "id,review,note\n007,\"wonderful, \"\"truly\"\" wonderful\",\"a\nb\"\n\
                   8,a dull waste of time,\n9,,no text here\n";

#[test]
fn every_format_becomes_every_other_with_all_columns() {
    let desk = Desk::new();
    fs::write(desk.path("in.csv"), CSV).unwrap();
    // The others are made by the program itself, and without what it added they are the same.
    for name in ["in.jsonl", "in.parquet"] {
        desk.predict("in.csv", name, &["--prefix", "first_"]);
    }
    let mut expected = None;
    for input in ["in.csv", "in.jsonl", "in.parquet"] {
        for output in ["out.csv", "out.jsonl", "out.parquet"] {
            let told = desk.predict(input, output, &["--force"]);
            assert_eq!(told["n_rows"], 3, "{input} to {output}");
            assert_eq!(told["n_without_text"], 1, "{input} to {output}");
            assert_eq!(told["text_column"], "review", "{input} to {output}");
            assert_eq!(
                told["labels"],
                json!({"negative": 1, "positive": 1}),
                "{input} to {output}"
            );
            let mut rows = desk.rows(output);
            for row in &mut rows {
                row.retain(|name, _| !name.starts_with("first_"));
                for (name, value) in row {
                    // Formats spell the same number with more or fewer digits.
                    if name == "confidence" || name.starts_with("score_") {
                        *value = value.parse::<f64>().map_or(String::new(), |v| format!("{v:.6}"));
                    }
                }
            }
            assert_eq!(rows[0]["id"], "007");
            assert_eq!(rows[0]["review"], "wonderful, \"truly\" wonderful");
            assert_eq!(rows[0]["note"], "a\nb");
            assert_eq!(rows[0]["label"], "positive");
            assert_eq!(rows[0]["confidence"], rows[0]["score_positive"]);
            assert_eq!(rows[1]["label"], "negative");
            assert_eq!((&*rows[2]["label"], &*rows[2]["confidence"]), ("", ""));
            assert_eq!(*expected.get_or_insert_with(|| rows.clone()), rows, "{input} to {output}");
        }
    }
}

#[test]
fn values_of_json_and_types_of_parquet_are_kept() {
    let desk = Desk::new();
    let rows = [
        json!({"id": 1, "text": "wonderful", "tags": ["a", {"b": 1}], "x": 0.1}),
        json!({"text": "awful", "new": true, "id": 2, "x": 3}),
        json!({"id": null, "text": null, "x": "odd"}),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n\n")).collect();
    fs::write(desk.path("in.jsonl"), lines).unwrap();
    desk.predict("in.jsonl", "out.jsonl", &[]);
    for (line, row) in desk.read("out.jsonl").lines().zip(&rows) {
        let mut written: Value = serde_json::from_str(line).unwrap();
        let fields = written.as_object_mut().unwrap();
        for added in ["label", "confidence", "score_negative", "score_positive"] {
            assert!(fields.remove(added).is_some(), "{added} in {line}");
        }
        // Order and all.
        assert_eq!(written.to_string(), row.to_string());
    }
    desk.predict("in.jsonl", "out.parquet", &[]);
    let frame = ParquetReader::new(fs::File::open(desk.path("out.parquet")).unwrap()).finish();
    let types: Vec<String> =
        frame.unwrap().columns().iter().map(|column| column.dtype().to_string()).collect();
    assert_eq!(types, ["i64", "str", "str", "str", "bool", "str", "f64", "f64", "f64"]);

    let mut typed = df!(
        "day" => [1i32, 2], "text" => ["wonderful", "awful"], "share" => [0.5f32, f32::NAN],
        "words" => [Series::new("".into(), ["a"]), Series::new("".into(), ["b"])],
    )
    .unwrap();
    let file = fs::File::create(desk.path("typed.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut typed).unwrap();
    desk.predict("typed.parquet", "typed_out.parquet", &[]);
    let read = ParquetReader::new(fs::File::open(desk.path("typed_out.parquet")).unwrap());
    let read = read.finish().unwrap();
    assert_eq!(read.select(["day", "text", "share", "words"]).unwrap().schema(), typed.schema());
    assert_eq!(read.width(), 8);
}

#[test]
fn decimals_floats_dates_and_nested_values_keep_their_digits() {
    let desk = Desk::new();
    let days = [Series::new("".into(), [Some(19_727), None]), Series::new("".into(), [0])];
    let frame = df!(
        "text" => ["wonderful", "awful"],
        "price" => ["1234.56", "-3.50"],
        "balance" => ["12345678901234567890.12", "0.10"],
        "share" => [0.1f32, f32::NAN],
        "id" => [u64::MAX, 0],
        "days" => days,
        "kind" => ["spam", "ham"],
        "note" => [Some(""), None],
    );
    let frame = frame.unwrap().lazy().select([
        col("text"),
        col("price").cast(DataType::Decimal(6, 2)),
        col("balance").cast(DataType::Decimal(38, 2)),
        col("share"),
        col("id"),
        col("days").cast(DataType::List(Box::new(DataType::Date))),
        col("kind").cast(DataType::from_categories(Categories::global())),
        col("note"),
        as_struct(vec![
            col("price").cast(DataType::Decimal(6, 2)).alias("net"),
            lit(36_000_000_000_000i64).cast(DataType::Time).alias("at"),
        ])
        .alias("both"),
    ]);
    let mut frame = frame.collect().unwrap();
    ParquetWriter::new(fs::File::create(desk.path("in.parquet")).unwrap())
        .finish(&mut frame)
        .unwrap();
    IpcWriter::new(fs::File::create(desk.path("in.arrow")).unwrap()).finish(&mut frame).unwrap();
    for input in ["in.parquet", "in.arrow"] {
        desk.predict(input, "out.csv", &["--force"]);
        let csv = desk.read("out.csv");
        for expected in [
            "\nwonderful,1234.56,12345678901234567890.12,0.1,18446744073709551615,\
             \"[\"\"2024-01-05\"\",null]\",spam,\"\",\
             \"{\"\"net\"\":1234.56,\"\"at\"\":\"\"10:00:00\"\"}\",positive,",
            "\nawful,-3.50,0.10,NaN,0,\"[\"\"1970-01-01\"\"]\",ham,,\
             \"{\"\"net\"\":-3.50,\"\"at\"\":\"\"10:00:00\"\"}\",negative,",
        ] {
            assert!(csv.contains(expected), "{input}: {expected}: {csv}");
        }
        desk.predict(input, "out.jsonl", &["--force"]);
        let jsonl = desk.read("out.jsonl");
        for expected in [
            r#"{"text":"wonderful","price":1234.56,"balance":"12345678901234567890.12","share":0.1,"#,
            r#""id":18446744073709551615,"days":["2024-01-05",null],"kind":"spam","note":"","both":{"#,
            r#""price":-3.50,"balance":0.10,"share":"NaN","id":0,"days":["1970-01-01"],"kind":"ham","#,
            r#""note":null,"both":{"net":-3.50,"at":"10:00:00"},"label":"negative","#,
        ] {
            assert!(jsonl.contains(expected), "{input}: {expected}: {jsonl}");
        }
        desk.predict(input, "out.parquet", &["--force"]);
        let read = ParquetReader::new(fs::File::open(desk.path("out.parquet")).unwrap());
        let read = read.finish().unwrap();
        let kept = read.select(frame.get_column_names_owned()).unwrap();
        assert!(kept.equals_missing(&frame), "{input}: {kept:?}");
    }
}

#[test]
fn numbers_of_json_keep_their_digits() {
    let desk = Desk::new();
    let lines = "{\"text\":\"wonderful\",\"id\":123456789012345678901234567890,\"price\":19.990,\
                 \"n\":18446744073709551615,\"x\":1E5,\"in\":{\"a\":0.10}}\n\
                 {\"text\":\"awful\",\"id\":1,\"price\":1234567890.123456789,\"n\":0,\"x\":0.5,\
                 \"in\":[1.0]}\n";
    fs::write(desk.path("in.jsonl"), lines).unwrap();
    desk.predict("in.jsonl", "out.jsonl", &[]);
    for (written, line) in desk.read("out.jsonl").lines().zip(lines.lines()) {
        assert!(written.starts_with(line.trim_end_matches('}')), "{written}: {line}");
    }
    desk.predict("in.jsonl", "out.csv", &[]);
    let csv = desk.read("out.csv");
    for expected in [
        "\nwonderful,123456789012345678901234567890,19.990,18446744073709551615,1E5,\
         \"{\"\"a\"\":0.10}\",positive",
        "\nawful,1,1234567890.123456789,0,0.5,[1.0],negative",
    ] {
        assert!(csv.contains(expected), "{expected}: {csv}");
    }
    // What no type of 64 bits holds is text in a typed file.
    desk.predict("in.jsonl", "out.parquet", &[]);
    let frame = ParquetReader::new(fs::File::open(desk.path("out.parquet")).unwrap()).finish();
    let frame = frame.unwrap();
    let types: Vec<String> =
        frame.columns()[..6].iter().map(|column| column.dtype().to_string()).collect();
    assert_eq!(types, ["str", "str", "str", "u64", "f64", "str"]);
    assert_eq!(
        frame.column("price").unwrap().get(1).unwrap().get_str(),
        Some("1234567890.123456789")
    );
}

#[test]
fn types_that_have_no_form_are_refused_by_the_name_of_their_column() {
    let desk = Desk::new();
    let mut frame = df!("text" => ["wonderful"], "picture" => [b"\x89PNG".as_slice()]).unwrap();
    ParquetWriter::new(fs::File::create(desk.path("in.parquet")).unwrap())
        .finish(&mut frame)
        .unwrap();
    for output in ["out.csv", "out.jsonl"] {
        let told = desk.fails("in.parquet", output, &[]);
        assert!(told.contains("column \"picture\" (binary) holds binary data"), "{told}");
        assert!(told.contains("hint: ") && !Path::new(&desk.path(output)).exists(), "{told}");
    }
    desk.predict("in.parquet", "out.parquet", &[]);
    let read = ParquetReader::new(fs::File::open(desk.path("out.parquet")).unwrap()).finish();
    assert_eq!(read.unwrap().column("picture").unwrap(), frame.column("picture").unwrap());
    let told = desk.fails("in.parquet", "out.arrow", &[]);
    assert!(told.contains("Arrow files are read, not written"), "{told}");
    // Made by tests/fixtures/parquet/make.py, with pyarrow. Nobody panics aloud.
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet");
    for (name, expected) in [
        ("decimal256.parquet", "column \"price\" holds decimals of 50 digits, more than 38"),
        ("half.parquet", "column \"share\" holds floats of 16 bits, which are not read"),
        ("seconds.parquet", "column \"at\" holds times in seconds, which are not read"),
        ("uuid.parquet", "column \"id\" holds values of the extension type \"arrow.uuid\""),
        ("twice.parquet", "two columns are called \"price\""),
        ("offset.parquet", "column \"at\" holds timestamps of the time zone \"+05:30\""),
    ] {
        fs::copy(fixtures.join(name), desk.path(name)).unwrap();
        let told = desk.fails(name, "new.csv", &[]);
        assert!(told.contains(expected), "{told}");
        assert!(told.contains("hint: ") && !told.contains("panicked"), "{told}");
    }
}

#[test]
fn predictions_are_those_of_the_model_however_long_the_file_is() {
    let desk = Desk::new();
    let book = Book::open(desk.program.store());
    let texts = book.datasets().split("sample", "test").unwrap().texts;
    // More rows than a chunk has.
    let many: Vec<&str> = texts.iter().cycle().take(9_001).map(String::as_str).collect();
    let lines: String = many.iter().map(|text| format!("{}\n", json!({ "text": text }))).collect();
    fs::write(desk.path("in.jsonl"), lines).unwrap();
    assert_eq!(desk.predict("in.jsonl", "out.parquet", &[])["n_rows"], 9_001);
    let frame = ParquetReader::new(fs::File::open(desk.path("out.parquet")).unwrap());
    let frame = frame.finish().unwrap();
    let found: Vec<f64> =
        frame.column("score_positive").unwrap().f64().unwrap().into_no_null_iter().collect();
    let version = book.registry().unwrap().production("SentimentClassifier").unwrap().unwrap();
    let classifier: Box<dyn Classifier> = book.load(&version).unwrap();
    let expected: Vec<f64> = classifier.predict(&many).unwrap().rows().map(|row| row[1]).collect();
    assert_eq!(found, expected);
}

#[test]
fn nothing_is_overwritten_unasked_and_nothing_is_left_half_written() {
    let desk = Desk::new();
    fs::write(desk.path("in.csv"), CSV).unwrap();
    let left = || {
        let entries = fs::read_dir(desk.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    fs::write(desk.path("out.csv"), "mine").unwrap();
    fs::write(desk.path("labelled.csv"), "text,label\ngood,1\n").unwrap();
    fs::write(desk.path("broken.csv"), "id,text\n1,good\n2,bad,worse\n").unwrap();
    fs::write(desk.path("number.jsonl"), "{\"text\":\"a\"}\n{\"text\":5}\n").unwrap();
    fs::write(desk.path("late.jsonl"), "{\"text\":\"a\"}\n{\"text\":\"b\",\"label\":1}\n").unwrap();
    let before = left();
    for (input, output, more, expected) in [
        ("in.csv", "out.csv", &[][..], "exists already"),
        ("in.csv", "in.csv", &["--force"], "is the input itself"),
        ("in.csv", "new.xlsx", &[], "unknown extension \"xlsx\""),
        ("in.csv", "nowhere/new.csv", &[], "/nowhere/new.csv\": there is no folder \""),
        ("in.csv", "new", &[], "a file without an extension"),
        ("missing.csv", "new.csv", &[], "cannot read"),
        ("in.csv", "new.csv", &["--text-column", "body"], "no text column \"body\""),
        ("in.csv", "new.csv", &["--model", "Nobody"], "Nobody"),
        ("labelled.csv", "new.csv", &[], "the input has a column \"label\" already"),
        ("broken.csv", "new.csv", &[], "row 2 (line 3): 3 columns, the header has 2"),
        ("number.jsonl", "new.csv", &[], "line 2: \"text\" is a number, not a string"),
        ("late.jsonl", "new.jsonl", &[], "row 2 has a column \"label\" already"),
    ] {
        let told = desk.fails(input, output, more);
        assert!(told.contains(expected), "{input} to {output}: {told}");
        assert!(told.contains("hint: "), "{input} to {output}: {told}");
        assert_eq!(left(), before, "{input} to {output}");
    }
    assert_eq!(desk.read("out.csv"), "mine");
    desk.predict("in.csv", "out.csv", &["--force"]);
    assert!(desk.read("out.csv").starts_with("id,review,note,label,confidence,score_negative,"));
    desk.predict("labelled.csv", "new.csv", &["--prefix", "predicted_"]);
    let head = "text,label,predicted_label,predicted_confidence,predicted_score_negative,";
    assert!(desk.read("new.csv").starts_with(head));

    let before = left();
    let request = PredictFileRequest {
        model: ModelReference::new("SentimentClassifier"),
        input: desk.path("in.csv").into(),
        output: desk.path("stopped.csv").into(),
        dialect: Dialect::default(),
        text_column: None,
        prefix: String::new(),
        replace: false,
    };
    let monitor = Monitor::silent();
    monitor.interrupt.raise();
    let error = Book::open(desk.program.store()).predict_file(&request, &monitor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(left(), before);
}

/// Runs with `input` on standard input.
fn piped(command: &mut std::process::Command, input: &[u8]) -> (i32, Vec<u8>, String) {
    use std::{io::Write as _, process::Stdio};
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), output.stdout, stderr)
}

#[test]
fn rows_come_from_standard_input_and_go_to_standard_output() {
    let desk = Desk::new();
    fs::write(desk.path("in.csv"), CSV).unwrap();
    for name in ["in.jsonl", "in.parquet"] {
        desk.predict("in.csv", name, &["--prefix", "first_"]);
    }
    for (name, end) in [("in.csv", "csv"), ("in.jsonl", "jsonl"), ("in.parquet", "parquet")] {
        let out = format!("out.{end}");
        desk.predict(name, &out, &[]);
        let content = fs::read(desk.path(name)).unwrap();
        let mut command = desk.program.command();
        command.args(["predict", "--in", "-", "--out", "-"]);
        let (code, stdout, stderr) = piped(&mut command, &content);
        assert_eq!(code, 0, "{name}: {stderr}");
        assert_eq!(stdout, fs::read(desk.path(&out)).unwrap(), "{name}");
        assert!(stderr.contains("3 rows by SentimentClassifier/1"), "{name}: {stderr}");
    }
    let mut command = desk.program.command();
    command.args([
        "predict",
        "--in",
        "-",
        "--format",
        "csv",
        "--out",
        "-",
        "--delimiter",
        ":",
        "-q",
    ]);
    let (code, stdout, stderr) = piped(&mut command, b"id:text\n1:wonderful\n");
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(String::from_utf8(stdout).unwrap().starts_with("id,text,label,confidence,score_"));
    // Nothing, or nothing whole, is written when a row is wrong.
    let mut command = desk.program.command();
    command.args(["predict", "--in", "-", "--out", "-"]);
    let (code, stdout, stderr) = piped(&mut command, b"id,text\n1,wonderful\n2,a,b\n");
    assert_eq!((code, stdout.len()), (1, 0));
    assert!(stderr.contains("\"<stdin>\" row 2 (line 3): 3 columns"), "{stderr}");

    let mut command = desk.program.command();
    let rows = "text\tlabel\ngood\tpos\nbad\tneg\nfine\tpos\npoor\tneg\n";
    let (code, stdout, stderr) =
        piped(command.args(["data", "add", "piped", "-"]), rows.as_bytes());
    assert_eq!(code, 0, "{stderr}");
    let said = String::from_utf8(stdout).unwrap();
    assert!(said.contains("note: fields are separated by tabs (guessed"), "{said}");
    assert!(said.contains("added piped: 2 train + 2 test rows"), "{said}");
    let cell = ":data add again -";
    let answer = desk.program.call(&["-c", cell]);
    assert_eq!(answer.code, 1, "{}", answer.stdout);
    assert!(answer.stderr.contains("belong to the cells"), "{}", answer.stderr);
}

#[test]
fn what_can_be_added_can_be_predicted() {
    let desk = Desk::new();
    let write = |name: &str, content: &[u8]| {
        let path = desk.path(name);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("spam.csv", b"v1,v2,,\nham,\"wonderful, really\",,\nspam,awful,,\n");
    let told = desk.predict("spam.csv", "spam_out.csv", &["--text-column", "v2"]);
    assert_eq!((told["n_rows"].as_u64(), told["n_without_text"].as_u64()), (Some(2), Some(0)));
    assert!(desk.read("spam_out.csv").starts_with("v1,v2,Unnamed: 2,Unnamed: 3,label,"));
    assert!(told["notes"][0].as_str().unwrap().contains("\"Unnamed: 2\""), "{told}");

    write("backslash.csv", b"text,n\n\"called it \\\"awful\\\"\",1\n\"wonderful\",2\n");
    let told = desk.predict("backslash.csv", "backslash_out.jsonl", &[]);
    assert_eq!(told["n_rows"], 2);
    assert!(told["notes"][0].as_str().unwrap().contains("escaped with a backslash"), "{told}");
    let first: Value =
        serde_json::from_str(desk.read("backslash_out.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(first["text"], "called it \"awful\"");

    write("late.jsonl", b"{\"id\": 1}\n{\"id\": 2, \"text\": \"wonderful\"}\n");
    let told = desk.predict("late.jsonl", "late_out.csv", &[]);
    assert_eq!((told["n_rows"].as_u64(), told["n_without_text"].as_u64()), (Some(2), Some(1)));
    write("array.json", b"[\n {\"text\": \"wonderful\"},\n {\"text\": \"awful\"}\n]\n");
    assert_eq!(desk.predict("array.json", "array_out.jsonl", &[])["n_rows"], 2);
    write("latin.csv", b"text,n\ncaf\xe9,1\n");
    assert!(desk.fails("latin.csv", "no.csv", &[]).contains("byte 0xe9 is not UTF-8"));
    assert_eq!(desk.predict("latin.csv", "latin_out.csv", &["--encoding", "latin1"])["n_rows"], 1);
    assert!(desk.read("latin_out.csv").contains("café,1,"));

    write("twice.jsonl", b"{\"text\": \"a\"}\n{\"text\": \"b\", \"n\": 1, \"n\": 2}\n");
    let told = desk.fails("twice.jsonl", "no.csv", &[]);
    assert!(told.contains("line 2: two values of the key \"n\" in one object"), "{told}");
    write("excel.csv", b"sep=;\r\ntext;n\r\nwonderful, really;1\r\n");
    desk.predict("excel.csv", "excel_out.csv", &[]);
    assert!(desk.read("excel_out.csv").contains("\"wonderful, really\",1,positive,"));
    // Of a file without rows the types say nothing: pandas makes them those of numbers.
    for (name, mut frame) in [
        ("0", df!("text" => [0.0; 0], "n" => [0.0; 0]).unwrap()),
        ("1", df!("text" => ["wonderful", "awful"], "n" => [1i64, 2]).unwrap()),
        ("2", df!("text" => [0.0; 0], "n" => [0.0; 0]).unwrap()),
    ] {
        write(&format!("shards/{name}.parquet"), b"");
        let file = fs::File::create(desk.path(&format!("shards/{name}.parquet"))).unwrap();
        ParquetWriter::new(file).finish(&mut frame).unwrap();
    }
    assert_eq!(desk.predict("shards", "shards_out.csv", &[])["n_rows"], 2);
    assert!(desk.read("shards_out.csv").contains("wonderful,1,positive,"));

    write("parts/b.csv", b"text,id\nawful,2\n");
    write("parts/a.csv", b"id,text\n1,wonderful\n");
    let told = desk.predict("parts", "parts_out.csv", &[]);
    assert_eq!(told["labels"], json!({"negative": 1, "positive": 1}));
    let lines: Vec<String> = desk.read("parts_out.csv").lines().map(str::to_owned).collect();
    assert!(
        lines[1].starts_with("1,wonderful,positive") && lines[2].starts_with("2,awful,negative")
    );
    write("parts/c.csv", b"id,text\n3,fine,really\n");
    assert!(desk.fails("parts", "no.csv", &[]).contains("c.csv\" row 1 (line 2): 3 columns"));
    write("parts/c.csv", b"id,words\n3,fine\n");
    assert!(
        desk.fails("parts/*.csv", "no.csv", &[]).contains("c.csv\": no column \"text\", which")
    );

    let mut typed = df!("id" => [1i32, 2], "text" => ["wonderful", "awful"]).unwrap();
    IpcWriter::new(fs::File::create(desk.path("in.arrow")).unwrap()).finish(&mut typed).unwrap();
    assert_eq!(desk.predict("in.arrow", "arrow_out.parquet", &[])["n_rows"], 2);
    fs::create_dir(desk.path("columns")).unwrap();
    for (name, ids) in [("columns/a.parquet", [1i32, 2]), ("columns/b.parquet", [3, 4])] {
        let mut part = df!("text" => ["wonderful", "awful"], "id" => ids).unwrap();
        ParquetWriter::new(fs::File::create(desk.path(name)).unwrap()).finish(&mut part).unwrap();
    }
    assert_eq!(desk.predict("columns", "columns_out.parquet", &[])["n_rows"], 4);
    let mut other = df!("text" => ["wonderful"], "id" => ["five"]).unwrap();
    let file = fs::File::create(desk.path("columns/c.parquet")).unwrap();
    ParquetWriter::new(file).finish(&mut other).unwrap();
    assert!(desk.fails("columns", "no.csv", &[]).contains("column \"id\" is str, in"));
}
