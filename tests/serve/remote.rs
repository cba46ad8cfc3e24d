//! A registry that a server of ours keeps: a whole life in it, a server that follows it and outlives it,
//! and what it refuses. MLflow's own server is asked in `tests/tracking`.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use trialbook::{
    ErrorKind,
    registry::{AuditQuery, Registry},
    store::Store,
};
use trialbook_program::serve::{Credentials, ServeConfig, Server, client, health_check};

use super::follow::Serving;
use crate::cli::Trialbook;

/// Two looks of a server and the time of its answers.
const FOLLOWED: Duration = Duration::from_secs(15);

/// A server that keeps a registry in `folder`.
pub(super) fn central(folder: &Path, port: u16) -> Server {
    let store = Store::new(folder);
    let config = ServeConfig { serves: false, log: None, port, ..ServeConfig::new(store) };
    Server::start(&config).unwrap()
}

#[track_caller]
fn within(expected: impl Fn() -> bool) {
    let started = Instant::now();
    while !expected() {
        assert!(started.elapsed() < FOLLOWED, "not after {FOLLOWED:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn version_that_answers(serving: &Serving) -> Value {
    serving.ask("/predict").unwrap()["model"]["version"].clone()
}

fn problem(serving: &Serving) -> Option<String> {
    health_check(&serving.url, &Credentials::default()).unwrap().problem
}

#[test]
fn a_model_lives_its_whole_life_in_a_registry_elsewhere() {
    let (book, elsewhere) = (Trialbook::new(), tempfile::tempdir().unwrap());
    let server = central(elsewhere.path(), 0);
    let (port, url) = (server.addr().port(), server.url());
    let ask = |args: &[&str]| book.json(&[&["--registry", url.as_str()], args].concat());
    book.json(&["data", "sample"]);
    let worse = ["train", "tfidf", "--data", "sample", "--max-features", "2000"];
    assert_eq!(ask(&[&worse[..], &["--deploy"]].concat())["stage"], "Production");
    let follow = ["--registry", url.as_str(), "--model", "SentimentClassifier"];
    let serving = Serving::start(&book, &follow);
    assert_eq!(version_that_answers(&serving), 1);

    ask(&["train", "tfidf", "--data", "sample"]);
    let refused = book.fails(3, &["--registry", &url, "promote", "SentimentClassifier", "2"]);
    assert!(refused.contains("it was never gated"), "{refused}");
    let verdict = ask(&["gate", "SentimentClassifier", "2"]);
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert_eq!(ask(&["promote", "SentimentClassifier", "2"])["archived"], 1);
    within(|| version_that_answers(&serving) == 2);
    let back = ask(&["rollback", "SentimentClassifier", "--reason", "bad news"]);
    assert_eq!((&back["from"], &back["to"]), (&json!(2), &json!(1)));
    within(|| version_that_answers(&serving) == 1);

    // What the store there says is what was done here.
    let registry = Registry::open(&Store::new(elsewhere.path())).unwrap();
    let versions = registry.versions("SentimentClassifier").unwrap();
    assert_eq!(versions[1].lineage.dataset, "sample");
    assert!(versions[1].verdict.as_ref().is_some_and(|verdict| verdict["passed"] == true));
    let shown = ask(&["models", "show", "SentimentClassifier/2"]);
    assert_eq!(shown["history"].as_array().map(Vec::len), Some(2), "{shown}");
    assert_eq!(shown["metrics"], verdict["candidate"]["metrics"]);
    let events = registry.audit(&AuditQuery::default()).unwrap();
    assert!(events.iter().any(|event| event.action.to_string() == "rollback"));
    let runs = ask(&["runs", "list"]);
    let run = runs[0]["run_id"].as_str().unwrap();
    let shown = ask(&["runs", "show", run]);
    assert_eq!(shown["params"]["model"], "tfidf");
    let told = shown["artifacts"].as_array().unwrap();
    let stored = registry.artifacts(run).unwrap();
    assert_eq!(told.len(), stored.len());
    for (told, stored) in told.iter().zip(&stored) {
        assert_eq!(told["sha256"], stored.sha256, "{}", stored.path);
    }
    drop(registry);

    // Away: what is loaded answers, a new server starts from its copy, and commands say who is silent.
    server.stop().unwrap();
    within(|| problem(&serving).is_some_and(|problem| problem.contains("does not answer")));
    assert_eq!(version_that_answers(&serving), 1);
    let copy = Serving::start(&book, &follow);
    assert_eq!(version_that_answers(&copy), 1);
    assert!(problem(&copy).is_some());
    let silent = book.fails(1, &["--registry", &url, "runs", "list"]);
    assert!(silent.contains(&url) && silent.contains("--registry"), "{silent}");
    let unknown = book.fails(1, &["--registry", &url, "serve", "--model", "Other", "--port", "0"]);
    assert!(unknown.contains("no copy here"), "{unknown}");

    // Back again.
    let server = central(elsewhere.path(), port);
    within(|| problem(&serving).is_none() && problem(&copy).is_none());
    ask(&["promote", "SentimentClassifier", "2", "--gate"]);
    within(|| version_that_answers(&serving) == 2 && version_that_answers(&copy) == 2);
    server.stop().unwrap();
}

#[test]
fn a_file_that_is_damaged_here_or_there_is_not_used() {
    let (book, elsewhere) = (Trialbook::new(), tempfile::tempdir().unwrap());
    let server = central(elsewhere.path(), 0);
    let url = server.url();
    book.json(&["data", "sample"]);
    let remote = |args: &[&'static str]| -> Vec<String> {
        ["--registry", url.as_str()].iter().chain(args).map(|&word| word.to_owned()).collect()
    };
    let call = |words: &[String]| book.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(call(&remote(&["train", "tfidf", "--data", "sample"])).code, 0);
    let predict = remote(&["predict", "--model", "SentimentClassifier", "good film"]);
    assert_eq!(call(&predict).code, 0);
    let files = |root: &Path| -> Vec<_> {
        let shards = fs::read_dir(root).unwrap().map(|shard| shard.unwrap().path());
        let files =
            shards.filter(|shard| shard.is_dir()).flat_map(|shard| fs::read_dir(shard).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    };
    let cache = files(&book.store().join("cache/artifacts"));
    assert!(!cache.is_empty());
    // A copy that is damaged is fetched again.
    for file in &cache {
        fs::write(file, b"damaged").unwrap();
    }
    let answer = call(&predict);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    // One that is damaged on the server is refused.
    for file in files(&book.store().join("cache/artifacts")) {
        fs::remove_file(file).unwrap();
    }
    for file in files(&elsewhere.path().join("artifacts")) {
        let mut bytes = fs::read(&file).unwrap();
        bytes[0] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let answer = call(&predict);
    assert_eq!(answer.code, 1, "{}", answer.stdout);
    assert!(answer.stderr.contains("SentimentClassifier"), "{}", answer.stderr);
    assert!(files(&book.store().join("cache/artifacts")).is_empty());
    server.stop().unwrap();
}

#[test]
fn what_takes_a_store_s_own_registry_says_so_and_no_secret_is_shown() {
    let (book, elsewhere) = (Trialbook::new(), tempfile::tempdir().unwrap());
    let server = central(elsewhere.path(), 0);
    let url = server.url();
    let secret = url.replace("http://", "http://ada:tb_secret@");
    for (words, named) in [
        (&["audit"][..], "audit is for"),
        (&["keys", "list"], "keys is for"),
        (&["ui"], "ui is for"),
        (&["store", "verify"], "store verify is for"),
        (&["store", "gc"], "store gc is for"),
        (&["store", "backup", "x"], "store backup is for"),
        (&["sql", "select * from runs"], "the table \"runs\" of SQL"),
    ] {
        let refused = book.fails(1, &[&["--registry", secret.as_str()], words].concat());
        assert!(refused.contains(named) && refused.contains(&url), "{words:?}: {refused}");
        assert!(refused.contains("--registry") && !refused.contains("secret"), "{refused}");
    }
    let refused = book.fails(2, &["--registry", "ftp://ada:tb_secret@lab", "runs", "list"]);
    assert!(!refused.contains("secret"), "{refused}");
    let unset = book
        .command()
        .args(["--registry", "mlflow", "runs", "list"])
        .env_remove("MLFLOW_TRACKING_URI")
        .output();
    assert_eq!(unset.unwrap().status.code(), Some(2));
    let by_mlflow = book
        .command()
        .args(["--registry", "mlflow", "--json", "models", "list"])
        .env("MLFLOW_TRACKING_URI", &url)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&by_mlflow.stdout).trim(), "[]");
    server.stop().unwrap();
    // What is there and is no registry.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let foreign = format!("http://{}", other.local_addr().unwrap());
    thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in other.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let page = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\n<html>";
            let _ = stream.write_all(page.as_bytes());
        }
    });
    let refused = book.fails(1, &["--registry", &foreign, "models", "list"]);
    assert!(refused.contains("otherwise than an MLflow server"), "{refused}");
}

#[test]
fn a_verdict_from_elsewhere_is_judged_again_and_records_cannot_be_forged() {
    let (book, elsewhere) = (Trialbook::new(), tempfile::tempdir().unwrap());
    let server = central(elsewhere.path(), 0);
    let url = server.url();
    book.json(&["data", "sample"]);
    let ask = |args: &[&str]| book.json(&[&["--registry", url.as_str()], args].concat());
    ask(&["train", "tfidf", "--data", "sample", "--max-features", "20"]);
    let answer = book.call(&["--registry", &url, "--json", "gate", "SentimentClassifier", "1"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let mut verdict: Value = serde_json::from_str(&answer.stdout).unwrap();
    verdict["passed"] = true.into();
    let set = |key: &str, value: &str| {
        let body =
            json!({"name": "SentimentClassifier", "version": "1", "key": key, "value": value});
        client::post(&format!("{url}/api/2.0/mlflow/model-versions/set-tag"), &body)
    };
    set("trialbook.verdict", &verdict.to_string()).unwrap();
    let refused = book.fails(3, &["--registry", &url, "promote", "SentimentClassifier", "1"]);
    assert!(refused.contains("the gate blocked it"), "{refused}");
    verdict["version"] = 2.into();
    for (key, value) in [
        ("trialbook.verdict", verdict.to_string()),
        ("trialbook.verdict", "yes".to_owned()),
        ("trialbook.history", "[]".to_owned()),
        ("trialbook.metrics", "{\"f1\": 1}".to_owned()),
    ] {
        assert_eq!(set(key, &value).unwrap_err().kind(), ErrorKind::Invalid, "{key} {value}");
    }
    server.stop().unwrap();
}
