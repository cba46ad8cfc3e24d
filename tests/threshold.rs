//! Thresholds: chosen on rows that a model has not learnt, kept with the version, and followed by everything
//! that makes a label of a probability.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod calibration;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};
use trialbook::{
    Book, ErrorKind,
    evaluate::{evaluate_answers, predict_on},
    model::{self, Calibration, Decision, ModelFiles, Threshold, ThresholdRule},
};

use crate::cli::Trialbook;

const NAME: &str = "SentimentClassifier";

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|item| item.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found}, not {expected}");
}

/// A store with the sample.
fn sampled() -> Trialbook {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book
}

fn train(book: &Trialbook, options: &[&str]) -> Value {
    let train = ["train", "tfidf", "--data", "sample", "--ngram", "1"];
    book.json(&[&train[..], options].concat())
}

#[test]
fn a_threshold_is_kept_with_the_version_and_followed_everywhere() {
    let book = sampled();
    let trained = train(&book, &["--threshold", "precision=0.97"]);
    let chosen = &trained["decision"]["threshold"];
    let threshold = number(&chosen["value"]);
    assert!(threshold > 0.5 && number(&chosen["chosen_on"]["precision"]) >= 0.97, "{chosen}");
    assert_eq!(chosen["chosen_on"]["rows"], "training rows (5 folds)");
    // The run and the version say it.
    let run = book.json(&["runs", "show", trained["run_id"].as_str().unwrap()]);
    assert_eq!(run["params"]["threshold_rule"], "precision=0.97");
    assert_eq!(run["params"]["threshold"], threshold.to_string());
    assert_eq!(run["metrics"]["threshold_recall"], chosen["chosen_on"]["recall"]);
    let shown = book.json(&["models", "show", NAME, "1"]);
    assert_eq!(number(&shown["threshold"]), threshold);
    assert!(book.call(&["models", "show", NAME, "1"]).stdout.contains("threshold rule"));

    // Every label is that of the threshold, in the library …
    let library = Book::open(book.store());
    let version = library.version("SentimentClassifier/1").unwrap();
    let classifier = library.load(&version).unwrap();
    assert_eq!(classifier.decision().threshold(), threshold);
    let test = library.datasets().split("sample", "test").unwrap();
    let answers = predict_on(classifier.as_ref(), &test).unwrap();
    let by_hand: Vec<u32> =
        answers.probabilities.chunks_exact(2).map(|row| u32::from(row[1] >= threshold)).collect();
    assert_eq!(answers.predicted, by_hand);
    let at_half = answers.probabilities.chunks_exact(2).map(|row| u32::from(row[1] >= 0.5));
    assert!(at_half.zip(&by_hand).any(|(half, own)| half != *own), "some lie between");
    let evaluation = evaluate_answers(&test.labels, &answers, &test.classes).unwrap();
    let texts: Vec<&str> = test.texts.iter().map(String::as_str).collect();
    let predicted = library.predict("SentimentClassifier/1", &texts).unwrap().predictions;
    for ((prediction, label), row) in
        predicted.iter().zip(&by_hand).zip(answers.probabilities.chunks_exact(2))
    {
        assert_eq!(prediction.label, test.classes[*label as usize]);
        assert_eq!(prediction.confidence, row[*label as usize]);
        assert_eq!((prediction.threshold, prediction.probability), (Some(threshold), Some(row[1])));
    }
    // … in what is registered, measured and shown …
    assert_eq!(version.metrics["f1"], evaluation.metric("f1").unwrap());
    let measured = book.json(&["evaluate", NAME, "1", "--data", "sample"]);
    assert_eq!(measured["metrics"]["f1"], json!(version.metrics["f1"]));
    assert_eq!(number(&measured["threshold"]), threshold);
    let wrong = by_hand.iter().zip(&test.labels).filter(|(own, label)| own != label).count();
    let errors = book.json(&["errors", NAME, "1", "-n", "5000"]);
    assert_eq!(errors["n_errors"], wrong);
    for error in errors["errors"].as_array().unwrap() {
        let row = error["row"].as_u64().unwrap() as usize;
        assert_eq!(error["predicted"], json!(test.classes[by_hand[row] as usize]));
    }
    assert!(
        book.call(&["errors", NAME, "1"]).stdout.contains(&format!("positive from {threshold} on"))
    );
    // … and for a text between a half and the threshold, by each command.
    let between =
        answers.probabilities.chunks_exact(2).position(|row| (0.5..threshold).contains(&row[1]));
    let text = texts[between.unwrap()];
    let one = book.json(&["predict", "--model", "SentimentClassifier/1", text]);
    assert_eq!((&one["label"], number(&one["threshold"])), (&json!("negative"), threshold));
    assert!(number(&one["confidence"]) < 0.5 && number(&one["probability"]) >= 0.5, "{one}");
    let explained = book.json(&["explain", "SentimentClassifier/1", text]);
    assert_eq!((&explained["label"], &explained["threshold"]), (&one["label"], &one["threshold"]));
    assert_eq!(explained["explanation"]["class"], "positive");
    let file = book.store().join("new.jsonl");
    fs::write(&file, json!({ "text": text }).to_string()).unwrap();
    let out = book.store().join("predicted.jsonl");
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let told =
        book.json(&["predict", "--in", file, "--out", out, "--model", "SentimentClassifier/1"]);
    assert_eq!((&told["labels"]["negative"], number(&told["threshold"])), (&json!(1), threshold));
    let row: Value = serde_json::from_str(fs::read_to_string(out).unwrap().trim()).unwrap();
    assert_eq!((&row["label"], &row["confidence"]), (&one["label"], &one["confidence"]));
}

#[test]
fn rules_choose_as_they_say_and_costs_move_the_threshold() {
    let book = sampled();
    train(&book, &[]);
    let chosen = |rule: &str| -> (f64, Value) {
        let made = book.json(&["models", "threshold", "SentimentClassifier/1", rule]);
        let threshold = made["decision"]["threshold"].clone();
        (number(&threshold["value"]), threshold["chosen_on"].clone())
    };
    let (careful, rows) = chosen("recall=0.97");
    assert!(number(&rows["recall"]) >= 0.97 && careful < 0.5, "{careful} {rows}");
    let (dear, _) = chosen("cost=5:1");
    let (cheap, _) = chosen("cost=1:5");
    assert!(cheap < dear, "{cheap} {dear}");
    assert_eq!(chosen("0.8"), (0.8, Value::Null));
    // By hand: the F1 of no other threshold is higher on the same rows.
    let (_, rows) = chosen("best-f1");
    let at = |value: &str| {
        let made = book.json(&["models", "threshold", "SentimentClassifier/1", value]);
        number(&made["metrics"]["f1"])
    };
    assert!(number(&rows["f1"]) > 0.85 && at("0.05") < at("0.5"));
}

#[test]
fn another_threshold_is_another_version_that_names_where_it_comes_from() {
    let book = sampled();
    let trained = train(&book, &["--deploy"]);
    let before = book.json(&["models", "show", NAME, "1"]);
    let derived = book.json(&["models", "threshold", NAME, "1", "best-f1"]);
    assert_eq!(
        (&derived["version"], &derived["derived_from"]),
        (&json!(2), &json!("SentimentClassifier/1"))
    );
    let mut after = book.json(&["models", "show", NAME, "1"]);
    assert_eq!(after, before, "a version does not change");
    let second = book.json(&["models", "show", NAME, "2"]);
    assert_eq!(second["lineage"], after["lineage"].take());
    assert_eq!(second["derived_from"], "SentimentClassifier/1");
    assert_ne!(second["run_id"], trained["run_id"]);
    let run = book.json(&["runs", "show", second["run_id"].as_str().unwrap()]);
    assert_eq!(
        (&run["params"]["model"], &run["params"]["ngram_max"]),
        (&json!("tfidf"), &json!("1"))
    );
    assert_eq!(run["tags"]["trialbook.derived_from"], "SentimentClassifier/1");
    // Trained with the same rule at once, it is the same threshold and the same probabilities.
    let at_once = train(&book, &["--threshold", "best-f1"]);
    assert_eq!(at_once["decision"]["threshold"], derived["decision"]["threshold"]);
    assert_eq!(at_once["metrics"], derived["metrics"]);
    // The gate judges each by its own threshold, and says so.
    let verdict: Value =
        serde_json::from_str(&book.call(&["gate", NAME, "2", "--json"]).stdout).unwrap();
    let threshold = number(&derived["decision"]["threshold"]["value"]);
    assert_eq!(
        verdict["evidence"]["thresholds"],
        json!({ "candidate": threshold, "production": 0.5 })
    );
    let labels = |number: u32| {
        let library = Book::open(book.store());
        let version = library.tracker().unwrap().version(NAME, number).unwrap();
        let test = library.datasets().split("sample", "test").unwrap();
        (
            predict_on(library.load(&version).unwrap().as_ref(), &test).unwrap().predicted,
            test.labels,
        )
    };
    let ((own, truth), (other, _)) = (labels(2), labels(1));
    let alone = own.iter().zip(&other).zip(&truth);
    let alone = alone.filter(|((own, other), label)| own == label && other != label).count();
    assert_eq!(verdict["evidence"]["mcnemar"]["n_only_first"], alone);
    let said = format!("its labels follow its own threshold of {threshold}");
    assert!(verdict["reasons"].to_string().contains(&said), "{verdict:#}");
    let report = book.call(&["gate", NAME, "2", "--explain"]).stdout;
    assert!(
        report.contains(&format!("{threshold} for this version, 0.5 for Production")),
        "{report}"
    );
    // So does a comparison, which names both.
    let compare = ["compare", "SentimentClassifier/2", "SentimentClassifier/1"];
    assert_eq!(book.json(&compare)["evidence"]["thresholds"], verdict["evidence"]["thresholds"]);
    let said = format!("{threshold} for SentimentClassifier/2, 0.5 for SentimentClassifier/1");
    let told = book.call(&compare).stdout;
    assert!(told.contains(&said), "{told}");
    // A threshold of a version with one comes from the same rows again.
    let again = book.json(&["models", "threshold", NAME, "2", "best-f1"]);
    assert_eq!(again["decision"]["threshold"], derived["decision"]["threshold"]);
    assert_eq!(again["derived_from"], "SentimentClassifier/2");
}

#[test]
fn rows_that_were_held_out_choose_the_threshold() {
    let book = sampled();
    let held_out = ["--validation-size", "0.25"];
    let at_once = train(&book, &[&held_out[..], &["--threshold", "best-f1"]].concat());
    let chosen = &at_once["decision"]["threshold"];
    assert_eq!(chosen["chosen_on"]["rows"], "validation rows");
    assert_eq!(chosen["chosen_on"]["n_rows"], at_once["held_out"]["n_validation"]);
    // The run's own metrics are of the very rows, as it says.
    assert_eq!(at_once["metrics"]["validation_f1"], chosen["chosen_on"]["f1"]);
    train(&book, &held_out);
    let later = book.json(&["models", "threshold", NAME, "2", "best-f1"]);
    assert_eq!(later["decision"]["threshold"], *chosen);
    // Rows of another dataset do as well, but for those of its own splits under another name.
    let test = Book::open(book.store()).datasets().split("sample", "test").unwrap();
    let rows = |range: std::ops::Range<usize>, addition: &str| -> String {
        let row = |row: usize| {
            let label = &test.classes[test.labels[row] as usize];
            let text = format!("{}{addition}", test.texts[row]);
            json!({ "text": text, "label": label }).to_string() + "\n"
        };
        range.map(row).collect()
    };
    let add = |name: &str, train: &str, test: &str| {
        let path = |split: &str| book.store().join(format!("{name}-{split}.jsonl"));
        fs::write(path("train"), train).unwrap();
        fs::write(path("test"), test).unwrap();
        let (train, test) = (path("train"), path("test"));
        let files = ["--train", train.to_str().unwrap(), "--test", test.to_str().unwrap()];
        book.json(&[&["data", "add", name][..], &files].concat());
    };
    let (first, new) = (rows(0..200, ""), rows(200..600, " (seen again)"));
    add("other", &first, &new);
    add("again", &first, &rows(0..test.texts.len(), ""));
    let learnt = &Book::open(book.store()).datasets().split("sample", "train").unwrap();
    let learnt = |n_rows: usize| -> String {
        let line = |text: &String| {
            format!("{}\n", json!({ "text": format!("  {text}"), "label": "negative" }))
        };
        learnt.texts[..n_rows].iter().map(line).collect()
    };
    add("mixed", &rows(200..400, ""), &format!("{new}{}", learnt(5)));
    add("chance", &rows(200..400, ""), &format!("{new}{}", learnt(1)));
    let choose = ["models", "threshold", NAME, "2", "best-f1", "--data"];
    let other = book.json(&[&choose[..], &["other"]].concat());
    assert_eq!(other["decision"]["threshold"]["chosen_on"]["rows"], "rows of other.test");
    assert_eq!(other["decision"]["threshold"]["chosen_on"]["n_rows"], 400);
    assert_eq!(other["decision"]["warnings"], json!([]));
    let shown = book.call(&["models", "show", NAME, &other["version"].to_string()]).stdout;
    assert!(
        shown.contains("threshold rows") && shown.contains("400 rows of other.test"),
        "{shown}"
    );
    let shown = book.json(&["models", "show", NAME, &other["version"].to_string()]);
    assert_eq!(shown["threshold_rows"], "400 rows of other.test");
    // A text in a hundred may be there by chance.
    let chance = book.json(&[&choose[..], &["chance"]].concat());
    assert_eq!(chance["decision"]["threshold"]["chosen_on"]["n_rows"], 401);
    // The same texts in a dataset of their own are the same rows, some of them or all.
    let n_before = n_versions(&book, NAME);
    for (data, expected) in [
        ("other.train", "has 200 of its 200 rows in the test split that SentimentClassifier/2"),
        ("mixed.train", "has 200 of its 200 rows in the test split that SentimentClassifier/2"),
        ("mixed.test", "has 5 of its 405 rows in what SentimentClassifier/2 has learnt"),
    ] {
        let refused = book.fails(1, &[&choose[..], &[data]].concat());
        assert!(refused.contains(expected), "{data}: {refused}");
        let calibrate = ["models", "calibrate", NAME, "2", "temperature", "--data", data];
        assert!(book.fails(1, &calibrate).contains(expected), "{data}");
    }
    assert_eq!(n_versions(&book, NAME), n_before, "none was registered");
    let refused = book.fails(1, &[&choose[..], &["again.test"]].concat());
    assert!(
        refused.contains("is the test split that SentimentClassifier/2 is judged by"),
        "{refused}"
    );
}

#[test]
fn what_cannot_be_chosen_is_one_sentence_and_no_version() {
    let book = sampled();
    train(&book, &[]);
    let version = "SentimentClassifier/1";
    let check = |args: &[&str], expected: &str| {
        let refused = book.fails(1, args);
        assert!(refused.contains(expected), "{args:?}: {refused}");
    };
    undecided(&book);
    let unreached = "no threshold reaches a precision of 0.95 for positive on the 80 training rows (5 \
                     folds): the best is 0.";
    check(&["models", "threshold", "Undecided/1", "precision=0.95"], unreached);
    let wanted = ["--threshold", "precision=0.95", "--model", "Undecided"];
    check(&[&["train", "tfidf", "--data", "undecided"], &wanted[..]].concat(), unreached);
    assert_eq!(n_versions(&book, "Undecided"), 1, "none was registered");
    check(&["models", "threshold", version, "f1"], "expected best-f1, precision=P");
    check(&["models", "calibrate", version, "platt"], "expected temperature or isotonic");
    for (split, expected) in [
        ("sample.test", "is the test split that SentimentClassifier/1 is judged by"),
        ("sample.train", "is what SentimentClassifier/1 has learnt"),
    ] {
        check(&["models", "threshold", version, "best-f1", "--data", split], expected);
    }
    check(
        &["models", "threshold", version, "best-f1", "--split", "test"],
        "--data, which is not given",
    );
    check(&["models", "threshold", version, "best-f1", "--data", "nowhere"], "nowhere");
    // Too few rows for a curve.
    let few = [
        "train",
        "tfidf",
        "--data",
        "sample",
        "--validation-size",
        "0.02",
        "--calibrate",
        "isotonic",
    ];
    check(
        &few,
        "isotonic calibration takes 100 rows with 10 of each class, or more: found 40 validation rows",
    );
    book.fails(2, &["train", "tfidf", "--data", "sample", "--threshold", "most"]);
    book.fails(2, &["train", "tfidf", "--data", "sample", "--threshold", "best-f1", "--cv", "3"]);
    // Without the rows that were learnt nobody knows which were not.
    book.json(&["data", "remove", "sample"]);
    check(&["models", "threshold", version, "best-f1"], "sample");
    assert_eq!(n_versions(&book, NAME), 1, "none was registered");
}

#[test]
fn a_decision_by_few_rows_or_for_the_worse_is_warned_of() {
    let book = Trialbook::new();
    undecided(&book);
    let choose = ["models", "threshold", "Undecided/1", "best-f1"];
    let expected = "decided by 80 training rows (5 folds), 40 of them";
    let warnings = book.json(&choose)["decision"]["warnings"].clone();
    assert!(warnings[0].as_str().unwrap().starts_with(expected), "{warnings}");
    let told = book.call(&choose).stdout;
    assert!(told.contains(&format!("warning: {expected}")), "{told}");
    let given = book.json(&["models", "threshold", "Undecided/1", "0.4"]);
    assert_eq!(given["decision"]["warnings"], json!([]), "no rows chose it");

    // Labels that no word tells: half and half is right, and a curve sees what is not there.
    let mut rows = String::from("text,label\n");
    let mut state = 7_u64;
    let mut random = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % n
    };
    for idx in 0..300 {
        let label = ["negative", "positive"][random(2) as usize];
        let words = [(); 4].map(|()| format!("word{}", random(40)));
        rows.push_str(&format!("{} case{idx},{label}\n", words.join(" ")));
    }
    let file = book.store().join("noise.csv");
    fs::write(&file, rows).unwrap();
    book.json(&["data", "add", "noise", file.to_str().unwrap(), "--test-size", "0.2"]);
    let train = ["train", "tfidf", "--data", "noise", "--c", "0.001", "--model", "Noise"];
    let calibrate = [&train[..], &["--calibrate", "isotonic"]].concat();
    let trained = book.json(&calibrate);
    let made = &trained["decision"];
    let loss = |when: &str| number(&made["effect"][when]["log_loss"]);
    assert!(loss("after") > loss("before"), "{made}");
    let warnings = made["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "240 rows are enough: {made}");
    let expected =
        "the calibration makes probabilities worse on rows that it has not seen: log_loss";
    assert!(warnings[0].as_str().unwrap().starts_with(expected), "{made}");
    assert!(book.call(&calibrate).stdout.contains(&format!("warning: {expected}")));
    let shown = book.json(&["models", "show", "Noise", "1"]);
    assert_eq!(shown["calibration_rows"], "240 training rows (5 folds)");
}

/// A model of films that are good in three of five reviews if they are called so, and in two if not.
fn undecided(book: &Trialbook) {
    let mut rows = String::from("text,label\n");
    for idx in 0..100 {
        let (word, n_positive) = if idx % 2 == 0 { ("good", 3) } else { ("bad", 2) };
        let label = if idx / 2 % 5 < n_positive { "positive" } else { "negative" };
        rows.push_str(&format!("a {word} film {idx},{label}\n"));
    }
    let path = book.store().join("undecided.csv");
    fs::write(&path, rows).unwrap();
    book.json(&["data", "add", "undecided", path.to_str().unwrap(), "--test-size", "0.2"]);
    book.json(&["train", "tfidf", "--data", "undecided", "--model", "Undecided"]);
}

fn n_versions(book: &Trialbook, name: &str) -> usize {
    Book::open(book.store()).tracker().unwrap().versions(name).unwrap().len()
}

/// A small net of words.
const NET: [&str; 9] =
    ["train", "avgnet", "--data", "sample", "--epochs", "2", "--embedding", "16", "--min-freq=2"];

#[test]
fn a_net_decides_by_the_rows_that_choose_its_epoch() {
    let book = sampled();
    let plain = book.json(&NET);
    let decided = ["--threshold", "recall=0.95", "--calibrate", "temperature"];
    let decided = book.json(&[&NET[..], &decided].concat());
    let made = &decided["decision"];
    assert_eq!(made["threshold"]["chosen_on"]["rows"], "validation rows");
    assert_eq!(made["threshold"]["chosen_on"]["n_rows"], decided["classifier"]["fit"]["n_valid"]);
    // The training is the same, so that deciding later comes to the same.
    assert_eq!(decided["classifier"]["fit"]["valid_f1"], plain["classifier"]["fit"]["valid_f1"]);
    let later =
        book.json(&["models", "threshold", NAME, "1", "recall=0.95", "--calibrate", "temperature"]);
    for key in ["threshold", "calibration"] {
        assert_eq!(later["decision"][key], made[key], "{key}");
    }
    let evaluated = book.json(&["evaluate", NAME, "3", "--data", "sample"]);
    assert_close(number(&evaluated["metrics"]["f1"]), number(&decided["metrics"]["f1"]), 1e-12);
    assert_eq!(evaluated["threshold"], made["threshold"]["value"]);
}

/// The files of a model as bytes.
fn files_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    files
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn a_model_of_before_answers_as_it_did_and_one_with_a_decision_is_for_newer_readers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model_v1");
    let old = model::load(&ModelFiles::in_dir(&folder).unwrap()).unwrap();
    assert!(old.decision().is_plain());
    let expected = numbers(&fixture("model_v1/answers.json"));
    let found = old.predict(&["a good film", "a bad film", "a film"]).unwrap();
    for (row, expected) in found.rows().zip(expected) {
        assert_close(row[1], expected, 1e-12);
    }
    // Without a decision the files are byte for byte those of before, which older builds read.
    let saved = tempfile::tempdir().unwrap();
    old.save(saved.path()).unwrap();
    let original = files_of(&folder);
    for (name, bytes) in files_of(saved.path()) {
        assert_eq!(bytes, original[&name], "{name}");
    }
    let decision = Decision {
        threshold: Some(Threshold { value: 0.9, rule: ThresholdRule::Given(0.9), chosen_on: None }),
        calibration: Some(Calibration::Temperature {
            temperature: 2.0,
            fitted_on: "9 rows".to_owned(),
        }),
    };
    let decided = old.with_decision(decision.clone()).unwrap();
    decided.save(saved.path()).unwrap();
    let header = fs::read_to_string(saved.path().join("model.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&header).unwrap()["schema_version"], 2);
    let read = model::load(&ModelFiles::in_dir(saved.path()).unwrap()).unwrap();
    assert_eq!(*read.decision(), decision);
    assert_eq!(read.predict(&["a good film"]).unwrap(), decided.predict(&["a good film"]).unwrap());
    // Taken out again, it is the old model.
    read.with_decision(Decision::default()).unwrap().save(saved.path()).unwrap();
    assert_eq!(files_of(saved.path())["model.json"], original["model.json"]);
    assert_eq!(files_of(saved.path())["weights.bin"], original["weights.bin"]);
}

#[test]
fn a_decision_that_does_not_fit_is_refused_when_made_and_when_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model_v1");
    let load = |folder: &Path| model::load(&ModelFiles::in_dir(folder).unwrap());
    let threshold = |value: f64| Decision {
        threshold: Some(Threshold { value, rule: ThresholdRule::BestF1, chosen_on: None }),
        ..Decision::default()
    };
    let refused = load(&folder).unwrap().with_decision(threshold(1.5)).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let saved = tempfile::tempdir().unwrap();
    load(&folder).unwrap().with_decision(threshold(0.25)).unwrap().save(saved.path()).unwrap();
    let header = fs::read_to_string(saved.path().join("model.json")).unwrap();
    for (from, to, expected) in [
        ("0.25", "2.5", "the threshold 2.5 is no probability"),
        ("best-f1", "worst-f1", "no model header"),
        ("\"threshold\"", "\"limit\"", "no model header"),
        // It says something else than what the other files belong to.
        ("0.25", "0.75", "belongs to other files"),
        ("\"schema_version\": 2", "\"schema_version\": 3", "this build reads up to 2"),
    ] {
        fs::write(saved.path().join("model.json"), header.replacen(from, to, 1)).unwrap();
        let error = load(saved.path()).err().unwrap();
        assert!(error.chain().contains(expected), "{to}: {}", error.chain());
    }
}
