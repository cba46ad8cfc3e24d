//! Drift as a whole: a version's profile, real servers whose log keeps no text, and what is told of it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use trialbook::{
    Book,
    monitor::{LogConfig, LogText},
    store::Store,
};
use trialbook_program::serve::{ServeConfig, Server};

use crate::cli::Trialbook;

const MODEL: &str = "SentimentClassifier";

/// A store with the sample and a version in Production; the texts of its test split.
fn in_production() -> (Trialbook, Vec<String>) {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--deploy"]);
    let split = Book::open(book.store()).datasets().split("sample", "test").unwrap();
    (book, split.texts)
}

/// Short texts about something else.
fn others(n: usize) -> Vec<String> {
    let words = ["router", "firmware", "cable", "invoice", "parcel", "refund"];
    (0..n).map(|n| format!("{} {} number{n}", words[n % 6], words[(n * 5 + 1) % 6])).collect()
}

/// Has a server of the store answer `texts`, and stops it.
fn serve(book: &Trialbook, texts: &[String]) {
    let server = serving(book);
    ask(&server, texts);
    server.stop().unwrap();
}

fn serving(book: &Trialbook) -> Server {
    let store = Store::new(book.store());
    Server::start(&ServeConfig { port: 0, ..ServeConfig::new(store) }).unwrap()
}

fn ask(server: &Server, texts: &[String]) {
    for batch in texts.chunks(100) {
        let body = json!({ "texts": batch }).to_string();
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        let head = "POST /predict/batch HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{}", &answer[..answer.len().min(500)]);
    }
}

fn signal<'a>(report: &'a Value, name: &str) -> &'a Value {
    let signals = report["signals"].as_array().unwrap();
    let found = signals.iter().find(|signal| signal["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn logged(book: &Trialbook) -> String {
    fs::read_to_string(book.store().join("logs/predictions.jsonl")).unwrap()
}

#[test]
fn traffic_as_before_is_ok_and_other_traffic_is_an_alert_though_no_text_is_logged() {
    let (book, texts) = in_production();
    serve(&book, &texts);
    let report = book.json(&["monitor", "drift"]);
    let fields: Vec<&String> = report.as_object().unwrap().keys().take(2).collect();
    assert_eq!(fields, ["verdict", "signals"]);
    assert_eq!((&report["verdict"], &report["alert"]), (&json!("ok"), &Value::Null), "{report}");
    assert_eq!(report["n"], texts.len());
    for name in ["predictions", "confidence", "length", "unknown_words", "words"] {
        let found = signal(&report, name);
        assert_eq!((&found["level"], &found["reason"]), (&json!("ok"), &Value::Null), "{found}");
        assert!(found["effect"].as_f64().unwrap() < 0.02, "the same texts: {found}");
    }

    serve(&book, &others(3 * texts.len()));
    let log = logged(&book);
    for word in ["router", "firmware", "wonderful", "\"text\":"] {
        assert!(!log.contains(word), "the log has {word}");
    }
    assert!(log.contains(r#"{"kind":"words","#));
    assert!(log.contains(r#""n_words":3,"n_unknown_words":3,"#), "{}", &log[log.len() - 900..]);
    let answer = book.call(&["monitor", "drift", "--json"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["alert"]["is_new"]), (&json!("alert"), &json!(true)));
    for name in ["length", "unknown_words"] {
        let found = signal(&report, name);
        assert_eq!(found["level"], "alert", "{found}");
        assert!(found["corrected_p_value"].as_f64().unwrap() < 1e-6, "{found}");
    }
    let went = signal(&report, "words")["went"].as_array().unwrap();
    assert!(
        !went.is_empty() && went[0]["reference_share"].as_f64() > went[0]["current_share"].as_f64()
    );

    let page = book.store().join("drift.html");
    let answer = book.call(&["monitor", "drift", MODEL, "--html", page.to_str().unwrap()]);
    assert_eq!(answer.code, 3);
    assert!(answer.stdout.starts_with("alert: SentimentClassifier/1, "), "{}", answer.stdout);
    assert!(answer.stdout.contains("an alert since "), "{}", answer.stdout);
    let again = book.fails(1, &["monitor", "drift", "--html", page.to_str().unwrap()]);
    assert!(again.contains("exists already") && again.contains("--force"), "{again}");
    let gone = book.store().join("nosuch/drift.html");
    let gone = book.fails(1, &["monitor", "drift", "--html", gone.to_str().unwrap()]);
    assert!(gone.contains("there is no folder") && !gone.contains(".trialbook-"), "{gone}");
    assert!(book.fails(1, &["monitor", "drift", "--html", "."]).contains("is a folder"));
    let forced = ["monitor", "drift", "--html", page.to_str().unwrap(), "--force"];
    assert_eq!(book.call(&forced).code, 3);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.matches("data:image/svg+xml,").count() >= 4 && !page.contains("<script"));
}

/// Nothing more is asked, and the server goes on: what it counted has to be in the log all the same.
#[test]
fn words_are_written_though_no_more_traffic_comes() {
    let (book, texts) = in_production();
    let written = |server: &Server, n: u64| {
        let started = Instant::now();
        let n_texts = || -> u64 {
            let log = logged(&book);
            let lines = log.lines().filter(|line| line.contains(r#""kind":"words""#));
            lines
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap())
                .sum()
        };
        while n_texts() < n {
            assert!(started.elapsed() < Duration::from_secs(20), "{} of {n}", n_texts());
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(n_texts(), n);
        assert_eq!(fetch(&format!("{}/health", server.url())).0, 200);
    };
    let server = serving(&book);
    ask(&server, &texts[..250]);
    written(&server, 250);
    server.stop().unwrap();
    // A log that keeps its texts waits for no hundred of them.
    let store = Store::new(book.store());
    let log = LogConfig { text: LogText::Full, ..LogConfig::default() };
    let config = ServeConfig { port: 0, log: Some(log), ..ServeConfig::new(store) };
    let server = Server::start(&config).unwrap();
    ask(&server, &texts[..7]);
    written(&server, 257);
    server.stop().unwrap();
}

#[test]
fn a_server_tells_drift_in_json_in_metrics_and_on_a_page() {
    let (book, texts) = in_production();
    let server = serving(&book);
    let url = server.url();
    // A server that nobody has asked anything is no outage.
    let (status, nothing) = fetch(&format!("{url}/drift"));
    let nothing: Value = serde_json::from_str(&nothing).unwrap();
    assert_eq!((status, &nothing["verdict"]), (200, &json!("ok")), "{nothing}");
    assert_eq!((&nothing["is_enough"], &nothing["n"]), (&json!(false), &json!(0)), "{nothing}");
    assert!(nothing["computed_ms"].as_i64() > Some(1_700_000_000_000), "{nothing}");
    assert!(nothing["notes"].to_string().contains("no predictions of"), "{nothing}");
    let metrics = fetch(&format!("{url}/metrics")).1;
    assert!(!metrics.contains("model_drift_level{"), "nobody knows: {metrics}");
    server.stop().unwrap();

    serve(&book, &[texts.clone(), others(3 * texts.len())].concat());
    let server = serving(&book);
    let url = server.url();
    let ask = |path: &str| {
        let (status, body) = fetch(&format!("{url}{path}"));
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, report) = ask("/drift");
    assert_eq!((status, &report["verdict"]), (200, &json!("alert")), "{report}");
    assert_eq!(ask(&format!("/models/{MODEL}/drift")).1, report, "it is kept for a while");
    assert_eq!(ask("/models/Other/drift").0, 404);
    let page = ask(&format!("/ui/models/{MODEL}/1/drift")).1;
    assert_eq!(page["n"], report["n"], "{page}");
    let metrics = fetch(&format!("{url}/metrics")).1;
    let level = format!("model_drift_level{{model=\"{MODEL}\",version=\"1\"}} 2");
    assert!(metrics.contains(&level), "{metrics}");
    let effect = format!("model_drift_effect{{model=\"{MODEL}\",signal=\"length\",version=\"1\"}}");
    assert!(metrics.contains(&effect), "{metrics}");
    server.stop().unwrap();
}

/// What a server answers at `url`: the status and the body.
fn fetch(url: &str) -> (u16, String) {
    let (addr, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (book, texts) = in_production();
    let said = |args: &[&str]| book.fails(1, args);
    let none = said(&["monitor", "drift"]);
    assert!(none.contains("the log has no predictions of SentimentClassifier/1"), "{none}");
    assert!(said(&["monitor", "drift", "Nobody"]).contains("Nobody"));
    book.fails(2, &["monitor", "drift", "--last", "yesterday"]);
    book.fails(2, &["monitor", "drift", "--last", "1d", "--data", "sample.test"]);

    serve(&book, &texts[..50]);
    let mut log = logged(&book);
    log.push_str("{\"timestamp_ms\": 17\n\u{0}\n{\"kind\":\"something\",\"of\":\"later\"}\n");
    fs::write(book.store().join("logs/predictions.jsonl"), log).unwrap();
    let few = book.json(&["monitor", "drift"]);
    assert_eq!((&few["verdict"], &few["is_enough"]), (&json!("ok"), &json!(false)), "{few}");
    assert_eq!((&few["n"], &few["n_unreadable"]), (&json!(50), &json!(2)), "{few}");
    assert!(few["signals"][0]["reason"].as_str().unwrap().contains("it takes 200"), "{few}");
    let told = book.call(&["monitor", "drift"]).stdout;
    assert!(told.starts_with("too few to tell: ") && told.contains("it takes 200"), "{told}");
    assert_eq!(few["signals"][0]["is_enough"], false, "{few}");
    assert!(few["notes"].to_string().contains("ok for want of a reason"), "{few}");
    assert_eq!(book.json(&["monitor", "stats"])["n_predictions"], 50);
    // A version of its own, with a profile of its own, of which nothing is logged.
    book.json(&["models", "threshold", &format!("{MODEL}/1"), "0.7"]);
    let other = said(&["monitor", "drift", &format!("{MODEL}/2")]);
    assert!(other.contains("50 of other versions"), "{other}");
}

#[test]
fn a_file_is_compared_like_a_log() {
    let (book, texts) = in_production();
    let same = book.json(&["monitor", "drift", "--data", "sample.test"]);
    assert_eq!((&same["verdict"], &same["n"]), (&json!("ok"), &json!(texts.len())), "{same}");
    assert!(signal(&same, "domain")["statistics"]["auc"].as_f64().unwrap() < 0.6, "{same}");
    let file = book.store().join("new.csv");
    fs::write(&file, format!("text\n{}\n", others(400).join("\n"))).unwrap();
    let answer = book.call(&["monitor", "drift", "--data", file.to_str().unwrap(), "--json"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    let domain = signal(&report, "domain");
    assert_eq!(domain["level"], "alert", "{domain}");
    let came = domain["came"].as_array().unwrap();
    assert!(came.iter().any(|word| word["word"] == "router"), "{domain}");
    assert_eq!(report["alert"], Value::Null, "a file is no lasting alert");
    assert!(!book.store().join("logs/drift.json").exists());
}

#[test]
fn every_version_has_a_profile_of_its_own_and_an_old_one_gets_one() {
    let (book, texts) = in_production();
    book.json(&["models", "threshold", &format!("{MODEL}/1"), "0.9"]);
    let profile = |version: u32| {
        let version = book.json(&["models", "show", &format!("{MODEL}/{version}")]);
        let files = version["files"].as_array().unwrap();
        let file = files.iter().find(|file| file["path"] == "reference_profile.json").unwrap();
        assert!(file["size_bytes"].as_u64().unwrap() < 200_000, "{file}");
        let sha256 = file["sha256"].as_str().unwrap();
        let path = book.store().join("artifacts").join(&sha256[..2]).join(sha256);
        serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap()
    };
    let (first, second) = (profile(1), profile(2));
    assert_eq!((&first["rows"], &first["n"]), (&json!("sample.test"), &json!(texts.len())));
    assert_ne!(first["labels"], second["labels"], "another threshold predicts other labels");
    assert_eq!(first["words"], second["words"]);

    // As a version was registered before there were profiles.
    let lib = Book::open(book.store());
    let registry = lib.registry().unwrap();
    let mut version = registry.version(MODEL, 1).unwrap();
    version.files.retain(|file| file.path != "reference_profile.json");
    let started = Instant::now();
    let made = lib.reference_profile(&version).unwrap();
    assert!(made.note.unwrap().contains("made from sample.test"));
    assert_eq!(serde_json::to_value(&made.profile).unwrap(), first);
    assert!(lib.kept_profile(&version).unwrap().is_some(), "it is remembered");
    assert!(started.elapsed() < Duration::from_secs(60));
    version.lineage.dataset = "gone".to_owned();
    version.run_id = "another".to_owned();
    let error = lib.reference_profile(&version).unwrap_err();
    assert!(error.to_string().contains("has no reference profile"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("add the dataset again"), "{error}");
}

/// The log has a few places of texts, from which their words cannot be told.
#[test]
fn a_net_also_tells_drift_by_where_texts_lie() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let net = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-distilbert");
    let classes = ["--classes", "negative,positive"];
    book.json(
        &[&["models", "import", net, "--name", MODEL, "--data", "sample"], &classes[..]].concat(),
    );
    book.json(&["promote", MODEL, "1", "--force", "--reason", "a test"]);
    let split = Book::open(book.store()).datasets().split("sample", "test").unwrap();
    serve(&book, &split.texts);
    let log = logged(&book);
    let n_embedded = log.matches("\"embedding\":\"").count();
    assert!((100..=400).contains(&n_embedded), "{n_embedded}");
    let report = book.json(&["monitor", "drift"]);
    let found = signal(&report, "embeddings");
    assert_eq!((&found["level"], &found["reason"]), (&json!("ok"), &Value::Null), "{found}");

    let long: Vec<String> = others(300).iter().map(|one| one.repeat(20)).collect();
    let file = book.store().join("new.csv");
    fs::write(&file, format!("text\n{}\n", long.join("\n"))).unwrap();
    let answer = book.call(&["monitor", "drift", "--data", file.to_str().unwrap(), "--json"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(signal(&report, "embeddings")["level"], "alert", "{report}");
}
