//! Calibration: isotonic curves against scikit-learn's and temperatures against SciPy's
//! (`fixtures/make_calibration.py`), and what a calibrated version shows.

use std::fs;

use serde_json::Value;
use trialbook::{
    Book,
    evaluate::{log_loss, predict_on},
    model::{Calibration, CalibrationMethod},
};

use super::{NAME, assert_close, fixture, number, numbers, sampled, train};
use crate::{cli::Trialbook, errors::tickets};

fn labels(value: &Value) -> Vec<u32> {
    numbers(value).into_iter().map(|label| label as u32).collect()
}

fn names(n_classes: usize) -> Vec<String> {
    (0..n_classes).map(|idx| format!("c{idx}")).collect()
}

#[test]
fn isotonic_curves_are_scikit_learns() {
    for case in fixture("calibration_expected.json")["isotonic"].as_array().unwrap() {
        let positive = numbers(&case["positive"]);
        let rows: Vec<f64> = positive.iter().flat_map(|p| [1.0 - p, *p]).collect();
        let fitted = Calibration::fit(
            CalibrationMethod::Isotonic,
            &labels(&case["labels"]),
            &rows,
            &names(2),
            "rows",
        );
        let fitted = fitted.unwrap();
        let Calibration::Isotonic { x, y, .. } = &fitted else { panic!("{fitted:?}") };
        assert_eq!(*x, numbers(&case["x"]), "{}", case["name"]);
        for (found, expected) in y.iter().zip(numbers(&case["y"])) {
            assert_close(*found, expected, 1e-12);
        }
        let asked = numbers(&case["asked"]);
        let mut calibrated: Vec<f64> = asked.iter().flat_map(|p| [1.0 - p, *p]).collect();
        fitted.apply(&mut calibrated, 2);
        for (row, expected) in calibrated.chunks_exact(2).zip(numbers(&case["calibrated"])) {
            assert_close(row[1], expected, 1e-12);
            assert_close(row[0] + row[1], 1.0, 1e-15);
        }
    }
}

#[test]
fn the_temperature_is_where_scipy_finds_the_smallest_loss() {
    for case in fixture("calibration_expected.json")["temperature"].as_array().unwrap() {
        let labels = labels(&case["labels"]);
        let mut rows = numbers(&case["probabilities"]);
        let n_classes = rows.len() / labels.len();
        let method = CalibrationMethod::Temperature;
        let fitted = Calibration::fit(method, &labels, &rows, &names(n_classes), "rows").unwrap();
        let Calibration::Temperature { temperature, .. } = &fitted else { panic!("{fitted:?}") };
        let expected = number(&case["temperature"]);
        // A minimum is known to the root of a double's precision.
        assert!((temperature / expected - 1.0).abs() < 1e-6, "{temperature}, not {expected}");
        fitted.apply(&mut rows, n_classes);
        let loss = log_loss(&labels, &rows, n_classes);
        assert_close(loss, number(&case["log_loss"]), 1e-12);
    }
}

#[test]
fn calibrated_probabilities_are_what_everybody_sees() {
    let book = sampled();
    let plain = train(&book, &["--c", "1000"]);
    let mut versions = Vec::new();
    for method in ["temperature", "isotonic"] {
        let trained = train(&book, &["--c", "1000", "--calibrate", method]);
        assert_eq!(trained["decision"]["calibration"]["method"], method);
        let effect = &trained["decision"]["effect"];
        for metric in ["ece", "log_loss"] {
            let (before, after) =
                (number(&effect["before"][metric]), number(&effect["after"][metric]));
            assert!(after < before, "{method} {metric}: {before} to {after}");
            // On rows that nobody chose by, too.
            let (plain, calibrated) = (&plain["metrics"][metric], &trained["metrics"][metric]);
            assert!(number(calibrated) < number(plain), "{method} {metric}: {plain} {calibrated}");
        }
        let run = book.json(&["runs", "show", trained["run_id"].as_str().unwrap()]);
        assert_eq!(run["params"]["calibration"], method);
        assert_eq!(run["metrics"]["calibration_after_ece"], effect["after"]["ece"]);
        let artifacts = run["artifacts"].to_string();
        for name in ["calibration/before.svg", "calibration/after.svg", "calibration/after.json"] {
            assert!(artifacts.contains(name), "{name}: {artifacts}");
        }
        // The same as a version of the plain one, and in what predicts.
        let name = format!("{NAME}/{}", trained["version"]);
        versions.push(trained["version"].as_u64().unwrap() as u32);
        let text = "wonderful film, but a dull ending";
        let asked = |name: &str| book.json(&["predict", "--model", name, text]);
        let derived = book.json(&["models", "calibrate", NAME, "1", method]);
        let derived = format!("{NAME}/{}", derived["version"]);
        assert_eq!(asked(&name)["probability"], asked(&derived)["probability"]);
        assert_ne!(asked(&name)["probability"], asked("SentimentClassifier/1")["probability"]);
        let told = book.call(&["explain", &name, text]).stdout;
        assert!(told.contains("log-odds of positive, not calibrated"), "{told}");
        book.json(&["models", "delete", NAME, derived.rsplit('/').next().unwrap()]);
    }
    // A temperature moves no label, and the threshold is one of calibrated probability.
    let library = Book::open(book.store());
    let test = library.datasets().split("sample", "test").unwrap();
    let of = |number: u32| {
        let version = library.tracker().unwrap().version(NAME, number).unwrap();
        predict_on(library.load(&version).unwrap().as_ref(), &test).unwrap()
    };
    assert_eq!(of(1).predicted, of(versions[0]).predicted);
    let both = train(
        &book,
        &["--c", "1000", "--calibrate", "temperature", "--threshold", "precision=0.97"],
    );
    let made = &both["decision"];
    let rows = &made["threshold"]["chosen_on"];
    assert!(number(&rows["precision"]) >= 0.97, "{made}");
    // The calibration alone is made anew, and the threshold again by its rule.
    let again = book.json(&["models", "calibrate", NAME, &both["version"].to_string(), "isotonic"]);
    assert_eq!(again["decision"]["threshold"]["rule"], "precision=0.97");
    assert_ne!(again["decision"]["threshold"]["value"], made["threshold"]["value"]);
}

#[test]
fn a_temperature_takes_any_number_of_classes_and_moves_no_label() {
    let book = Trialbook::new();
    tickets(&book);
    let folder = tempfile::tempdir().unwrap();
    // Labels that a word contradicts: without mistakes a temperature cannot be told.
    let mut rows = String::from("text,label\n");
    for idx in 0..150 {
        let (words, label) =
            [("paper jam", "printer"), ("wifi router", "network"), ("login", "account")][idx % 3];
        let label = if idx % 7 == 0 { "network" } else { label };
        rows.push_str(&format!("{words} case {idx},{label}\n"));
    }
    let path = folder.path().join("noisy.csv");
    fs::write(&path, rows).unwrap();
    book.json(&["data", "add", "noisy", path.to_str().unwrap(), "--test-size", "0.2"]);
    book.json(&["train", "tfidf", "--data", "noisy", "--model", "Noisy"]);
    let derived = book.json(&["models", "calibrate", "Noisy/1", "temperature"]);
    assert!(number(&derived["decision"]["calibration"]["temperature"]) > 0.0, "{derived}");
    let asked = |version: &str| {
        book.json(&["predict", "--model", version, "paper jam in the router", "login", "case 3"])
    };
    let (plain, calibrated) = (asked("Noisy/1"), asked("Noisy/2"));
    for (plain, calibrated) in plain.as_array().unwrap().iter().zip(calibrated.as_array().unwrap())
    {
        assert_eq!(plain["label"], calibrated["label"]);
        assert_ne!(plain["confidence"], calibrated["confidence"]);
        assert_eq!((calibrated.get("threshold"), calibrated.get("probability")), (None, None));
    }
    // In a dataset that is learnt without a mistake there is nothing to find.
    let refused = book.fails(1, &["models", "calibrate", "Tickets/1", "temperature"]);
    assert!(refused.contains("all 90 training rows (5 folds) are predicted right"), "{refused}");
    for (rule, expected) in [
        (["models", "threshold", "Noisy/1", "best-f1"], "a threshold takes two classes, found 3"),
        (
            ["models", "calibrate", "Noisy/1", "isotonic"],
            "isotonic calibration takes two classes, found 3",
        ),
    ] {
        let refused = book.fails(1, &rule);
        assert!(refused.contains(expected), "{refused}");
    }
    let n_runs = book.json(&["runs", "list"]).as_array().unwrap().len();
    let refused = book.fails(1, &["train", "tfidf", "--data", "noisy", "--threshold", "0.4"]);
    assert!(
        refused.contains("a threshold takes two classes, found 3: account, network, printer"),
        "{refused}"
    );
    assert_eq!(book.json(&["runs", "list"]).as_array().unwrap().len(), n_runs, "no run began");
}
