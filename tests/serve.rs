//! The server as its clients see it: every endpoint and every refusal, asked through the router.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test as the test may")]

mod documented;
mod double;
mod events;
mod explain;
pub(crate) mod follow;
mod hostile;
mod models;
mod release;
mod release_checks;
mod remote;
mod security;
mod sockets;
mod stream;
mod threshold;
mod tracking;
mod ui;
mod ui_edit;

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use trialbook_program::serve::{self, Limits, ServerState};

use self::double::{Gate, batched, no_model, short_sighted, state, state_with};

/// One answer, with its body as JSON; a body that is not JSON fails the test.
struct Answer {
    status: u16,
    headers: HeaderMap,
    json: Value,
}

async fn ask(state: ServerState, request: Request<Body>) -> Answer {
    let (status, headers, body) = ask_raw(state, request).await;
    let json = serde_json::from_slice(&body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)));
    Answer { status, headers, json }
}

async fn ask_raw(state: ServerState, request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
    let question = documented::Question::new(request.method(), request.uri());
    let response = serve::app(state).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let document = documented::document().await;
    question.check(&document, parts.status.as_u16(), &parts.headers, &body);
    (parts.status.as_u16(), parts.headers, body)
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header("content-type", "application/json").body(body.into()).unwrap()
}

/// Sends a question that keeps the model busy until `gate` is opened; returns once it does.
async fn occupy(state: &ServerState, gate: &Gate) -> tokio::task::JoinHandle<Answer> {
    let asked = tokio::spawn(ask(state.clone(), post("/predict", r#"{"text":"wait"}"#)));
    let entered = gate.clone();
    tokio::task::spawn_blocking(move || entered.wait_until_entered()).await.unwrap();
    asked
}

#[tokio::test]
async fn one_text_gets_one_prediction() {
    let mut answer = ask(state(), post("/predict", r#"{"text":"ooo!"}"#)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let fields = answer.json.as_object_mut().unwrap();
    assert!(fields.remove("latency_ms").unwrap().as_f64().unwrap() >= 0.0);
    let request_id = fields.remove("request_id").unwrap();
    assert_eq!(answer.headers["x-request-id"], *request_id.as_str().unwrap());
    let expected = json!({
        "sentiment": "pos", "confidence": 0.75, "probability": 0.75, "threshold": 0.5, "label": "pos",
        "scores": { "neg": 0.25, "pos": 0.75 },
        "known_share": 1.0,
        "model": {
            "name": "Reviews", "version": 3, "stage": "Production",
            "run_id": "0123456789abcdef0123456789abcdef",
        },
        "truncated": false,
    });
    assert_eq!(answer.json, expected);
}

#[tokio::test]
async fn a_text_that_is_too_long_is_cut_or_refused_as_asked() {
    let long = "o o o o";
    for (body, path) in [
        (json!({ "text": long }), "/predict"),
        (json!({ "text": long, "truncate": true }), "/predict"),
        (json!({ "texts": [long] }), "/predict/batch"),
    ] {
        let answer = ask(short_sighted(3), post(path, body.to_string())).await;
        let first = answer.json.get(0).unwrap_or(&answer.json);
        assert_eq!((answer.status, &first["truncated"]), (200, &json!(true)), "{body}");
        let answer = ask(short_sighted(4), post(path, body.to_string())).await;
        let first = answer.json.get(0).unwrap_or(&answer.json);
        assert_eq!((answer.status, &first["truncated"]), (200, &json!(false)), "{body}");
    }
    for (body, path, loc) in [
        (json!({ "text": long, "truncate": false }), "/predict", json!(["body", "text"])),
        (
            json!({ "texts": ["o", long], "truncate": false }),
            "/predict/batch",
            json!(["body", "texts", 1]),
        ),
    ] {
        let answer = ask(short_sighted(3), post(path, body.to_string())).await;
        check_error(&answer, 422, "validation_error");
        let fault = &answer.json["detail"][0];
        assert_eq!((&fault["loc"], &fault["type"]), (&loc, &json!("too_many_tokens")));
        let told = fault["msg"].as_str().unwrap();
        assert!(told.contains("4 tokens") && told.contains("reads 3"), "{told}");
        assert_eq!(ask(short_sighted(4), post(path, body.to_string())).await.status, 200);
    }
}

/// A model says something of every text, also of one that it knows no word of.
#[tokio::test]
async fn how_much_of_a_text_is_known_is_said_however_it_is_asked() {
    for state in [state(), short_sighted(9)] {
        for (text, expected) in [("oo no!", 1.0), ("zzz qqq", 0.0), ("to zzz qqq xxx", 0.25)] {
            let one = ask(state.clone(), post("/predict", json!({"text": text}).to_string())).await;
            assert_eq!((one.status, &one.json["known_share"]), (200, &json!(expected)), "{text}");
            let body = json!({"texts": ["o", text]}).to_string();
            let two = ask(state.clone(), post("/predict/batch", body)).await;
            assert_eq!(two.json[1]["known_share"], json!(expected), "{text}");
            let line = Request::post("/predict/batch")
                .header("content-type", "application/x-ndjson")
                .body(Body::from(json!({"text": text}).to_string()))
                .unwrap();
            assert_eq!(ask(state.clone(), line).await.json["known_share"], json!(expected));
        }
    }
}

/// What a class writes that is made from the OpenAPI document, and what PowerShell writes.
#[tokio::test]
async fn null_is_as_if_left_out_and_a_byte_order_mark_as_if_it_were_not_there() {
    let nulls = r#"{"text":"ooo!","texts":["ooo!"],"model":null,"truncate":true,"id":null}"#;
    for body in [nulls.to_owned(), nulls.replace("true", "null"), format!("\u{feff}{nulls}")] {
        for path in [
            "/predict",
            "/predict/batch",
            "/batch_predict",
            "/models/Reviews/predict",
            "/models/Reviews/predict/batch",
        ] {
            let answer = ask(state(), post(path, body.clone())).await;
            let first = answer.json.get(0).unwrap_or(&answer.json);
            assert_eq!((answer.status, &first["label"]), (200, &json!("pos")), "{path} {body}");
        }
        let lines = Request::post("/predict/batch")
            .header("content-type", "application/x-ndjson")
            .body(Body::from(body.clone()))
            .unwrap();
        let answer = ask(state(), lines).await.json;
        assert_eq!((&answer["label"], answer.get("id")), (&json!("pos"), None), "{body}");
    }
    // What is needed cannot be null, and the document does not say that it could.
    check_error(&ask(state(), post("/predict", r#"{"text":null}"#)).await, 422, "validation_error");
    let document = documented::document().await;
    let schemas = &document["components"]["schemas"];
    for (name, kind) in [
        ("ModelName", json!(["string", "null"])),
        ("Truncate", json!(["boolean", "null"])),
        ("QuestionText", json!("string")),
    ] {
        assert_eq!(schemas[name]["type"], kind, "{name}");
    }
    assert_eq!(schemas["Prediction"]["properties"]["known_share"]["maximum"], 1);
}

#[tokio::test]
async fn confidence_is_of_the_label_and_probability_of_the_positive_class() {
    let answer = ask(state(), post("/predict", r#"{"text":"o!!!"}"#)).await;
    assert_eq!(answer.json["label"], "neg");
    assert_eq!(answer.json["confidence"], 0.75);
    assert_eq!(answer.json["probability"], 0.25);
}

#[tokio::test]
async fn three_classes_have_scores_but_no_sentiment() {
    let (state, _) = state_with(&["bad", "fair", "good"], Limits::default());
    let answer = ask(state, post("/predict", r#"{"text":"oo"}"#)).await;
    assert_eq!(answer.json["label"], "good");
    assert_eq!(answer.json["scores"], json!({ "bad": 0.0, "fair": 0.0, "good": 1.0 }));
    assert_eq!(answer.json.get("sentiment").or(answer.json.get("probability")), None);
}

#[tokio::test]
async fn a_batch_answers_every_text_in_order_on_both_paths() {
    for path in ["/predict/batch", "/batch_predict"] {
        let answer = ask(state(), post(path, r#"{"texts":["oo","xx","ox"]}"#)).await;
        assert_eq!(answer.status, 200, "{path}");
        let scores: Vec<&Value> =
            answer.json.as_array().unwrap().iter().map(|one| &one["probability"]).collect();
        assert_eq!(scores, [1.0, 0.0, 0.5], "{path}");
    }
}

#[tokio::test]
async fn a_batch_says_what_single_requests_say_inline_or_not() {
    let texts = ["good", "a\u{0}b", "é😀o", "No o's? None."];
    let long = Limits { inline_body_bytes: 0, ..Limits::default() };
    for limits in [Limits::default(), long] {
        let state = || state_with(&["neg", "pos"], limits.clone()).0;
        let body = json!({ "texts": texts }).to_string();
        let batch = ask(state(), post("/predict/batch", body)).await.json;
        for (text_idx, text) in texts.into_iter().enumerate() {
            let body = json!({ "text": text }).to_string();
            let single = ask(state(), post("/predict", body)).await.json;
            assert_eq!(single["scores"], batch[text_idx]["scores"], "{text:?}");
        }
    }
}

/// Asserts the one shape of errors, and that nothing of this machine is in it.
fn check_error(answer: &Answer, status: u16, error_type: &str) {
    let shown = format!("{status} {error_type}: {}", answer.json);
    assert_eq!(answer.status, status, "{shown}");
    assert_eq!(answer.json["error_type"], error_type, "{shown}");
    assert_eq!(answer.headers["content-type"], "application/json", "{shown}");
    let keys: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error", "error_type", "detail", "request_id"], "{shown}");
    assert!(answer.json["error"].as_str().is_some_and(|error| !error.is_empty()), "{shown}");
    assert_eq!(answer.headers["x-request-id"], *answer.json["request_id"].as_str().unwrap());
    assert!(!shown.contains("/secret"), "{shown}");
}

#[tokio::test]
async fn every_refusal_is_json_of_one_shape() {
    let small =
        Limits { body_bytes: 64, batch_body_bytes: 96, batch_texts: 4, ..Limits::default() };
    let long_text = format!(r#"{{"text":"{}"}}"#, "o".repeat(64));
    let plain = |content_type: &str| {
        Request::post("/predict")
            .header("content-type", content_type)
            .body(Body::from(r#"{"text":"good"}"#))
            .unwrap()
    };
    let no_type = Request::post("/predict").body(Body::from(r#"{"text":"good"}"#)).unwrap();
    for (request, status, error_type) in [
        (post("/predict", "{}"), 422, "validation_error"),
        (post("/predict", r#"{"text":5}"#), 422, "validation_error"),
        (post("/predict", r#"{"text":""}"#), 422, "validation_error"),
        (post("/predict", r#"["good"]"#), 422, "validation_error"),
        (post("/predict/batch", r#"{"texts":[]}"#), 422, "validation_error"),
        (post("/batch_predict", r#"{"texts":["a",""]}"#), 422, "validation_error"),
        (post("/predict/batch", r#"{"texts":["a","a","a","a","a"]}"#), 422, "validation_error"),
        (post("/predict", "{\"text\":"), 400, "malformed_json"),
        (post("/predict", ""), 400, "malformed_json"),
        (post("/predict", long_text.clone()), 413, "payload_too_large"),
        (post("/predict/batch", format!("{long_text}{long_text}")), 413, "payload_too_large"),
        (plain("text/plain"), 415, "unsupported_media_type"),
        (plain("application/x-www-form-urlencoded"), 415, "unsupported_media_type"),
        (plain("application/jsonish"), 415, "unsupported_media_type"),
        (plain("application/json; charset=latin1"), 415, "unsupported_media_type"),
        (plain("application/x-ndjson"), 415, "unsupported_media_type"),
        (no_type, 415, "unsupported_media_type"),
        (get("/nowhere"), 404, "not_found"),
        (get("/assets/../Cargo.toml"), 404, "not_found"),
        (get("/assets/nothing.js"), 404, "not_found"),
        (get("/predict"), 405, "method_not_allowed"),
        (post("/health", "{}"), 405, "method_not_allowed"),
        (post("/predict", r#"{"text":"fail"}"#), 500, "internal"),
        (post("/predict", r#"{"text":"panic"}"#), 500, "internal"),
        (post("/predict/batch", r#"{"texts":["a","lose"]}"#), 500, "internal"),
    ] {
        let (state, _) = state_with(&["neg", "pos"], small.clone());
        check_error(&ask(state, request).await, status, error_type);
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let body = r#"{"text":"good"}"#;
    for (limit, status) in [(body.len(), 200), (body.len() - 1, 413)] {
        let limits = Limits { body_bytes: limit, ..Limits::default() };
        let (state, _) = state_with(&["neg", "pos"], limits);
        assert_eq!(ask(state, post("/predict", body)).await.status, status, "limit {limit}");
    }
}

#[tokio::test]
async fn json_with_parameters_or_a_suffix_is_json() {
    for content_type in
        ["application/json; charset=utf-8", "Application/JSON", "application/x+json"]
    {
        let request = Request::post("/predict")
            .header("content-type", content_type)
            .body(Body::from(r#"{"text":"good"}"#))
            .unwrap();
        assert_eq!(ask(state(), request).await.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_validation_error_says_where_what_and_which_kind() {
    let answer = ask(state(), post("/predict", "{}")).await;
    let expected = json!([{ "loc": ["body", "text"], "msg": "Field required", "type": "missing" }]);
    assert_eq!(answer.json["detail"], expected);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let answer = ask(state(), get("/predict")).await;
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn without_a_model_predictions_and_health_say_what_to_do() {
    for request in [post("/predict", r#"{"text":"good"}"#), post("/batch_predict", "no matter")] {
        let answer = ask(no_model(), request).await;
        check_error(&answer, 503, "model_unavailable");
        assert!(answer.json["detail"].as_str().unwrap().contains("trialbook promote Reviews"));
    }
    let health = ask(no_model(), get("/health")).await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json["status"], "unavailable");
    assert_eq!(health.json["model"], Value::Null);
    assert_eq!(health.json["error_type"], "model_unavailable");
    assert_eq!(ask(no_model(), get("/")).await.status, 200);
}

#[tokio::test]
async fn health_names_the_model() {
    let health = ask(state(), get("/health")).await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json["status"], "ok");
    assert_eq!(health.json["model"]["version"], 3);
    assert!(health.json["uptime_s"].as_f64().unwrap() >= 0.0);
    assert_eq!(health.json["monitoring"]["n_predictions"], 0);
}

#[tokio::test]
async fn live_is_not_ready() {
    assert_eq!(ask(no_model(), get("/health/live")).await.status, 200);
    check_error(&ask(no_model(), get("/health/ready")).await, 503, "model_unavailable");
    let ready = ask(state(), get("/health/ready")).await;
    assert_eq!((ready.status, &ready.json["model"]["version"]), (200, &json!(3)));
    assert_eq!(ask(no_model(), get("/models")).await.json, json!({"models": []}));
    let models = ask(state(), get("/models")).await.json;
    assert_eq!(models["models"][0]["classes"], json!(["neg", "pos"]));
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let state = state();
    ask(state.clone(), post("/predict", r#"{"text":"ooo!"}"#)).await;
    ask(state.clone(), post("/batch_predict", r#"{"texts":["oo!!","!!!","!"]}"#)).await;
    ask(state.clone(), post("/predict", r#"{"text":7}"#)).await;
    ask(state.clone(), get("/no/such/path")).await;
    let monitoring = &ask(state.clone(), get("/health")).await.json["monitoring"];
    assert_eq!(monitoring["labels"], json!({"neg": 2, "pos": 2}));
    assert_eq!(monitoring["confidence"]["mean"], json!((0.75 + 0.5 + 1.0 + 1.0) / 4.0));
    let (status, headers, body) = ask_raw(state, get("/metrics")).await;
    assert_eq!(status, 200);
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(body).unwrap();
    for line in [
        r#"model_predictions_total{model="Reviews",version="3"} 4"#,
        r#"model_positive_predictions_total{model="Reviews",version="3"} 2"#,
        r#"model_negative_predictions_total{model="Reviews",version="3"} 2"#,
        r#"model_prediction_duration_seconds_count{model="Reviews"} 2"#,
        r#"model_prediction_batch_size_bucket{model="Reviews",le="2"} 1"#,
        r#"http_requests_total{path="/predict",status="200"} 1"#,
        r#"http_requests_total{path="/predict",status="422"} 1"#,
        r#"http_requests_total{path="other",status="404"} 1"#,
        r#"http_errors_total{error_type="validation_error"} 1"#,
        "http_requests_in_flight 1",
        r#"model_info{model="Reviews",run_id="0123456789abcdef0123456789abcdef",version="3"} 1"#,
        r#"model_swaps_total{model="Reviews"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// The alert for a model without a version in production asks for the one and not the other.
#[tokio::test]
async fn a_model_that_never_answered_has_series_but_no_version() {
    let (_, _, body) = ask_raw(no_model(), get("/metrics")).await;
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("\nmodel_swaps_total{model=\"Reviews\"} 0\n"), "{text}");
    assert!(!text.contains("\nmodel_info{"), "{text}");
}

#[tokio::test]
async fn the_endpoints_that_the_description_names_work_as_it_says() {
    let description = ask(state(), get("/")).await.json;
    assert_eq!(description["model"]["name"], "Reviews");
    for endpoint in description["endpoints"].as_array().unwrap() {
        let path = endpoint["path"].as_str().unwrap();
        let path = path.replace("{name}", "page.js").replace("{model}", "Reviews");
        let request = match endpoint["method"].as_str().unwrap() {
            "GET" => get(&path),
            _ => post(&path, endpoint["example"].to_string()),
        };
        assert_eq!(ask_raw(state(), request).await.0, 200, "{path}");
    }
}

/// Every path of the document with every method: what it does not speak of is refused, as the check
/// of every answer says.
#[tokio::test]
async fn the_document_and_the_router_know_the_same() {
    let document = documented::document().await;
    let mut paths: Vec<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    paths.extend([
        "/predict/",
        "//",
        "/docs/",
        "/%2e%2e/info",
        "/%ff%00",
        "/assets/%ff",
        "/assets/",
        "/models/",
        "/models/Reviews",
        "/models/%ff/predict",
        "/models/Other/predict/batch",
    ]);
    for path in paths {
        let path = path.replace("{name}", "page.css").replace("{model}", "Reviews");
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "ODD"] {
            let request = Request::builder().method(method).uri(&path).body(Body::empty()).unwrap();
            let (status, headers, body) = ask_raw(state(), request).await;
            if [404, 405].contains(&status) {
                assert_eq!(headers["content-type"], "application/json", "{method} {path}");
                // A HEAD has no body, whatever it is told.
                let is_json = serde_json::from_slice::<Value>(&body).is_ok();
                assert_eq!(is_json, method != "HEAD", "{method} {path}");
            }
        }
    }
}

fn browser(path: &str) -> Request<Body> {
    Request::get(path)
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn a_browser_gets_pages_whose_parts_are_served_under_a_strict_policy() {
    let (_, headers, _) = ask_raw(state(), browser("/")).await;
    assert_eq!(headers["vary"], "accept");
    for path in ["/", "/docs"] {
        let (status, headers, body) = ask_raw(state(), browser(path)).await;
        assert_eq!(status, 200, "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let page = String::from_utf8(body).unwrap();
        let parts: Vec<&str> =
            page.split('"').filter(|quoted| quoted.starts_with("assets/")).collect();
        assert!(parts.len() >= 3, "{parts:?}");
        for part in parts {
            let (status, headers, body) = ask_raw(state(), get(&format!("/{part}"))).await;
            assert_eq!(status, 200, "{part}");
            assert_eq!(headers["x-content-type-options"], "nosniff", "{part}");
            assert!(!headers["content-type"].is_empty() && !body.is_empty(), "{part}");
        }
    }
}

#[tokio::test]
async fn what_a_browser_has_of_a_page_is_not_sent_again() {
    for (name, caching) in
        [("page.js", "no-cache"), ("swagger-ui-5.35.0.css", "public, max-age=31536000, immutable")]
    {
        let path = format!("/assets/{name}");
        let (_, headers, _) = ask_raw(state(), get(&path)).await;
        assert_eq!(headers["cache-control"], caching, "{name}");
        assert_eq!(headers.contains_key("content-encoding"), name.starts_with("swagger"), "{name}");
        let tag = headers["etag"].to_str().unwrap();
        for (held, expected) in [
            (tag.to_owned(), 304),
            (format!("\"other\", W/{tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.trim_matches('"').to_owned(), 200),
        ] {
            let request = Request::get(&path).header("if-none-match", &held).body(Body::empty());
            let (status, headers, body) = ask_raw(state(), request.unwrap()).await;
            assert_eq!((status, body.is_empty()), (expected, expected == 304), "{held}");
            assert_eq!(headers["etag"], tag);
        }
    }
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let request = Request::get("/nowhere").header("x-request-id", "trace-7").body(Body::empty());
    let answer = ask(state(), request.unwrap()).await;
    assert_eq!(answer.headers["x-request-id"], "trace-7");
    assert_eq!(answer.json["request_id"], "trace-7");
}

#[tokio::test]
async fn long_work_that_waits_too_long_is_turned_away() {
    let limits = Limits {
        inline_body_bytes: 0,
        n_parallel: 1,
        queue_wait: Duration::from_millis(10),
        ..Limits::default()
    };
    let (state, gate) = state_with(&["neg", "pos"], limits);
    let first = occupy(&state, &gate).await;
    let second = ask(state, post("/predict", r#"{"text":"good"}"#)).await;
    gate.open();
    check_error(&second, 503, "too_late");
    assert_eq!(second.headers["retry-after"], "1");
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn long_work_that_finds_no_place_is_turned_away_at_once() {
    let limits =
        Limits { inline_body_bytes: 0, n_parallel: 1, queue_bodies: 0, ..Limits::default() };
    let (state, gate) = state_with(&["neg", "pos"], limits);
    let first = occupy(&state, &gate).await;
    let second = ask(state, post("/predict", r#"{"text":"good"}"#)).await;
    gate.open();
    check_error(&second, 429, "overloaded");
    assert_eq!(second.headers["retry-after"], "1");
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_model_that_wants_batches_gives_each_request_its_own_answer() {
    let (state, gate) = batched(10, Limits { inline_body_bytes: 30, ..Limits::default() });
    let first = occupy(&state, &gate).await;
    let many = r#"{"texts":["ooo!","nnn!","panic o o o o o o o o o o"]}"#;
    let others = [("/predict", r#"{"text":"oo"}"#), ("/predict", r#"{"text":"panic"}"#)];
    let many = tokio::spawn(ask(state.clone(), post("/predict/batch", many)));
    let others = others.map(|(path, body)| tokio::spawn(ask(state.clone(), post(path, body))));
    gate.open();
    assert_eq!(first.await.unwrap().json["label"], "neg");
    let many = many.await.unwrap();
    let answers: Vec<(&str, bool)> = many
        .json
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| (answer["label"].as_str().unwrap(), answer["truncated"].as_bool().unwrap()))
        .collect();
    assert_eq!(answers, [("pos", false), ("neg", false), ("neg", true)]);
    let [good, panicked] = others;
    assert_eq!(good.await.unwrap().json["confidence"], 1.0);
    check_error(&panicked.await.unwrap(), 500, "internal");
}

#[tokio::test]
async fn a_full_queue_of_texts_refuses_at_once() {
    let (state, gate) = batched(10, Limits { queue_texts: 1, ..Limits::default() });
    let question = || post("/predict", r#"{"text":"oo"}"#);
    let first = occupy(&state, &gate).await;
    // One of the two finds the place, the other none.
    let waiting = [(); 2].map(|()| tokio::spawn(ask(state.clone(), question())));
    while !waiting.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    gate.open();
    let mut statuses = vec![first.await.unwrap().status];
    for answer in waiting {
        let answer = answer.await.unwrap();
        if answer.status == 429 {
            check_error(&answer, 429, "overloaded");
            assert_eq!(answer.headers["retry-after"], "1");
        }
        statuses.push(answer.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 429]);
}

/// It had no line in the log, and was not counted.
#[tokio::test]
async fn a_request_whose_client_leaves_is_counted() {
    let (state, gate) = batched(10, Limits::default());
    let first = occupy(&state, &gate).await;
    first.abort();
    assert!(first.await.is_err());
    gate.open();
    let (_, _, metrics) = ask_raw(state, get("/metrics")).await;
    let metrics = String::from_utf8(metrics).unwrap();
    let line = r#"http_requests_total{path="/predict",status="499"} 1"#;
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    assert!(metrics.contains("\nhttp_requests_in_flight 1\n"), "{metrics}");
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let request = Request::head("/health").body(Body::empty()).unwrap();
    let (status, _, body) = ask_raw(state(), request).await;
    assert_eq!((status, body.len()), (StatusCode::OK.as_u16(), 0));
}
