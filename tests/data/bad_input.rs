//! Every bad input is one clear error that changes nothing.

use std::{fs, path::PathBuf};

use polars::prelude::df;
use trialbook::{
    ErrorKind,
    data::{AddRequest, Source},
    progress::Monitor,
};

use super::lab::{Lab, frame, ten_rows, write_parquet};

#[test]
fn every_bad_input_is_one_clear_error_and_changes_nothing() {
    let lab = Lab::new();
    let good = lab.write("good.csv", "text,label\ngood,pos\nbad,neg\nfine,pos\npoor,neg\n");
    let parquet = lab.path("whole.parquet");
    write_parquet(&parquet, frame(&ten_rows()));
    let whole = fs::read(&parquet).unwrap();
    let null_text =
        df!("text" => [Some("a"), None, Some("c"), Some("d")], "label" => [0i64, 1, 0, 1]);
    write_parquet(&lab.path("null-text.parquet"), null_text.unwrap());
    let null_label =
        df!("text" => ["a", "b", "c", "d"], "label" => [Some(true), Some(false), None, None]);
    write_parquet(&lab.path("null-label.parquet"), null_label.unwrap());
    let numbers = df!("text" => [1i64, 2, 3, 4], "label" => [0i64, 1, 0, 1]);
    write_parquet(&lab.path("numbers.parquet"), numbers.unwrap());
    let endless = df!("text" => ["a", "b", "c", "d"], "label" => [f64::INFINITY, 1.0, 0.0, 1.0]);
    write_parquet(&lab.path("endless.parquet"), endless.unwrap());
    let no_rows = df!("text" => Vec::<String>::new(), "label" => Vec::<i64>::new());
    write_parquet(&lab.path("no-rows.parquet"), no_rows.unwrap());
    lab.write("no-neg/pos/0_9.txt", "good");
    lab.write("no-test/train/pos/0_9.txt", "good");
    lab.write("half/train/pos/0_9.txt", "good");
    lab.write("half/train/neg/0_1.txt", "bad");
    lab.write("half/test/pos/0_9.txt", "good");
    lab.write("latin/pos/0_9.txt", b"caf\xe9");
    lab.write("latin/neg/0_1.txt", "bad");
    lab.write("empty-file/pos/0_9.txt", "  \n");
    lab.write("empty-file/neg/0_1.txt", "bad");
    fs::create_dir_all(lab.path("no-files/pos")).unwrap();
    fs::create_dir_all(lab.path("no-files/neg")).unwrap();

    let file = |name: &str, content: &[u8]| Source::Path(lab.write(name, content));
    let path = |name: &str| Source::Path(lab.path(name));
    let pair = |name: &str, content: &str| Source::Pair {
        train: good.clone(),
        test: lab.write(name, content),
    };
    let cases = [
        (path("missing.csv"), "cannot read \"…/missing.csv\"", "check the path"),
        (path("missing"), "cannot read \"…/missing\"", "check the path"),
        (
            file("columns.csv", b"words,stars\na,1\nb,2\n"),
            "\"…/columns.csv\": no column is obviously the text: found \"words\", \"stars\"",
            "--text",
        ),
        (
            file("no-label.csv", b"text,stars,user\na,1,x\n"),
            "\"…/no-label.csv\": no column is obviously the label: found \"text\", \"stars\", \"user\"",
            "--label",
        ),
        (
            pair("unknown.csv", "text,label\na,pos\nb,neg\nc,neutral\n"),
            "\"…/unknown.csv\" row 3 (line 4): unknown label \"neutral\", the training split has \
             negative, positive",
            "same class names",
        ),
        (
            file("empty-text.csv", b"text,label\n\"a\nb\",pos\n\" \",neg\nc,pos\n,neg\n"),
            "\"…/empty-text.csv\" row 2 (line 4): the text is empty, and so it is in 1 more row",
            "remove the row",
        ),
        (
            file("empty-label.csv", b"text,label\na,pos\nb,\n"),
            "\"…/empty-label.csv\" row 2 (line 3): the label is empty",
            "remove the row",
        ),
        (path("null-text.parquet"), "\"…/null-text.parquet\" row 2: the text is null", "remove"),
        (
            path("null-label.parquet"),
            "\"…/null-label.parquet\" row 3: the label is null, and so it is in 1 more row",
            "remove",
        ),
        (
            file(
                "null.jsonl",
                b"{\"text\": \"a\", \"label\": 1}\n{\"text\": null, \"label\": 0}\n",
            ),
            "\"…/null.jsonl\" row 2 (line 2): the text is null",
            "remove",
        ),
        (
            file("latin.csv", b"text,label\nfine,1\ncaf\xe9,0\n"),
            "\"…/latin.csv\" line 3: byte 0xe9 is not UTF-8",
            "UTF-8",
        ),
        (
            file(
                "latin.jsonl",
                b"{\"text\": \"a\", \"label\": 1}\n{\"text\": \"\xe9\", \"label\": 0}",
            ),
            "\"…/latin.jsonl\" line 2: byte 0xe9 is not UTF-8",
            "UTF-8",
        ),
        (path("latin"), "\"…/latin/pos/0_9.txt\" line 1: byte 0xe9 is not UTF-8", "UTF-8"),
        (
            file("single.csv", b"text,label\na,pos\nb,positive\nc,1\n"),
            "\"…/single.csv\": all 3 rows have the single class \"positive\"",
            "two classes",
        ),
        (
            pair("single-test.csv", "text,label\na,pos\nb,pos\n"),
            "\"…/single-test.csv\": all 2 rows have the single class \"positive\"",
            "two classes",
        ),
        (file("zero.csv", b"text,label\n"), "\"…/zero.csv\": no rows", "two classes"),
        (file("nothing.csv", b""), "\"…/nothing.csv\": the file is empty", "names the columns"),
        (file("nothing.jsonl", b"\n"), "\"…/nothing.jsonl\": the file is empty", "one object"),
        (path("no-rows.parquet"), "\"…/no-rows.parquet\": no rows", "two classes"),
        (path("no-files"), "\"…/no-files\": no rows", "two classes"),
        (
            file("few.csv", b"text,label\na,x\nb,y\nc,z\n"),
            "\"…/few.csv\": 3 rows for 3 classes (x, y, z), each class needs at least 2",
            "--label",
        ),
        (
            file("lonely.csv", b"text,label\na,x\nb,y\nc,y\nd,y\n"),
            "\"…/lonely.csv\": class \"x\" has 1 example, a split needs at least 2 of each class",
            "--train FILE --test FILE",
        ),
        (
            file("cut.parquet", &whole[..whole.len() - 20]),
            "\"…/cut.parquet\": truncated Parquet, its … bytes do not end with \"PAR1\"",
            "again",
        ),
        (
            file("text.parquet", b"text,label\n"),
            "\"…/text.parquet\": not Parquet, it does not begin with \"PAR1\"",
            "extension",
        ),
        (
            file("text.feather", b"text,label\n"),
            "\"…/text.feather\": not Arrow IPC, it does not begin with \"ARROW1\"",
            "extension",
        ),
        (
            file("stream.arrow", b"\xff\xff\xff\xff\x10\0\0\0"),
            "\"…/stream.arrow\": an Arrow stream, not an Arrow file",
            "Parquet",
        ),
        (path("no-neg"), "\"…/no-neg\": no folder \"neg\" in it", "train/pos"),
        (path("no-test"), "\"…/no-test\": no folder \"test\" in it", "train/pos"),
        (path("half"), "\"…/half/test\": no folder \"neg\" in it", "train/pos"),
        (path("empty-file"), "\"…/empty-file/pos/0_9.txt\": the text is empty", "remove"),
        (file("book.xlsx", b"PK"), "\"…/book.xlsx\": unknown extension \"xlsx\"", ".parquet"),
        (file("README", b"hello"), "\"…/README\": a file without an extension", ".csv"),
        (
            path("numbers.parquet"),
            "\"…/numbers.parquet\": text column \"text\" holds i64, not strings",
            "--text",
        ),
        (
            path("endless.parquet"),
            "\"…/endless.parquet\": label column \"label\" holds f64, not strings, numbers or \
             booleans",
            "--label",
        ),
        (
            file("ragged.csv", b"text,label\na,pos\nb, and c,neg\n"),
            "\"…/ragged.csv\" row 2 (line 3): 3 columns, the header has 2",
            "quotes",
        ),
    ];
    for (source, expected, hint) in cases {
        let error = lab.add("reviews", source).expect_err(expected);
        let found = error
            .to_string()
            .replace(&format!("{}/", lab.path("").display()).replace("//", "/"), "…/");
        let found = if expected.contains("its … bytes") {
            found
                .split(' ')
                .map(|word| if word.parse::<u64>().is_ok() { "…" } else { word })
                .collect::<Vec<_>>()
                .join(" ")
        } else {
            found
        };
        assert_eq!(found, expected);
        let found = error.hint().cloned().unwrap_or_default().to_string();
        assert!(found.contains(hint), "{expected}: {found:?} lacks {hint:?}");
        assert_eq!(lab.store_files(), Vec::<PathBuf>::new(), "{expected}");
    }
}

#[test]
fn a_bad_name_or_request_is_refused_before_anything_is_read() {
    let lab = Lab::new();
    let source = || Source::Path("missing.csv".into());
    for name in ["runs", "a b", "../up", ""] {
        assert_eq!(lab.add(name, source()).unwrap_err().kind(), ErrorKind::Invalid, "{name}");
    }
    let request = AddRequest { test_size: Some(1.5), ..AddRequest::new(source()) };
    let error = lab.datasets.add("x", &request, &Monitor::silent()).unwrap_err();
    assert_eq!(error.to_string(), "test size 1.5 is not above 0 and below 1");
    let request = AddRequest {
        text_column: Some("text".into()),
        ..AddRequest::new(Source::Sample { seed: 1 })
    };
    let error = lab.datasets.add("x", &request, &Monitor::silent()).unwrap_err();
    assert!(error.to_string().contains("this source has no columns"), "{error}");
}

#[test]
fn an_interrupt_stops_before_the_store_is_touched() {
    let lab = Lab::new();
    let monitor = Monitor::silent();
    monitor.interrupt.raise();
    let request = AddRequest::new(Source::Sample { seed: 42 });
    let error = lab.datasets.add("sample", &request, &monitor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(lab.store_files().is_empty());
}
