//! A running server and a registry that changes under it, with real processes.

use std::{
    path::PathBuf,
    process::Child,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use trialbook_program::serve::{Credentials, client};

use crate::cli::Trialbook;

/// What the registry says is served after at most so long.
pub(crate) const PICKED_UP: Duration = Duration::from_secs(2);

/// A server that is killed when the test ends, well or badly.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Serving {
    pub(crate) fn start(book: &Trialbook, args: &[&str]) -> Self {
        let (child, url) = book.serve(args);
        Self { child, url }
    }

    fn predict(&self) -> trialbook::Result<Value> {
        self.ask("/predict")
    }

    /// Asks the endpoint `path` for one prediction.
    pub(crate) fn ask(&self, path: &str) -> trialbook::Result<Value> {
        client::post(&format!("{}{path}", self.url), &json!({"text": "wonderful"}))
    }

    /// Asks until `expected` is true of the answer.
    #[track_caller]
    fn within(&self, limit: Duration, expected: impl Fn(&trialbook::Result<Value>) -> bool) {
        let started = Instant::now();
        loop {
            let answer = self.predict();
            if expected(&answer) {
                return;
            }
            assert!(started.elapsed() < limit, "after {limit:?} still {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn serves(&self, version: u64) {
        self.within(PICKED_UP, |answer| {
            answer.as_ref().is_ok_and(|answer| answer["model"]["version"] == version)
        });
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn promote(book: &Trialbook, version: &str) {
    book.json(&[
        "promote",
        "SentimentClassifier",
        version,
        "--force",
        "--reason",
        "the test says so",
    ]);
}

/// Spoils the weights of `version`: where they are, and what they were.
pub(crate) fn damage(book: &Trialbook, version: &str) -> (PathBuf, Vec<u8>) {
    let version = book.json(&["models", "show", version]);
    let files = version["files"].as_array().unwrap();
    let weights = files.iter().find(|file| file["path"] == "weights.bin").unwrap();
    let sha256 = weights["sha256"].as_str().unwrap();
    let path = book.store().join("artifacts").join(&sha256[..2]).join(sha256);
    let whole = std::fs::read(&path).unwrap();
    // Of the right length: `promote` itself refuses a version whose files it sees to be damaged.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![0; whole.len()]).unwrap();
    (path, whole)
}

/// A store with a version in production and one more.
pub(crate) fn two_versions() -> Trialbook {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--c", "1"]);
    book
}

#[test]
fn promotions_and_rollbacks_are_picked_up_without_a_failed_request() {
    let book = two_versions();
    let server = Serving::start(&book, &[]);
    server.serves(1);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when an assertion below ends this closure: the scope waits for its threads.
        let over = OnDrop(|| is_over.store(true, Ordering::Relaxed));
        let asking = scope.spawn(|| {
            let mut n_answers = 0;
            while !is_over.load(Ordering::Relaxed) {
                let answer = server.predict().unwrap();
                assert!(answer["model"]["version"].as_u64().unwrap() <= 2, "{answer}");
                n_answers += 1;
            }
            n_answers
        });
        for _ in 0..3 {
            promote(&book, "2");
            server.serves(2);
            book.json(&["rollback"]);
            server.serves(1);
        }
        drop(over);
        assert!(asking.join().unwrap() > 50);
    });
    // No version in production: the server says so, and serves again once there is one.
    book.json(&["promote", "SentimentClassifier", "1", "--stage", "Archived"]);
    server.within(PICKED_UP, |answer| {
        answer.as_ref().is_err_and(|error| error.to_string().contains("503"))
    });
    promote(&book, "2");
    server.serves(2);
}

#[test]
fn a_version_that_cannot_be_loaded_leaves_the_old_one_serving() {
    let book = two_versions();
    let server = Serving::start(&book, &[]);
    server.serves(1);
    let (path, whole) = damage(&book, "SentimentClassifier/2");
    promote(&book, "2");
    let started = Instant::now();
    let health = loop {
        let health = book.json(&["health", "--url", &server.url]);
        if !health["problem"].is_null() {
            break health;
        }
        assert!(started.elapsed() < PICKED_UP, "{health}");
    };
    let problem = health["problem"].as_str().unwrap();
    assert!(problem.contains("version 2 could not be loaded"), "{problem}");
    assert_eq!((&health["status"], &health["model"]["version"]), (&"ok".into(), &1.into()));
    server.serves(1);
    // It is tried again, and taken once it is whole.
    std::fs::write(&path, whole).unwrap();
    server.within(Duration::from_secs(15), |answer| {
        answer.as_ref().is_ok_and(|answer| answer["model"]["version"] == 2)
    });
    assert!(book.json(&["health", "--url", &server.url])["problem"].is_null());
}

#[test]
fn predictions_are_logged_and_can_be_asked_for_in_sql() {
    let book = two_versions();
    let refused = book.fails(1, &["monitor", "stats"]);
    assert!(refused.contains("trialbook serve"), "{refused}");
    for (args, column) in [(&["--log-text", "full"][..], "text"), (&[][..], "text_sha256")] {
        let server = Serving::start(&book, args);
        for _ in 0..5 {
            server.predict().unwrap();
        }
        let query = format!("select count({column}) as kept from predictions");
        let started = Instant::now();
        while book.json(&["sql", &query])[0]["kept"] != 5 {
            assert!(started.elapsed() < PICKED_UP, "not logged within {PICKED_UP:?}");
        }
    }
    let rows = book.json(&["sql", "select text, label, version, n_chars from predictions limit 1"]);
    let expected = json!({"text": "wonderful", "label": "positive", "version": 1, "n_chars": 9});
    assert_eq!(rows[0], expected);
    let stats = book.json(&["monitor", "stats"]);
    assert_eq!(stats["n_predictions"], 10);
    assert_eq!(stats["versions"], json!({"SentimentClassifier/1": 10}));
    let unknown = book.fails(1, &["monitor", "stats", "--model", "Other"]);
    assert!(unknown.contains("\"Other\" does not exist"), "{unknown}");
}

#[test]
fn a_pinned_version_stays() {
    let book = two_versions();
    let server = Serving::start(&book, &["--pin", "2"]);
    server.serves(2);
    promote(&book, "2");
    book.json(&["rollback"]);
    std::thread::sleep(Duration::from_secs(1));
    server.serves(2);
    book.json(&["models", "delete", "SentimentClassifier/2"]);
    let started = Instant::now();
    while health_of(&server)["problem"] != "the pinned version 2 was deleted" {
        assert!(started.elapsed() < PICKED_UP, "{}", health_of(&server));
    }
    server.serves(2);
    let refused = book.fails(1, &["serve", "--pin", "7", "--port", "0"]);
    assert!(refused.contains('7') && refused.contains("SentimentClassifier"), "{refused}");
}

#[test]
fn what_is_loaded_keeps_serving_when_the_store_goes_away() {
    let book = two_versions();
    let server = Serving::start(&book, &[]);
    server.serves(1);
    let backup = tempfile::tempdir().unwrap();
    let backup = backup.path().join("backup.tar");
    let backup = backup.to_str().unwrap();
    book.json(&["store", "backup", backup]);
    promote(&book, "2");
    server.serves(2);
    // The server may write its log into a folder that is just being emptied.
    let started = Instant::now();
    while let Err(error) = std::fs::remove_dir_all(book.store()) {
        assert!(started.elapsed() < PICKED_UP, "{error}");
    }
    let problem = || health_of(&server)["problem"].clone();
    let started = Instant::now();
    while problem().is_null() {
        assert!(started.elapsed() < PICKED_UP, "nobody noticed that the store is gone");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(problem(), "the registry cannot be read");
    server.serves(2);

    // Another file lies at the path of the one that was opened: it counts, and the log goes on.
    book.json(&["store", "restore", backup]);
    server.serves(1);
    let started = Instant::now();
    while !problem().is_null() {
        assert!(started.elapsed() < PICKED_UP, "{}", problem());
    }
    let started = Instant::now();
    while book.call(&["monitor", "stats"]).code != 0 {
        assert!(started.elapsed() < PICKED_UP, "predictions are not logged any more");
        server.serves(1);
    }
}

fn health_of(server: &Serving) -> Value {
    serde_json::to_value(
        trialbook_program::serve::health_check(&server.url, &Credentials::default()).unwrap(),
    )
    .unwrap()
}
