//! Batches as lines of JSON: answers in order, faults that cost one line, and no more in memory than
//! what arrived together.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::Request,
};
use http_body::{Body as _, Frame};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};
use tower::ServiceExt as _;
use trialbook_program::serve::{self, Limits, ServerState};

use super::{
    ask, ask_raw, check_error,
    double::{batched, no_model, short_sighted, state, state_with},
};

fn request(body: impl Into<Body>) -> Request<Body> {
    Request::post("/predict/batch")
        .header("content-type", "application/x-ndjson")
        .header("x-request-id", "stream-1")
        .body(body.into())
        .unwrap()
}

fn parse(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn lines(state: ServerState, body: impl Into<Body>) -> Vec<Value> {
    let (status, headers, body) = ask_raw(state, request(body)).await;
    assert_eq!((status, &headers["content-type"]), (200, &"application/x-ndjson".parse().unwrap()));
    parse(&body)
}

/// Lines that are sent one by one.
struct Questions(mpsc::Receiver<&'static str>);

impl http_body::Body for Questions {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece.into()))))
    }
}

/// Where lines can be sent, and the answers to what was sent so far.
async fn begin(state: ServerState) -> (mpsc::Sender<&'static str>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let body = Body::new(Questions(receiver));
    let response = serve::app(state).oneshot(request(body)).await.unwrap();
    (sender, response.into_body())
}

/// The answers that come next; none at the end.
async fn next(answers: &mut Body) -> Option<Vec<Value>> {
    let frame = poll_fn(|context| Pin::new(&mut *answers).poll_frame(context)).await?;
    Some(parse(&frame.unwrap().into_data().unwrap()))
}

#[tokio::test]
async fn every_line_is_answered_in_its_place() {
    let body = concat!(
        "{\"text\":\"ooo!\",\"id\":\"a\"}\n\n",
        "{\"text\":\"!!!o\",\"id\":7}\r\n",
        "{\"text\":\n",
        "{\"text\":\"\",\"id\":\"blank\"}\n",
        "{\"text\":\"fail\"}\n",
        "{\"text\":\"panic\"}\n",
        "[]\n",
        "{\"text\":\"oo\"}",
    );
    // Together and one by one: a chunk of the model's must not show.
    for stream_lines in [1, 2, 256] {
        let limits = Limits { stream_lines, ..Limits::default() };
        let answers = lines(state_with(&["neg", "pos"], limits).0, body).await;
        let told = answers.iter().map(|answer| {
            json!([answer["line"], answer["id"], answer["probability"], answer["error_type"]])
        });
        let expected = json!([
            [1, "a", 0.75, null],
            [3, 7, 0.25, null],
            [4, null, null, "malformed_json"],
            [5, "blank", null, "validation_error"],
            [6, null, null, "internal"],
            [7, null, null, "internal"],
            [8, null, null, "validation_error"],
            [9, null, 1.0, null],
        ]);
        assert_eq!(Value::Array(told.collect()), expected);
        assert!(answers.iter().all(|answer| answer["request_id"] == "stream-1"));
    }
}

#[tokio::test]
async fn a_line_is_answered_as_a_single_question_is() {
    let line = &mut lines(state(), r#"{"text":"ooo!"}"#).await[0];
    let post = super::post("/predict", r#"{"text":"ooo!"}"#);
    let mut single = ask(state(), post).await.json;
    for answer in [&mut *line, &mut single] {
        for varying in ["latency_ms", "request_id"] {
            assert!(answer.as_object_mut().unwrap().remove(varying).is_some());
        }
    }
    assert_eq!(line.as_object_mut().unwrap().remove("line"), Some(json!(1)));
    assert_eq!(*line, single);
}

#[tokio::test]
async fn a_line_that_is_too_long_costs_only_itself() {
    let limits = Limits { body_bytes: 16, ..Limits::default() };
    let (state, _) = state_with(&["neg", "pos"], limits);
    let body = format!("{{\"text\":\"{}\"}}\n{{\"text\":\"oo\"}}\n", "o".repeat(100_000));
    let answers = lines(state, body).await;
    assert_eq!(answers[0]["error_type"], "payload_too_large");
    assert_eq!((&answers[1]["line"], &answers[1]["label"]), (&json!(2), &json!("pos")));
}

#[tokio::test]
async fn a_line_may_refuse_to_be_cut() {
    let body = concat!(
        "{\"text\":\"o o o o\"}\n",
        "{\"text\":\"o o o o\",\"truncate\":false}\n",
        "{\"text\":\"o\",\"truncate\":false}\n",
    );
    let answers = lines(short_sighted(3), body).await;
    assert_eq!((&answers[0]["truncated"], &answers[2]["truncated"]), (&json!(true), &json!(false)));
    assert_eq!(answers[1]["detail"][0]["type"], "too_many_tokens");
}

/// Such a model was asked on a thread that serves other clients, one that has hundreds of texts.
#[tokio::test]
async fn a_model_that_wants_batches_is_asked_in_its_queue() {
    let (state, gate) = batched(3, Limits { queue_texts: 1, ..Limits::default() });
    let body = concat!(
        "{\"text\":\"wait\",\"id\":\"a\"}\n",
        "{\"text\":\"oo\",\"id\":2}\n",
        "nonsense\n",
        "{\"text\":\"fail\"}\n",
        "{\"text\":\"o o o o\",\"truncate\":false}\n",
        "{\"text\":\"o o o o\"}\n",
    );
    let streamed = tokio::spawn(lines(state.clone(), body));
    let entered = gate.clone();
    tokio::task::spawn_blocking(move || entered.wait_until_entered()).await.unwrap();
    // The test has one thread: this is answered because the stream left it.
    assert_eq!(ask(state.clone(), super::get("/health/live")).await.status, 200);
    gate.open();
    let answers = streamed.await.unwrap();
    let told = answers
        .iter()
        .map(|answer| json!([answer["line"], answer["id"], answer["label"], answer["error_type"]]));
    let expected = json!([
        [1, "a", "neg", null],
        [2, 2, "pos", null],
        [3, null, null, "malformed_json"],
        [4, null, null, "internal"],
        [5, null, null, "validation_error"],
        [6, null, "pos", null],
    ]);
    assert_eq!(Value::Array(told.collect()), expected);
    assert_eq!(answers[5]["truncated"], json!(true));
    let (_, _, metrics) = ask_raw(state, super::get("/metrics")).await;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(!metrics.contains("\nmodel_batch_size_count 0\n"), "{metrics}");
}

#[tokio::test]
async fn answers_come_while_questions_are_still_sent() {
    let (questions, mut answers) = begin(state()).await;
    for number in 1..=3 {
        // Two halves of a line: nothing to answer before its end is there.
        questions.send("{\"text\":").await.unwrap();
        questions.send("\"oo\"}\n{\"text\"").await.unwrap();
        questions.send(":\"!!\"}\n").await.unwrap();
        let mut answered = next(&mut answers).await.unwrap();
        answered.extend(next(&mut answers).await.unwrap());
        let told: Vec<&Value> = answered.iter().map(|answer| &answer["line"]).collect();
        assert_eq!(told, [2 * number - 1, 2 * number]);
    }
    drop(questions);
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_not_read_from() {
    let (questions, answers) = begin(state()).await;
    let mut n_sent = 0;
    let patience = Duration::from_millis(200);
    while let Ok(sent) = timeout(patience, questions.send("{\"text\":\"oo\"}\n")).await {
        sent.unwrap();
        n_sent += 1;
        assert!(n_sent < 100, "the server reads on");
    }
    drop(questions);
    let answered = parse(&to_bytes(answers, usize::MAX).await.unwrap());
    assert_eq!(answered.len(), n_sent);
}

#[tokio::test]
async fn a_client_that_stalls_is_told_so_in_the_last_line() {
    let limits = Limits { body_wait: Duration::from_millis(50), ..Limits::default() };
    let (questions, mut answers) = begin(state_with(&["neg", "pos"], limits).0).await;
    questions.send("{\"text\":\"oo\"}\n{\"te").await.unwrap();
    assert_eq!(next(&mut answers).await.unwrap()[0]["label"], "pos");
    let last = &next(&mut answers).await.unwrap()[0];
    assert_eq!((&last["line"], &last["error_type"]), (&json!(2), &json!("request_timeout")));
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn a_client_that_takes_its_answers_too_late_gets_no_end() {
    let limits = Limits { body_wait: Duration::from_millis(50), ..Limits::default() };
    let (questions, answers) = begin(state_with(&["neg", "pos"], limits).0).await;
    while questions.send("{\"text\":\"oo\"}\n").await.is_ok() {}
    // What is there could pass for everything if it ended well.
    to_bytes(answers, usize::MAX).await.unwrap_err();
}

#[tokio::test]
async fn without_a_model_there_is_no_stream() {
    check_error(&ask(no_model(), request("{}\n")).await, 503, "model_unavailable");
    let single = Request::post("/predict").header("content-type", "application/x-ndjson");
    let answer = ask(state(), single.body(Body::from("{}\n")).unwrap()).await;
    check_error(&answer, 415, "unsupported_media_type");
}
