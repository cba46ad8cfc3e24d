//! A version's errors and their reasons: on the command line, in files and as values of the library.

use std::fs;

use serde_json::{Value, json};
use trialbook::{Book, book::ErrorsRequest, display::Show as _};

use crate::cli::Trialbook;

/// A store with a version of the sample.
pub(crate) fn shelf() -> Trialbook {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "2", "--deploy"]);
    book
}

/// A dataset of three classes in which some rows of the test split are labelled wrong.
pub(crate) fn tickets(book: &Trialbook) {
    let rows = |wrong: bool| {
        let noun = if wrong { "item" } else { "case" };
        let mut rows = String::from("text,label\n");
        for idx in 0..30 {
            for (words, label, other) in [
                ("printer paper jam", "printer", "network"),
                ("cable wifi router", "network", "account"),
                ("password login locked", "account", "printer"),
            ] {
                let label = if wrong && idx % 10 == 3 { other } else { label };
                rows.push_str(&format!("{words} {noun} {idx},{label}\n"));
            }
        }
        rows
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("train.csv"), rows(false)).unwrap();
    fs::write(path("test.csv"), rows(true)).unwrap();
    book.json(&[
        "data",
        "add",
        "tickets",
        "--train",
        &path("train.csv"),
        "--test",
        &path("test.csv"),
    ]);
    book.json(&["train", "tfidf", "--data", "tickets", "--model", "Tickets"]);
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn errors_come_most_confident_first_with_the_words_that_decided() {
    let book = shelf();
    tickets(&book);
    let found = book.json(&["errors", "Tickets/1", "-n", "4"]);
    assert_eq!((&found["n_rows"], &found["n_errors"]), (&json!(90), &json!(9)));
    let errors = found["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 4);
    let confidences: Vec<f64> = errors.iter().map(|error| number(&error["confidence"])).collect();
    assert!(confidences.is_sorted_by(|one, next| one >= next), "{confidences:?}");
    for error in errors {
        assert_ne!(error["label"], error["predicted"]);
        let deciding = error["terms"][0]["term"].as_str().unwrap();
        assert!(error["text"].as_str().unwrap().contains(deciding.split(' ').next().unwrap()));
        assert!(number(&error["terms"][0]["weight"]) > 0.0);
    }
    let confusions = found["confusions"].as_array().unwrap();
    assert_eq!(confusions.len(), 3);
    for confusion in confusions {
        assert_eq!((&confusion["n_rows"], number(&confusion["share"])), (&json!(3), 0.1));
        assert_eq!(confusion["examples"].as_array().unwrap().len(), 3);
    }
    assert_eq!(number(&found["report"]["accuracy"]), 0.9);

    let of_class = book.json(&["errors", "Tickets", "1", "--class", "printer"]);
    assert_eq!((&of_class["n_rows"], &of_class["n_errors"]), (&json!(30), &json!(3)));
    assert!(of_class["notes"][0].as_str().unwrap().contains("20 errors asked for"), "{of_class}");
    let errors = of_class["errors"].as_array().unwrap();
    assert!(errors.iter().all(|error| error["label"] == "printer"), "{of_class}");

    let shown = book.call(&["errors", "Tickets", "-n", "2"]).stdout;
    for expected in [
        "9 of 90 rows predicted wrong (10.0 %)",
        "words that decided",
        "Largest confusions",
        "macro average",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let none = book.call(&["errors", "Tickets", "--data", "tickets.train"]).stdout;
    assert!(none.contains("none is predicted wrong"), "{none}");
}

#[test]
fn all_errors_go_to_a_file_of_every_format() {
    let book = shelf();
    tickets(&book);
    let folder = tempfile::tempdir().unwrap();
    for name in ["errors.csv", "errors.jsonl", "errors.parquet"] {
        let path = folder.path().join(name);
        let out = path.to_str().unwrap();
        let found = book.json(&["errors", "Tickets", "-n", "1", "--out", out]);
        assert_eq!(found["errors"].as_array().unwrap().len(), 1);
        assert!(found["notes"][0].as_str().unwrap().contains("9 rows written"), "{found}");
        // It is read back as any file is.
        let back = folder.path().join(format!("back-{name}.jsonl"));
        let read = [
            "predict",
            "--in",
            out,
            "--out",
            back.to_str().unwrap(),
            "--text-column",
            "text",
            "--prefix",
            "p_",
        ];
        assert_eq!(book.json(&[&read[..], &["--model", "Tickets"]].concat())["n_rows"], 9);
        let first: Value =
            serde_json::from_str(fs::read_to_string(&back).unwrap().lines().next().unwrap())
                .unwrap();
        assert_eq!(first["predicted"], first["p_label"], "{first}");
        assert!(first["terms"].as_str().unwrap().contains(" +"), "{first}");
        assert_eq!(first["row"].to_string().trim_matches('"').parse::<u64>().unwrap() / 3 % 10, 3);
        let refused = book.fails(1, &["errors", "Tickets", "--out", out]);
        assert!(refused.contains("exists already") && refused.contains("--force"), "{refused}");
        book.json(&["errors", "Tickets", "--out", out, "--force"]);
    }
    let refused = book.fails(1, &["errors", "Tickets", "--out", "errors.docx"]);
    assert!(refused.contains("unknown extension \"docx\""), "{refused}");
}

#[test]
fn an_explanation_adds_up_and_shows_every_word() {
    let book = shelf();
    let text = "Not a wonderful film, but the cast is dull & <b>qqq</b>.";
    for more in [&[][..], &["--background"], &["-n", "2"]] {
        let found = book.json(&[&["explain", "SentimentClassifier/1", text], more].concat());
        let explanation = &found["explanation"];
        let terms = explanation["terms"].as_array().unwrap();
        let listed: f64 = terms.iter().map(|term| number(&term["weight"])).sum();
        let sum = number(&explanation["base"]) + listed + number(&explanation["rest"]);
        let decision = number(&explanation["decision"]);
        assert!((sum - decision).abs() < 1e-9, "{more:?}: {found}");
        let probability = number(&found["probability"]);
        assert!((decision - (probability / (1.0 - probability)).ln()).abs() < 1e-9, "{found}");
        let words = explanation["words"].as_array().unwrap();
        assert!(words.iter().any(|word| word["word"] == "wonderful"), "{found}");
    }
    let shown = book.call(&["explain", "SentimentClassifier", text, "-n", "3"]).stdout;
    for expected in [text, "(intercept)", "log-odds of positive", "more term"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "a pipe takes no colours: {shown}");
    let mean = book.call(&["explain", "SentimentClassifier", text, "--background"]).stdout;
    assert!(mean.contains("(mean of 2,000 texts to learn from)"), "{mean}");

    let unknown = book.call(&["explain", "SentimentClassifier", "zzz qqq"]).stdout;
    assert!(unknown.contains("warning: the model knows no word of it"), "{unknown}");

    let general = book.json(&["explain", "SentimentClassifier", "-n", "5"]);
    for of_class in general["classes"].as_array().unwrap() {
        let terms = of_class["terms"].as_array().unwrap();
        assert_eq!(terms.len(), 5, "{general}");
        assert!(terms.iter().all(|term| term["n_texts"].as_u64().unwrap() >= 1), "{general}");
    }
    let shown = book.call(&["explain", "SentimentClassifier"]).stdout;
    assert!(shown.contains("For positive") && shown.contains("texts"), "{shown}");
}

#[test]
fn what_cannot_be_answered_says_so_in_a_sentence() {
    let book = shelf();
    for (args, expected) in [
        (
            &["errors", "SentimentClassifier", "--class", "meh"][..],
            "sample has no class \"meh\": found negative, positive",
        ),
        (&["errors", "SentimentClassifier", "--data", "nowhere"], "nowhere"),
        (&["errors", "SentimentClassifier", "--split", "holdout"], "has no split \"holdout\""),
        (&["errors", "Nobody"], "Nobody"),
        (&["explain", "SentimentClassifier", " "], "the text is empty"),
        (&["explain", "Nobody", "text"], "Nobody"),
    ] {
        let refused = book.fails(1, args);
        assert!(refused.contains(expected), "{args:?}: {refused}");
    }
    assert!(book.fails(2, &["explain", "SentimentClassifier", "--background"]).contains("TEXT"));

    // Another dataset of the same name is no background.
    book.json(&["data", "remove", "sample"]);
    tickets(&book);
    let refused = book.fails(1, &["explain", "SentimentClassifier", "a film", "--background"]);
    assert!(refused.contains("sample"), "{refused}");
    let refused = book.fails(1, &["errors", "SentimentClassifier", "--data", "tickets"]);
    assert!(refused.contains("the model knows the classes negative, positive"), "{refused}");
}

#[test]
fn a_net_says_that_it_cannot_be_explained_yet() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "avgnet", "--data", "sample", "--epochs", "1", "--model", "Net"]);
    let found = book.json(&["errors", "Net", "-n", "1"]);
    assert!(found["errors"][0].get("terms").is_none(), "{found}");
    let notes = found["notes"].to_string();
    assert!(notes.contains("a avgnet cannot be explained yet"), "{notes}");
    for args in [&["explain", "Net", "a film"][..], &["explain", "Net"]] {
        let refused = book.fails(1, args);
        assert!(refused.contains("a avgnet cannot be explained"), "{refused}");
    }
}

#[test]
fn the_library_has_the_same_as_a_value_that_shows_itself() {
    let program = shelf();
    let book = Book::open(program.store());
    let errors = book.errors(&ErrorsRequest::new("SentimentClassifier")).unwrap();
    assert_eq!(errors.errors.len(), errors.n_errors.min(20));
    let content = errors.content();
    assert!(content.data["text/html"].as_str().unwrap().contains("words that decided"));
    let base = trialbook::book::ExplainBase::Intercept;
    let explained = book.explain("SentimentClassifier", "wonderful & <dull>", base, 5).unwrap();
    let html = explained.content().data["text/html"].as_str().unwrap().to_owned();
    assert!(html.contains("background-color:rgba(") && html.contains("&lt;"), "{html}");
}
