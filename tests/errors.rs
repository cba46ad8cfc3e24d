//! A version's errors and their reasons: on the command line, in files and as values of the library.

use std::fs;

use serde_json::{Value, json};
use trialbook::{Book, book::ErrorsRequest, display::Show as _};

use crate::cli::Trialbook;

/// A checkpoint with random weights, of a few kB.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-distilbert");

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
fn a_nets_answer_adds_up_to_a_hundredth_and_shows_every_word() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let sizes: [&[&str]; 4] = [
        &["avgnet", "--epochs", "2"],
        &["cnn", "--epochs", "1", "--widths", "2,3", "--filters", "8", "--embedding", "12"],
        &["lstm", "--epochs", "1", "--hidden", "8", "--layers", "1", "--embedding", "12"],
        &["distilbert", "--epochs", "1", "--checkpoint", TINY],
    ];
    let text = "Not a WONDERFUL film, but the cast is dull & <b>qqq</b>.";
    for more in sizes {
        let train = [&["train"], more, &["--data", "sample", "--max-len", "24", "--model", "Net"]];
        book.json(&train.concat());
        let name = more[0];
        let found = book.json(&["explain", "Net/latest", text, "-n", "3"]);
        let explanation = &found["explanation"];
        let of = |key: &str| number(&explanation[key]);
        let terms = explanation["terms"].as_array().unwrap();
        assert!(terms.len() <= 3 && !terms.is_empty(), "{name}: {found}");
        let listed: f64 = terms.iter().map(|term| number(&term["weight"])).sum();
        let gap = number(&explanation["integration"]["gap"]);
        let difference = of("decision") - of("base");
        assert!((listed + of("rest") + gap - difference).abs() < 1e-9, "{name}: {found}");
        assert!(gap.abs() <= (0.01 * difference.abs()).max(1e-3), "{name}: {found}");
        assert_eq!(explanation["integration"]["is_complete"], true, "{name}: {found}");
        let probability = number(&found["probability"]);
        let log_odds = (probability / (1.0 - probability)).ln();
        assert!((of("decision") - log_odds).abs() < 1e-4, "{name}: {found}");
        // Words and not pieces of them, where they stand.
        let words = explanation["words"].as_array().unwrap();
        let letters: Vec<char> = text.chars().collect();
        for word in words {
            let at = |key: &str| word[key].as_u64().unwrap() as usize;
            let stands: String = letters[at("start")..at("end")].iter().collect();
            assert_eq!(word["word"], stands, "{name}");
        }
        assert!(words.iter().any(|word| word["word"] == "WONDERFUL"), "{name}: {found}");
        let summed: f64 = words.iter().map(|word| number(&word["weight"])).sum();
        assert!((summed - listed - of("rest")).abs() < 1e-9, "{name}: {found}");
        let baseline = if name == "distilbert" { "padding" } else { "zeros" };
        assert_eq!(explanation["integration"]["baseline"], baseline, "{name}");
    }
    let shown = book.call(&["explain", "Net", text]).stdout;
    for expected in ["([PAD] for every token)", "(left out by ", "log-odds of positive"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }

    let refused = book.fails(1, &["explain", "Net"]);
    assert!(refused.contains("a distilbert has no list of strongest terms"), "{refused}");
    assert!(refused.contains("explains the answer to a text"), "{refused}");
    let refused = book.fails(1, &["explain", "Net", text, "--background"]);
    assert!(refused.contains("a distilbert is counted from a baseline of its own"), "{refused}");
}

#[test]
fn a_nets_errors_have_words_as_far_as_somebody_looks_at_them() {
    let book = Trialbook::new();
    tickets(&book);
    book.json(&["train", "avgnet", "--data", "tickets", "--epochs", "20", "--model", "Net"]);
    let explained = |rows: &Value| -> usize {
        rows.as_array().unwrap().iter().filter(|row| row.get("terms").is_some()).count()
    };
    let found = book.json(&["errors", "Net", "-n", "4"]);
    assert!(found["n_errors"].as_u64().unwrap() >= 5, "{found}");
    assert_eq!(explained(&found["errors"]), 4, "{found}");
    for error in found["errors"].as_array().unwrap() {
        assert!(number(&error["terms"][0]["weight"]) > 0.0, "{error}");
    }
    let path = book.store().join("errors.jsonl");
    let out = path.to_str().unwrap();
    let found = book.json(&["errors", "Net", "-n", "4", "--explain", "2", "--out", out]);
    assert_eq!(explained(&found["errors"]), 2, "{found}");
    assert!(found["notes"].to_string().contains("the file has the words of 2 rows"), "{found}");
    let lines = fs::read_to_string(&path).unwrap();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len() as u64, found["n_errors"].as_u64().unwrap());
    let told: Vec<bool> = rows.iter().map(|row| row["terms"] != "").collect();
    assert!(told[..2].iter().all(|told| *told) && !told[2..].contains(&true), "{lines}");
    let none = book.json(&["errors", "Net", "-n", "4", "--explain", "0"]);
    assert_eq!((explained(&none["errors"]), &none["notes"]), (0, &json!([])), "{none}");
}

#[test]
fn an_encoder_without_gradients_is_listed_without_words_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(TINY).unwrap().flatten() {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let config = folder.path().join("config.json");
    let told = fs::read_to_string(&config).unwrap().replace("\"gelu\"", "\"relu\"");
    fs::write(&config, told).unwrap();
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["models", "import", folder.path().to_str().unwrap(), "--name", "relu"]);
    book.json(&["models", "import", TINY, "--name", "gelu"]);
    let refused = book.fails(1, &["explain", "relu", "a superb film"]);
    assert!(refused.contains("this distilbert cannot be explained"), "{refused}");
    let errors = ["--data", "sample", "-n", "1"];
    let found = book.json(&[&["errors", "relu"], &errors[..]].concat());
    assert!(found["errors"][0].get("terms").is_none(), "{found}");
    assert!(found["notes"].to_string().contains("this distilbert cannot be explained"), "{found}");
    // Pieces of a word are one word.
    let found = book.json(&["explain", "gelu", "A superb film, watched wonderfully!"]);
    let words: Vec<&str> = found["explanation"]["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word["word"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["A", "superb", "film", ",", "watched", "wonderfully", "!"]);
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
