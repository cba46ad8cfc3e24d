//! Every source and format, guesses, and adding twice.

use std::{
    fs::{self, File},
    path::Path,
};

use polars::prelude::{IpcWriter, SerWriter as _};
use proptest::prelude::*;
use trialbook::{
    ErrorKind,
    data::{AddOutcome, AddRequest, Source},
    progress::Monitor,
};

use super::lab::{Lab, csv, expected_examples, frame, ten_rows, write_parquet};

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
            csv(&rows, ',').replace("t\n", "t\r\n").replace("g\n", "g\r\n").replace("s\n", "s\r\n"),
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
            "text column \"review\" (guessed), kept as \"text\"",
            "label column \"sentiment\" (guessed), kept as \"label\"",
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
        ..AddRequest::new(Source::Path(path))
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
    assert!(error.hint().unwrap().to_string().contains("trialbook data remove reviews"));
    assert_eq!(lab.store_files(), files);
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
