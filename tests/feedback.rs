//! True labels against real servers and the program: acknowledged is kept, whatever happens next; in any order, from
//! many clients, for requests that never were; and what is made of them.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{cli::Trialbook, serve::follow::Serving};

/// Longer than a server lets predictions gather before it writes them.
const FLUSHED: Duration = Duration::from_millis(600);

fn served(args: &[&str]) -> (Trialbook, Serving) {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    let server = Serving::start(&book, args);
    (book, server)
}

/// Sends one request and returns status and body.
fn call(server: &Serving, request: &str, headers: &[&str], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn post(server: &Serving, path: &str, body: &Value) -> Value {
    let json = ["content-type: application/json"];
    let (status, answer) = call(server, &format!("POST {path}"), &json, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

fn labels_file(book: &Trialbook) -> PathBuf {
    book.store().join("logs/labels.jsonl")
}

/// Predicts texts of the test split as one batch: the id of the request, and each text's true label.
fn predict(book: &Trialbook, server: &Serving, n: usize) -> (String, Vec<(String, String)>) {
    let query = format!("select text, label from sample.test limit {n}");
    let rows = book.json(&["sql", &query]);
    let rows: Vec<(String, String)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (row["text"].as_str().unwrap().to_owned(), row["label"].as_str().unwrap().to_owned())
        })
        .collect();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    let answers = post(server, "/predict/batch", &json!({"texts": texts}));
    (answers[0]["request_id"].as_str().unwrap().to_owned(), rows)
}

fn send(server: &Serving, labels: &Value) -> Value {
    post(server, "/feedback", labels)
}

#[test]
fn an_acknowledged_label_outlives_a_server_that_is_killed() {
    let (book, server) = served(&["--log-text", "full"]);
    let (id, rows) = predict(&book, &server, 40);
    thread::sleep(FLUSHED);
    for (index, (_, label)) in rows.iter().enumerate() {
        let told = send(&server, &json!({"request_id": id, "index": index, "label": label}));
        assert_eq!(told["accepted"], 1, "{told}");
    }
    // SIGKILL.
    drop(server);
    let performance = book.json(&["monitor", "performance", "--window", "10"]);
    let version = &performance["versions"][0];
    assert_eq!(version["overall"]["n_labelled"], 40, "{performance}");
    assert_eq!(version["windows"].as_array().unwrap().len(), 4);
    assert!(version["overall"]["measured"]["f1"]["value"].as_f64().unwrap() > 0.5, "{version}");
    assert!(version["overall"]["beside"]["f1_held"].is_boolean(), "{version}");
    // The next server knows them.
    let server = Serving::start(&book, &[]);
    let again = send(&server, &json!([{"request_id": id, "index": 3, "label": rows[3].1}]));
    assert_eq!((&again["unchanged"], &again["accepted"]), (&json!(1), &json!(0)), "{again}");
}

#[test]
fn labels_for_requests_that_never_were_are_counted_and_kept() {
    let (book, server) = served(&["--log-text", "full"]);
    let (id, _) = predict(&book, &server, 2);
    let told = send(
        &server,
        &json!([
            {"request_id": id, "label": "positive"},
            {"request_id": id, "index": 1, "label": "great"},
            {"request_id": id, "index": 7, "label": "positive"},
            {"request_id": "never", "label": "positive"},
            {"request_id": "never"},
        ]),
    );
    let outcomes: Vec<&str> = told["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["accepted", "refused", "unmatched", "unmatched", "refused"], "{told}");
    assert_eq!(told["labels"][3]["status"], 404);
    let refused = told["labels"][1]["error"].as_str().unwrap();
    assert!(refused.contains("\"great\"") && refused.contains("negative, positive"), "{refused}");
    let metrics = call(&server, "GET /metrics", &[], "").1;
    assert!(metrics.contains("labels_total{outcome=\"unmatched\"} 2"), "{metrics}");
    // Another server's prediction becomes visible: the label that was waiting for it counts.
    thread::sleep(FLUSHED);
    let before = book.json(&["monitor", "performance"]);
    assert_eq!(
        (&before["n_unmatched"], &before["versions"][0]["overall"]["n_labelled"]),
        (&json!(2), &json!(1))
    );
    let log = book.store().join("logs/predictions.jsonl");
    let mut record: Value =
        serde_json::from_str(fs::read_to_string(&log).unwrap().lines().next().unwrap()).unwrap();
    record["request_id"] = json!("never");
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    writeln!(file, "{record}").unwrap();
    let after = book.json(&["monitor", "performance"]);
    assert_eq!(
        (&after["n_unmatched"], &after["versions"][0]["overall"]["n_labelled"]),
        (&json!(1), &json!(2))
    );
    // A correction of the same source takes the earlier word's place, and can be taken back.
    for (label, outcome) in [
        (json!("negative"), "corrected"),
        (json!("negative"), "unchanged"),
        (json!(null), "corrected"),
    ] {
        let told = send(&server, &json!({"request_id": id, "label": label}));
        assert_eq!(told[outcome], 1, "{told}");
    }
    assert_eq!(book.json(&["monitor", "performance"])["versions"][0]["overall"]["n_labelled"], 1);
}

#[test]
fn sixteen_clients_lose_nothing_and_count_nothing_twice() {
    let (book, server) = served(&[]);
    let (id, rows) = predict(&book, &server, 160);
    let accepted: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..16_usize)
            .map(|client| {
                let (server, id, rows) = (&server, &id, &rows);
                scope.spawn(move || {
                    // Two clients send each label, one by one and as a list.
                    let first = client / 2 * 20;
                    let labels: Vec<Value> = (first..first + 20)
                        .map(|index| json!({"request_id": id, "index": index, "label": rows[index].1}))
                        .collect();
                    let told: Vec<Value> = match client % 2 {
                        0 => labels.iter().map(|label| send(server, label)).collect(),
                        _ => vec![send(server, &json!(labels))],
                    };
                    told.iter().map(|told| told["accepted"].as_u64().unwrap()).sum::<u64>()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(accepted, 160);
    let lines = fs::read_to_string(labels_file(&book)).unwrap();
    let texts: BTreeSet<u64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap_or(0))
        .collect();
    assert_eq!((texts.len(), lines.lines().count()), (160, 160));
}

#[test]
fn pages_live_with_clocks_that_jump() {
    let (book, server) = served(&["--log-text", "full"]);
    let (id, _) = predict(&book, &server, 3);
    thread::sleep(FLUSHED);
    let log = book.store().join("logs/predictions.jsonl");
    let mut record: Value =
        serde_json::from_str(fs::read_to_string(&log).unwrap().lines().next().unwrap()).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    for at_ms in [i64::MIN, 0, 4_102_444_800_000, i64::MAX] {
        record["timestamp_ms"] = json!(at_ms);
        record["request_id"] = json!(format!("jumped{at_ms}"));
        writeln!(file, "{record}").unwrap();
    }
    let json = ["content-type: application/json"];
    let label = json!({"request_id": id, "label": "positive", "timestamp_ms": i64::MAX});
    // A clock that is ahead: the label is said now.
    let (status, taken) = call(&server, "POST /feedback", &json, &label.to_string());
    assert!(status == 200 && taken.contains("\"accepted\":1"), "{status} {taken}");
    let kept = fs::read_to_string(book.store().join("logs/labels.jsonl")).unwrap();
    let kept: Value = serde_json::from_str(kept.lines().last().unwrap()).unwrap();
    assert!(kept["timestamp_ms"].as_i64().unwrap() < 4_102_444_800_000, "{kept}");
    for path in [
        "/ui/predictions",
        "/ui/predictions?window=1h",
        "/ui/performance?window=1s",
        "/ui/label",
        "/drift",
        "/metrics",
        "/health",
    ] {
        let (status, body) = call(&server, &format!("GET {path}"), &[], "");
        assert!(status < 500, "{path}: {status} {body}");
    }
    let stats = call(&server, "GET /ui/predictions", &["accept: application/json"], "").1;
    assert!(stats.contains("\"n_predictions\":7"), "{stats}");
}

#[test]
fn a_line_of_a_stream_is_labelled_by_its_number() {
    let (book, server) = served(&["--log-text", "full"]);
    let body = "{\"text\":\"a wonderful film\"}\n\nnonsense\n{\"text\":\"a boring film\"}\n";
    let headers = ["content-type: application/x-ndjson", "x-request-id: stream-7"];
    let (_, answer) = call(&server, "POST /predict/batch", &headers, body);
    assert!(answer.contains("\"line\":4"), "{answer}");
    let told = send(&server, &json!([{"request_id": "stream-7", "line": 4, "label": "negative"}]));
    assert_eq!(told["accepted"], 1, "{told}");
    thread::sleep(FLUSHED);
    let rows = book.json(&["monitor", "sample", "-n", "9", "--by", "random"]);
    let texts: Vec<&str> =
        rows["texts"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["a wonderful film"], "the other one has its label");
}

#[test]
fn a_file_of_labels_becomes_a_dataset_and_a_model() {
    let (book, server) = served(&["--log-text", "full"]);
    let (id, rows) = predict(&book, &server, 120);
    thread::sleep(FLUSHED);
    let out = book.store().join("to_label.csv");
    let sample = book.json(&[
        "monitor",
        "sample",
        "-n",
        "100",
        "--by",
        "random",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(sample["texts"].as_array().unwrap().len(), 100);
    let picked = fs::read_to_string(&out).unwrap();
    assert!(picked.starts_with("request_id,index,text,label,sampled_by\n"), "{picked}");
    assert!(!picked.contains("prediction"), "it would sway people");
    // What people write: the labels, and two slips.
    let mut answers = "request_id,index,label,sampled_by\n".to_owned();
    for text in sample["texts"].as_array().unwrap() {
        let index = text["index"].as_u64().unwrap();
        answers.push_str(&format!("{id},{index},{},random\n", rows[index as usize].1));
    }
    answers.push_str(&format!(
        "{id},1x,positive,random\n{id},0,lovely,random\nnever,0,positive,\n{id},5,,\n"
    ));
    let file = book.store().join("answers.csv");
    fs::write(&file, answers).unwrap();
    let first =
        book.json(&["monitor", "label", file.to_str().unwrap(), "--source", "annotator:ann"]);
    assert_eq!(
        (&first["accepted"], &first["refused"], &first["unmatched"], &first["blank"]),
        (&json!(100), &json!(2), &json!(1), &json!(1)),
        "{first}"
    );
    let faults = first["faults"].to_string();
    assert!(faults.contains("line 102: index") && faults.contains("line 103: label"), "{faults}");
    let before = fs::read(labels_file(&book)).unwrap();
    let again =
        book.json(&["monitor", "label", file.to_str().unwrap(), "--source", "annotator:ann"]);
    assert_eq!((&again["accepted"], &again["unchanged"]), (&json!(0), &json!(100)), "{again}");
    assert_eq!(
        fs::read(labels_file(&book)).unwrap(),
        before,
        "the same file twice changes nothing"
    );
    let text = book.call(&["monitor", "performance"]).stdout;
    assert!(
        text.contains("100 of 120 predictions labelled") && !text.contains("no random sample"),
        "{text}"
    );
    let left = book.json(&["monitor", "sample", "-n", "100"]);
    assert_eq!(left["texts"].as_array().unwrap().len(), 20, "never what is labelled");

    let made = book.json(&["data", "from-feedback", "labelled", "--test-size", "0.3"]);
    let lineage = &made["dataset"]["feedback"];
    assert_eq!(
        (&lineage["sources"]["annotator:ann"], &lineage["versions"]),
        (&lineage["n_labels"], &json!([1]))
    );
    let shown = book.call(&["data", "show", "labelled"]).stdout;
    assert!(shown.contains("true labels of predictions of SentimentClassifier"), "{shown}");
    let trained =
        book.json(&["train", "tfidf", "--data", "labelled", "--ngram", "1", "--min-df", "1"]);
    assert!(trained["run_id"].is_string(), "{trained}");
}

#[test]
fn a_hashed_log_finds_its_texts_in_a_dataset() {
    let (book, server) = served(&[]);
    let (id, rows) = predict(&book, &server, 30);
    thread::sleep(FLUSHED);
    let refused = book.fails(1, &["monitor", "sample"]);
    assert!(refused.contains("serve --log-text full") && refused.contains("--texts"), "{refused}");
    let picked =
        book.json(&["monitor", "sample", "-n", "30", "--by", "random", "--texts", "sample.test"]);
    let texts = picked["texts"].as_array().unwrap();
    assert_eq!(texts.len(), 30);
    for text in texts {
        assert_eq!(text["text"], json!(rows[text["index"].as_u64().unwrap() as usize].0));
    }
    let labels: Vec<Value> =
        (0..30).map(|index| json!({"id": id, "index": index, "label": rows[index].1})).collect();
    send(&server, &json!(labels));
    let refused = book.fails(1, &["data", "from-feedback", "labelled"]);
    assert!(refused.contains("--texts"), "{refused}");
    let made = book.json(&["data", "from-feedback", "labelled", "--texts", "sample"]);
    assert_eq!(
        made["dataset"]["feedback"]["sampled_by"],
        json!({"unknown": made["dataset"]["feedback"]["n_labels"]})
    );
}

/// Of two servers one keeps texts and the other hashes: what is picked at random stands for one of them alone.
#[test]
fn a_random_sample_of_known_texts_alone_is_not_called_one_of_all() {
    let (book, server) = served(&["--log-text", "full"]);
    predict(&book, &server, 20);
    thread::sleep(FLUSHED);
    let model = "SentimentClassifier";
    let whole = book.json(&["monitor", "sample", &format!("{model}/1"), "--by", "random"]);
    assert_eq!(whole["sampled_by"], "random", "{whole}");
    drop(server);
    let server = Serving::start(&book, &[]);
    predict(&book, &server, 30);
    thread::sleep(FLUSHED);
    for (name, nulls) in [("part.csv", 0), ("part.jsonl", 20)] {
        let out = book.store().join(name);
        let part = ["monitor", "sample", "--by", "random", "--out", out.to_str().unwrap()];
        let told = book.call(&part).stdout;
        assert!(
            told.contains("30 predictions passed over") && told.contains("not marked"),
            "{told}"
        );
        let written = fs::read_to_string(&out).unwrap();
        let marks = [",random\n", "\"sampled_by\":\"random\""];
        assert!(!marks.iter().any(|mark| written.contains(mark)), "{written}");
        assert_eq!(written.matches("\"sampled_by\":null").count(), nulls, "{written}");
        assert!(!written.contains("\"label\":null"), "it would take labels back: {written}");
        let blank = book.json(&["monitor", "label", out.to_str().unwrap()]);
        assert_eq!((&blank["blank"], &blank["refused"]), (&json!(20), &json!(0)), "{blank}");
    }
    let other = book.json(&["monitor", "sample", "--by", "uncertainty"]);
    assert_eq!(other["sampled_by"], "uncertainty");
    assert_eq!(
        book.json(&["monitor", "performance", &format!("{model}/1")])["versions"][0]["version"],
        1
    );
    for verb in ["performance", "sample"] {
        let refused = book.fails(1, &["monitor", verb, &format!("{model}/9")]);
        assert!(
            refused.contains("9") && !refused.contains("\"SentimentClassifier/9\""),
            "{refused}"
        );
    }
    let refused = book.fails(1, &["monitor", "stats", "--model", "Nope"]);
    assert!(refused.contains("Nope"), "{refused}");
}

/// A file says what a request says, by the same names.
#[test]
fn a_file_of_labels_says_what_a_request_says() {
    let (book, server) = served(&["--log-text", "full"]);
    let (id, rows) = predict(&book, &server, 40);
    thread::sleep(FLUSHED);
    let write = |name: &str, text: String| {
        let file = book.store().join(name);
        fs::write(&file, text).unwrap();
        book.json(&["monitor", "label", file.to_str().unwrap()])
    };
    let lines: String = (0..40).map(|row| format!("{id},{},{}\n", row + 1, rows[row].1)).collect();
    let told = write("lines.csv", format!("id,line,label\n{lines}"));
    assert_eq!((&told["accepted"], &told["refused"]), (&json!(40), &json!(0)), "{told}");
    let line = |more: &str| format!("{{\"request_id\":\"{id}\",\"index\":0{more}}}\n");
    let back = write("back.jsonl", line(",\"label\":null") + &line(",\"source\":\"ann\""));
    assert_eq!((&back["corrected"], &back["blank"]), (&json!(1), &json!(1)), "{back}");
    let performance = book.json(&["monitor", "performance"]);
    let overall = &performance["versions"][0]["overall"];
    assert_eq!(overall["n_labelled"], 39, "{performance}");
    for metric in ["ece", "brier"] {
        let found = &overall["measured"][metric];
        let [lower, value, upper] = ["lower", "value", "upper"].map(|part| found[part].as_f64());
        assert!(lower.is_some() && lower <= value && value <= upper && lower < upper, "{found}");
    }
    // What is wrong with the form and what with the class, in the order of the file.
    let faults = format!(
        "request_id,index,line,label\n{id},0,,odd\n{id},x,,positive\n{id},0,1,positive\n{id},,0,positive\n{id},1,,odd\n{id},2,,odd\n"
    );
    let faults = write("faults.csv", faults);
    assert_eq!(faults["refused"], 6, "{faults}");
    let told: Vec<&str> =
        faults["faults"].as_array().unwrap().iter().map(|fault| fault.as_str().unwrap()).collect();
    let starts =
        ["line 2: label \"odd\"", "line 3: index", "line 4: both", "line 5: line", "line 6: label"];
    assert_eq!(told.len(), starts.len());
    for (fault, start) in told.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}");
    }
}

/// A hint can be followed, or is not given.
#[test]
fn what_the_verbs_on_labels_refuse_can_be_followed() {
    let (book, server) = served(&[]);
    let (id, rows) = predict(&book, &server, 40);
    let labels: Vec<Value> =
        (0..40).map(|index| json!({"id": id, "index": index, "label": rows[index].1})).collect();
    send(&server, &json!(labels));
    thread::sleep(FLUSHED);
    let file = |name: &str, text: &str| {
        let file = book.store().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (bodies, policy) = (file("t1.csv", "alpha,beta\na,b\n"), file("pol.toml", "x = 1\n"));
    for args in [
        ["monitor", "sample", "--texts", &bodies],
        ["monitor", "sample", "--texts", &policy],
        ["monitor", "drift", "--data", &bodies],
        ["monitor", "drift", "--data", &policy],
    ] {
        let refused = book.fails(1, &args);
        assert!(!refused.contains("--text-column") && !refused.contains("--format"), "{refused}");
        assert!(
            refused.contains("column of the texts") || refused.contains("trialbook reads"),
            "{refused}"
        );
    }
    let gone = book.fails(1, &["monitor", "label", "nosuch.csv"]);
    assert!(gone.contains("nosuch.csv") && !gone.contains("columns"), "{gone}");
    let without = book.fails(1, &["monitor", "label", &bodies]);
    assert!(without.contains("no column \"request_id\"") && without.contains("hint"), "{without}");
    let made = book.call(&["data", "from-feedback", "labelled", "--texts", "sample"]).stdout;
    assert!(!made.contains("--columns") && !made.contains("as chosen"), "{made}");
    assert!(made.contains("positive is the positive class, as for SentimentClassifier"), "{made}");
    for (args, expected) in [
        (&["monitor", "sample", "-n", "0"][..], "expected 1 or more"),
        (&["monitor", "sample", "--last", "0d"], "\"0d\" is no time"),
        (&["monitor", "performance", "--last", "-5h"], "\"-5h\" has a sign"),
        (&["monitor", "stats", "--last", "7"], "\"7\" is neither a date nor a duration"),
    ] {
        let refused = book.fails(2, args);
        assert!(refused.contains(expected), "{refused}");
    }
    let headers = ["content-type: application/json"];
    let (status, empty) = call(&server, "POST /feedback", &headers, "[]");
    assert!(status == 422 && empty.contains("too_short"), "{status}: {empty}");
}

#[test]
fn labels_need_a_key_that_may_write() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    let key = |name: &str, scope: &str| {
        book.json(&["keys", "add", name, "--scope", scope])["key"].as_str().unwrap().to_owned()
    };
    let (predict, write) = (key("web", "predict"), key("team", "write"));
    let server = Serving::start(&book, &[]);
    let status = |key: &str| {
        let key = format!("x-api-key: {key}");
        let body = r#"{"request_id":"r","label":"positive"}"#;
        call(&server, "POST /feedback", &[&key, "content-type: application/json"], body).0
    };
    assert_eq!([status("nothing"), status(&predict), status(&write)], [401, 403, 200]);
}
