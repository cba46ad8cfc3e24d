//! Bodies that nobody should send: whatever comes, the server answers, and says in the one shape of
//! errors that the fault is the client's.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::{Index, select},
};
use serde_json::Value;
use tower::ServiceExt as _;
use trialbook_program::serve::{self, Limits};

use super::double::three_models;

/// Bodies that are answered, to be spoilt.
const BODIES: [&str; 8] = [
    r#"{"text":"An utterly wonderful film."}"#,
    r#"{"text":"a\u0000b \ud83d\ude00 é","truncate":false,"model":"Reviews"}"#,
    r#"{"model":"Long tickets","text":"one two three four five six"}"#,
    r#"{"texts":["oo","ox","x\nx"],"truncate":true}"#,
    r#"{"texts":["oo","one two three four five six"],"truncate":false,"model":"Long tickets"}"#,
    "{\"id\":1,\"text\":\"oo\"}\n{\"id\":\"b\",\"text\":\"ox\",\"model\":\"Reviews\"}\n",
    "{\"text\":\"oo\"}\r\n\n{\"text\":\"\"}\n{\"text\":\"ox\",\"model\":\"Long tickets\"}",
    "[[[[{\"text\":{\"text\":[1e308,-0.0,null]}}]]]]",
];
const PATHS: [&str; 5] = [
    "/predict",
    "/predict/batch",
    "/batch_predict",
    "/models/Reviews/predict",
    "/models/Long%20tickets/predict/batch",
];
const CONTENT_TYPES: [&str; 2] = ["application/json", "application/x-ndjson"];

/// One way to spoil a body.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    /// Everything from there on.
    Cut(Index),
    /// What lies between is there twice.
    Repeat(Index, Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let n_bytes = bytes.len();
        match self {
            Self::Set(at, byte) => bytes[at.index(n_bytes)] = *byte,
            Self::Insert(at, byte) => bytes.insert(at.index(n_bytes), *byte),
            Self::Remove(at) => drop(bytes.remove(at.index(n_bytes))),
            Self::Cut(at) => bytes.truncate(at.index(n_bytes)),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(n_bytes), to.index(n_bytes));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let byte = || prop_oneof![any::<u8>(), select(b"\"{}[]:,\\\n0-e".to_vec())];
    prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<Index>().prop_map(Change::Remove),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

/// Any JSON, with the names that the server knows among its fields.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é\u{0}]{0,12}".prop_map(Value::from),
        select(vec!["Reviews", "Long tickets", "Other"]).prop_map(Value::from),
    ];
    let name = || select(vec!["text", "texts", "model", "truncate", "id", "other"]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..256),
        json().prop_map(|json| json.to_string().into_bytes()),
        (select(BODIES.to_vec()), vec(change(), 1..6)).prop_map(|(body, changes)| {
            let mut bytes = body.as_bytes().to_vec();
            changes.iter().for_each(|change| change.apply(&mut bytes));
            bytes
        }),
    ]
}

/// Sends `bytes`, and fails unless what comes back is an answer or an error of the client's in the
/// one shape of errors.
async fn check(app: &Router, path: &str, content_type: &str, bytes: &[u8]) {
    let shown = format!("{path} {content_type}: {:?}", String::from_utf8_lossy(bytes));
    let request = Request::post(path)
        .header("content-type", content_type)
        .body(Body::from(bytes.to_vec()))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let answered_as = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let read = |text: &[u8]| serde_json::from_slice::<Value>(text).expect(&shown);
    match (status, answered_as.as_str()) {
        (200, "application/x-ndjson") => {
            for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let mut line = read(line);
                let fields = line.as_object_mut().unwrap();
                assert!(fields.shift_remove("line").unwrap().is_u64(), "{shown}");
                fields.shift_remove("id");
                if !fields.contains_key("label") {
                    check_fault(&line, &shown);
                }
            }
        }
        (200, "application/json") => {
            let answers = read(&body);
            let first = answers.get(0).unwrap_or(&answers);
            assert!(first["label"].is_string(), "{shown}: {answers}");
        }
        (400..=499, "application/json") => check_fault(&read(&body), &shown),
        _ => panic!("{shown} was answered with {status} {answered_as}"),
    }
}

fn check_fault(error: &Value, shown: &str) {
    let keys: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error", "error_type", "detail", "request_id"], "{shown}: {error}");
    let known = [
        "malformed_json",
        "model_not_found",
        "payload_too_large",
        "unsupported_media_type",
        "validation_error",
    ];
    assert!(known.contains(&error["error_type"].as_str().unwrap()), "{shown}: {error}");
}

#[test]
fn bodies_that_are_not_spoilt_are_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = serve::app(three_models(Limits::default()).0);
    for body in BODIES {
        for path in PATHS {
            for content_type in CONTENT_TYPES {
                runtime.block_on(check(&app, path, content_type, body.as_bytes()));
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn whatever_comes_is_answered_or_refused_as_the_clients_fault(
        bytes in bytes(),
        path in select(PATHS.to_vec()),
        content_type in select(CONTENT_TYPES.to_vec()),
    ) {
        thread_local! {
            static SERVER: (tokio::runtime::Runtime, Router) = (
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
                // Small, so that bounds are met; some bodies are then read beside the async thread.
                serve::app(three_models(Limits {
                    body_bytes: 200,
                    batch_texts: 4,
                    inline_body_bytes: 60,
                    text_chars: 40,
                    stream_lines: 2,
                    ..Limits::default()
                }).0),
            );
        }
        SERVER.with(|(runtime, app)| runtime.block_on(check(app, path, content_type, &bytes)));
    }
}
