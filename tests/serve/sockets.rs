//! The socket's life: stopping with a request in flight, signals, stalling clients, taken ports,
//! and the health check that asks from outside.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use trialbook::{
    ErrorKind, Result,
    data::{Fingerprint, Split},
    gate,
    model::{Classifier, Fit, TfidfConfig, prediction::predictions},
    progress::Monitor,
    registry::{DEFAULT_MODEL, Lineage, NewRun, NewVersion, Registry, Stage},
    store::Store,
};
use trialbook_program::serve::{
    self, Credentials, HealthReport, HealthStatus, Limits, ServeConfig, Server,
};

use super::double::{no_model, state, state_with};

/// Asks a server that wants no credentials.
fn health_check(server: &str) -> Result<HealthReport> {
    serve::health_check(server, &Credentials::default())
}

/// Sends raw bytes and reads until the server closes the connection.
pub(crate) fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(addr).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn post_over_socket(addr: SocketAddr, body: &str) -> String {
    let length = body.len();
    exchange(
        addr,
        &format!(
            "POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

#[test]
fn a_stopping_server_answers_what_is_in_flight_and_nothing_new() {
    // The model waits beside the async threads: there may be only one.
    let limits = Limits { inline_body_bytes: 0, ..Limits::default() };
    let (state, gate) = state_with(&["neg", "pos"], limits);
    let server = Server::with_state(state, "127.0.0.1", 0).unwrap();
    let addr = server.addr();
    // An idle connection must not keep the server up.
    let idle = TcpStream::connect(addr).unwrap();
    let client = std::thread::spawn(move || post_over_socket(addr, r#"{"text":"wait"}"#));
    gate.wait_until_entered();
    let stopping = std::thread::spawn(move || server.stop());
    while TcpStream::connect(addr).is_ok() {
        std::thread::yield_now();
    }
    assert!(!client.is_finished() && !stopping.is_finished());
    gate.open();
    let answer = client.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(r#""label":"neg""#), "{answer}");
    stopping.join().unwrap().unwrap();
    drop(idle);
}

#[test]
fn a_stopping_server_does_not_wait_for_ever() {
    let limits = Limits { grace: Duration::from_millis(20), ..Limits::default() };
    let (state, gate) = state_with(&["neg", "pos"], Limits { inline_body_bytes: 0, ..limits });
    let server = Server::with_state(state, "127.0.0.1", 0).unwrap();
    let addr = server.addr();
    let client = std::thread::spawn(move || post_over_socket(addr, r#"{"text":"wait"}"#));
    gate.wait_until_entered();
    server.stop().unwrap();
    assert_eq!(client.join().unwrap(), "");
    gate.open();
}

#[test]
fn a_client_that_stalls_in_its_body_is_answered_408() {
    let limits = Limits { body_wait: Duration::from_millis(20), ..Limits::default() };
    let (state, _) = state_with(&["neg", "pos"], limits);
    let server = Server::with_state(state, "127.0.0.1", 0).unwrap();
    let answer = exchange(
        server.addr(),
        "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{\"text\":",
    );
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
}

/// Clients that send all of a body before they read an answer got none: the connection was reset.
#[test]
fn whoever_sends_too_much_learns_so() {
    let server = Server::with_state(state(), "127.0.0.1", 0).unwrap();
    let n_bytes = 24 << 20;
    for head in [
        format!("content-length: {n_bytes}\r\n"),
        // One chunk, whose length is in hexadecimal.
        "transfer-encoding: chunked\r\n".to_owned(),
    ] {
        let mut connection = TcpStream::connect(server.addr()).unwrap();
        let is_chunked = head.contains("chunked");
        let first = if is_chunked { format!("{n_bytes:x}\r\n") } else { String::new() };
        let head = format!(
            "POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}\
             content-type: application/json\r\n\r\n{first}"
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(&vec![b' '; n_bytes]).expect("the server reads on");
        if is_chunked {
            connection.write_all(b"\r\n0\r\n\r\n").unwrap();
        }
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("payload_too_large"), "{answer}");
    }
    // A client that asks first is not told to go on.
    let answer = exchange(
        server.addr(),
        "POST /predict HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 2000000\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn a_request_names_its_host_once() {
    let server = Server::with_state(state(), "127.0.0.1", 0).unwrap();
    for (version, hosts, expected) in [
        ("1.1", "host: x\r\n", "200"),
        ("1.1", "", "400"),
        ("1.1", "host: x\r\nhost: x\r\n", "400"),
        ("1.0", "", "200"),
        ("1.0", "host: x\r\nhost: y\r\n", "400"),
    ] {
        let answer = exchange(
            server.addr(),
            &format!("GET /health/live HTTP/{version}\r\n{hosts}connection: close\r\n\r\n"),
        );
        assert_eq!(answer.split(' ').nth(1), Some(expected), "{version} {hosts:?}: {answer}");
        assert_eq!(answer.contains("invalid_host"), expected == "400", "{answer}");
    }
}

#[test]
fn the_health_check_tells_well_from_ill_from_absent() {
    let server = Server::with_state(state(), "127.0.0.1", 0).unwrap();
    let report = health_check(&server.url()).unwrap();
    assert_eq!(report.status, HealthStatus::Ok);
    assert_eq!(report.model.unwrap().version, 3);
    let addr = server.addr().to_string();
    server.stop().unwrap();
    let error = health_check(&addr).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");

    let server = Server::with_state(no_model(), "127.0.0.1", 0).unwrap();
    let error = health_check(&server.addr().to_string()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("Reviews"), "{error:?}");
    assert!(error.hint().unwrap().to_string().contains("promote"), "{error:?}");
}

#[test]
fn a_taken_port_and_a_foreign_host_are_clear_errors() {
    let server = Server::with_state(state(), "127.0.0.1", 0).unwrap();
    let taken = Server::with_state(state(), "127.0.0.1", server.addr().port()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    assert!(taken.hint().unwrap().to_string().contains("--port"));
    // 192.0.2.0/24 is set aside for documentation: no machine has it.
    let foreign = Server::with_state(state(), "192.0.2.1", 0).unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::Invalid);
}

/// Trains on four words and puts the result into production as version 1.
pub(crate) fn put_into_production(store: &Store) -> Box<dyn Classifier> {
    let texts = ["good good film", "good play", "bad film", "bad bad play"];
    let train = Split {
        name: "train".to_owned(),
        texts: texts.map(str::to_owned).to_vec(),
        labels: vec![1, 1, 0, 0],
        classes: vec!["neg".to_owned(), "pos".to_owned()],
        fingerprint: Fingerprint { sha256: "0".repeat(64), n_rows: 4, class_counts: vec![2, 2] },
    };
    let model =
        TfidfConfig::default().fit(&train, &Monitor::silent(), &mut |_, _, _| Ok(())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();

    let registry = Registry::open(store).unwrap();
    let experiment_id = registry.experiment("sentiment-analysis").unwrap().experiment_id;
    let run = registry.create_run(NewRun { experiment_id, ..NewRun::default() }).unwrap();
    let version = NewVersion {
        model: DEFAULT_MODEL.to_owned(),
        files: registry.log_artifacts(&run.run_id, folder.path(), "").unwrap(),
        run_id: run.run_id,
        lineage: Lineage::default(),
        metrics: BTreeMap::new(),
        created_ms: 0,
    };
    registry.create_version(version).unwrap();
    gate::promote(&registry, DEFAULT_MODEL, 1, Stage::Production, Some("a test"), "ada").unwrap();
    model
}

#[test]
fn the_production_version_of_a_store_answers_as_the_trained_model_does() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let model = put_into_production(&store);
    let server = Server::start(&ServeConfig { port: 0, ..ServeConfig::new(store) }).unwrap();
    let info = health_check(&server.url()).unwrap().model.unwrap();
    assert_eq!((info.version, info.stage), (1, Stage::Production));
    for text in ["a good film", "a bad play", "nothing known"] {
        let answer = post_over_socket(server.addr(), &json!({ "text": text }).to_string());
        let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let expected = &predictions(&*model, &[text]).unwrap()[0];
        assert_eq!(answer["label"], *expected.label, "{text}");
        let difference = answer["probability"].as_f64().unwrap() - expected.probability.unwrap();
        // Saving may round a weight, no more.
        assert!(difference.abs() < 1e-6, "{text}: {difference}");
    }
}

/// What was still buffered went with the process when a version was being loaded meanwhile.
#[test]
fn a_server_that_ends_writes_its_log_whoever_holds_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    put_into_production(&store);
    let state = ServeConfig::new(store.clone()).load().unwrap();
    let server = Server::with_state(state.clone(), "127.0.0.1", 0).unwrap();
    let answer = post_over_socket(server.addr(), r#"{"text":"good"}"#);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.stop().unwrap();
    let logged = trialbook::monitor::read_predictions(&store.logs_dir()).unwrap();
    assert_eq!(logged.records.len(), 1);
    drop(state);
}

#[test]
fn a_store_without_a_production_model_is_served_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("store"));
    let server = Server::start(&ServeConfig { port: 0, ..ServeConfig::new(store) }).unwrap();
    let error = health_check(&server.url()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let answer = post_over_socket(server.addr(), r#"{"text":"good"}"#);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("trialbook promote SentimentClassifier"), "{answer}");
}

/// Makes this test binary a server, with a log, in a process that can be sent signals.
const SERVE_IN_CHILD: &str = "TRIALBOOK_TEST_SERVE_IN_CHILD";

#[test]
fn child_process_that_serves() {
    if std::env::var_os(SERVE_IN_CHILD).is_none() {
        return;
    }
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let (listener, addr) = serve::bind("127.0.0.1", 0).unwrap();
    serve::start_with(state(), listener, || println!("\nlistening {addr}")).unwrap();
    println!("\nended well");
}

/// Starts such a process and asks it something, then sends `signal`; what it wrote until it ended.
#[cfg(unix)]
fn serve_in_child(signal: &str, ask: impl FnOnce(SocketAddr)) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["serve::sockets::child_process_that_serves", "--exact", "--nocapture"])
        .env(SERVE_IN_CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The pipe stays open: a closed one would break the child's last words.
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let addr = stdout
        .by_ref()
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("listening ").map(str::to_owned))
        .expect("the child says where it listens");
    ask(addr.parse().unwrap());
    let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    Output { stdout: rest, ..child.wait_with_output().unwrap() }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_process_well() {
    for signal in ["INT", "TERM"] {
        let output = serve_in_child(signal, |addr| {
            let report = health_check(&addr.to_string()).unwrap();
            assert_eq!(report.status, HealthStatus::Ok);
        });
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.lines().any(|line| line == "ended well"), "SIG{signal}: {stdout}");
        assert_eq!(output.status.code(), Some(0), "SIG{signal}");
    }
}

#[cfg(unix)]
#[test]
fn every_request_is_one_line_in_the_log_without_the_users_words() {
    let requests = [
        ("/predict", r#"{"text":"secretword"}"#, 200),
        ("/predict?text=secretword", r#"{"texts":"secretword"}"#, 422),
        ("/predict", r#"{"text":"secretword"#, 400),
    ];
    let output = serve_in_child("TERM", |addr| {
        for (idx, (path, body, _)) in requests.iter().enumerate() {
            let length = body.len();
            exchange(
                addr,
                &format!(
                    "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: id-{idx}\r\n\
                     content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                ),
            );
        }
    });
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!log.contains("secretword"), "{log}");
    for (idx, (_, _, status)) in requests.iter().enumerate() {
        let id = format!("request_id=\"id-{idx}\"");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&id)).collect();
        let [line] = lines[..] else { panic!("{log}") };
        let status = format!("status={status}");
        for field in ["method=POST", "path=\"/predict\"", &status, "latency_ms="] {
            assert!(line.contains(field), "{field} in {line}");
        }
    }
}
