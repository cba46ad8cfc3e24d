//! `watch`: a model is trained again when the policy's rule says so, once, and everything is written down; and the
//! demo that walks through it with a real server.

use std::{fs, process::Stdio};

use serde_json::{Value, json};

use crate::cli::Trialbook;

const POLICY: &str = "\
[strict]
[retrain]
train = [\"tfidf\", \"--ngram\", \"2\"]
new_labels = 40
cooldown = \"1h\"
";

/// A store with a model of the sample in Production, the policy, and a log of 60 predictions of the sample's own
/// training texts with an unknown word in front, all of which have a label.
fn labelled(policy: &str) -> Trialbook {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    let file = book.store().join("policy.toml");
    fs::write(&file, policy).unwrap();
    book.json(&["gate", "policy", "set", file.to_str().unwrap()]);
    let rows = book.json(&["sql", "select text, label from sample.train limit 60"]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 60);
    let logs = book.store().join("logs");
    fs::create_dir_all(&logs).unwrap();
    let (mut log, mut labels) = (String::new(), "request_id,label\n".to_owned());
    for (number, row) in rows.iter().enumerate() {
        let text = format!("Bussin! {}", row["text"].as_str().unwrap());
        let record = json!({
            "timestamp_ms": 1_790_000_000_000_i64 + number as i64,
            "request_id": format!("r{number}"),
            "model": "SentimentClassifier",
            "version": 1,
            "label": "positive",
            "confidence": 0.6,
            "probability": 0.6,
            "latency_ms": 1.0,
            "n_chars": text.chars().count(),
            "text": text,
        });
        log.push_str(&format!("{record}\n"));
        labels.push_str(&format!("r{number},{}\n", row["label"].as_str().unwrap()));
    }
    fs::write(logs.join("predictions.jsonl"), log).unwrap();
    let file = book.store().join("labels.csv");
    fs::write(&file, labels).unwrap();
    let taken = book.json(&["monitor", "label", file.to_str().unwrap()]);
    assert_eq!(taken["accepted"], 60, "{taken:#}");
    book
}

fn retrainings(book: &Trialbook) -> Vec<Value> {
    let audit = book.json(&["audit"]);
    let events = audit.as_array().unwrap().iter();
    events.filter(|event| event["action"] == "retrain").cloned().collect()
}

#[test]
fn labels_make_the_next_version_once_and_the_audit_trail_says_why() {
    let book = labelled(POLICY);
    let looked = book.json(&["watch", "--once", "--dry-run"]);
    assert_eq!((&looked["trains"], &looked["n_new_labels"]), (&json!(true), &json!(60)));
    assert_eq!(book.json(&["data", "list"]).as_array().unwrap().len(), 1);
    assert!(retrainings(&book).is_empty());

    let done = book.json(&["watch", "SentimentClassifier", "--once"]);
    let retrained = &done["retrained"];
    assert_eq!(
        (&retrained["version"], &retrained["release"]),
        (&json!(2), &Value::Null),
        "{done:#}"
    );
    let dataset = retrained["dataset"].as_str().unwrap();
    assert!(dataset.starts_with("sample_labels_20"), "{dataset}");
    let described = book.json(&["data", "describe", dataset]);
    let sample = book.json(&["data", "describe", "sample"]);
    assert_eq!(
        described["splits"][0]["n_rows"],
        sample["splits"][0]["n_rows"].as_u64().unwrap() + 60
    );
    assert_eq!(described["splits"][1], sample["splits"][1]);
    let events = retrainings(&book);
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(
        events[1]["details"]["reasons"],
        json!(["60 new labels came since the last training"])
    );
    assert_eq!(events[0]["details"]["version"], 2);

    // Nothing came since: nothing is done.
    let again = book.json(&["watch", "--once"]);
    assert_eq!((&again["trains"], &again["n_new_labels"]), (&json!(false), &json!(0)), "{again:#}");
    assert_eq!(retrainings(&book).len(), 2);
    let said = book.call(&["audit"]).stdout;
    assert!(said.contains("60 new labels came since the last training"), "{said}");
}

#[test]
fn clocks_that_jump_stop_nothing_and_labels_of_the_future_are_no_news() {
    let more = "min_f1 = 0.01\nmin_labels = 1\ndrift = { window = \"1m\", windows = 3 }\n";
    let book = labelled(&format!("{POLICY}{more}"));
    let year_2100 = 4_102_444_800_000_i64;
    let times = [i64::MIN, -1, 0, year_2100, i64::MAX];
    let log = book.store().join("logs/predictions.jsonl");
    let lines = fs::read_to_string(&log).unwrap();
    let mut record: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let (mut jumped, mut labels) = (String::new(), "request_id,label,timestamp_ms\n".to_owned());
    for (number, at_ms) in times.into_iter().enumerate() {
        record["request_id"] = json!(format!("jumped{number}"));
        record["timestamp_ms"] = json!(at_ms);
        record["text"] = json!(format!("a film of the year {at_ms}"));
        jumped.push_str(&format!("{record}\n"));
        labels.push_str(&format!("jumped{number},positive,{at_ms}\n"));
    }
    fs::write(&log, lines + &jumped).unwrap();
    let file = book.store().join("jumped.csv");
    fs::write(&file, labels).unwrap();
    let taken = book.json(&["monitor", "label", file.to_str().unwrap()]);
    assert_eq!((&taken["accepted"], &taken["refused"]), (&json!(3), &json!(2)), "{taken:#}");
    // What a server wrote whose own clock was ahead.
    let log = book.store().join("logs/labels.jsonl");
    let mut labels = fs::read_to_string(&log).unwrap();
    for (number, at_ms) in [(3, year_2100), (4, i64::MAX)] {
        let label = json!({
            "request_id": format!("jumped{number}"),
            "label": "positive",
            "source": "user",
            "timestamp_ms": at_ms,
        });
        labels.push_str(&format!("{label}\n"));
    }
    fs::write(&log, labels).unwrap();

    for window in ["1s", "1d", "1"] {
        let measured = book.json(&["monitor", "performance", "--window", window]);
        let version = &measured["versions"][0];
        assert_eq!(version["overall"]["n_labelled"], 63, "{window}");
        let n_windows = version["windows"].as_array().unwrap().len();
        assert!((3..=65).contains(&n_windows), "{n_windows} windows of {window}");
    }
    for last in ["1h", "7d", "2020-01-01"] {
        let answer = book.call(&["monitor", "drift", "--last", last, "--min", "1", "--json"]);
        assert!([0, 3].contains(&answer.code), "{}", answer.stderr);
        let drift: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert!(["ok", "warn", "alert"].contains(&drift["verdict"].as_str().unwrap()), "{drift:#}");
        book.json(&["monitor", "stats", "--last", last]);
        book.json(&["monitor", "sample", "--last", last]);
    }
    book.call(&["monitor", "performance"]);
    let looked = book.json(&["watch", "--once", "--dry-run"]);
    assert_eq!(looked["n_new_labels"], 61, "{looked:#}");
    let done = book.json(&["watch", "--once"]);
    assert!(done["retrained"].is_object(), "{done:#}");
    // Those of the year 2100 came before the training, whatever their time says.
    let again = book.json(&["watch", "--once"]);
    assert_eq!((&again["trains"], &again["n_new_labels"]), (&json!(false), &json!(0)), "{again:#}");
}

#[test]
fn of_several_that_watch_at_the_same_moment_one_trains() {
    let book = labelled(POLICY);
    let watching: Vec<_> = (0..4)
        .map(|_| {
            let mut command = book.command();
            command
                .args(["watch", "--once", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let answers: Vec<Value> = watching
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        })
        .collect();
    let n_trained = answers.iter().filter(|answer| answer["retrained"].is_object()).count();
    assert_eq!(n_trained, 1, "{answers:#?}");
    let begun =
        retrainings(&book).iter().filter(|event| event["details"]["reasons"].is_array()).count();
    assert_eq!(begun, 1);
    assert_eq!(
        book.json(&["models", "show", "SentimentClassifier"])["versions"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn a_training_that_fails_is_written_down_and_its_labels_are_still_to_be_learnt() {
    // Nothing occurs in so many texts.
    let rule = POLICY.replace("\"--ngram\", \"2\"", "\"--min-df\", \"100000\"");
    let book = labelled(&rule.replace("cooldown = \"1h\"", "cooldown = \"2s\""));
    let failed = book.fails(1, &["watch", "--once"]);
    assert!(failed.contains("train tfidf --min-df 100000"), "{failed}");
    let events = retrainings(&book);
    let error = events[0]["details"]["error"].as_str().unwrap();
    assert!(!error.contains('\n'), "{error}");
    let again = book.json(&["watch", "--once", "--dry-run"]);
    assert_eq!((&again["n_new_labels"], &again["lacks_labels"]), (&json!(60), &json!(false)));
    std::thread::sleep(std::time::Duration::from_secs(2));
    let file = book.store().join("policy.toml");
    fs::write(&file, POLICY.replace("cooldown = \"1h\"", "cooldown = \"2s\"")).unwrap();
    book.json(&["gate", "policy", "set", file.to_str().unwrap()]);
    let done = book.json(&["watch", "--once"]);
    assert_eq!(done["retrained"]["passed"], true, "{done:#}");
}

#[test]
fn labels_that_the_training_split_has_are_nothing_to_learn_from() {
    let book = labelled(POLICY);
    let path = book.store().join("logs/predictions.jsonl");
    let log = fs::read_to_string(&path).unwrap();
    // As they are in the training split.
    fs::write(&path, log.replacen("Bussin! ", "", 50)).unwrap();
    let looked = book.json(&["watch", "--once", "--dry-run"]);
    assert_eq!(
        (&looked["n_new_labels"], &looked["trains"]),
        (&json!(10), &json!(false)),
        "{looked:#}"
    );
}

#[test]
fn a_rule_that_cannot_be_followed_is_refused_when_it_is_set() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let file = book.store().join("policy.toml");
    for (from, to, expected) in [
        (
            "\"tfidf\", \"--ngram\", \"2\"",
            "\"svm\"",
            "retrain.train: unrecognized subcommand 'svm'",
        ),
        ("\"--ngram\", \"2\"", "\"--nope\"", "retrain.train: unexpected argument '--nope'"),
        ("\"--ngram\", \"2\"", "\"--c\", \"-3\"", "retrain.train: "),
        ("new_labels", "release = [\"--canary\", \"200%\"]\nnew_labels", "retrain.release: "),
        (
            "new_labels",
            "release = [\"--shadow\", \"--foo\"]\nnew_labels",
            "retrain.release: unexpected argument",
        ),
        (
            "new_labels",
            "texts = \"nosuch\"\nnew_labels",
            "retrain.texts: \"nosuch\" is neither a dataset",
        ),
    ] {
        fs::write(&file, POLICY.replace(from, to)).unwrap();
        for verb in ["check", "set"] {
            let said = book.fails(1, &["gate", "policy", verb, file.to_str().unwrap()]);
            assert!(said.contains(expected), "{to}: {said}");
        }
    }
    assert_eq!(book.json(&["gate", "policy", "show"]), Value::Null);
}

#[test]
fn without_a_rule_or_a_model_it_says_what_to_do() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let said = book.fails(1, &["watch", "--once"]);
    assert!(
        said.contains("the policy has no [retrain]") && said.contains("gate policy set FILE"),
        "{said}"
    );
    let file = book.store().join("policy.toml");
    fs::write(&file, POLICY).unwrap();
    book.json(&["gate", "policy", "set", file.to_str().unwrap()]);
    let said = book.fails(1, &["watch", "Reviews", "--once"]);
    assert!(said.contains("Reviews"), "{said}");
    book.json(&["train", "tfidf", "--data", "sample"]);
    let said = book.fails(1, &["watch", "SentimentClassifier", "--once"]);
    assert!(said.contains("SentimentClassifier has no version in Production"), "{said}");
    let said = book.fails(2, &["watch", "--every", "soon"]);
    assert!(said.contains("\"soon\" is no time"), "{said}");
}

#[test]
fn the_demo_goes_from_drift_to_the_next_version_and_takes_a_bad_one_back() {
    let book = Trialbook::new();
    let done = book.json(&["demo", "--watch"]);
    assert_eq!((&done["quiet"], &done["alert"]), (&json!("ok"), &json!("alert")));
    assert_eq!(done["n_failed"], 0);
    assert_eq!(done["retrained"]["retrained"]["passed"], true, "{:#}", done["retrained"]);
    assert!(done["shadow"]["step"]["n_compared"].as_u64() >= Some(300), "{:#}", done["shadow"]);
    assert_eq!(done["canary"]["release"]["step_idx"], 1);
    assert_eq!(done["taken_back"]["release"]["state"], "taken_back");
    let f1 = |version: u64| {
        let versions = done["measured"]["versions"].as_array().unwrap();
        let of =
            versions.iter().find(|line| line["version"] == version && line["arm"] == "production");
        of.unwrap()["overall"]["measured"]["f1"]["value"].as_f64().unwrap()
    };
    assert!(f1(2) > f1(1), "{} {}", f1(1), f1(2));
    let took_s = done["took_s"].as_f64().unwrap();
    assert!(took_s < 60.0, "{took_s}");
}
