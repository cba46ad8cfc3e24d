//! Who gets in: keys that come and go under a running server, rates, other sites, encryption, and
//! clients that take their time. Real processes and real sockets.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::json;
use trialbook::{
    registry::{NewKey, Registry, Scope},
    store::Store,
};
use trialbook_program::serve::{Limits, ServeConfig, Server};

use super::{
    double::{state, state_with},
    follow::{PICKED_UP, Serving},
    sockets::{exchange, put_into_production},
};
use crate::cli::Trialbook;

/// An answer as it came over the socket.
struct Raw(String);

impl Raw {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn addr(server: &Serving) -> SocketAddr {
    server.url.split_once("://").unwrap().1.parse().unwrap()
}

/// Sends a request with these header lines, and no body unless it is a prediction's.
fn ask(server: &Serving, method: &str, path: &str, headers: &[&str]) -> Raw {
    Raw(exchange(addr(server), &request(method, path, headers)))
}

fn request(method: &str, path: &str, headers: &[&str]) -> String {
    let body = if method == "POST" { r#"{"text":"good"}"# } else { "" };
    let length = body.len();
    let extra: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{extra}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Asks for a prediction with `key` until the status is `expected`.
#[track_caller]
fn answers(server: &Serving, key: Option<&str>, expected: u16) -> Raw {
    let header = key.map(|key| format!("authorization: Bearer {key}"));
    let headers: Vec<&str> = header.iter().map(String::as_str).collect();
    let started = Instant::now();
    loop {
        let answer = ask(server, "POST", "/predict", &headers);
        if answer.status() == expected {
            return answer;
        }
        assert!(started.elapsed() < PICKED_UP, "after {PICKED_UP:?} still {}", answer.0);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn add_key(book: &Trialbook, name: &str, more: &[&str]) -> String {
    let made = book.json(&[&["keys", "add", name], more].concat());
    made["key"].as_str().unwrap().to_owned()
}

/// A store without a model: who gets in does not depend on it, and 503 says that one did.
const IN: u16 = 503;

#[test]
fn a_key_counts_two_seconds_after_it_is_made_revoked_or_over() {
    let book = Trialbook::new();
    let server = Serving::start(&book, &[]);
    answers(&server, None, IN);
    let web = add_key(&book, "web", &[]);
    let refused = answers(&server, None, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"trialbook\""));
    assert!(refused.0.contains("trialbook keys add NAME"), "{}", refused.0);
    answers(&server, Some(&web), IN);
    let by_header = format!("x-api-key: {web}");
    assert_eq!(ask(&server, "GET", "/models", &[&by_header]).status(), 200);
    assert_eq!(ask(&server, "GET", "/models", &[]).status(), 401);
    assert_eq!(ask(&server, "GET", "/", &[]).status(), 401);
    assert_eq!(ask(&server, "GET", "/", &["accept: text/html"]).status(), 200);
    assert_eq!(ask(&server, "GET", "/health/live", &[]).status(), 200);
    assert_eq!(ask(&server, "GET", "/metrics", &[]).status(), 200);

    let brief = add_key(&book, "brief", &["--expires", "2s"]);
    answers(&server, Some(&brief), IN);
    std::thread::sleep(Duration::from_secs(1));
    answers(&server, Some(&brief), 401);
    book.json(&["keys", "revoke", "web"]);
    answers(&server, Some(&web), 401);

    let keys = book.json(&["keys", "list"]);
    assert_eq!((&keys[0]["name"], &keys[0]["state"]), (&json!("brief"), &json!("expired")));
    assert_eq!((&keys[1]["name"], &keys[1]["state"]), (&json!("web"), &json!("revoked")));
    assert!(!keys.to_string().contains("tbk_"), "{keys}");
    let trail = book.json(&["audit"]);
    assert_eq!((&trail[0]["action"], &trail[0]["subject"]), (&json!("revoke_key"), &json!("web")));
    let rows = book
        .json(&["sql", "select action, count(*) as n from audit group by action order by action"]);
    assert_eq!(rows, json!([{"action": "add_key", "n": 2}, {"action": "revoke_key", "n": 1}]));
}

/// It went on for as long as its client pleased.
#[test]
fn a_revoked_key_ends_the_stream_that_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    put_into_production(&store);
    let registry = Registry::open(&store).unwrap();
    let new = NewKey { name: "web".to_owned(), scope: Scope::Predict, expires_ms: None };
    let key = registry.add_key(new).unwrap().secret;
    let server = Server::start(&ServeConfig { port: 0, ..ServeConfig::new(store) }).unwrap();

    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(PICKED_UP)).unwrap();
    let head = format!(
        "POST /predict/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let line = b"10\r\n{\"text\":\"good\"}\n\r\n".as_slice();
    let mut answered = String::new();
    let mut ask_until = |stream: &mut TcpStream, expected: &str| {
        let started = Instant::now();
        while !answered.contains(expected) {
            assert!(started.elapsed() < PICKED_UP, "{answered}");
            stream.write_all(line).unwrap();
            let mut bytes = [0; 4096];
            let n_bytes = stream.read(&mut bytes).unwrap();
            answered.push_str(std::str::from_utf8(&bytes[..n_bytes]).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    ask_until(&mut stream, "\"label\":\"pos\"");
    registry.revoke_key("web").unwrap();
    ask_until(&mut stream, "\"error_type\":\"unauthorized\"");
}

#[test]
fn the_last_known_keys_stay_in_force_when_the_store_goes_away() {
    let book = Trialbook::new();
    let web = add_key(&book, "web", &[]);
    let server = Serving::start(&book, &[]);
    fs::remove_dir_all(book.store()).unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    answers(&server, None, 401);
    answers(&server, Some(&web), IN);
}

#[test]
fn health_and_metrics_can_be_guarded_and_metrics_is_for_admins() {
    let book = Trialbook::new();
    let (web, ops) = (add_key(&book, "web", &[]), add_key(&book, "ops", &["--scope", "admin"]));
    let server = Serving::start(&book, &["--auth-health", "--auth-metrics"]);
    for (path, nobody, predict, admin) in
        [("/health/live", 401, 200, 200), ("/metrics", 401, 403, 200), ("/info", 401, 200, 200)]
    {
        let with = |key: &str| ask(&server, "GET", path, &[&format!("x-api-key: {key}")]).status();
        let found = [ask(&server, "GET", path, &[]).status(), with(&web), with(&ops)];
        assert_eq!(found, [nobody, predict, admin], "{path}");
    }
    let refused = ask(&server, "GET", "/metrics", &[&format!("x-api-key: {web}")]);
    assert!(refused.0.contains("--scope admin"), "{}", refused.0);
}

#[test]
fn other_machines_need_a_key_or_the_word_that_they_need_none() {
    let book = Trialbook::new();
    let refused = book.fails(1, &["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert!(
        refused.contains("trialbook keys add NAME") && refused.contains("--no-auth"),
        "{refused}"
    );
    let reached = |args: &[&str], expected: u16| {
        let server = Serving::start(&book, &[&["--host", "0.0.0.0"], args].concat());
        let local = SocketAddr::from(([127, 0, 0, 1], addr(&server).port()));
        let answer = Raw(exchange(local, &request("POST", "/predict", &[])));
        assert_eq!(answer.status(), expected, "{args:?}: {}", answer.0);
    };
    reached(&["--no-auth"], IN);
    add_key(&book, "web", &[]);
    reached(&[], 401);
    reached(&["--no-auth"], 401);
}

#[test]
fn a_caller_that_asks_too_often_is_told_when_to_come_again() {
    let book = Trialbook::new();
    let server = Serving::start(&book, &["--rate-limit", "1", "--rate-burst", "3"]);
    for _ in 0..3 {
        assert_eq!(ask(&server, "GET", "/models", &[]).status(), 200);
    }
    let refused = ask(&server, "GET", "/models", &[]);
    assert_eq!(
        (refused.status(), refused.header("retry-after")),
        (429, Some("1")),
        "{}",
        refused.0
    );
    assert!(refused.0.contains("too_many_requests"), "{}", refused.0);
    assert_eq!(ask(&server, "GET", "/health/live", &[]).status(), 200, "probes are not counted");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(ask(&server, "GET", "/models", &[]).status(), 200);
    drop(server);

    // Each key has a bucket of its own, and so has who shows none.
    let (a, b) = (add_key(&book, "a", &[]), add_key(&book, "b", &[]));
    let server = Serving::start(&book, &["--rate-limit", "1"]);
    for (key, expected) in [(&a, 200), (&b, 200), (&a, 429), (&b, 429)] {
        let status = ask(&server, "GET", "/models", &[&format!("x-api-key: {key}")]).status();
        assert_eq!(status, expected);
    }
    assert_eq!(ask(&server, "GET", "/models", &["x-api-key: tbk_guess"]).status(), 401);
    assert_eq!(ask(&server, "GET", "/models", &["x-api-key: tbk_guess"]).status(), 429);
}

#[test]
fn only_pages_of_listed_sites_may_ask() {
    let book = Trialbook::new();
    let key = add_key(&book, "web", &[]);
    let listed = "origin: https://example.org";
    let preflight = [listed, "access-control-request-method: POST"];
    let server = Serving::start(&book, &["--cors-origin", "https://example.org"]);
    let asked = ask(&server, "OPTIONS", "/predict", &preflight);
    assert_eq!(asked.status(), 204, "{}", asked.0);
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://example.org"));
    assert!(asked.header("access-control-allow-headers").unwrap().contains("x-api-key"));
    assert!(asked.header("access-control-allow-methods").unwrap().contains("POST"));
    let shown = format!("x-api-key: {key}");
    for (headers, status) in [(&[listed, &shown][..], IN), (&[listed], 401)] {
        let answer = ask(&server, "POST", "/predict", headers);
        assert_eq!(answer.status(), status, "{}", answer.0);
        // Also an error is for the page to read.
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://example.org"));
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    let stranger = ["origin: https://evil.test", "access-control-request-method: POST"];
    let refused = ask(&server, "OPTIONS", "/predict", &stranger);
    assert_eq!((refused.status(), refused.header("access-control-allow-origin")), (401, None));
    drop(server);

    let server = Serving::start(&book, &[]);
    let off = ask(&server, "OPTIONS", "/predict", &preflight);
    assert_eq!((off.header("access-control-allow-origin"), off.header("vary")), (None, None));
    let refused = book.fails(2, &["serve", "--cors-origin", "example.org/page"]);
    assert!(refused.contains("is not an origin"), "{refused}");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// An encrypted connection of a client that trusts only the fixture called `trusted`.
type Encrypted = StreamOwned<ClientConnection, TcpStream>;

fn connect(addr: SocketAddr, trusted: &str) -> std::io::Result<Encrypted> {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(fixture(&format!("{trusted}.crt"))).unwrap();
    roots.add(cert).unwrap();
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(addr)?);
    stream.sock.set_read_timeout(Some(Duration::from_secs(5)))?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Asks `/health/live` over a connection that stays open; the answer's head and body.
fn alive(stream: &mut Encrypted, host: &str) -> String {
    write!(stream, "GET /health/live HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn connections_are_encrypted_and_a_new_certificate_is_taken_up() {
    let book = Trialbook::new();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let put = |which: &str| {
        fs::copy(fixture(&format!("{which}.crt")), &cert).unwrap();
        fs::copy(fixture(&format!("{which}.key")), &key).unwrap();
    };
    put("first");
    let (cert_arg, key_arg) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let flags = ["--tls-cert", cert_arg, "--tls-key", key_arg];
    let server = Serving::start(&book, &flags);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let addr = addr(&server);
    let mut old = connect(addr, "first").unwrap();
    let answer = alive(&mut old, "trialbook.example");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    // A browser would hold every other server of this machine to it.
    assert!(!alive(&mut old, "localhost:8000").contains("strict-transport-security"));
    assert!(connect(addr, "second").is_err(), "a client that trusts another");

    // Nonsense changes nothing; a new pair is taken up; the open connection lives through both.
    fs::write(&cert, "nonsense").unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    assert!(connect(addr, "first").is_ok());
    put("second");
    let started = Instant::now();
    while connect(addr, "second").is_err() {
        assert!(started.elapsed() < PICKED_UP, "not taken up within {PICKED_UP:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(connect(addr, "first").is_err());
    assert!(alive(&mut old, "x").starts_with("HTTP/1.1 200 "));
    drop(server);

    fs::write(&cert, "nonsense").unwrap();
    let refused = book.fails(1, &[&["serve", "--port", "0"][..], &flags].concat());
    assert!(refused.contains("holds no certificate"), "{refused}");
    let refused = book.fails(2, &["serve", "--tls-cert", cert_arg]);
    assert!(refused.contains("--tls-key"), "{refused}");
}

#[test]
fn the_health_check_shows_its_key_and_trusts_one_certificate() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    let key = add_key(&book, "probe", &[]);
    let [cert, other] = ["first.crt", "second.crt"].map(fixture);
    let (cert, other) = (cert.to_str().unwrap(), other.to_str().unwrap());
    let secret = fixture("first.key");
    let flags = ["--tls-cert", cert, "--tls-key", secret.to_str().unwrap(), "--auth-health"];
    let server = Serving::start(&book, &flags);
    let health = |args: &[&str], code: i32| {
        let answer = book.call(&[&["health", "--url", &server.url], args].concat());
        assert_eq!(answer.code, code, "{args:?}: {}{}", answer.stdout, answer.stderr);
        answer.stdout + &answer.stderr
    };
    let told = health(&["--tls-cert", cert, "--key", &key], 0);
    assert_eq!(told.trim(), "ok: serving SentimentClassifier/1");
    for (args, expected) in [
        (&["--key", &key][..], "--tls-cert FILE"),
        (&["--tls-cert", other, "--key", &key], "shows a certificate other than"),
        (&["--tls-cert", cert], "answered 401: this server requires an API key"),
        (&["--tls-cert", cert, "--key", "tbk_guess"], "--key KEY or in TRIALBOOK_KEY"),
        (&["--tls-cert", cert, "--key", "tbk\n"], "has characters that no key has"),
        (&["--tls-cert", "absent.crt", "--key", &key], "absent.crt"),
    ] {
        let told = health(args, 1);
        assert!(told.contains(expected), "{args:?}: {told}");
        assert!(!told.contains(&key), "{args:?}: {told}");
    }
    // A container has both in its environment, as its server has.
    let told = book
        .command()
        .args(["health", "--url", &server.url])
        .envs([("TRIALBOOK_KEY", key.as_str()), ("TRIALBOOK_TLS_CERT", cert)])
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

/// How long until the server ends the connection, `sent` having been sent.
fn ended_after(addr: SocketAddr, sent: &[u8]) -> Duration {
    let started = Instant::now();
    let mut connection = TcpStream::connect(addr).unwrap();
    connection.write_all(sent).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match connection.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    started.elapsed()
}

#[test]
fn a_client_that_sends_no_whole_head_is_let_go() {
    let limits = Limits { idle_wait: Duration::from_millis(100), ..Limits::default() };
    let server = Server::with_state(state_with(&["neg", "pos"], limits).0, "127.0.0.1", 0).unwrap();
    let alive = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n".as_slice();
    for sent in [b"".as_slice(), b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n", alive] {
        let took = ended_after(server.addr(), sent);
        assert!(took >= Duration::from_millis(90), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let server = Server::with_state(state(), "127.0.0.1", 0).unwrap();
    let many = format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(150));
    let answer = Raw(exchange(server.addr(), &many));
    assert_eq!(answer.status(), 431, "{}", answer.0);
    let long = format!("GET /health/live HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(40_000));
    let mut connection = TcpStream::connect(server.addr()).unwrap();
    // The server may have hung up before all of it is sent.
    let _ = connection.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_client_that_takes_no_answer_is_let_go() {
    let limits = Limits { write_wait: Duration::from_millis(100), ..Limits::default() };
    let server = Server::with_state(state_with(&["neg", "pos"], limits).0, "127.0.0.1", 0).unwrap();
    let texts = vec!["oo"; 10_000];
    let body = json!({ "texts": texts }).to_string();
    let mut connection = TcpStream::connect(server.addr()).unwrap();
    let head = format!(
        "POST /predict/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    // Many answers, so that no buffer of the system's holds them all; none is read.
    connection.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let started = Instant::now();
    let mut outcome = Ok(());
    while outcome.is_ok() && started.elapsed() < Duration::from_secs(10) {
        outcome = connection.write_all(format!("{head}{body}").as_bytes());
    }
    let kind = outcome.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
}

#[test]
fn a_client_beyond_the_last_connection_waits_for_one_to_end() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = Server::with_state(state_with(&["neg", "pos"], limits).0, "127.0.0.1", 0).unwrap();
    let addr = server.addr();
    let first = TcpStream::connect(addr).unwrap();
    let (sender, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(exchange(addr, &request("GET", "/health/live", &[]))));
    assert!(answer.recv_timeout(Duration::from_millis(300)).is_err(), "there is no room");
    drop(first);
    let answer = answer.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_stopping_server_does_not_wait_for_connections_that_ask_nothing() {
    let server = Server::with_state(state(), "127.0.0.1", 0).unwrap();
    let idle: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(server.addr()).unwrap()).collect();
    let started = Instant::now();
    server.stop().unwrap();
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    drop(idle);
}

#[test]
fn a_served_models_promotion_is_audited_with_the_user_of_the_command() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    let worse = ["train", "tfidf", "--data", "sample", "--ngram", "1", "--max-features", "20"];
    book.json(&worse);
    let forced = ["promote", "SentimentClassifier", "2", "--force", "--reason", "a drill"];
    let status =
        book.command().args(forced).env("TRIALBOOK_USER", "grace").output().unwrap().status;
    assert!(status.success());
    let trail = book.json(&["audit", "--limit", "2", "--since", "1h"]);
    let (forced, archived) = (&trail[0], &trail[1]);
    assert_eq!(
        (&forced["action"], &forced["subject"]),
        (&json!("force"), &json!("SentimentClassifier/2"))
    );
    assert!(forced["who"].as_str().unwrap().starts_with("grace@"), "{forced}");
    assert!(forced["details"]["overruled"].is_string(), "{forced}");
    assert_eq!(archived["action"], "archive");
    let registry = Registry::open(&Store::new(book.store())).unwrap();
    assert!(registry.verify().unwrap().is_valid());
    let told = book.call(&["audit"]);
    assert!(told.stdout.contains("None → Production"), "{}", told.stdout);
}
