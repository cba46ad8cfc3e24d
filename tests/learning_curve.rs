//! Learning curves on the sample: shares of the training rows, what they bring, and where that is kept.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::Trialbook;

#[test]
fn a_learning_curve_says_what_twice_the_data_would_bring() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let curve = ["train", "tfidf", "--data", "sample", "--learning-curve"];
    let answer = book.json(&curve);
    let points = answer["learning_curve"]["points"].as_array().unwrap();
    let of = |key: &str| -> Vec<f64> {
        points.iter().map(|point| point[key].as_f64().unwrap()).collect()
    };
    // Four fifths of the 2,000 rows can be learnt.
    assert_eq!(of("n_rows"), [100.0, 200.0, 400.0, 800.0, 1600.0]);
    assert!(points.iter().all(|point| point["values"].as_array().unwrap().len() == 5));
    let means = of("mean");
    assert!(means[4] > means[0], "{means:?}");
    let told = answer["told"].as_str().unwrap();
    assert!(told.contains("twice the data"), "{told}");
    let found = &answer["learning_curve"]["extrapolation"];
    if found.is_object() {
        let number = |key: &str| found[key].as_f64().unwrap();
        assert_eq!(number("n_rows"), 2000.0);
        assert!(number("lower") <= number("gain") && number("gain") <= number("upper"), "{found}");
        assert!((number("doubled") - number("now") - number("gain")).abs() < 1e-12, "{found}");
    }
    assert_eq!(book.json(&curve)["learning_curve"], answer["learning_curve"], "the seed decides");

    let run = answer["run_id"].as_str().unwrap();
    let kept = book.json(&["runs", "show", run]);
    assert_eq!(kept["params"]["learning_curve"], "0.0625,0.125,0.25,0.5,1");
    assert_eq!(kept["params"]["cv"], "5");
    assert_eq!(kept["metrics"]["f1"].as_f64(), Some(means[4]));
    // The whole share is what a cross-validation of the same folds measures.
    let whole = book.json(&["train", "tfidf", "--data", "sample", "--cv", "5"]);
    let mean = whole["cross_validation"]["mean"]["f1"].as_f64().unwrap();
    assert!((mean - means[4]).abs() < 1e-12, "{mean}, {means:?}");
    assert!(book.json(&["models", "list"]).as_array().unwrap().is_empty());

    let picture = book.store().join("curve.svg");
    book.json(&["plot", "learning-curve", run, "--save", picture.to_str().unwrap()]);
    let svg = std::fs::read_to_string(picture).unwrap();
    assert!(svg.contains("Learning curve") && svg.contains("rows learnt"), "{svg}");
    let steps = book.call(&["plot", "run", run, "f1"]);
    assert_eq!(steps.code, 0, "{}", steps.stderr);
    let shown = book.call(&curve).stdout;
    assert!(shown.contains("rows learnt") && shown.contains(told), "{shown}");
}

#[test]
fn rows_can_be_held_out_in_place_of_folds() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let answer = book.json(&[
        "train",
        "tfidf",
        "--data",
        "sample",
        "--learning-curve",
        "--validation-size",
        "0.5",
        "--seed",
        "18446744073709551615",
    ]);
    let points = answer["learning_curve"]["points"].as_array().unwrap();
    assert_eq!(points[4]["n_rows"], 1000.0);
    let run = book.json(&["runs", "show", answer["run_id"].as_str().unwrap()]);
    assert_eq!(run["metrics"]["validation_f1"], points[4]["mean"]);
    assert_eq!((&run["metrics"]["f1"], &run["params"]["cv"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_curve_that_cannot_be_is_refused_in_one_sentence() {
    let book = Trialbook::new();
    let mut rows = "text,label\n".to_owned();
    for row in 0..8 {
        writeln!(rows, "words of row {row},{}", ["no", "yes"][row % 2]).unwrap();
    }
    let file = book.store().join("few.csv");
    std::fs::write(&file, rows).unwrap();
    book.json(&["data", "add", "few", file.to_str().unwrap(), "--test-size", "0.25"]);
    let curve = ["train", "tfidf", "--data", "few", "--learning-curve", "--cv", "2"];
    let refused = book.fails(1, &curve);
    assert!(refused.contains("6 training rows leave fewer than 2 of a class"), "{refused}");
    assert!(book.json(&["runs", "list"]).as_array().unwrap().is_empty(), "nothing is half-written");
    let curve = ["train", "tfidf", "--data", "few", "--learning-curve"];
    assert!(book.fails(2, &[&curve[..], &["--deploy"]].concat()).contains("--deploy"));
    assert!(
        book.fails(1, &[&curve[..], &["--cv", "1"]].concat()).contains("expected at least 2 folds")
    );
    let sweep = ["sweep", "tfidf", "--data", "few", "--c", "1,2", "--learning-curve"];
    assert!(book.fails(1, &sweep).contains("a sweep compares settings"));
}
