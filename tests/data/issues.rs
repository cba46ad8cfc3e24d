//! The issues of a dataset, and a dataset without them, through the program and the library.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tempfile::TempDir;
use trialbook::{
    Book, ErrorKind,
    book::IssuesRequest,
    data::{DropRequest, IssueKind},
    progress::Monitor,
};

use crate::cli::Trialbook;

/// A hundred training and forty test reviews, every other one positive, that share few sequences of
/// words; behind them what `train` and `test` add.
fn reviews(train: &[(&str, &str, &str)], test: &[(&str, &str, &str)]) -> (Trialbook, TempDir) {
    let book = Trialbook::new();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: std::ops::Range<usize>, more: &[(&str, &str, &str)]| {
        let mut lines = vec!["text,label,origin".to_owned()];
        lines.extend(rows.map(|row| {
            let (word, label) = if row % 2 == 0 { ("great", "pos") } else { ("awful", "neg") };
            let filler: Vec<String> =
                (0..12).map(|nth| format!("thing{}", (row * 37 + nth * nth * 11) % 211)).collect();
            format!("the film is {word} and {} with it,{label},site{}", filler.join(" "), row % 3)
        }));
        lines.extend(more.iter().map(|(text, label, origin)| format!("{text},{label},{origin}")));
        let path = folder.path().join(name);
        fs::write(&path, lines.join("\n")).unwrap();
        path
    };
    let (train, test) = (write("train.csv", 0..100, train), write("test.csv", 100..140, test));
    let paths = [train, test].map(|path| path.to_str().unwrap().to_owned());
    let answer = book.call(&["data", "add", "reviews", "--train", &paths[0], "--test", &paths[1]]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    (book, folder)
}

/// `kind` and `row` of each issue.
fn places(issues: &Value) -> BTreeSet<(String, String, u64)> {
    let issues = issues.as_array().unwrap().iter();
    let text = |issue: &Value, field: &str| issue[field].as_str().unwrap().to_owned();
    issues
        .map(|issue| (text(issue, "kind"), text(issue, "split"), issue["row"].as_u64().unwrap()))
        .collect()
}

#[test]
fn each_planted_fault_is_found_in_its_row_and_nothing_else() {
    let twin = "a long and winding story of two brothers who meet again after thirty years at sea";
    let german = "Der Film ist leider sehr langweilig und die Musik ist auch nicht gut.";
    let (book, _folder) = reviews(
        &[
            ("the film is great and great and great with it", "neg", "site0"),
            (twin, "pos", "site1"),
            ("Fine", "neg", "site2"),
            (german, "neg", "site0"),
            ("10/10 !!! 5 * 5 = 25", "pos", "site1"),
            ("\u{200b}\u{200b}", "neg", "site2"),
        ],
        &[(&format!("{twin} again"), "neg", "site0"), (twin, "neg", "site0")],
    );
    let found = book.json(&["data", "issues", "reviews"]);
    let expected: BTreeSet<_> = [
        ("label", "train", 100),
        ("contradicting_duplicate", "train", 101),
        ("near_duplicate", "test", 41),
        ("short", "train", 102),
        ("other_language", "train", 103),
        ("non_text", "train", 104),
        ("empty", "train", 105),
    ]
    .map(|(kind, split, row)| (kind.to_owned(), split.to_owned(), row))
    .into();
    let mut others = places(&found);
    // The words that were planted to be learnt stand for their classes.
    assert!(others.iter().any(|(kind, ..)| kind == "leakage"));
    others.retain(|(kind, ..)| kind != "leakage");
    // Rows that say nothing may be doubted too, and are no fault of the search.
    others.retain(|(kind, _, row)| kind != "label" || *row <= 100);
    assert_eq!(others, expected, "{found:#}");
    let first = &found[0];
    assert_eq!(
        (&first["row"], &first["label"], &first["suggested"]),
        (&json!(100), &json!("negative"), &json!("positive"))
    );
    for field in ["score", "why", "text", "fingerprint"] {
        assert!(!first[field].is_null(), "{field}: {first}");
    }
    let issues = found.as_array().unwrap();
    let twin = issues.iter().find(|issue| issue["kind"] == "contradicting_duplicate").unwrap();
    assert_eq!(twin["other"]["split"], "test");
    assert_eq!(twin["other"]["label"], "negative");
    assert!(twin["why"].as_str().unwrap().ends_with("and is negative"), "{twin}");

    // One split is a part of it, a kind is a part of it, and people read it as tables.
    let train = book.json(&["data", "issues", "reviews.train", "--kinds", "short,empty"]);
    let expected = ["empty", "short"].into_iter().zip([105, 102]);
    let expected = expected.map(|(kind, row)| (kind.to_owned(), "train".to_owned(), row));
    assert_eq!(places(&train), expected.collect());
    let answer = book.call(&["data", "issues", "reviews", "--split", "test", "-n", "1"]);
    for expected in
        ["reviews.test: issues in 42 rows", "contradicting_duplicate: 1 of 2", "train 101"]
    {
        assert!(answer.stdout.contains(expected), "{expected}: {}", answer.stdout);
    }
}

#[test]
fn a_column_that_gives_the_label_away_is_named() {
    let (book, folder) = reviews(&[], &[]);
    let lines: Vec<String> = (0..60)
        .map(|row| format!("text number{row} of many,{},{},{row}", row % 2, 10 + row % 2))
        .collect();
    let file = folder.path().join("leak.csv");
    fs::write(&file, format!("text,label,stars,id\n{}", lines.join("\n"))).unwrap();
    book.json(&["data", "add", "leak", file.to_str().unwrap()]);
    let found = book.json(&["data", "issues", "leak.train", "--kinds", "leakage"]);
    let why: Vec<&str> =
        found.as_array().unwrap().iter().map(|issue| issue["why"].as_str().unwrap()).collect();
    assert_eq!(why, ["the column \"stars\" gives the label away: it tells 48 of 48 rows"]);
}

#[test]
fn a_dataset_without_the_listed_rows_remembers_what_was_left_out() {
    let (book, folder) = reviews(&[("Fine", "neg", "site9"), ("Bad", "neg", "site8")], &[]);
    let file = folder.path().join("issues.json");
    let path = file.to_str().unwrap();
    std::fs::write(path, "mine").unwrap();
    let refused = book.fails(1, &["data", "issues", "reviews", "--out", path]);
    assert!(refused.contains("exists already") && refused.contains("--force"), "{refused}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "mine", "what is refused changes nothing");
    let issues = book.json(&["data", "issues", "reviews", "--out", path, "--force"]);
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, issues, "the file is what --json says");
    let drop = ["data", "drop", "reviews", "--issues", path, "--as", "clean", "--kinds", "short"];
    let made = book.json(&drop);
    assert_eq!(made["outcome"], "created");
    assert_eq!(made["dataset"]["lineage"]["dataset"], "reviews");
    assert_eq!(made["dataset"]["lineage"]["splits"][0]["rows"], json!([100, 101]));
    assert_eq!(made["dataset"]["lineage"]["splits"][1]["rows"], json!([]));
    let count = "select count(*) as n from clean.train where origin = 'site9' or text = 'Bad'";
    assert_eq!(book.json(&["sql", count])[0]["n"], 0);
    let all = book.json(&["sql", "select text, label, origin from reviews.train limit 100"]);
    let left = book.json(&["sql", "select text, label, origin from clean.train"]);
    assert_eq!(left, all, "the other rows stay as they are, with their columns");
    let shown = book.call(&["data", "show", "clean"]).stdout;
    assert!(shown.contains("made of reviews without 2 rows of train"), "{shown}");
    assert!(shown.contains("140 rows from reviews without 2 rows"), "{shown}");
    // Again it is unchanged; what is made of it can be doubted and trained on like any other.
    assert_eq!(book.json(&drop)["outcome"], "unchanged");
    assert_eq!(book.json(&["data", "issues", "clean", "--kinds", "short"]), json!([]));
}

#[test]
fn lists_that_do_not_fit_are_refused_and_change_nothing() {
    let (book, folder) = reviews(&[("Fine", "neg", "site9")], &[]);
    let file = folder.path().join("issues.json");
    let path = file.to_str().unwrap();
    let issues = book.json(&["data", "issues", "reviews.train", "--kinds", "short"]);
    assert_eq!(issues[0]["row"], 100);
    let with = |field: &str, value: Value| {
        let mut issues = issues.clone();
        issues[0][field] = value;
        issues.to_string()
    };
    let every_positive: Vec<Value> = (0..=100)
        .step_by(2)
        .map(|row| {
            let mut issue = issues[0].clone();
            issue["row"] = row.into();
            issue
        })
        .collect();
    for (content, expected) in [
        (with("fingerprint", "0123456789".into()), "fingerprint 01234567"),
        (with("row", 101.into()), "names row 101, and reviews.train has rows 0 to 100"),
        (with("row", (-1).into()), "item 0 (from 0) is no issue"),
        (with("split", "dev".into()), "has no split \"dev\""),
        (with("kind", "leakage".into()), "no row to leave out: found 1 issue"),
        (with("kind", "odd".into()), "item 0 (from 0) is no issue"),
        ("[]".into(), "no row to leave out: found 0 issues"),
        ("{}".into(), "is no JSON list of issues"),
        ("row\n1".into(), "is no JSON list of issues"),
        (
            Value::from(every_positive).to_string(),
            "no training example of class \"positive\" would be",
        ),
    ] {
        fs::write(&file, &content).unwrap();
        let answer = book.call(&["data", "drop", "reviews", "--issues", path, "--as", "clean"]);
        assert_eq!(answer.code, 1, "{content}: {}", answer.stdout);
        assert!(answer.stderr.contains(expected), "{expected}: {}", answer.stderr);
    }
    fs::write(&file, issues.to_string()).unwrap();
    for (new_name, expected) in [
        ("reviews", "\"reviews\" is the dataset that rows are left out of"),
        ("../up", "does not begin with a letter"),
    ] {
        let answer = book.call(&["data", "drop", "reviews", "--issues", path, "--as", new_name]);
        assert!(answer.stderr.contains(expected), "{}", answer.stderr);
    }
    let missing = book.call(&["data", "drop", "reviews", "--issues", "no.json", "--as", "clean"]);
    assert!(missing.stderr.contains("cannot read \"no.json\""), "{}", missing.stderr);
    assert_eq!(book.json(&["data", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_doubted_is_one_sentence() {
    let (book, _folder) = reviews(&[("one of its kind", "odd", "site0")], &[]);
    for (args, expected) in [
        (&["reviews.dev"][..], "dataset \"reviews\" has no split \"dev\""),
        (&["missing"], "dataset \"missing\" does not exist"),
        (&["reviews.train"], "class \"odd\" has 1 example, fewer than 5 folds"),
        (&["reviews.train", "--folds", "2"], "class \"odd\" has 1 example, fewer than 2 folds"),
        (
            &["reviews.train", "--folds", "2"],
            "hint: each class needs at least 2 examples, one for each of 2 folds; or look for other kinds",
        ),
        (&["reviews.test", "--folds", "1"], "needs 2 folds or more: 1"),
        (&["reviews.test", "--folds", "1"], "hint: use 2 folds or more; or look for other kinds"),
        (&["reviews.test", "--folds", "99"], "fewer than 99 folds"),
        (&["reviews", "--kinds", "odd"], "invalid value 'odd'"),
    ] {
        let answer = book.call(&[&["data", "issues"], args].concat());
        assert_ne!(answer.code, 0, "{args:?}: {}", answer.stdout);
        assert!(answer.stderr.contains(expected), "{expected}: {}", answer.stderr);
    }
    // The other kinds need no folds, and a class without test rows keeps no label from doubt.
    book.json(&["data", "issues", "reviews.train", "--kinds", "short,near_duplicate,leakage"]);
    book.json(&["data", "issues", "reviews.test"]);
}

#[test]
fn a_notebook_gets_the_same_list_and_an_interrupt_stops_the_search() {
    let (program, folder) = reviews(&[("Fine", "neg", "site9")], &[]);
    let book = Book::open(program.store());
    let request = IssuesRequest::default();
    let found = book.data_issues("reviews.train", &request, &Monitor::silent()).unwrap();
    let listed = program.json(&["data", "issues", "reviews.train"]);
    assert_eq!(serde_json::to_value(&found).unwrap(), listed);
    assert!(found.of(IssueKind::Short).any(|issue| issue.row == 100));
    let file = folder.path().join("issues.json");
    found.write(&file).unwrap();
    let drop = DropRequest {
        dataset: "reviews".into(),
        issues: file,
        kinds: vec![IssueKind::Short],
        name: "clean".into(),
    };
    let monitor = Monitor::silent();
    monitor.interrupt.raise();
    for error in [
        book.data_issues("reviews", &request, &monitor).unwrap_err(),
        book.datasets().drop_issues(&drop, &monitor).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    }
    let made = book.datasets().drop_issues(&drop, &Monitor::silent()).unwrap();
    assert_eq!(made.dataset.n_rows(), 140);
}
