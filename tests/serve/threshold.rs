//! `threshold` in every answer of a model of two classes, and labels that follow it.

use axum::{body::to_bytes, http::Request};
use serde_json::{Value, json};
use tower::ServiceExt;
use trialbook::store::Store;
use trialbook_program::serve::{self, ServeConfig, ServerState};

use super::{documented, post};
use crate::{
    cli::Trialbook,
    errors::{shelf, tickets},
};

/// A server of what is in production now.
fn serving(book: &Trialbook) -> ServerState {
    let models = vec!["SentimentClassifier".to_owned(), "Tickets".to_owned()];
    let store = Store::new(book.store());
    ServeConfig { models, log: None, explains: true, ..ServeConfig::new(store) }.load().unwrap()
}

/// Every answer in the body, whose lines are held against the document where it is JSON.
async fn answers(state: &ServerState, request: Request<axum::body::Body>) -> Vec<Value> {
    let question = documented::Question::new(request.method(), request.uri());
    let (parts, body) = serve::app(state.clone()).oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let text = String::from_utf8(body.clone()).unwrap();
    assert_eq!(parts.status, 200, "{text}");
    let document = documented::document_of(state.clone()).await;
    question.check(&document, parts.status.as_u16(), &parts.headers, &body);
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(answers)) => answers,
        Ok(answer) => vec![answer],
        Err(_) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    }
}

#[tokio::test]
async fn every_answer_says_its_threshold_and_its_label_follows_it() {
    let book = shelf();
    tickets(&book);
    let text = "wonderful film";
    let probability = book.json(&["predict", text])["probability"].as_f64().unwrap();
    assert!((0.5..0.999).contains(&probability), "{probability}");
    book.json(&["models", "threshold", "SentimentClassifier", "1", "0.999"]);
    let promote = |name: &str, version: &str| {
        book.json(&["promote", name, version, "--force", "--reason", "a test"]);
    };
    promote("Tickets", "1");
    let body = json!({ "text": text }).to_string();
    for (version, threshold, label) in [("1", 0.5, "positive"), ("2", 0.999, "negative")] {
        promote("SentimentClassifier", version);
        let state = serving(&book);
        let batch = json!({ "texts": [text, "wonderful film"] }).to_string();
        let lines = Request::post("/predict/batch")
            .header("content-type", "application/x-ndjson")
            .body(format!("{body}\n{body}\n").into())
            .unwrap();
        for (request, n_answers) in [
            (post("/predict", body.clone()), 1),
            (post("/models/SentimentClassifier/predict", body.clone()), 1),
            (post("/predict/batch", batch), 2),
            (post("/explain", body.clone()), 1),
            (lines, 2),
        ] {
            let path = request.uri().clone();
            let found = answers(&state, request).await;
            assert_eq!(found.len(), n_answers, "{path}");
            for answer in found {
                assert_eq!(answer["threshold"], threshold, "{path}: {answer}");
                assert_eq!(
                    (&answer["label"], &answer["sentiment"]),
                    (&json!(label), &json!(label))
                );
                assert_eq!(answer["probability"], probability);
                assert_eq!(answer["confidence"], answer["scores"][label]);
            }
        }
        let of_three = answers(&state, post("/models/Tickets/predict", body.clone())).await;
        assert_eq!(of_three[0].get("threshold"), None, "{of_three:?}");
    }
}
