//! Evidence beside a verdict, its report, and policies, as a script sees them: real models, measured on
//! real splits.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::{fmt::Write as _, path::PathBuf};

use serde_json::{Value, json};

use crate::cli::{Answer, Trialbook};

const NAME: &str = "SentimentClassifier";

/// A store with two versions of the sample's model, the first in production and the second better.
fn with_two_versions() -> Trialbook {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let train = ["train", "tfidf", "--data", "sample", "--ngram"];
    book.json(&[&train[..], &["1", "--deploy"]].concat());
    book.json(&[&train[..], &["2"]].concat());
    book
}

/// A file beside the store, with this text.
fn policy(book: &Trialbook, text: &str) -> PathBuf {
    let path = book.store().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn set(book: &Trialbook, text: &str) -> Value {
    let path = policy(book, text);
    book.json(&["gate", "policy", "set", path.to_str().unwrap()])
}

/// The verdict on version 2 and its exit code.
fn judged(book: &Trialbook) -> (i32, Value) {
    let answer = book.call(&["gate", NAME, "2", "--json"]);
    let verdict = serde_json::from_str(&answer.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", answer.stdout, answer.stderr));
    (answer.code, verdict)
}

fn reason<'a>(verdict: &'a Value, name: &str) -> &'a str {
    let checks = verdict["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"].as_str().unwrap().contains(name));
    check.unwrap_or_else(|| panic!("{name}: {verdict:#}"))["reason"].as_str().unwrap()
}

#[test]
fn the_default_rule_says_how_sure_it_is() {
    let book = with_two_versions();
    let (code, verdict) = judged(&book);
    assert_eq!((code, &verdict["schema_version"]), (0, &json!(1)));
    let evidence = &verdict["evidence"];
    let of = |pointer: &str| evidence.pointer(pointer).unwrap().as_f64().unwrap();
    assert_eq!(evidence["n_examples"], 1000);
    // The paired difference is that of the registered numbers: both were measured on the same rows.
    let f1 = |side: &str| verdict[side]["metrics"]["f1"].as_f64().unwrap();
    assert!((of("/bootstrap/f1/difference") - (f1("candidate") - f1("baseline"))).abs() < 1e-12);
    assert!(of("/bootstrap/f1/lower") < of("/bootstrap/f1/difference"));
    assert!(of("/bootstrap/f1/difference") < of("/bootstrap/f1/upper"));
    let (only_own, only_other) = (of("/mcnemar/n_only_first"), of("/mcnemar/n_only_second"));
    assert!((of("/power/discordant") - (only_own + only_other) / 1000.0).abs() < 1e-12);
    // Of two classes exactly one of the two is right where they disagree.
    assert!((of("/agreement") - (1.0 - of("/power/discordant"))).abs() < 1e-12);

    let told = book.call(&["gate", NAME, "2"]).stdout;
    assert!(told.contains("evidence on 1,000 test rows: f1 of positive differs from that of Production version 1 by +0.0"), "{told}");
    assert!(told.contains("McNemar's exact p = ") && told.contains("the two agree on "), "{told}");
    // Without another version in production there is nothing to compare with.
    let alone = book.json(&["gate", NAME, "1"]);
    assert_eq!((&alone["evidence"], &alone["baseline"]["version"]), (&Value::Null, &json!(1)));
    assert!(alone["no_evidence"].as_str().unwrap().contains("the Production version itself"));
    assert_eq!(book.json(&["promote", NAME, "2"])["to"], "Production");
}

#[test]
fn a_dataset_that_is_gone_takes_the_evidence_and_not_the_verdict() {
    let book = with_two_versions();
    book.json(&["data", "remove", "sample"]);
    let (code, verdict) = judged(&book);
    assert_eq!((code, &verdict["passed"], &verdict["evidence"]), (0, &json!(true), &Value::Null));
    assert!(verdict["no_evidence"].as_str().unwrap().contains("\"sample\""), "{verdict:#}");
    // A policy that needs it does not pass for lack of it.
    set(&book, "[non_inferior]\n");
    let (code, verdict) = judged(&book);
    assert_eq!(code, 3, "{verdict:#}");
    assert!(reason(&verdict, "lower end").contains("cannot be judged: "), "{verdict:#}");
}

#[test]
fn a_report_is_written_for_people_pages_pull_requests_and_programs() {
    let book = with_two_versions();
    let explained = |form: &str| {
        let answer = book.call(&["gate", NAME, "2", form]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        answer.stdout
    };
    let text = explained("--explain");
    for part in ["Decision", "Beside Production", "Evidence", "Intervals: percentiles of "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let markdown = explained("--explain=markdown");
    assert!(markdown.starts_with("## SentimentClassifier version 2: gate passed\n"), "{markdown}");
    assert!(markdown.contains("| metric | version 2 | version 1 | difference |\n"), "{markdown}");
    let html = explained("--explain=html");
    assert!(html.contains("<table") && html.contains("Beside Production"), "{html}");
    let json: Value = serde_json::from_str(&{
        let answer = book.call(&["gate", NAME, "2", "--explain", "--json"]);
        answer.stdout
    })
    .unwrap();
    assert_eq!(json["evidence"]["n_examples"], 1000);
    let refused = book.fails(2, &["gate", NAME, "2", "--explain=poem"]);
    assert!(refused.contains("markdown"), "{refused}");
}

#[test]
fn a_policy_is_checked_set_kept_and_audited() {
    let book = with_two_versions();
    let shown = book.call(&["gate", "policy", "show"]).stdout;
    assert!(shown.contains("no policy was set"), "{shown}");
    let bad = policy(&book, "[strict]\n[leakge]\n");
    for verb in ["check", "set"] {
        let refused = book.fails(1, &["gate", "policy", verb, bad.to_str().unwrap()]);
        assert!(
            refused.contains("unknown check \"leakge\": expected one of min_f1, strict"),
            "{refused}"
        );
    }
    assert!(!book.store().join("policies").exists(), "a refused policy leaves nothing");

    let first = set(&book, "# the seed rule\n[strict]\n");
    assert_eq!((&first["changed"], first["sha256"].as_str().unwrap().len()), (&json!(true), 64));
    assert_eq!(set(&book, "# the seed rule\n[strict]\n")["changed"], false);
    assert_eq!(judged(&book).1["policy_record"]["sha256"], first["sha256"]);
    let second = set(&book, "[non_inferior]\nmargin = 0.01\n");
    let refused = book.fails(3, &["promote", NAME, "2"]);
    assert!(refused.contains("its verdict is stale: the policy was "), "{refused}");
    assert_eq!(judged(&book).0, 0);
    assert_eq!(book.json(&["promote", NAME, "2"])["to"], "Production");

    let sha256 = first["sha256"].as_str().unwrap();
    let kept = book.call(&["gate", "policy", "show", sha256]).stdout;
    assert!(kept.contains("# the seed rule"), "{kept}");
    assert_eq!(book.call(&["gate", "policy", "show", &sha256[..8]]).stdout, kept);
    assert_eq!(book.json(&["gate", "policy", "show"])["sha256"], second["sha256"]);
    let audit = book.call(&["audit"]).stdout;
    assert_eq!(audit.matches("gate policy").count(), 2, "{audit}");
    let refused = book.fails(1, &["gate", NAME, "1", "--min", "0.5"]);
    assert!(refused.contains("the store has a policy, whose min_f1 counts"), "{refused}");

    // A backup has the policy, with the text of each that ever held.
    let backups = tempfile::tempdir().unwrap();
    let file = backups.path().join("all.tar");
    book.json(&["store", "backup", file.to_str().unwrap()]);
    let restored = Trialbook::new();
    restored.json(&["store", "restore", file.to_str().unwrap()]);
    assert_eq!(restored.json(&["gate", "policy", "show"]), book.json(&["gate", "policy", "show"]));
    restored.json(&["gate", "policy", "show", sha256]);
}

#[test]
fn every_check_passes_warns_or_blocks_with_its_reason() {
    let book = with_two_versions();
    let key = book.json(&["keys", "add", "release", "--scope", "read"])["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = "[strict]\n[non_inferior]\n[significant]\nlevel = \"warn\"\n[class_floor]\nmin = 0.5\n\
                classes = { positive = 0.99 }\nlevel = \"warn\"\n[calibration]\nmax_ece_rise = 0.2\n\
                [size]\nmax_bytes = 100_000_000\n[leakage]\nmax_share = 1.0\n[agreement]\nmin = 0.5\n\
                [reproducible]\n[verdicts]\nmax = 1\n[approval]\nkeys = [\"release\"]\n";
    set(&book, text);
    let (code, verdict) = judged(&book);
    assert_eq!(code, 3, "{verdict:#}");
    assert_eq!(verdict["reasons"][0], "nobody approved it with the key release");
    assert!(reason(&verdict, "stored metrics").ends_with("give the stored metrics"));
    assert!(
        reason(&verdict, "that are in train").contains("of 1,000 test rows are in the training")
    );
    assert!(reason(&verdict, "bytes of the model").contains(" are allowed"));

    let approve = |key: &str| {
        let mut command = book.command();
        Answer::of(command.args(["gate", "approve", NAME, "2"]).env("TRIALBOOK_KEY", key))
    };
    assert_eq!(approve("tbk_nobody").code, 1);
    let approved = approve(&key);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    let (code, verdict) = judged(&book);
    assert_eq!(code, 0, "{verdict:#}");
    let warnings: Vec<&str> = verdict["reasons"].as_array().unwrap()[1..]
        .iter()
        .map(|reason| reason.as_str().unwrap())
        .collect();
    // Version 1 was gated on this split too when it was deployed.
    assert!(
        warnings.iter().any(|told| told.starts_with("warning: 3 verdicts asked")),
        "{warnings:?}"
    );
    assert!(warnings.iter().any(|told| told.contains("recall of positive 0.9")), "{warnings:?}");
    let told = book.call(&["gate", NAME, "2"]).stdout;
    assert!(told.contains("WARNING") && told.contains("gate passed"), "{told}");
    assert!(book.call(&["audit"]).stdout.contains("approved with the key release"));

    book.json(&["keys", "revoke", "release"]);
    assert_eq!(judged(&book).0, 3, "a key that was taken back approves nothing");
}

#[test]
fn several_classes_have_evidence_and_floors_too() {
    let book = Trialbook::new();
    let words = [
        ("fault", "screen dark broken"),
        ("bill", "invoice price money"),
        ("praise", "great thanks lovely"),
    ];
    let mut rows = "text,label\n".to_owned();
    for row in 0..240 {
        let (label, telling) = words[row % 3];
        let word = telling.split(' ').nth(row / 3 % 3).unwrap();
        // Every seventh row has another class's word, so that nobody is right everywhere.
        let word = if row % 7 == 0 { "invoice" } else { word };
        writeln!(rows, "row {row} says {word} about number {},{label}", row % 11).unwrap();
    }
    let file = book.store().join("rows.csv");
    std::fs::write(&file, rows).unwrap();
    book.json(&["data", "add", "tickets", file.to_str().unwrap(), "--test-size", "0.5"]);
    let train = ["train", "tfidf", "--data", "tickets", "--model", "T"];
    book.json(&[&train[..], &["--deploy", "--min", "0.1"]].concat());
    book.json(&[&train[..], &["--ngram", "2"]].concat());
    set(
        &book,
        "min_f1 = 0.1\n[non_inferior]\nmargin = 0.9\n[class_floor]\nmetric = \"f1\"\nmin = 0.0\n\
                classes = { rain = 0.1 }\nlevel = \"warn\"\n",
    );
    let verdict = book.json(&["gate", "T", "2"]);
    assert!(verdict["evidence"]["bootstrap"]["f1"]["lower"].is_number(), "{verdict:#}");
    let names: Vec<&str> = verdict["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    let expected = [
        "lower end of the difference in f1 > -0.9",
        "f1 of bill >= 0",
        "f1 of fault >= 0",
        "f1 of praise >= 0",
        "f1 of rain",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        verdict["reasons"][1],
        "warning: f1 of rain cannot be judged: the version has no such class"
    );
}

#[test]
fn the_time_of_a_text_and_the_memory_of_a_model_are_measured_beside_production() {
    let book = with_two_versions();
    // Bounds that no machine misses, then some that none meets.
    set(
        &book,
        "[latency]\nmax_ms = 10000\nmax_ratio = 10000\n[memory]\nmax_bytes = 1_000_000_000\n\
                max_ratio = 100\n",
    );
    let (code, verdict) = judged(&book);
    assert_eq!(code, 0, "{verdict:#}");
    let time = reason(&verdict, "time of one text <= 10000 ms");
    assert!(time.contains("200 test texts, one at a time"), "{time}");
    assert!(reason(&verdict, "10000 × Production's").contains("in turns on 200 test texts"));
    let memory = reason(&verdict, "bytes in memory <= 100 ×");
    assert!(memory.contains("its vocabulary, frequencies and coefficients"), "{memory}");
    let checks = verdict["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["candidate"].as_f64().unwrap() > 0.0), "{checks:#?}");
    let report = book.call(&["gate", NAME, "2", "--explain"]).stdout;
    assert!(report.contains("bytes in memory <= 1000000000"), "{report}");

    set(
        &book,
        "[latency]\nmax_ms = 0.000001\nmax_ratio = 0.000001\nlevel = \"warn\"\n[memory]\n\
                max_bytes = 1000\nmax_ratio = 1.0\n",
    );
    let (code, verdict) = judged(&book);
    assert_eq!(code, 3, "{verdict:#}");
    // Words in pairs take more than words alone.
    assert!(reason(&verdict, "bytes in memory <= 1 ×").contains(" times, computed for"));
    let passed =
        verdict["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == true);
    assert_eq!(passed.count(), 0, "{verdict:#}");
    let warned = verdict["reasons"].as_array().unwrap().iter();
    assert_eq!(warned.filter(|why| why.as_str().unwrap().starts_with("warning: ")).count(), 2);

    book.json(&["data", "remove", "sample"]);
    let (_, verdict) = judged(&book);
    assert!(
        reason(&verdict, "time of one text <= 0").contains("cannot be judged: "),
        "{verdict:#}"
    );
}
