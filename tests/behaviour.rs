//! Behaviour tests: of a file, of a dataset and built in, asked by hand and by the gate.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use trialbook::{
    Book,
    book::{BehaviourOrigin, BehaviourSource},
    display::Show as _,
};

use crate::{
    cli::Trialbook,
    errors::{shelf, tickets},
};

const TICKETS: &str = "
[lists]
thing = ['printer', 'paper']
[[test]]
name = 'plain'
kind = 'minimum_functionality'
expected = 'printer'
texts = ['{thing} jam {thing}', 'printer paper jam']
[[test]]
name = 'swapped'
kind = 'directional'
toward = 'network'
flip = true
pairs = [{ text = '{thing} jam', changed = 'wifi router cable' }]
[[test]]
name = 'hopeless'
kind = 'invariance'
pairs = [{ text = 'printer jam', changed = 'wifi router' }, { text = 'wifi', changed = 'wifi wifi' }]
";

fn file(book: &Trialbook, text: &str) -> PathBuf {
    let path = book.store().join("behaviour.toml");
    fs::write(&path, text).unwrap();
    path
}

fn test<'a>(found: &'a Value, name: &str) -> &'a Value {
    let tests = found["tests"].as_array().unwrap();
    tests.iter().find(|test| test["name"] == name).unwrap_or_else(|| panic!("{name}: {found:#}"))
}

#[test]
fn a_file_is_asked_and_its_failures_are_shown() {
    let book = Trialbook::new();
    tickets(&book);
    let path = file(&book, TICKETS);
    let path = path.to_str().unwrap();
    let found = book.json(&["evaluate", "Tickets/1", "--behaviour", path]);
    let counts = |name: &str| {
        let test = test(&found, name);
        [&test["n_passed"], &test["n_cases"]].map(|count| count.as_u64().unwrap())
    };
    assert_eq!((counts("plain"), counts("swapped"), counts("hopeless")), ([3, 3], [2, 2], [1, 2]));
    assert_eq!((&found["n_cases"], &found["n_passed"]), (&json!(7), &json!(6)));
    assert_eq!((&found["file"], &found["dataset"]), (&json!(path), &Value::Null));
    let failure = &test(&found, "hopeless")["failures"][0];
    assert_eq!(
        (&failure["text"], &failure["predicted"]),
        (&json!("printer jam"), &json!("printer"))
    );
    assert_eq!(failure["changed"]["predicted"], "network", "{failure}");

    let out = book.store().join("out");
    let args = ["evaluate", "Tickets/1", "--behaviour", path, "--out", out.to_str().unwrap()];
    let shown = book.call(&args).stdout;
    for expected in [
        "6 of 7 cases pass",
        "minimum functionality",
        "printer jam → wifi router",
        "the same class",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let written = fs::read_to_string(out.join("behaviour.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["tests"], found["tests"]);
    // Without the flag a split is measured as ever, and one has to be named.
    let measured = book.json(&["evaluate", "Tickets/1", "--data", "tickets"]);
    assert!(measured["metrics"].is_object());
    assert_eq!(book.json(&["evaluate", "Tickets/1"]), measured);
}

#[test]
fn the_built_in_tests_are_for_sentiment() {
    let book = shelf();
    let found = book.json(&["evaluate", "SentimentClassifier/1", "--behaviour"]);
    assert!((5..=15).contains(&found["tests"].as_array().unwrap().len()), "{found}");
    assert_eq!((&found["dataset"], &found["file"]), (&Value::Null, &Value::Null));
    for name in ["plain praise", "plain blame"] {
        assert!(test(&found, name)["pass_rate"].as_f64().unwrap() > 0.7, "{name}: {found:#}");
    }
    // Words in another case or with more spaces are the same words.
    assert_eq!(test(&found, "case and spaces")["pass_rate"], 1.0, "{found:#}");
    let shown = book.call(&["data", "behaviour", "show", "sample"]).stdout;
    assert!(shown.contains("these are built in") && shown.contains("[[test]]"), "{shown}");

    tickets(&book);
    let refused = book.fails(1, &["evaluate", "Tickets/1", "--behaviour"]);
    assert!(
        refused.contains(
            "there are no behaviour tests: tickets has none, and those for sentiment are not for the \
             classes account, network, printer"
        ),
        "{refused}"
    );
    let shown = book.call(&["data", "behaviour", "show", "tickets"]).stdout;
    assert!(shown.contains("tickets has no behaviour tests"), "{shown}");
}

#[test]
fn a_dataset_has_tests_of_its_own_which_are_kept_and_audited() {
    let book = Trialbook::new();
    tickets(&book);
    let path = file(&book, TICKETS);
    let path = path.to_str().unwrap();
    assert!(!book.store().join("policies").exists());
    let checked = book.json(&["data", "behaviour", "check", path]);
    assert_eq!(test(&checked, "plain")["n_cases"], 3);
    assert!(!book.store().join("policies").exists(), "a check leaves nothing");
    let set = book.json(&["data", "behaviour", "set", "tickets", path]);
    assert_eq!((&set["changed"], set["sha256"].as_str().unwrap().len()), (&json!(true), 64));
    assert_eq!(book.json(&["data", "behaviour", "set", "tickets", path])["changed"], false);
    let shown = book.json(&["data", "behaviour", "show", "tickets"]);
    assert_eq!((&shown["sha256"], &shown["text"]), (&set["sha256"], &json!(TICKETS)));
    // The store has them: the file is not needed any more.
    fs::remove_file(path).unwrap();
    for args in [
        &["evaluate", "Tickets/1", "--behaviour"][..],
        &["evaluate", "Tickets/1", "--data", "tickets", "--behaviour"],
    ] {
        let found = book.json(args);
        assert_eq!((&found["dataset"], &found["n_passed"]), (&json!("tickets"), &json!(6)));
    }
    let audit = book.call(&["audit"]).stdout;
    assert!(audit.contains("behaviour tests of tickets"), "{audit}");

    // A backup has them.
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.tar");
    book.json(&["store", "backup", backup.to_str().unwrap()]);
    let restored = Trialbook::new();
    restored.json(&["store", "restore", backup.to_str().unwrap()]);
    let found = restored.json(&["evaluate", "Tickets/1", "--behaviour"]);
    assert_eq!((&found["dataset"], &found["sha256"]), (&json!("tickets"), &set["sha256"]));
}

#[test]
fn the_gate_asks_them_and_says_how_many_passed() {
    let book = Trialbook::new();
    tickets(&book);
    let policy = book.store().join("policy.toml");
    let gate = |text: &str| -> (i32, Value) {
        fs::write(&policy, text).unwrap();
        book.json(&["gate", "policy", "set", policy.to_str().unwrap()]);
        let answer = book.call(&["gate", "Tickets", "1", "--json"]);
        (answer.code, serde_json::from_str(&answer.stdout).unwrap())
    };
    let (code, verdict) = gate("[behaviour]\nmin = 0.8\n");
    let reasons = verdict["reasons"].to_string();
    assert_eq!(code, 3, "{verdict:#}");
    assert!(reasons.contains("cannot be judged: there are no behaviour tests"), "{reasons}");

    let path = file(&book, TICKETS);
    let set = book.json(&["data", "behaviour", "set", "tickets", path.to_str().unwrap()]);
    let (code, verdict) = gate("[behaviour]\nmin = 0.85\n");
    assert_eq!((code, verdict["checks"].as_array().unwrap().len()), (0, 1), "{verdict:#}");
    let reason = verdict["checks"][0]["reason"].as_str().unwrap();
    let short = &set["sha256"].as_str().unwrap()[..8];
    let expected = format!("3 tests of behaviour ({short}): 6 of 7 cases pass, at least 0.85");
    assert_eq!(reason, expected);
    let (code, verdict) = gate("[behaviour]\nmin = 0.9\n");
    let reasons = verdict["reasons"].to_string();
    assert_eq!(code, 3, "{verdict:#}");
    assert!(reasons.contains("6 of 7 cases pass, below 0.9"), "{reasons}");
    let (code, verdict) =
        gate("[behaviour]\nmin = 0.5\nmin_test = 0.9\ntests = { hopeless = 0.5 }\n");
    assert_eq!((code, verdict["checks"].as_array().unwrap().len()), (0, 4), "{verdict:#}");
    let (code, verdict) = gate("[behaviour]\nmin = 0.5\nmin_test = 0.9\nlevel = 'warn'\n");
    let reasons = verdict["reasons"].to_string();
    assert_eq!(code, 0, "{verdict:#}");
    assert!(
        reasons.contains("warning: behaviour test \\\"hopeless\\\": 1 of 2 cases pass, below 0.9"),
        "{reasons}"
    );
    let (code, verdict) = gate("[behaviour]\nmin = 0.5\ntests = { helpless = 0.5 }\n");
    let reasons = verdict["reasons"].to_string();
    assert!(code == 3 && reasons.contains("there is no such test"), "{reasons}");
}

#[test]
fn what_is_no_file_of_tests_is_refused_in_a_sentence_and_changes_nothing() {
    let book = Trialbook::new();
    tickets(&book);
    let test = |rest: &str| format!("[[test]]\nname = 'a'\n{rest}");
    for (text, expected) in [
        (String::new(), "it has no test: expected at least one [[test]]"),
        ("[lists]\na = []".to_owned(), "lists.a is empty: expected at least one word"),
        (
            test("kind = 'minimum_functionality'\nexpected = 'printer'\ntexts = ['{thing}']"),
            "test 1 (\"a\"): text 1: \"{thing}\" has the unknown slot {thing}: there are no lists",
        ),
        (
            test("kind = 'minimum_functionality'\nexpected = 'scanner'\ntexts = ['x']"),
            "behaviour test \"a\" names the class \"scanner\": the model knows account, network, printer",
        ),
        (test("kind = 'must_flip'"), "unknown variant `must_flip`"),
    ] {
        let path = file(&book, &text);
        let path = path.to_str().unwrap();
        for args in [
            &["data", "behaviour", "set", "tickets", path][..],
            &["evaluate", "Tickets/1", "--behaviour", path],
        ] {
            let refused = book.fails(1, args);
            assert!(refused.contains(expected), "{args:?}: {refused}");
        }
    }
    assert!(!book.store().join("policies").exists(), "what is refused leaves nothing");
    for (args, expected) in [
        (&["evaluate", "Tickets/1", "--behaviour", "/nowhere.toml"][..], "/nowhere.toml"),
        (&["evaluate", "Nobody", "--behaviour"], "Nobody"),
        (
            &["evaluate", "Tickets/1", "--behaviour", "/nowhere.toml", "--data", "tickets"],
            "a file of behaviour tests is named, and --data tickets beside it",
        ),
        (
            &["evaluate", "Tickets/1", "--data", "tickets.train", "--behaviour"],
            "\"tickets.train\" is one split, and this command takes a dataset",
        ),
        (
            &["evaluate", "Tickets/1", "--data", "tickets", "--split", "train", "--behaviour"],
            "--split train does not go with --behaviour",
        ),
        (
            &["evaluate", "Tickets/1", "--behaviour", "--split", "train"],
            "--split train does not go with --behaviour",
        ),
        (
            &["evaluate", "--behaviour", "Tickets/1"],
            "if it is the model, it comes first: `trialbook evaluate Tickets/1 --behaviour`",
        ),
        (&["evaluate", "Tickets/1", "--behaviour", "--data", "nowhere"], "nowhere"),
        (&["data", "behaviour", "show", "nowhere"], "nowhere"),
        (&["data", "behaviour", "set", "nowhere", "/nowhere.toml"], "nowhere"),
    ] {
        let refused = book.fails(1, args);
        assert!(refused.contains(expected), "{args:?}: {refused}");
    }
}

#[test]
fn the_library_has_them_as_a_value_that_shows_itself() {
    let program = shelf();
    let book = Book::open(program.store());
    let run = book.behaviour("SentimentClassifier", &BehaviourSource::TrainedOn).unwrap();
    assert_eq!(run.origin, BehaviourOrigin::BuiltIn);
    assert_eq!(run.report.n_cases, run.report.tests.iter().map(|test| test.n_cases).sum::<usize>());
    let content = run.content();
    assert!(content.data["text/html"].as_str().unwrap().contains("negated praise"));
}
