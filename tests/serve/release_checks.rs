//! What a release is judged by besides its counts, on running servers: true labels, drift, the verdict of an A/B
//! test, and what the gate said before it began.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use super::{
    follow::{PICKED_UP, Serving, two_versions},
    release::{
        MODEL, ask, is_live, label, opposites, other, page, post, start, state, until, version,
    },
};
use crate::cli::Trialbook;

#[test]
fn labels_that_say_that_the_candidate_is_wrong_take_it_back() {
    let book = opposites();
    let server = Serving::start(&book, &[]);
    let patience = Duration::from_secs(15);
    let bounds = ["--canary", "50%:1s,100%", "--by", "request", "--min-f1", "0.8", "--min-n", "5"];
    for (number, is_right) in [(1, true), (2, false)] {
        start(&book, &bounds);
        until(&server, PICKED_UP, |told| is_live(told) && told["release"]["number"] == number);
        (0..40).for_each(|idx| assert_eq!(ask(&server, &format!("{number}-{idx}")).0, 200));
        // Without labels the F1 is not known, and no step follows.
        thread::sleep(Duration::from_secs(2));
        let unknown = until(&server, PICKED_UP, |told| state(told, "f1") == "open");
        assert_eq!(unknown["release"]["step_idx"], 0, "{unknown:#}");
        let truth = |answer: &Value| match is_right {
            true => answer["label"].as_str().unwrap().to_owned(),
            false => other(&answer["label"]),
        };
        let answered = label(&server, &format!("labelled-{number}"), 120, truth);
        assert!(["positive", "negative"].iter().all(|one| answered.iter().any(|is| is == one)));
        let found = until(&server, patience, |told| match is_right {
            true => told["release"]["step_idx"] == 1 && state(told, "f1") == "holds",
            false => told["release"]["state"] == "taken_back",
        });
        if is_right {
            let status = book.json(&["release", "status"]);
            assert_eq!(state(&status, "f1"), "holds", "{status:#}");
            book.json(&["release", "stop"]);
            continue;
        }
        let reason = found["release"]["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("f1: 0.0000 by ") && reason.contains("at least 0.8"),
            "{reason}"
        );
        assert_eq!(version(&server, "anybody"), 1);
    }
    assert_eq!(book.json(&["audit"])[0]["action"], "take_back_release");
}

/// Once of clients that got the candidate's answers, once of a shadow that answered nobody.
#[test]
fn traffic_that_has_drifted_takes_a_candidate_back_where_that_is_a_bound() {
    let book = two_versions();
    let server = Serving::start(&book, &[]);
    let refused = book.fails(2, &["release", "start", MODEL, "2", "--shadow", "--max-drift", "ok"]);
    assert!(refused.contains("expected warn or alert"), "{refused}");
    let kinds: [(u64, &[&str]); 2] = [(1, &["--canary", "100%"]), (2, &["--shadow"])];
    for (number, kind) in kinds {
        start(&book, &[kind, &["--max-drift", "alert"]].concat());
        let early = until(&server, PICKED_UP, |told| {
            is_live(told) && told["release"]["number"] == number && state(told, "drift") == "open"
        });
        assert_eq!(early["release"]["bounds"]["max_drift"], "alert");
        let words = ["router", "firmware", "cable", "invoice", "parcel", "refund"];
        for batch in 0..12 {
            let texts: Vec<String> =
                (0..25).map(|n| format!("{} {}", words[n % 6], words[(n + batch) % 6])).collect();
            let id = format!("{number}-{batch}");
            let (status, answer) = post(&server, "/predict/batch", &id, &json!({ "texts": texts }));
            assert_eq!(status, 200, "{answer}");
        }
        let found = until(&server, Duration::from_secs(15), |told| {
            told["release"]["state"] == "taken_back"
        });
        let reason = found["release"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("drift: alert of ") && reason.contains("length"), "{reason}");
        assert_eq!(version(&server, "anybody"), 1);
    }
}

#[test]
fn an_ab_test_ends_with_its_verdict_and_promotes_nothing_by_itself() {
    let book = opposites();
    let server = Serving::start(&book, &[]);
    let patience = Duration::from_secs(15);
    let is_candidate = |answer: &Value| answer["arm"] == "candidate";
    for (number, candidate_is_right) in [(1, true), (2, false)] {
        start(&book, &["--ab", "50%", "--by", "request", "--min-n", "5"]);
        let early = until(&server, PICKED_UP, |told| {
            is_live(told) && told["release"]["number"] == number && state(told, "verdict") == "open"
        });
        assert_eq!(early["judgement"]["decision"], "stay", "{early:#}");
        label(&server, &format!("labelled-{number}"), 150, |answer| {
            match is_candidate(answer) == candidate_is_right {
                true => answer["label"].as_str().unwrap().to_owned(),
                false => other(&answer["label"]),
            }
        });
        if !candidate_is_right {
            let found = until(&server, patience, |told| told["release"]["state"] == "taken_back");
            let reason = found["release"]["reason"].as_str().unwrap();
            assert!(reason.starts_with("verdict: Production is better: 0 % right"), "{reason}");
            assert_eq!(found["release"]["evidence"]["verdict"]["comparison"]["is_decided"], true);
            let status = book.call(&["release", "status"]).stdout;
            assert!(status.contains("verdict: Production is better"), "{status}");
            continue;
        }
        let found = until(&server, patience, |told| told["judgement"]["decision"] == "ready");
        assert_eq!(found["verdict"]["comparison"]["is_decided"], true, "{found:#}");
        assert_eq!((is_live(&found), &found["release"]["production"]), (true, &json!(1)));
        let told = "the candidate is better: 100 % right of";
        let page = page(&server, &format!("/ui/models/{MODEL}"));
        for shown in [page.as_str().unwrap(), &book.call(&["release", "status"]).stdout] {
            assert!(shown.contains(told), "{shown}");
        }
        book.json(&["release", "stop"]);
    }
}

#[test]
fn a_version_that_the_gate_has_blocked_is_released_for_a_reason_alone() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    book.json(&["train", "tfidf", "--data", "sample", "--max-features", "2"]);
    // Never gated, it may prove itself.
    start(&book, &["--shadow"]);
    book.fails(3, &["gate", MODEL, "2"]);
    let on = ["release", "promote", MODEL, "--canary", "5%"];
    let refused = book.fails(3, &on);
    assert!(refused.contains("cannot be released: the gate blocked it: "), "{refused}");
    assert_eq!(book.json(&["release", "status"])["release"]["state"], "running", "the shadow");
    let reason = ["--force", "--reason", "the test says so"];
    let canary = book.json(&[&on[..], &reason].concat());
    assert_eq!(canary["release"]["overruled"]["reason"], "the test says so");
    book.json(&["release", "stop"]);

    let again = ["release", "start", "SentimentClassifier/2", "--canary", "5%"];
    let refused = book.fails(3, &again);
    assert!(refused.contains("the gate blocked it") && refused.contains("--force"), "{refused}");
    book.fails(2, &[&again[..], &["--force"]].concat());
    let empty = book.fails(1, &[&again[..], &["--force", "--reason", " "]].concat());
    assert!(empty.contains("a forced release needs a reason"), "{empty}");
    book.json(&[&again[..], &reason].concat());
    let event = &book.json(&["audit"])[0];
    assert_eq!(
        (&event["action"], &event["details"]["reason"]),
        (&json!("start_release"), &json!("the test says so"))
    );
    let objection = event["details"]["overruled"].as_str().unwrap();
    assert!(objection.starts_with("the gate blocked it: "), "{objection}");
    let status = book.call(&["release", "status"]).stdout;
    assert!(status.contains("overruled the gate: the test says so"), "{status}");
}
