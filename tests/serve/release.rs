//! Releases on running servers: real processes that share a store, under load, killed and cut off.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::follow::{PICKED_UP, Serving, damage, two_versions};
use crate::cli::Trialbook;

pub(super) const MODEL: &str = "SentimentClassifier";

/// What a server answers to a client whose name is in a header, and with which status.
pub(super) fn ask(server: &Serving, client: &str) -> (u16, Value) {
    post(server, "/predict", client, &json!({"text": "wonderful"}))
}

/// What a server answers to `body`, of a client whose name is in a header and the request's id.
pub(super) fn post(server: &Serving, path: &str, client: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    exchange(
        server,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             x-client: {client}\r\nx-request-id: {client}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// Has a server answer `n` requests whose ids begin with `name`, half of them about a good film, and tells it the
/// true label of each, which `truth` knows from the answer. Returns the labels that were answered.
pub(super) fn label(
    server: &Serving,
    name: &str,
    n: usize,
    truth: impl Fn(&Value) -> String,
) -> Vec<String> {
    let mut answered = Vec::new();
    for idx in 0..n {
        let text = if idx % 2 == 0 { "wonderful" } else { "a waste, awful and boring" };
        let id = format!("{name}-{idx}");
        let (status, answer) = post(server, "/predict", &id, &json!({"text": text}));
        assert_eq!(status, 200, "{answer}");
        let given = json!([{"request_id": id, "label": truth(&answer)}]);
        let (status, told) = post(server, "/feedback", &id, &given);
        assert_eq!((status, &told["refused"]), (200, &json!(0)), "{told}");
        answered.push(answer["label"].as_str().unwrap().to_owned());
    }
    answered
}

pub(super) fn other(label: &Value) -> String {
    if label == "positive" { "negative" } else { "positive" }.to_owned()
}

/// What a check says, such as `open`.
pub(super) fn state(told: &Value, check: &str) -> Value {
    let checks = told["judgement"]["checks"].as_array().cloned().unwrap_or_default();
    let found = checks.into_iter().find(|one| one["check"] == check);
    found.map_or(Value::Null, |one| one["state"].clone())
}

pub(super) fn get(server: &Serving, path: &str) -> Value {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    exchange(server, &request).1
}

/// A page as a browser gets it.
pub(super) fn page(server: &Serving, path: &str) -> Value {
    let asked = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nconnection: close\r\n\r\n"
    );
    exchange(server, &asked).1
}

/// Status and body of one exchange; a body that is no JSON comes back as text.
fn exchange(server: &Serving, request: &str) -> (u16, Value) {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| body.into()))
}

pub(super) fn version(server: &Serving, client: &str) -> u64 {
    let (status, answer) = ask(server, client);
    assert_eq!(status, 200, "{answer}");
    answer["model"]["version"].as_u64().unwrap()
}

/// The newest release as a server tells it; null before the server knows of one.
fn told(server: &Serving) -> Value {
    get(server, "/release")["releases"][0].clone()
}

/// Waits until `expected` is true of what the server tells of its release.
#[track_caller]
pub(super) fn until(server: &Serving, limit: Duration, expected: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let found = told(server);
        if expected(&found) {
            return found;
        }
        assert!(started.elapsed() < limit, "after {limit:?} still {found:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Asks `servers` in turn, from two threads, as long as `work` goes on; every answer has to be one. Returns how
/// many there were.
fn under_load(servers: &[&Serving], work: impl FnOnce()) -> usize {
    let (is_over, n_answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let asking: Vec<_> = (0..2)
            .map(|thread_idx| {
                let (is_over, n_answers) = (&is_over, &n_answers);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let n = n_answers.fetch_add(1, Ordering::Relaxed);
                        let (status, answer) =
                            ask(servers[n % servers.len()], &format!("{thread_idx}-{n}"));
                        assert_eq!(status, 200, "{answer}");
                    }
                })
            })
            .collect();
        // Also when an assertion ends it: the scope waits for its threads.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        asking.into_iter().for_each(|asking| asking.join().unwrap());
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    n_answers.into_inner()
}

pub(super) fn start(book: &Trialbook, args: &[&str]) -> Value {
    book.json(&[&["release", "start", "SentimentClassifier/2"], args].concat())
}

pub(super) fn is_live(told: &Value) -> bool {
    told["is_live"] == true && told["release"]["state"] == "running"
}

/// A store whose second version says the opposite of the first.
pub(super) fn opposites() -> Trialbook {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    let rows = book.json(&["sql", "select text, label from sample.train"]);
    let mut csv = String::from("text,label\n");
    for row in rows.as_array().unwrap() {
        let label = if row["label"] == "positive" { "negative" } else { "positive" };
        csv.push_str(&format!(
            "\"{}\",{label}\n",
            row["text"].as_str().unwrap().replace('"', "\"\"")
        ));
    }
    let file = book.store().parent().unwrap().join("opposites.csv");
    std::fs::write(&file, csv).unwrap();
    book.json(&["data", "add", "opposites", file.to_str().unwrap(), "--test-size", "0.2"]);
    book.json(&["train", "tfidf", "--data", "opposites", "--ngram", "1", "--model", MODEL]);
    book
}

#[test]
fn a_canary_gets_its_share_of_the_clients_and_each_client_always_one_version() {
    let book = two_versions();
    let servers = [Serving::start(&book, &[]), Serving::start(&book, &[])];
    start(&book, &["--canary", "30%", "--by", "header:X-Client"]);
    for server in &servers {
        until(server, PICKED_UP, is_live);
    }
    let clients: Vec<String> = (0..400).map(|idx| format!("client-{idx}")).collect();
    let versions: Vec<u64> = clients.iter().map(|client| version(&servers[0], client)).collect();
    let n_candidate = versions.iter().filter(|version| **version == 2).count();
    // Four standard errors round 120.
    assert!((83..=157).contains(&n_candidate), "{n_candidate} of 400");
    for (client, expected) in clients.iter().zip(&versions).take(100) {
        assert_eq!(version(&servers[1], client), *expected, "{client} on the other server");
    }
    let (_, answer) = ask(&servers[0], "client-0");
    let arm = if answer["model"]["version"] == 2 { "candidate" } else { "production" };
    assert_eq!(answer["arm"], arm);
    let health = get(&servers[0], "/health");
    assert_eq!(health["models"][0]["release"]["share"], 0.3, "{health}");

    // Both servers' counts, in every place that shows them.
    let found = until(&servers[0], Duration::from_secs(4), |told| {
        told["step"]["candidate"]["n_requests"].as_u64() > Some(n_candidate as u64)
            && told["n_servers"] == 2
    });
    assert_eq!(found["step"]["candidate"]["n_errors"], 0);
    let status = book.json(&["release", "status"]);
    assert_eq!((&status["n_servers"], &status["release"]["number"]), (&json!(2), &json!(1)));

    let refused = book.fails(1, &["release", "start", "SentimentClassifier/2", "--shadow"]);
    assert!(refused.contains("release 1") && refused.contains("release stop"), "{refused}");
    book.json(&["release", "stop", "--reason", "the test is over"]);
    for server in &servers {
        until(server, PICKED_UP, |told| told["release"]["state"] == "stopped");
        assert!(clients[..50].iter().all(|client| version(server, client) == 1));
        assert!(ask(server, "client-0").1.get("arm").is_none());
    }
    let refused = book.fails(1, &["release", "stop"]);
    assert!(refused.contains("is over, stopped"), "{refused}");
    let actions: Vec<Value> = book.json(&["audit"]).as_array().unwrap()[..2]
        .iter()
        .map(|event| event["action"].clone())
        .collect();
    assert_eq!(actions, ["end_release", "start_release"]);
    assert!(book.json(&["store", "verify"])["problems"].as_array().unwrap().is_empty());
}

#[test]
fn a_shadow_answers_nobody_and_is_compared_and_logged() {
    let book = opposites();
    let server = Serving::start(&book, &[]);
    start(&book, &["--shadow"]);
    until(&server, PICKED_UP, is_live);
    under_load(&[&server], || {
        let found = until(&server, Duration::from_secs(10), |told| {
            told["step"]["n_compared"].as_u64() >= Some(20)
        });
        assert_eq!(found["step"]["agreement"], 0.0, "{found:#}");
        assert!(found["step"]["candidate"]["p95_ms"].as_f64().unwrap() > 0.0);
    });
    for idx in 0..50 {
        let (_, answer) = ask(&server, &format!("client-{idx}"));
        assert_eq!((&answer["model"]["version"], answer.get("arm")), (&json!(1), None));
    }
    let started = Instant::now();
    let query = "select count(*) as n from predictions where version = 2 and label = 'negative'";
    while book.json(&["sql", query])[0]["n"].as_u64() < Some(20) {
        assert!(started.elapsed() < PICKED_UP, "the shadow's predictions are not logged");
    }
    // It goes on as a canary, whose bound it does not hold.
    let canary = book.json(&["release", "promote", "--canary", "50%"]);
    assert_eq!(
        (&canary["release"]["kind"], &canary["release"]["number"]),
        (&json!("canary"), &json!(2))
    );
    until(&server, PICKED_UP, |told| is_live(told) && told["release"]["number"] == 2);
}

#[test]
fn a_candidate_out_of_bounds_is_taken_back_and_no_request_fails() {
    let book = opposites();
    let servers = [Serving::start(&book, &[]), Serving::start(&book, &[])];
    for (number, args, check) in
        [(1, ["--min-agreement", "0.9"], "agreement"), (2, ["--max-p95", "0.001ms"], "p95")]
    {
        let n_answers = under_load(&[&servers[0], &servers[1]], || {
            start(&book, &[&["--canary", "50%", "--by", "request"][..], &args].concat());
            until(&servers[0], Duration::from_secs(10), |told| {
                told["release"]["number"] == number && told["release"]["state"] == "taken_back"
            });
            let taken_back = Instant::now();
            for server in &servers {
                until(server, PICKED_UP, |told| told["is_live"] == false);
            }
            assert!(taken_back.elapsed() < PICKED_UP);
            (0..50).for_each(|idx| assert_eq!(version(&servers[1], &format!("late-{idx}")), 1));
        });
        assert!(n_answers > 50, "{n_answers}");
        let status = book.json(&["release", "status"]);
        let reason = status["release"]["reason"].as_str().unwrap();
        assert!(reason.starts_with(check), "{reason}");
        assert!(status["release"]["evidence"]["checks"].is_array(), "{status:#}");
        let event = &book.json(&["audit"])[0];
        assert_eq!(
            (&event["action"], &event["subject"]),
            (&json!("take_back_release"), &json!("SentimentClassifier/2"))
        );
    }
    let metrics = servers.iter().map(|server| get(server, "/metrics"));
    let told: Vec<String> = metrics.map(|text| text.as_str().unwrap().to_owned()).collect();
    assert!(told.iter().any(|text| text.contains("model_releases_taken_back_total{")), "{told:?}");
}

/// A disk that does not answer: a reader of this file waits for ever.
#[test]
fn a_disk_that_hangs_keeps_no_candidate_from_being_taken_back() {
    let book = opposites();
    let server = Serving::start(&book, &[]);
    let started = start(&book, &["--canary", "50%", "--by", "request", "--min-agreement", "0.9"]);
    until(&server, PICKED_UP, is_live);
    let id = started["release"]["id"].as_str().unwrap();
    let counts = book.store().join("logs/releases").join(id);
    let since = Instant::now();
    while !counts.is_dir() {
        assert!(since.elapsed() < PICKED_UP, "no counts in {counts:?}");
        thread::sleep(Duration::from_millis(20));
    }
    let made = std::process::Command::new("mkfifo").arg(counts.join("hangs.json")).status();
    assert!(made.unwrap().success());
    // The server shares its counts once a second.
    thread::sleep(Duration::from_millis(1_500));
    under_load(&[&server], || {
        until(&server, Duration::from_secs(10), |told| told["release"]["state"] == "taken_back");
    });
    assert_eq!(version(&server, "anybody"), 1);
}

#[test]
fn a_candidate_that_cannot_be_loaded_is_taken_back() {
    let book = two_versions();
    let server = Serving::start(&book, &[]);
    damage(&book, "SentimentClassifier/2");
    start(&book, &["--canary", "50%"]);
    let found = until(&server, PICKED_UP, |told| told["release"]["state"] == "taken_back");
    assert_eq!(found["release"]["reason"], "version 2 could not be loaded");
    assert_eq!(version(&server, "anybody"), 1);
}

#[test]
fn steps_go_on_once_each_through_kills_and_end_in_a_promotion() {
    let book = two_versions();
    let steady = Serving::start(&book, &[]);
    start(&book, &["--canary", "20%:1s,50%:1s,100%:1s", "--by", "request", "--min-n", "5"]);
    until(&steady, PICKED_UP, is_live);
    under_load(&[&steady], || {
        for step_idx in 0..3 {
            // Killed in the middle of each step, with SIGKILL.
            let mut doomed = Serving::start(&book, &[]);
            until(&doomed, PICKED_UP, is_live);
            let _ = doomed.child.kill();
            until(&steady, Duration::from_secs(15), |told| {
                told["release"]["step_idx"].as_u64() >= Some(step_idx)
            });
        }
        until(&steady, Duration::from_secs(15), |told| told["judgement"]["decision"] == "ready");
    });
    let n_steps = book
        .json(&["audit"])
        .as_array()
        .unwrap()
        .iter()
        .fold(0, |n, event| n + usize::from(event["action"] == "advance_release"));
    assert_eq!(n_steps, 2);
    assert_eq!(version(&steady, "anybody"), 2, "at 100 %");
    let blocked = book.fails(3, &["release", "promote"]);
    assert!(blocked.contains("gate"), "{blocked}");
    let done = book.json(&["release", "promote", "--force", "--reason", "the test says so"]);
    assert_eq!(
        (&done["promotion"]["to"], &done["release"]["state"]),
        (&json!("Production"), &json!("promoted"))
    );
    until(&steady, PICKED_UP, |told| told["release"]["state"] == "promoted");
    // Also in the moment between the end of the release and the change of Production.
    let started = Instant::now();
    while ask(&steady, "anybody").1.get("arm").is_some() {
        assert_eq!(version(&steady, "anybody"), 2);
        assert!(started.elapsed() < PICKED_UP);
    }
    assert_eq!(version(&steady, "anybody"), 2);
}

#[test]
fn a_promotion_of_another_version_ends_a_release() {
    let book = two_versions();
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--c", "2"]);
    let server = Serving::start(&book, &[]);
    start(&book, &["--canary", "50%"]);
    until(&server, PICKED_UP, is_live);
    book.json(&["promote", MODEL, "3", "--force", "--reason", "the test says so"]);
    let found = until(&server, PICKED_UP, |told| told["release"]["state"] == "stopped");
    assert_eq!(found["release"]["reason"], "version 3 took Production, where version 1 was");
    let refused = book.fails(1, &["release", "start", "SentimentClassifier/3", "--shadow"]);
    assert!(refused.contains("in Production already"), "{refused}");
}

#[test]
fn a_server_that_cannot_see_its_registry_goes_on_for_a_while_and_then_alone() {
    let book = two_versions();
    let server = Serving::start(&book, &["--release-wait", "2"]);
    start(&book, &["--canary", "100%"]);
    until(&server, PICKED_UP, is_live);
    let started = Instant::now();
    // The server may write its log into a folder that is just being emptied.
    while let Err(error) = std::fs::remove_dir_all(book.store()) {
        assert!(started.elapsed() < PICKED_UP, "{error}");
    }
    let gone = Instant::now();
    assert_eq!(version(&server, "anybody"), 2, "for a while");
    until(&server, Duration::from_secs(5), |told| told["is_live"] == false);
    assert!(gone.elapsed() >= Duration::from_secs(1), "{:?}", gone.elapsed());
    assert_eq!(version(&server, "anybody"), 1);
}

/// A server's registry knows no transaction: two tags of the model hold the release.
#[test]
fn a_release_lives_in_a_registry_elsewhere_and_waits_while_that_is_away() {
    let (book, elsewhere) = (Trialbook::new(), tempfile::tempdir().unwrap());
    let central = super::remote::central(elsewhere.path(), 0);
    let (port, url) = (central.addr().port(), central.url());
    let ask_book = |args: &[&str]| book.json(&[&["--registry", url.as_str()], args].concat());
    book.json(&["data", "sample"]);
    ask_book(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    ask_book(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--c", "1"]);
    let server =
        Serving::start(&book, &["--registry", &url, "--model", MODEL, "--release-wait", "2"]);
    let started = ask_book(&["release", "start", "SentimentClassifier/2", "--canary", "100%"]);
    assert_eq!(started["release"]["state"], "running");
    let again = book
        .fails(1, &["--registry", &url, "release", "start", "SentimentClassifier/2", "--shadow"]);
    assert!(again.contains("release 1"), "{again}");
    let patience = Duration::from_secs(15);
    until(&server, patience, is_live);
    assert_eq!(version(&server, "anybody"), 2);

    central.stop().unwrap();
    until(&server, patience, |told| told["is_live"] == false);
    assert_eq!(version(&server, "anybody"), 1, "Production alone");
    let central = super::remote::central(elsewhere.path(), port);
    until(&server, patience, is_live);
    assert_eq!(version(&server, "anybody"), 2);

    ask_book(&["release", "stop", MODEL, "--reason", "the test is over"]);
    until(&server, patience, |told| told["release"]["state"] == "stopped");
    assert_eq!(version(&server, "anybody"), 1);
    // What it is judged by besides counts lies in the server's own logs.
    let bounds = ["--canary", "100%", "--min-f1", "0.9", "--max-drift", "alert"];
    ask_book(&[&["release", "start", "SentimentClassifier/2"][..], &bounds].concat());
    let found = until(&server, patience, |told| is_live(told) && state(told, "f1") == "open");
    assert_eq!(found["release"]["bounds"]["min_f1"], 0.9);
    label(&server, "labelled", 60, |answer| other(&answer["label"]));
    let found = until(&server, patience, |told| told["release"]["state"] == "taken_back");
    let reason = found["release"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("f1: 0.0000 by "), "{reason}");
    ask_book(&["release", "start", "SentimentClassifier/2", "--shadow"]);
    let done = ask_book(&["release", "promote", MODEL, "--force", "--reason", "the test says so"]);
    assert_eq!(done["release"]["state"], "promoted", "{done}");
    until(&server, patience, |told| told["release"]["state"] == "promoted");
    drop(server);
    central.stop().unwrap();
}
