//! Datasets end to end: every source, every bad input, the layout in the store, SQL.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use polars::prelude::*;
use proptest::prelude::*;
use tempfile::TempDir;
use trialbook::{
    Error, ErrorKind,
    data::{AddOutcome, AddRequest, Added, Column, Datasets, ExtraTables, Source, Split},
    progress::Monitor,
    store::Store,
};

/// A store and a folder for sources, both gone after the test.
struct Lab {
    dir: TempDir,
    datasets: Datasets,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let datasets = Datasets::new(&Store::new(dir.path().join("store")));
        Self { dir, datasets }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("sources").join(name)
    }

    /// Writes a source file with the folders above it.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn add(&self, name: &str, source: Source) -> Result<Added, Error> {
        self.datasets.add(name, &AddRequest::new(source), &Monitor::silent())
    }

    fn add_file(&self, name: &str, path: &Path) -> Result<Added, Error> {
        self.add(name, Source::Path(path.to_owned()))
    }

    /// Everything in the store, to prove that nothing changed.
    fn store_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().join("store")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }

    /// Both splits as (text, class) pairs, sorted.
    fn examples(&self, name: &str) -> Vec<(String, String)> {
        let mut examples: Vec<(String, String)> = ["train", "test"]
            .iter()
            .flat_map(|split| pairs(self.datasets.split(name, split).unwrap()))
            .collect();
        examples.sort();
        examples
    }

    fn sql(&self, query: &str) -> serde_json::Value {
        match self.datasets.sql(query, &ExtraTables::none()) {
            Ok(result) => result.to_json(),
            Err(error) => panic!("{query}\n{error:?}"),
        }
    }
}

fn pairs(split: Split) -> Vec<(String, String)> {
    let classes = split.classes;
    split
        .texts
        .into_iter()
        .zip(split.labels)
        .map(|(text, label)| (text, classes[label as usize].clone()))
        .collect()
}

/// Ten rows, five of each class, that every format can hold.
fn ten_rows() -> Vec<(String, &'static str)> {
    (0..10)
        .map(|n| match n % 2 {
            0 => (format!("a \"fine\" film, number {n}<br />\nreally"), "pos"),
            _ => (format!("a dull film; число {n}"), "neg"),
        })
        .collect()
}

fn expected_examples() -> Vec<(String, String)> {
    let named = |label| if label == "pos" { "positive" } else { "negative" }.to_owned();
    let mut rows: Vec<_> =
        ten_rows().into_iter().map(|(text, label)| (text, named(label))).collect();
    rows.sort();
    rows
}

fn csv(rows: &[(String, &str)], delimiter: char) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let lines = rows.iter().map(|(text, label)| format!("{}{delimiter}{label}\n", quoted(text)));
    format!("review{delimiter}sentiment\n{}", lines.collect::<String>())
}

fn frame(rows: &[(String, &str)]) -> DataFrame {
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    let labels: Vec<&str> = rows.iter().map(|(_, label)| *label).collect();
    df!("id" => (0..rows.len() as i64).collect::<Vec<_>>(), "text" => texts, "label" => labels)
        .unwrap()
}

fn write_parquet(path: &Path, mut frame: DataFrame) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    ParquetWriter::new(File::create(path).unwrap()).finish(&mut frame).unwrap();
}

#[test]
fn every_format_gives_the_same_examples() {
    let lab = Lab::new();
    let rows = ten_rows();
    let jsonl = rows.iter().map(|(text, label)| {
        serde_json::json!({"text": text, "label": *label == "pos"}).to_string() + "\n"
    });
    let mut files = vec![
        lab.write("reviews.csv", csv(&rows, ',')),
        lab.write(
            "windows.csv",
            csv(&rows, ',').replace("\",", "\",").replace("sentiment\n", "sentiment\r\n"),
        ),
        lab.write("reviews.tsv", csv(&rows, '\t')),
        lab.write("reviews.jsonl", jsonl.collect::<String>()),
    ];
    let parquet = lab.path("reviews.parquet");
    write_parquet(&parquet, frame(&rows));
    let arrow = lab.path("reviews.arrow");
    IpcWriter::new(File::create(&arrow).unwrap()).finish(&mut frame(&rows)).unwrap();
    // The content decides, not the name.
    let misnamed = lab.path("really-parquet.csv");
    fs::copy(&parquet, &misnamed).unwrap();
    files.extend([parquet, arrow, misnamed]);
    let mut fingerprints = Vec::new();
    for (idx, file) in files.iter().enumerate() {
        let name = format!("set{idx}");
        let added = lab.add_file(&name, file).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(added.outcome, AddOutcome::Created);
        assert_eq!(lab.examples(&name), expected_examples(), "{file:?}");
        assert_eq!(added.dataset.split("test").unwrap().fingerprint.class_counts, [1, 1]);
        fingerprints.push(added.dataset.splits[0].fingerprint.sha256.clone());
        lab.datasets.verify(&name).unwrap();
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1, "one content, one seed, one split");
}

#[test]
fn the_aclimdb_folder_has_two_splits_and_its_unlabelled_reviews_stay_out() {
    let lab = Lab::new();
    for (file, text) in [
        ("aclImdb/train/pos/0_9.txt", "splendid"),
        ("aclImdb/train/pos/1_10.txt", "great"),
        ("aclImdb/train/neg/0_1.txt", "awful"),
        ("aclImdb/train/neg/1_2.txt", "poor"),
        ("aclImdb/train/unsup/0_0.txt", "unlabelled"),
        ("aclImdb/train/labeledBow.feat", "9 0:9"),
        ("aclImdb/test/pos/0_8.txt", "good"),
        ("aclImdb/test/neg/0_3.txt", "bad"),
    ] {
        lab.write(file, text);
    }
    let added = lab.add_file("imdb", &lab.path("aclImdb")).unwrap();
    assert_eq!(added.dataset.classes, ["negative", "positive"]);
    let train = lab.datasets.split("imdb", "train").unwrap();
    assert_eq!(train.texts, ["awful", "poor", "splendid", "great"]);
    assert_eq!(train.labels, [0, 0, 1, 1]);
    let request =
        AddRequest { test_size: Some(0.2), ..AddRequest::new(Source::Path(lab.path("aclImdb"))) };
    let error = lab.datasets.add("other", &request, &Monitor::silent()).unwrap_err();
    assert!(error.to_string().ends_with("has a test split of its own"), "{error}");
}

#[test]
fn guesses_and_defaults_are_said() {
    let lab = Lab::new();
    let path = lab.write("reviews.csv", csv(&ten_rows(), ','));
    let added = lab.add_file("reviews", &path).unwrap();
    assert_eq!(
        added.notes,
        [
            "text column \"review\" (guessed)",
            "label column \"sentiment\" (guessed)",
            "labels neg, pos read as negative, positive",
            "one split in the source: 0.2 of each class became the test split (choose with \
             --test-size and --seed)",
        ]
    );
    let text = added.to_output().to_text(None);
    assert!(
        text.ends_with("added reviews: 8 train + 2 test rows, classes negative, positive"),
        "{text}"
    );
    assert_eq!(added.to_output().json()["outcome"], "created");
    let request = AddRequest {
        text_column: Some("review".into()),
        label_column: Some("sentiment".into()),
        test_size: Some(0.4),
        seed: 7,
        source: Source::Path(path),
    };
    let added = lab.datasets.add("half", &request, &Monitor::silent()).unwrap();
    assert_eq!(added.notes, ["labels neg, pos read as negative, positive"]);
    assert_eq!(added.dataset.split("test").unwrap().fingerprint.n_rows, 4);
    assert!(added.dataset.source.ends_with("reviews.csv\", test size 0.4, seed 7"));
}

#[test]
fn the_same_data_twice_changes_nothing_and_other_data_is_a_conflict() {
    let lab = Lab::new();
    let mut rows = ten_rows();
    let first = lab.write("a.csv", csv(&rows, ','));
    let pair = |train: &Path| Source::Pair { train: train.to_owned(), test: first.clone() };
    let added = lab.add("reviews", pair(&first)).unwrap();
    let files = lab.store_files();
    rows.reverse();
    // Another order and other white space are the same examples.
    let reversed = lab.write("b.csv", csv(&rows, ',').replace("dull film", "dull   film"));
    let again = lab.add("reviews", pair(&reversed)).unwrap();
    assert_eq!(again.outcome, AddOutcome::Unchanged);
    assert_eq!(again.dataset, added.dataset);
    assert!(again.to_output().to_text(None).contains("reviews is unchanged"));
    rows.pop();
    let fewer = lab.write("c.csv", csv(&rows, ','));
    let error = lab.add("reviews", pair(&fewer)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("trialbook data remove reviews"));
    assert_eq!(lab.store_files(), files);
}

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
    let fractions = df!("text" => ["a", "b", "c", "d"], "label" => [0.5, 1.0, 0.0, 1.0]);
    write_parquet(&lab.path("fractions.parquet"), fractions.unwrap());
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
            path("fractions.parquet"),
            "\"…/fractions.parquet\": label column \"label\" holds f64, not strings, whole numbers \
             or booleans",
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
        let found = error.hint().unwrap_or_default();
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

#[test]
fn datasets_are_listed_read_and_removed() {
    let lab = Lab::new();
    assert!(lab.datasets.list().unwrap().is_empty());
    let error = lab.datasets.get("sample").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("the store has no datasets"));
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    lab.add_file("a-b", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    // What a crash may leave behind is not a dataset.
    fs::create_dir(lab.dir.path().join("store/data/.tmp-left")).unwrap();
    let names: Vec<String> =
        lab.datasets.list().unwrap().into_iter().map(|dataset| dataset.name).collect();
    assert_eq!(names, ["a-b", "sample"]);
    let head = lab.datasets.head("sample", 3).unwrap();
    assert_eq!((head.split.as_str(), head.rows.len()), ("train", 3));
    assert_eq!(lab.datasets.head("a-b.test", 99).unwrap().rows.len(), 2);
    assert_eq!(lab.datasets.head("a-b.dev", 1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(lab.datasets.split("sample", "dev").unwrap_err().kind(), ErrorKind::NotFound);
    let error = lab.datasets.get("samples").unwrap_err();
    assert_eq!(error.hint(), Some("the store has a-b, sample"));
    lab.datasets.remove("a-b").unwrap();
    assert_eq!(lab.datasets.remove("a-b").unwrap_err().kind(), ErrorKind::NotFound);
    let left: Vec<PathBuf> = lab.store_files();
    assert!(!left.iter().any(|path| path.to_string_lossy().contains("a-b")), "{left:?}");
    // A name that is no name never becomes a path.
    assert_eq!(lab.datasets.get("../data/sample").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(lab.datasets.remove("../data").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn damaged_files_are_corrupt_and_never_wrong_data() {
    let lab = Lab::new();
    lab.add_file("reviews", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    let file = lab.dir.path().join("store/data/reviews/train.parquet");
    let whole = fs::read(&file).unwrap();
    lab.datasets.verify("reviews").unwrap();
    let before = lab.datasets.split("reviews", "train").unwrap();
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&file, damaged).unwrap();
        let error = lab.datasets.split("reviews", "train").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error:?}");
    }
    for length in [0, 4, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let error = lab.datasets.split("reviews", "train").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}");
        assert!(error.hint().unwrap().contains("data remove"));
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(lab.datasets.split("reviews", "train").unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(&file, whole).unwrap();
    assert_eq!(lab.datasets.split("reviews", "train").unwrap(), before);
}

#[test]
fn many_threads_add_the_same_name_and_one_wins() {
    let lab = Lab::new();
    let same = lab.write("same.csv", csv(&ten_rows(), ','));
    let other = lab.write("other.csv", csv(&ten_rows()[..8], ','));
    let outcomes: Vec<Result<AddOutcome, ErrorKind>> = std::thread::scope(|scope| {
        let adds: Vec<_> = (0..8)
            .map(|n| if n % 4 == 3 { &other } else { &same })
            .map(|file| {
                scope.spawn(|| {
                    lab.add_file("reviews", file)
                        .map(|added| added.outcome)
                        .map_err(|error| error.kind())
                })
            })
            .collect();
        adds.into_iter().map(|add| add.join().unwrap()).collect()
    });
    let n_created = outcomes.iter().filter(|outcome| **outcome == Ok(AddOutcome::Created)).count();
    assert_eq!(n_created, 1, "{outcomes:?}");
    for outcome in &outcomes {
        let is_fine = matches!(
            outcome,
            Ok(AddOutcome::Created | AddOutcome::Unchanged) | Err(ErrorKind::Conflict)
        );
        assert!(is_fine, "{outcomes:?}");
    }
    lab.datasets.verify("reviews").unwrap();
    let left = fs::read_dir(lab.dir.path().join("store/data")).unwrap().count();
    assert_eq!(left, 1, "no temporary folder is left");
}

#[test]
fn the_sample_is_described() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    let profile = lab.datasets.describe("sample").unwrap();
    let train = &profile.splits[0];
    assert_eq!((train.n_rows, &train.class_counts[..]), (2_000, &[1_000, 1_000][..]));
    assert_eq!((train.n_duplicates, train.n_empty, profile.overlap.n_texts), (0, 0, 0));
    assert!((20..60).contains(&train.n_words.min) && (60..=120).contains(&train.n_words.max));
    let telling: Vec<&str> =
        profile.telling_words[1].words.iter().map(|word| word.word.as_str()).collect();
    assert!(telling.contains(&"good") && telling.contains(&"wonderful"), "{telling:?}");
    let output = profile.to_output();
    assert_eq!(output.json()["splits"][1]["n_rows"], 1_000);
    assert!(output.to_text(None).contains("most telling words"));
}

#[test]
fn sql_reads_every_split() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    lab.add_file("my-data", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (query, expected) in [
        (
            "select label, count(*) as n from sample group by label order by label",
            r#"[{"label": "negative", "n": 1500}, {"label": "positive", "n": 1500}]"#,
        ),
        ("select count(*) as n from sample.train", r#"[{"n": 2000}]"#),
        ("SELECT count(*) AS n FROM sample.test t WHERE t.label = 'positive'", r#"[{"n": 500}]"#),
        (
            "select split, count(*) as n, avg(target) as mean, min(target) as low, max(target) as \
             high from sample group by split order by split desc",
            r#"[{"split": "train", "n": 2000, "mean": 0.5, "low": 0, "high": 1},
                {"split": "test", "n": 1000, "mean": 0.5, "low": 0, "high": 1}]"#,
        ),
        ("select count(*) as n from \"my-data\".train", r#"[{"n": 8}]"#),
        ("select count(*) as n from \"my-data\"", r#"[{"n": 10}]"#),
        ("select count(*) as n from \"my-data.test\" as x", r#"[{"n": 2}]"#),
        (
            "select a.label as label, count(*) as n from sample.train a join sample.test b on \
             a.text = b.text group by a.label",
            "[]",
        ),
        (
            "select a.n as train, b.n as test from (select label, count(*) as n from sample.train \
             group by label) a join (select label, count(*) as n from sample.test group by label) b \
             on a.label = b.label where a.label = 'positive'",
            r#"[{"train": 1000, "test": 500}]"#,
        ),
        (
            "select count(*) as n from (select text from sample.test union all select text from \
             \"my-data\")",
            r#"[{"n": 1010}]"#,
        ),
        (
            "select label from sample union select label from sample.test order by label",
            r#"[{"label": "negative"}, {"label": "positive"}]"#,
        ),
        (
            "select case when target = 1 then 'up' else 'down' end as way, count(*) as n from \
             sample.test group by way order by way",
            r#"[{"way": "down", "n": 500}, {"way": "up", "n": 500}]"#,
        ),
        (
            "select text from \"my-data\" where text like '%number 4%'",
            r#"[{"text": "a \"fine\" film, number 4<br />\nreally"}]"#,
        ),
        (
            "select upper(label) as l, length(text) as n from \"my-data\" where text ilike \
             '%NUMBER 2%'",
            r#"[{"l": "POSITIVE", "n": 36}]"#,
        ),
        (
            "select round(avg(length(text)), 2) as mean from \"my-data\" where label = 'negative'",
            r#"[{"mean": 20.0}]"#,
        ),
        ("select count(distinct label) as n from sample", r#"[{"n": 2}]"#),
        ("select distinct split from sample order by split limit 1", r#"[{"split": "test"}]"#),
        (
            "with p as (select * from sample.test where target = 1) select count(*) as n from p",
            r#"[{"n": 500}]"#,
        ),
        ("select label, count(*) as n from sample group by label having count(*) > 2000", "[]"),
        (
            "select count(*) as n from sample.test where label in ('positive') and text is not null",
            r#"[{"n": 500}]"#,
        ),
        (
            "select count(*) as n from sample.test where label in (select label from \"my-data\" \
             where target = 1)",
            r#"[{"n": 500}]"#,
        ),
        (
            "select label, row_number() over (partition by label order by text) as k from \
             \"my-data\" order by label, k limit 1",
            r#"[{"label": "negative", "k": 1}]"#,
        ),
        (
            "select median(target) as m, stddev(target) as s, sum(target) as t from \"my-data\"",
            r#"[{"m": 0.5, "s": 0.5270462766947299, "t": 5}]"#,
        ),
        (
            "select substr(label, 1, 3) as s, label || '!' as b, concat(label, '-', target) as c, \
             replace(label, 'pos', 'neg') as r, target + 1.5 as x from \"my-data.test\" where \
             target = 1",
            r#"[{"s": "pos", "b": "positive!", "c": "positive-1", "r": "negitive", "x": 2.5}]"#,
        ),
        (
            "select cast(target as double) / 3 as x, target - 2 as y from sample where target = 1 limit 1",
            r#"[{"x": 0.3333333333333333, "y": -1}]"#,
        ),
        (
            "select starts_with(label, 'neg') as a, strpos(label, 'g') as b from \"my-data.test\" \
             where label = 'negative'",
            r#"[{"a": true, "b": 3}]"#,
        ),
        ("select sample.train.label from sample.train limit 1", r#"[{"label": "positive"}]"#),
        ("select sample.label from sample limit 1", r#"[{"label": "positive"}]"#),
        ("select 1 as one", r#"[{"one": 1}]"#),
    ] {
        assert_eq!(lab.sql(query), json(expected), "{query}");
    }
    let rows = lab.datasets.frame("sample").unwrap().collect().unwrap();
    assert_eq!(rows.shape(), (3_000, 4));
    assert_eq!(lab.datasets.frame("sample.test").unwrap().collect().unwrap().shape(), (1_000, 3));
}

#[test]
fn lent_tables_are_built_only_when_a_query_names_them() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    let built = std::cell::RefCell::new(Vec::new());
    let build = |table: &str| {
        built.borrow_mut().push(table.to_owned());
        Ok(vec![
            ("run_id".to_owned(), Column::Str(vec![Some("a".into()), Some("b".into()), None])),
            ("f1".to_owned(), Column::F64(vec![Some(0.9), Some(f64::NAN), None])),
            ("step".to_owned(), Column::I64(vec![Some(1), Some(2), Some(3)])),
            ("best".to_owned(), Column::Bool(vec![Some(true), None, Some(false)])),
        ])
    };
    let tables = ExtraTables { names: &["runs", "metrics"], build: &build };
    lab.datasets.sql("select count(*) from sample", &tables).unwrap();
    assert!(built.borrow().is_empty());
    let result = lab
        .datasets
        .sql(
            "select m.run_id, m.f1, m.best from metrics m where m.step < 3 order by m.step",
            &tables,
        )
        .unwrap();
    assert_eq!(*built.borrow(), ["metrics"]);
    let expected = serde_json::json!([
        {"run_id": "a", "f1": 0.9, "best": true},
        {"run_id": "b", "f1": "NaN", "best": null},
    ]);
    assert_eq!(result.to_json(), expected);
    let failing = ExtraTables {
        names: &["runs"],
        build: &|_| Err(Error::new(ErrorKind::Corrupt, "registry is damaged")),
    };
    let error = lab.datasets.sql("select * from runs", &failing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let empty = ExtraTables {
        names: &["runs"],
        build: &|_| Ok(vec![("run_id".to_owned(), Column::Str(Vec::new()))]),
    };
    assert_eq!(lab.datasets.sql("select run_id from runs", &empty).unwrap().n_rows(), 0);
}

#[test]
fn a_wrong_query_is_one_clear_message() {
    let lab = Lab::new();
    lab.add("sample", Source::Sample { seed: 42 }).unwrap();
    lab.add_file("my-data", &lab.write("a.csv", csv(&ten_rows(), ','))).unwrap();
    let tables = ExtraTables { names: &["runs"], build: &|_| Ok(Vec::new()) };
    let known =
        "there are \"my-data\", sample, runs; every dataset also as NAME.train and NAME.test";
    for (query, expected, hint) in [
        ("select * from nothing", "sql: table \"nothing\" does not exist", known),
        ("select * from sample.dev", "sql: table \"sample.dev\" does not exist", known),
        ("select * from nothing.train", "sql: table \"nothing.train\" does not exist", known),
        ("select wrong from sample", "wrong", ""),
        ("select * from sample where", "sql: ", ""),
        ("selec * from sample", "sql: \"selec\" does not begin a query", "only read"),
        ("select * from my-data", "sql: ", "\"my-data\""),
        ("drop table sample", "sql: \"drop\" does not begin a query", "only read"),
        ("select nosuch(text) from sample", "nosuch", ""),
        ("", "sql: the query is empty", "select label"),
    ] {
        let error = lab.datasets.sql(query, &tables).expect_err(query);
        let chain = error.chain();
        println!("{query}\n  {error:?}");
        assert!(chain.contains(expected) && !chain.contains('\n'), "{query}: {chain}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{query}: {error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn texts_survive_csv_whatever_they_hold(
        texts in prop::collection::vec("[ -~\n\r\t\"',;äß日\u{1F600}\u{a0}]{0,30}x", 4..20)
    ) {
        let lab = Lab::new();
        let rows: Vec<(String, &str)> = texts
            .into_iter()
            .enumerate()
            .map(|(n, text)| (text, if n % 2 == 0 { "good" } else { "bad" }))
            .collect();
        let path = lab.write("a.csv", csv(&rows, ','));
        lab.add_file("a", &path).unwrap();
        let mut expected: Vec<(String, String)> =
            rows.into_iter().map(|(text, label)| (text, label.to_owned())).collect();
        expected.sort();
        prop_assert_eq!(lab.examples("a"), expected);
    }
}
