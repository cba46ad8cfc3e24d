//! How bytes become rows: packed, in other encodings, in several files, written by other programs.

use std::{fs, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use polars::prelude::df;
use trialbook::{
    data::{AddRequest, Added, Dialect, Source},
    progress::Monitor,
};

use super::lab::{Lab, csv, expected_examples, frame, ten_rows, write_parquet};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).unwrap()
}

fn add(lab: &Lab, name: &str, path: &str, dialect: Dialect) -> Result<Added, trialbook::Error> {
    let request = AddRequest { dialect, ..AddRequest::new(Source::Path(lab.path(path))) };
    lab.datasets.add(name, &request, &Monitor::silent())
}

fn encoded(label: &str) -> Dialect {
    Dialect { encoding: Some(label.parse().unwrap()), ..Dialect::default() }
}

/// Checks that adding `content` as the file `name` fails so, with such a hint.
#[track_caller]
fn refused(lab: &Lab, name: &str, content: &[u8], dialect: Dialect, expected: &str, hint: &str) {
    lab.write(name, content);
    let error = add(lab, "refused", name, dialect).expect_err(name);
    let said = error.chain();
    assert!(said.contains(expected), "{name}: {said}");
    assert!(said.len() < 600 && !said.contains('\n'), "{name}: {said}");
    let found = error.hint().cloned().unwrap_or_default().to_string();
    assert!(found.contains(hint), "{name}: {found:?} lacks {hint:?}");
    assert!(lab.store_files().is_empty(), "{name}");
}

#[test]
fn packed_files_are_read_as_what_is_in_them() {
    let lab = Lab::new();
    let rows = ten_rows();
    let text = csv(&rows, ',');
    let jsonl: String = rows
        .iter()
        .map(|(text, label)| serde_json::json!({"text": text, "label": label}).to_string() + "\n")
        .collect();
    let (first, second) = text.split_at(text.len() / 2);
    write_parquet(&lab.path("rows.parquet"), frame(&rows));
    let parquet = fs::read(lab.path("rows.parquet")).unwrap();
    for (idx, (name, content)) in [
        ("a.csv.gz", gzip(text.as_bytes())),
        // As `cat a.gz b.gz` makes them.
        ("members.csv.gz", [gzip(first.as_bytes()), gzip(second.as_bytes())].concat()),
        ("a.tsv.gz", gzip(csv(&rows, '\t').as_bytes())),
        ("a.jsonl.gz", gzip(jsonl.as_bytes())),
        ("a.csv.zst", zstd(text.as_bytes())),
        ("frames.csv.zst", [zstd(first.as_bytes()), zstd(second.as_bytes())].concat()),
        ("a.jsonl.zst", zstd(jsonl.as_bytes())),
        // The content says it, not the name.
        ("packed.csv", gzip(text.as_bytes())),
        ("a.parquet.gz", gzip(&parquet)),
    ]
    .into_iter()
    .enumerate()
    {
        lab.write(name, content);
        let dataset = format!("set{idx}");
        add(&lab, &dataset, name, Dialect::default()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(lab.examples(&dataset), expected_examples(), "{name}");
    }
    let lab = Lab::new();
    let (packed, usual) = (gzip(text.repeat(50).as_bytes()), Dialect::default());
    let cut = &packed[..packed.len() - 30];
    refused(&lab, "cut.csv.gz", cut, usual.clone(), "cut.csv.gz\": truncated gzip", "again");
    let cut = &zstd(text.as_bytes())[..40];
    refused(&lab, "cut.csv.zst", cut, usual.clone(), "cut.csv.zst\": truncated zstd", "again");
    let mut damaged = packed.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 20].fill(0xff);
    refused(&lab, "bad.csv.gz", &damaged, usual.clone(), "bad.csv.gz\": ", "again");
    let twice = gzip(&gzip(text.as_bytes()));
    refused(&lab, "twice.csv.gz", &twice, usual.clone(), "gzip that is packed with gzip", "once");
    refused(
        &lab,
        "plain.csv.gz",
        text.as_bytes(),
        usual,
        "not gzip, whatever its name",
        "extension",
    );
}

#[test]
fn other_encodings_are_named_and_read_when_asked_for() {
    let western = "text,label\n“Œuvre” de cœur – Šime,neg\nn’aime pas €,pos\nbon,neg\nbien,pos\n";
    let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(western);
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let utf16_be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{western}");
    let latin = b"text,label\ncaf\xe9,neg\nth\xe9,pos\nbon,neg\nbien,pos\n";
    let lab = Lab::new();
    let usual = Dialect::default;
    for (name, content, expected, hint) in [
        ("win.csv", windows.to_vec(), "line 2: byte 0x93 is not UTF-8", "--encoding windows-1252"),
        ("latin.csv", latin.to_vec(), "line 2: byte 0xe9 is not UTF-8", "ISO-8859-1"),
        (
            "win.jsonl",
            b"{\"text\":\"5 \x80\",\"label\":1}".to_vec(),
            "line 1: byte 0x80",
            "WINDOWS-1252",
        ),
        ("le.csv", utf16(&marked), "is in UTF-16LE, not UTF-8", "--encoding utf-16le"),
        ("be.csv", utf16_be(&marked), "is in UTF-16BE, not UTF-8", "--encoding utf-16be"),
        ("bare.csv", utf16(western), "is in UTF-16LE, not UTF-8", "--encoding utf-16le"),
        ("le.jsonl", utf16("{\"text\": \"a\", \"label\": 1}\n"), "UTF-16LE", "--encoding utf-16le"),
        ("packed.csv.gz", gzip(&windows), "line 2: byte 0x93 is not UTF-8", "windows-1252"),
        (
            "damaged.csv",
            [western.as_bytes(), b"caf\xe9,neg\n"].concat(),
            "line 6: byte 0xe9 is not UTF-8",
            "all else in the file is UTF-8",
        ),
    ] {
        refused(&lab, name, &content, usual(), expected, hint);
    }
    refused(
        &lab,
        "odd.csv",
        b"text,label\na,1\n\x81b,0\n",
        encoded("cp1252"),
        "line 3: 0x81 is no character in windows-1252",
        "--encoding",
    );
    refused(
        &lab,
        "cut.csv",
        b"text,label\na,1\n\x82",
        encoded("shift_jis"),
        "line 3: 0x82 is no character in Shift_JIS",
        "--encoding",
    );
    refused(
        &lab,
        "half.csv",
        &utf16("text,label\na\u{e9},1")[..25],
        encoded("utf-16le"),
        "is no character in UTF-16LE",
        "--encoding",
    );

    let expected: Vec<String> =
        western.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect();
    for (idx, (name, content, label)) in [
        ("win.csv", windows.to_vec(), "windows-1252"),
        ("as-latin.csv", windows.to_vec(), "latin1"),
        ("le.csv", utf16(&marked), "utf-16le"),
        ("be.csv", utf16_be(&marked), "utf-16"),
        ("bare.csv", utf16(western), "utf-16"),
        ("bare-be.csv", utf16_be(western), "utf-16be"),
        ("packed.csv.gz", gzip(&windows), "windows-1252"),
        ("marked.csv", marked.clone().into_bytes(), "utf-8"),
    ]
    .into_iter()
    .enumerate()
    {
        lab.write(name, content);
        let dataset = format!("set{idx}");
        let added =
            add(&lab, &dataset, name, encoded(label)).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let mut texts: Vec<String> =
            lab.examples(&dataset).into_iter().map(|(text, _)| text).collect();
        let mut expected = expected.clone();
        texts.sort();
        expected.sort();
        assert_eq!(texts, expected, "{name}");
        let says = added.notes.iter().any(|note| note.to_string().contains("read as windows-1252"));
        assert_eq!(says, label == "latin1", "{:?}", added.notes);
    }
    lab.write("words/pos/0_9.txt", b"caf\xe9");
    lab.write("words/pos/1_9.txt", b"bon");
    lab.write("words/neg/0_1.txt", b"mal");
    lab.write("words/neg/1_1.txt", b"n\xe9ant");
    add(&lab, "words", "words", encoded("iso-8859-15")).unwrap();
    assert!(lab.examples("words").iter().any(|(text, _)| text == "café"));
}

#[test]
fn what_is_no_table_is_called_by_its_name() {
    let lab = Lab::new();
    let page = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title>".as_slice();
    let sheet = b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml".as_slice();
    for (name, content, expected) in [
        ("a.csv", sheet, "an Office document, such as .xlsx, which is not read"),
        ("a.xlsx", sheet, "an Office document"),
        ("a.csv", b"PK\x03\x04\x14\0\0\0\x08\0reviews.csv", "a zip archive"),
        ("a.pdf", b"%PDF-1.7\n", "a PDF document"),
        ("a.jsonl", page, "a web page"),
        ("a.csv", b"\xff\xff\xff\xff\x78\0\0\0", "an Arrow stream, not an Arrow file"),
        ("a.gz", &gzip(b"text,label\n"), "a file without an extension"),
        ("a.csv", b"BZh91AY&SY", "a bzip2 file"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
    ] {
        refused(&lab, name, content, Dialect::default(), expected, "");
    }
    let parquet = Dialect { delimiter: Some(';'), ..Dialect::default() };
    write_parquet(&lab.path("rows.parquet"), frame(&ten_rows()));
    let content = fs::read(lab.path("rows.parquet")).unwrap();
    refused(&lab, "rows.parquet", &content, parquet, "has no delimiter, quotes or encoding", "CSV");
}

#[test]
fn no_message_is_as_long_as_the_file() {
    let lab = Lab::new();
    let long = "word ".repeat(20_000);
    let usual = Dialect::default;
    // One line, since a vertical tab ends none.
    let odd = format!("text,label{}", "\u{b}good,1".repeat(20_000));
    for (name, content) in [
        ("header.csv", format!("{long},b,c\n1,2,3\n")),
        ("vertical.csv", odd),
        ("columns.csv", (0..5_000).map(|n| format!("column{n},")).collect::<String>() + "\n"),
        ("twice.jsonl", format!("{{\"{long}\": 1}}\n")),
        ("number.jsonl", format!("{{\"text\": \"a\", \"label\": {{\"a\": \"{long}\"}}}}\n")),
        ("broken.jsonl", format!("{{\"text\": \"{long}\", \"label\"\n")),
        ("string.jsonl", format!("\"{long}\"\n")),
        ("array.json", format!("[\"{long}\"]\n")),
        ("quote.csv", format!("text,label\n\"{long},1\nb,0,1\n")),
    ] {
        refused(&lab, name, content.as_bytes(), usual(), "", "");
    }
    let cr = "text,label\r\"good\rfilm\",1\rbad,0\rfine,1\rpoor,0\r";
    lab.write("cr.csv", cr);
    add(&lab, "cr", "cr.csv", usual()).unwrap();
    assert!(lab.examples("cr").iter().any(|(text, _)| text == "good\rfilm"));
    lab.write("late.jsonl", "{\"id\":1}\n{\"text\":\"a\",\"label\":\"x\"}\n");
    let error = add(&lab, "late", "late.jsonl", usual()).unwrap_err();
    assert!(
        error.to_string().ends_with("late.jsonl\" row 1 (line 1): the text is null"),
        "{error}"
    );
}

#[test]
fn columns_without_a_name_of_their_own_get_one() {
    let lab = Lab::new();
    lab.write("spam.csv", "v1,v2,,,\nham,\"a, b\",,,\nspam,c,,,\nham,d,,,\nspam,e,,,\n");
    let request = AddRequest {
        text_column: Some("v2".into()),
        label_column: Some("v1".into()),
        ..AddRequest::new(Source::Path(lab.path("spam.csv")))
    };
    let added = lab.datasets.add("spam", &request, &Monitor::silent()).unwrap();
    assert_eq!(
        added.notes[0],
        "columns whose names are empty or repeated are called \"Unnamed: 2\", \"Unnamed: 3\", \
         \"Unnamed: 4\""
    );
    lab.write("twice.csv", "text,text,label\na,b,x\nc,d,y\ne,f,x\ng,h,y\n");
    let request = AddRequest {
        text_column: Some("text.1".into()),
        ..AddRequest::new(Source::Path(lab.path("twice.csv")))
    };
    lab.datasets.add("twice", &request, &Monitor::silent()).unwrap();
    assert_eq!(lab.examples("twice")[0].0, "b");
}

#[test]
fn several_files_are_one_table() {
    let lab = Lab::new();
    let rows = ten_rows();
    let usual = Dialect::default;
    for (idx, part) in rows.chunks(4).enumerate() {
        write_parquet(&lab.path(&format!("shards/part-{idx}.parquet")), frame(part));
        lab.write(&format!("lines/part-{idx}.csv.gz"), gzip(csv(part, ',').as_bytes()));
        lab.write(&format!("mixed/part-{idx}.csv"), csv(part, ','));
    }
    lab.write("shards/README.md", "about");
    for (name, path) in
        [("folder", "shards"), ("pattern", "shards/part-*.parquet"), ("lines", "lines")]
    {
        let added =
            add(&lab, name, path, usual()).unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert_eq!(lab.examples(name), expected_examples(), "{path}");
        assert!(added.notes[0].to_string().starts_with("3 files (part-0."), "{:?}", added.notes);
    }
    // Another order of columns is the same table, other columns are not.
    lab.write("mixed/part-1.csv", "sentiment,review\npos,x\nneg,y\n");
    add(&lab, "mixed", "mixed", usual()).unwrap();
    lab.write("mixed/part-1.csv", "review,stars\nx,pos\n");
    let error = add(&lab, "other", "mixed", usual()).unwrap_err();
    assert!(
        error.to_string().contains("part-1.csv\": no column \"sentiment\", which \""),
        "{error}"
    );
    lab.write("mixed/part-1.csv", "review,sentiment\nx,pos\n,neg\n");
    let error = add(&lab, "other", "mixed", usual()).unwrap_err();
    assert!(
        error.to_string().ends_with("part-1.csv\" row 2 (line 3): the text is empty"),
        "{error}"
    );
    let null = df!("text" => [Some("a"), None], "label" => ["pos", "neg"], "id" => [0i64, 1]);
    write_parquet(&lab.path("shards/part-3.parquet"), null.unwrap());
    let error = add(&lab, "other", "shards", usual()).unwrap_err();
    assert!(error.to_string().ends_with("part-3.parquet\" row 2: the text is null"), "{error}");

    // pandas writes a column without values as numbers.
    let empty = df!("id" => [0.0; 0], "text" => [0.0; 0], "label" => [0.0; 0]).unwrap();
    write_parquet(&lab.path("empty/part-0.parquet"), empty.clone());
    write_parquet(&lab.path("empty/part-1.parquet"), frame(&rows));
    write_parquet(&lab.path("empty/part-2.parquet"), empty);
    add(&lab, "empty", "empty", usual()).unwrap();
    assert_eq!(lab.examples("empty"), expected_examples());
    let error = add(&lab, "other", "empty/part-2.parquet", usual()).unwrap_err();
    assert!(error.to_string().ends_with("part-2.parquet\": no rows"), "{error}");

    write_parquet(&lab.path("part/train-00000-of-00002.parquet"), frame(&rows));
    let added = add(&lab, "part", "part", usual()).unwrap();
    let missing =
        "train-00001-of-00002.parquet, of which the names of the others tell, is not there";
    assert_eq!(added.notes[0], missing, "{:?}", added.notes);

    write_parquet(&lab.path("hub/data/train-00000-of-00002.parquet"), frame(&rows[..4]));
    write_parquet(&lab.path("hub/data/train-00001-of-00002.parquet"), frame(&rows[4..8]));
    write_parquet(&lab.path("hub/data/test-00000-of-00001.parquet"), frame(&rows[8..]));
    lab.write("hub/README.md", "about");
    let added = add(&lab, "hub", "hub", usual()).unwrap();
    assert_eq!(added.dataset.split("train").unwrap().fingerprint.n_rows, 8);
    assert_eq!(added.dataset.split("test").unwrap().fingerprint.n_rows, 2);
    assert!(
        added.notes[0].to_string().starts_with("train: data/train-00000-of-00002.parquet and "),
        "{:?}",
        added.notes
    );
    let pair = Source::Pair {
        train: lab.path("hub/data/train-*.parquet"),
        test: lab.path("hub/data/test-00000-of-00001.parquet"),
    };
    let again = lab.add("hub", pair).unwrap();
    assert_eq!(again.dataset.splits, added.dataset.splits);
}
