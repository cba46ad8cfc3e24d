//! The events that pages wait for: who changes the registry, in whichever process, is heard of at once.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use trialbook::{
    registry::{NewKey, Registry, Scope},
    store::Store,
};
use trialbook_program::serve::{ServeConfig, Server};

/// Longer than a change takes to be heard of, and shorter than the time after which something is said anyway.
const SOON: Duration = Duration::from_secs(8);

/// The line after the last piece of an answer that is sent in pieces (RFC 9112, 7.1).
const LAST_CHUNK: &str = "0";

/// A server of an empty store, and the registry as another process has it.
fn server() -> (TempDir, Registry, Server) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let registry = Registry::open(&store).unwrap();
    let config = ServeConfig { port: 0, serves: false, ..ServeConfig::new(store) };
    (folder, registry, Server::start(&config).unwrap())
}

/// One who listens.
struct Listener {
    lines: BufReader<TcpStream>,
    head: String,
}

impl Listener {
    fn of(server: &Server, headers: &str) -> Self {
        let mut connection = TcpStream::connect(server.addr()).unwrap();
        connection.set_read_timeout(Some(SOON)).unwrap();
        let host = server.addr();
        write!(connection, "GET /ui/events HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").unwrap();
        let mut listener = Self { lines: BufReader::new(connection), head: String::new() };
        while let Some(line) = listener.line().filter(|line| !line.is_empty()) {
            listener.head += &(line + "\n");
        }
        listener
    }

    /// The next line; none at the end of the connection.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let n_bytes = self.lines.read_line(&mut line).unwrap();
        (n_bytes > 0).then(|| line.trim_end().to_owned())
    }

    /// The data of the next event; none at the end.
    fn event(&mut self) -> Option<String> {
        loop {
            let line = self.line()?;
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(data.to_owned());
            }
            if line == LAST_CHUNK {
                return None;
            }
        }
    }
}

#[test]
fn a_change_by_another_process_is_heard_of_at_once_and_only_changes_are() {
    let (_folder, registry, server) = server();
    let mut listener = Listener::of(&server, "");
    assert!(listener.head.starts_with("HTTP/1.1 200 "), "{}", listener.head);
    assert!(listener.head.contains("content-type: text/event-stream"), "{}", listener.head);
    let mut marks = vec![listener.event().unwrap()];
    for idx in 0..3 {
        let begun = Instant::now();
        registry.experiment(&format!("experiment {idx}")).unwrap();
        let mark = listener.event().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(!marks.contains(&mark));
        marks.push(mark);
    }
    // The state that a page shows is the one that was told last.
    let mut page = TcpStream::connect(server.addr()).unwrap();
    write!(
        page,
        "GET /ui/runs HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\nconnection: close\r\n\r\n",
        server.addr()
    )
    .unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut page, &mut text).unwrap();
    assert!(text.contains(&format!("data-mark=\"{}\"", marks[3])), "{text}");
    assert!(text.contains("data-events=\"/ui/events\""), "{text}");
    listener.lines.get_ref().set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut line = String::new();
    // What is left is the end of the last event.
    while let Ok(n_bytes) = listener.lines.read_line(&mut line) {
        assert!(n_bytes > 0, "the connection ended");
    }
    assert!(!line.contains("data:"), "nothing changed: {line}");
}

#[test]
fn a_stopping_server_sends_its_listeners_away() {
    let (_folder, _registry, server) = server();
    let mut listeners: Vec<Listener> = (0..5).map(|_| Listener::of(&server, "")).collect();
    for listener in &mut listeners {
        listener.event().unwrap();
    }
    let begun = Instant::now();
    server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for listener in &mut listeners {
        assert_eq!(listener.event(), None);
    }
}

#[test]
fn who_may_not_read_may_not_listen_and_a_key_that_ends_ends_what_it_began() {
    let (_folder, registry, server) = server();
    let key = registry
        .add_key(NewKey { name: "web".into(), scope: Scope::Read, expires_ms: None })
        .unwrap();
    // Until the server has heard of the key, nobody needs one.
    let begun = Instant::now();
    while Listener::of(&server, "").head.starts_with("HTTP/1.1 200 ") {
        assert!(begun.elapsed() < SOON);
    }
    let shown = format!("authorization: Bearer {}\r\n", key.secret);
    let mut listener = Listener::of(&server, &shown);
    assert!(listener.head.starts_with("HTTP/1.1 200 "), "{}", listener.head);
    listener.event().unwrap();
    registry.revoke_key("web").unwrap();
    let begun = Instant::now();
    let mut n_told = 0;
    // Each event is answered with a change, until the server knows what the key is worth.
    while listener.event().is_some() {
        assert!(begun.elapsed() < SOON, "{n_told} changes were told after the key ended");
        n_told += 1;
        registry.experiment(&format!("after {n_told}")).unwrap();
    }
}

#[test]
fn places_are_bounded() {
    let (_folder, _registry, server) = server();
    let mut listeners = Vec::new();
    let refused = loop {
        let listener = Listener::of(&server, "");
        if !listener.head.starts_with("HTTP/1.1 200 ") {
            break listener;
        }
        listeners.push(listener);
        assert!(listeners.len() < 1_000);
    };
    assert!(refused.head.starts_with("HTTP/1.1 503 "), "{}", refused.head);
    assert_eq!(listeners.len(), 64);
    listeners.pop();
    let begun = Instant::now();
    while !Listener::of(&server, "").head.starts_with("HTTP/1.1 200 ") {
        assert!(begun.elapsed() < SOON, "the place is free again");
    }
}
