//! The plot command from end to end: real datasets and runs, real files.

use serde_json::json;

use crate::cli::Trialbook;

/// A store with the sample and one trained run; the run's id.
fn trained() -> (Trialbook, String) {
    let trialbook = Trialbook::new();
    trialbook.json(&["data", "sample"]);
    trialbook.json(&["train", "tfidf", "--data", "sample"]);
    let run = trialbook.json(&["runs", "list"])[0]["run_id"].as_str().unwrap().to_owned();
    (trialbook, run)
}

#[test]
fn a_dataset_is_plotted_by_what_its_columns_hold() {
    let trialbook = Trialbook::new();
    trialbook.json(&["data", "sample"]);
    let marks = |args: &[&str]| {
        let json = trialbook.json(&[&["plot"], args].concat());
        (json["vega_lite"]["mark"]["type"].clone(), json["vega_lite"]["encoding"].clone())
    };
    let (mark, encoding) = marks(&["sample.train", "words"]);
    assert_eq!((mark, &encoding["x"]["title"]), (json!("bar"), &json!("words in a text")));
    assert_eq!(encoding["x"]["bin"]["binned"], true);
    let (mark, encoding) = marks(&["sample.train", "label"]);
    assert_eq!((mark, &encoding["x"]["type"]), (json!("bar"), &json!("nominal")));
    assert_eq!(marks(&["sample", "words", "chars"]).0, "circle");
    let query = "select label, count(*) as n from sample group by label";
    assert_eq!(marks(&["sql", query]).0, "bar");
    let query = "select length(text) as n, target as t from sample";
    assert_eq!(marks(&["sql", query, "--kind", "line"]).0, "line");

    let sketch = trialbook.call(&["plot", "sample.train", "label"]);
    assert_eq!(sketch.code, 0, "{}", sketch.stderr);
    assert!(sketch.stdout.contains("sample.train: label of 2,000 rows"), "{}", sketch.stdout);
    assert!(sketch.stdout.contains("█"), "{}", sketch.stdout);
}

#[test]
fn a_run_is_plotted_from_what_it_keeps() {
    let (trialbook, run) = trained();
    for (args, title) in [
        (&["roc", &run][..], "ROC curve"),
        (&["pr", &run], "Precision-recall curve"),
        (&["confusion", &run], "Confusion matrix, 1,000 examples"),
        (&["compare", &run, &run], "2 runs compared"),
    ] {
        let json = trialbook.json(&[&["plot"], args].concat());
        assert_eq!(json["title"], title);
    }
    let calibration = trialbook.json(&["plot", "calibration", &run]);
    assert!(calibration["title"].as_str().unwrap().starts_with("Calibration, expected error 0."));
    let metrics = trialbook.json(&["plot", "run", &run, "f1", "accuracy"]);
    assert_eq!(metrics["vega_lite"]["mark"]["type"], "line");
    assert_eq!(metrics["vega_lite"]["encoding"]["x"]["title"], "step");
}

#[test]
fn a_picture_is_saved_in_the_form_that_its_name_says() {
    let trialbook = Trialbook::new();
    trialbook.json(&["data", "sample"]);
    let folder = tempfile::tempdir().unwrap();
    for (name, begin) in [("a.svg", &b"<svg "[..]), ("a.png", b"\x89PNG"), ("a.html", b"<!doctype")]
    {
        let path = folder.path().join(name);
        let answer =
            trialbook.call(&["plot", "sample.train", "words", "--save", path.to_str().unwrap()]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert!(answer.stdout.contains("saved "), "{}", answer.stdout);
        assert!(std::fs::read(&path).unwrap().starts_with(begin), "{name}");
    }
    // A bare name lies in the folder where the program runs.
    let output = trialbook
        .command()
        .current_dir(folder.path())
        .args(["plot", "sample.test", "label", "--save", "bare.svg"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(folder.path().join("bare.svg").exists());
}

#[test]
fn what_cannot_be_plotted_says_what_can() {
    let (trialbook, run) = trained();
    let check = |args: &[&str], expected: &[&str]| {
        let answer = trialbook.call(&[&["plot"], args].concat());
        assert_eq!(answer.code, 1, "{args:?}: {}", answer.stdout);
        for expected in expected {
            assert!(answer.stderr.contains(expected), "{args:?}: {}", answer.stderr);
        }
    };
    check(&["sample.train", "wrods"], &["column \"wrods\" does not exist", "text, label, target"]);
    check(&["sample.train"], &["no column to plot", "words and chars are lengths of text"]);
    check(&["sample.train", "label", "--kind", "hist"], &["holds str, not numbers"]);
    check(&["smaple", "words"], &["\"smaple\"", "data list"]);
    check(&["run", &run, "lss"], &["has no metric \"lss\"", "accuracy"]);
    check(&["run"], &["no run to plot"]);
    check(&["roc"], &["0 runs for a roc plot"]);
    check(&["compare", &run], &["1 runs to compare"]);
    check(&["compare", &run, &run, "--metric", "bleu"], &["metric \"bleu\"", "f1"]);
    check(&["sql", "select text from"], &["sql:"]);
    check(
        &["sample.train", "words", "--save", "a.gif"],
        &["cannot be saved", ".svg, .png or .html"],
    );
}
