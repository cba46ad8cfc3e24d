//! Several models in one server: which one a question is for, and that none depends on another.

use std::time::{Duration, Instant};

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use trialbook_program::serve::{Limits, ServerState};

use super::{
    ask, ask_raw, check_error,
    double::{Gate, no_model, three_models},
    follow::{PICKED_UP, Serving, damage},
    get, post,
};
use crate::cli::Trialbook;

fn models() -> ServerState {
    three_models(Limits::default()).0
}

/// The model that answered, or the kind of refusal.
fn who(answer: &Value) -> &str {
    let first = answer.get(0).unwrap_or(answer);
    first["model"]["name"].as_str().or(first["error_type"].as_str()).unwrap()
}

#[tokio::test]
async fn path_and_field_choose_the_model_alike() {
    for (path, model, expected) in [
        ("", None, "Reviews"),
        ("", Some("Reviews"), "Reviews"),
        ("", Some("Long tickets"), "Long tickets"),
        ("", Some("Empty"), "model_unavailable"),
        ("", Some("Other"), "model_not_found"),
        ("/models/Long%20tickets", None, "Long tickets"),
        ("/models/Long%20tickets", Some("Long tickets"), "Long tickets"),
        ("/models/Long%20tickets", Some("Reviews"), "validation_error"),
        ("/models/Reviews", Some("Other"), "validation_error"),
        ("/models/Empty", None, "model_unavailable"),
        ("/models/Other", None, "model_not_found"),
        ("/models/", None, "model_not_found"),
        ("/models/Other", Some("Reviews"), "model_not_found"),
        ("/models/long tickets", None, "model_not_found"),
    ] {
        for (endpoint, mut body) in [
            ("/predict", json!({"text": "oo"})),
            ("/predict/batch", json!({"texts": ["oo"]})),
            ("/batch_predict", json!({"texts": ["oo"]})),
        ] {
            if let Some(model) = model {
                body["model"] = model.into();
            }
            let path = format!("{path}{endpoint}").replace(' ', "%20");
            let answer = ask(models(), post(&path, body.to_string())).await;
            assert_eq!(who(&answer.json), expected, "{path} {body}: {}", answer.json);
        }
    }
}

#[tokio::test]
async fn a_model_that_is_not_served_is_told_those_that_are() {
    let answer = ask(models(), post("/models/Other/predict", "no matter")).await;
    check_error(&answer, 404, "model_not_found");
    assert!(answer.json["error"].as_str().unwrap().contains("\"Other\""));
    let names = "this server has Reviews, Long tickets, Empty";
    assert_eq!(answer.json["detail"], names);
    let long = json!({"text": "oo", "model": "x".repeat(100_000)}).to_string();
    let answer = ask(models(), post("/predict", long)).await;
    check_error(&answer, 404, "model_not_found");
    assert!(answer.json.to_string().len() < 600, "an answer does not grow with the question");

    let both = r#"{"text":"oo","model":"Empty"}"#;
    let answer = ask(models(), post("/models/Reviews/predict", both)).await;
    check_error(&answer, 422, "validation_error");
    let fault = &answer.json["detail"][0];
    assert_eq!(
        (&fault["loc"], &fault["type"]),
        (&json!(["body", "model"]), &json!("model_mismatch"))
    );
    assert!(fault["msg"].as_str().unwrap().contains("\"Reviews\""), "{fault}");
}

#[tokio::test]
async fn a_server_of_one_model_is_asked_by_name_too() {
    let state = super::state;
    for (path, body, expected) in [
        ("/models/Reviews/predict", r#"{"text":"oo"}"#, "Reviews"),
        ("/predict", r#"{"text":"oo","model":"Reviews"}"#, "Reviews"),
        ("/predict", r#"{"text":"oo","model":"Other"}"#, "model_not_found"),
    ] {
        let answer = ask(state(), post(path, body)).await;
        assert_eq!(who(&answer.json), expected, "{path} {body}");
    }
    let answer = ask(no_model(), post("/models/Other/predict", "no matter")).await;
    check_error(&answer, 404, "model_not_found");
}

#[tokio::test]
async fn each_line_of_a_stream_may_name_its_model() {
    let request = |path: &str, body: &'static str| {
        Request::post(path)
            .header("content-type", "application/x-ndjson")
            .body(Body::from(body))
            .unwrap()
    };
    let body = concat!(
        "{\"text\":\"oo\",\"model\":\"Long tickets\"}\n",
        "{\"text\":\"oo\"}\n",
        "{\"text\":\"oo\",\"model\":\"Empty\"}\n",
        "{\"text\":\"fail\",\"model\":\"Long tickets\",\"id\":7}\n",
        "{\"text\":\"oo\",\"model\":\"Other\"}\n",
        "{\"text\":\"oo\",\"model\":3}\n",
        "{\"text\":\"oo\",\"model\":\"Reviews\"}\n",
    );
    let expected = [
        (
            "/predict/batch",
            [
                "Long tickets",
                "Reviews",
                "model_unavailable",
                "internal",
                "model_not_found",
                "validation_error",
                "Reviews",
            ],
        ),
        (
            "/models/Reviews/predict/batch",
            [
                "validation_error",
                "Reviews",
                "validation_error",
                "validation_error",
                "validation_error",
                "validation_error",
                "Reviews",
            ],
        ),
    ];
    for (path, expected) in expected {
        for stream_lines in [1, 3, 256] {
            let limits = Limits { stream_lines, ..Limits::default() };
            let (status, _, answers) = ask_raw(three_models(limits).0, request(path, body)).await;
            assert_eq!(status, 200, "{path}");
            let answers = String::from_utf8(answers).unwrap();
            let answers: Vec<Value> =
                answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(answers.iter().map(who).collect::<Vec<_>>(), expected, "{path}");
            let numbers: Vec<&Value> = answers.iter().map(|answer| &answer["line"]).collect();
            assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
            assert_eq!(answers[3]["id"], 7);
        }
    }
    let refused = ask(models(), request("/models/Empty/batch_predict", body)).await;
    check_error(&refused, 503, "model_unavailable");
}

#[tokio::test]
async fn what_is_said_of_one_model_is_said_of_the_first() {
    let (state, _) = three_models(Limits::default());
    ask(state.clone(), post("/predict", r#"{"text":"oo","model":"Long tickets"}"#)).await;
    let health = ask(state.clone(), get("/health")).await;
    assert_eq!((health.status, &health.json["status"]), (200, &json!("ok")));
    assert_eq!(health.json["model"]["name"], "Reviews");
    assert_eq!(health.json["monitoring"]["n_predictions"], 0);
    assert_eq!(health.json["monitoring"]["confidence"], Value::Null);
    let told: Vec<Value> = health.json["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let n_predictions = &one["monitoring"]["n_predictions"];
            json!([one["name"], one["status"], one["model"]["version"], n_predictions])
        })
        .collect();
    let expected = json!([
        ["Reviews", "ok", 3, 0],
        ["Long tickets", "ok", 3, 1],
        ["Empty", "unavailable", null, 0],
    ]);
    assert_eq!(Value::Array(told), expected);
    assert_eq!(ask(state.clone(), get("/health/ready")).await.status, 200);
    let info = ask(state.clone(), get("/info")).await.json;
    assert_eq!(info["model"]["name"], "Reviews");
    assert_eq!(info["models"], json!(["Reviews", "Long tickets", "Empty"]));
    let models = ask(state.clone(), get("/models")).await.json;
    let classes: Vec<&Value> =
        models["models"].as_array().unwrap().iter().map(|model| &model["classes"]).collect();
    assert_eq!(classes, [&json!(["neg", "pos"]), &json!(["low", "mid", "high"])]);

    let (_, _, metrics) = ask_raw(state, get("/metrics")).await;
    let metrics = String::from_utf8(metrics).unwrap();
    for line in [
        r#"model_predictions_total{model="Long tickets",version="3"} 1"#,
        r#"model_prediction_duration_seconds_count{model="Long tickets"} 1"#,
        r#"model_prediction_duration_seconds_count{model="Reviews"} 0"#,
        r#"model_load_failures_total{model="Empty"} 0"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_busy_model_keeps_no_other_one_waiting() {
    let (state, gate): (ServerState, Gate) = three_models(Limits::default());
    let waiting = r#"{"text":"wait"}"#;
    let busy = tokio::spawn(ask(state.clone(), post("/models/Long%20tickets/predict", waiting)));
    let entered = gate.clone();
    tokio::task::spawn_blocking(move || entered.wait_until_entered()).await.unwrap();
    let other = ask(state, post("/predict", r#"{"text":"oo"}"#)).await;
    assert_eq!((other.status, who(&other.json)), (200, "Reviews"));
    assert!(!busy.is_finished());
    gate.open();
    assert_eq!(who(&busy.await.unwrap().json), "Long tickets");
}

#[test]
fn names_that_cannot_be_served_together_are_refused() {
    for (names, expected) in [
        (&[][..], "at least one model"),
        (&["A", "A"], "\"A\" is named twice"),
        (&["A", ""], "empty"),
        (&["A/1"], "contains '/'"),
    ] {
        let named = names.iter().map(|&name| (name.to_owned(), None)).collect();
        let error = ServerState::of_models(named, Limits::default()).map(drop).unwrap_err();
        assert!(error.to_string().contains(expected), "{names:?}: {error}");
    }
}

/// A store whose models A and B have a version in production, and B one more.
fn two_models() -> Trialbook {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let train = ["train", "tfidf", "--data", "sample", "--ngram", "1"];
    for more in [&["--model", "A", "--deploy"][..], &["--model", "B", "--deploy"]] {
        book.json(&[&train[..], more].concat());
    }
    book.json(&[&train[..], &["--model", "B", "--c", "1"]].concat());
    book
}

#[test]
fn each_model_follows_its_own_production_version() {
    let book = two_models();
    let server = Serving::start(&book, &["--model", "A", "--model", "B", "--log-text", "full"]);
    let serves = |path: &str, name: &str, version: u64| {
        let started = Instant::now();
        loop {
            let model = server.ask(path).unwrap()["model"].clone();
            if (&model["name"], &model["version"]) == (&json!(name), &json!(version)) {
                return;
            }
            assert!(started.elapsed() < PICKED_UP, "{path}: {model}");
        }
    };
    serves("/predict", "A", 1);
    serves("/models/B/predict", "B", 1);
    book.json(&["promote", "B", "2", "--force", "--reason", "the test says so"]);
    serves("/models/B/predict", "B", 2);
    serves("/predict", "A", 1);
    // Without a version in production B is refused, and A answers on.
    book.json(&["promote", "B", "2", "--stage", "Archived"]);
    let started = Instant::now();
    while server.ask("/models/B/predict").is_ok() {
        assert!(started.elapsed() < PICKED_UP);
    }
    serves("/predict", "A", 1);
    let health = book.call(&["health", "--url", &server.url]);
    assert_eq!(health.stdout.trim(), "ok: serving A/1, B has no Production version");
    drop(server);

    let stats = book.json(&["monitor", "stats"]);
    for version in ["A/1", "B/1", "B/2"] {
        assert!(stats["versions"][version].as_u64() > Some(0), "{stats}");
    }
    let counts = |name: &str| stats["models"][name]["n_predictions"].as_u64().unwrap();
    assert_eq!(counts("A") + counts("B"), stats["n_predictions"].as_u64().unwrap());
    assert!(stats["models"]["A"]["versions"]["B/1"].is_null(), "{stats}");
    let shown = book.call(&["monitor", "stats"]).stdout;
    assert!(shown.contains("model A\n") && shown.contains("\nmodel B\n"), "{shown}");
}

/// It kept the whole server from starting.
#[test]
fn a_model_that_cannot_be_loaded_leaves_the_others_alone_from_the_start() {
    let book = two_models();
    book.json(&["promote", "B", "2", "--force", "--reason", "the test says so"]);
    let (path, whole) = damage(&book, "B/2");
    let refused = book.fails(1, &["serve", "--port", "0", "--model", "B"]);
    assert_eq!(refused.matches("model \"B\" version 2").count(), 1, "{refused}");

    // Also where it is the default.
    for models in [["--model=B", "--model=A"], ["--model=A", "--model=B"]] {
        let server = Serving::start(&book, &models);
        assert_eq!(server.ask("/models/A/predict").unwrap()["model"]["name"], "A");
        let refused = server.ask("/models/B/predict").unwrap_err().to_string();
        assert!(refused.contains("503") && refused.contains("could not be loaded"), "{refused}");
        if models[0] == "--model=B" {
            continue;
        }
        let health = book.call(&["health", "--url", &server.url]).stdout;
        let expected = "ok: serving A/1, B does not answer: version 2 could not be loaded";
        assert!(health.starts_with(expected), "{health}");
        std::fs::write(&path, &whole).unwrap();
        let started = Instant::now();
        while server.ask("/models/B/predict").is_err() {
            assert!(started.elapsed() < Duration::from_secs(15), "it is not tried again");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn models_are_named_by_flags_the_environment_or_the_file() {
    let book = Trialbook::new();
    let pinned = ["serve", "--port", "0", "--model", "A,B", "--pin", "1"];
    let refused = book.fails(1, &pinned);
    assert!(refused.contains("there are 2 models: A, B"), "{refused}");
    let twice =
        book.command().args(["serve", "--port", "0"]).env("TRIALBOOK_MODEL", "A,B,A").output();
    let refused = String::from_utf8(twice.unwrap().stderr).unwrap();
    assert!(refused.contains("\"A\" is named twice"), "{refused}");

    let file = book.store().join("serve.toml");
    std::fs::write(&file, "[serve]\nmodel = [\"A\", \"B\"]\n").unwrap();
    let server = Serving::start(&book, &["--config-file", file.to_str().unwrap()]);
    let refused = server.ask("/models/C/predict").unwrap_err().to_string();
    assert!(refused.contains("404"), "{refused}");
    let refused = server.ask("/models/B/predict").unwrap_err().to_string();
    assert!(refused.contains("503"), "{refused}");
}
