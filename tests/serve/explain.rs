//! `POST /explain`: there when it was asked for, within a prediction's limits and rules.

use axum::{body::to_bytes, http::Request};
use serde_json::{Value, json};
use tower::ServiceExt;
use trialbook::store::Store;
use trialbook_program::serve::{self, ServeConfig, ServerState};

use super::{Answer, documented, get, post};
use crate::{
    cli::Trialbook,
    errors::{shelf, tickets},
};

/// A server of the sample's version and of one of three classes.
fn serving(book: &Trialbook, explains: bool) -> ServerState {
    let config = ServeConfig {
        models: vec!["SentimentClassifier".to_owned(), "Tickets".to_owned()],
        log: None,
        explains,
        ..ServeConfig::new(Store::new(book.store()))
    };
    config.load().unwrap()
}

fn two_models() -> Trialbook {
    let book = shelf();
    tickets(&book);
    book.json(&["promote", "Tickets", "1", "--force", "--reason", "a test"]);
    book
}

/// As the others ask, by the document of this server.
async fn ask(state: &ServerState, request: Request<axum::body::Body>) -> Answer {
    let question = documented::Question::new(request.method(), request.uri());
    let (parts, body) = serve::app(state.clone()).oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let document = documented::document_of(state.clone()).await;
    question.check(&document, parts.status.as_u16(), &parts.headers, &body);
    let json = serde_json::from_slice(&body).unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, json }
}

async fn explained(state: &ServerState, body: Value) -> Answer {
    ask(state, post("/explain", body.to_string())).await
}

fn listed(info: &Value) -> bool {
    info["endpoints"].as_array().unwrap().iter().any(|endpoint| endpoint["path"] == "/explain")
}

#[tokio::test]
async fn without_the_flag_there_is_no_such_path() {
    let state = serving(&two_models(), false);
    let answer = explained(&state, json!({"text": "wonderful"})).await;
    assert_eq!((answer.status, &answer.json["error_type"]), (404, &json!("not_found")));
    assert!(!listed(&ask(&state, get("/info")).await.json));
    assert!(documented::document_of(state).await["paths"].get("/explain").is_none());
}

#[tokio::test]
async fn an_answer_comes_with_its_reasons() {
    let book = two_models();
    let state = serving(&book, true);
    let answer = explained(&state, json!({"text": "wonderful film"})).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let plain = ask(&state, post("/predict", r#"{"text":"wonderful film"}"#)).await.json;
    for field in ["label", "confidence", "scores", "probability", "known_share", "model"] {
        assert_eq!(answer.json[field], plain[field], "{field}");
    }
    let on_the_command_line = book.json(&["explain", "SentimentClassifier", "wonderful film"]);
    assert_eq!(answer.json["explanation"], on_the_command_line["explanation"]);
    let word = &answer.json["explanation"]["words"][0];
    assert_eq!(
        (&word["word"], &word["start"], &word["end"]),
        (&json!("wonderful"), &json!(0), &json!(9))
    );

    let of_model = ask(&state, post("/models/Tickets/explain", r#"{"text":"wifi"}"#)).await.json;
    assert_eq!(of_model["model"]["name"], "Tickets");
    assert_eq!(of_model["explanation"]["class"], of_model["label"]);
    assert!(listed(&ask(&state, get("/info")).await.json));
    // Nothing of it is a prediction; the one there is was asked for as one.
    let health = ask(&state, get("/health")).await.json;
    assert_eq!(health["monitoring"]["n_predictions"], 1, "{health}");

    let unknown = explained(&state, json!({"text": "zzz qqq"})).await.json;
    assert_eq!(unknown["explanation"]["terms"], json!([]));
    assert_eq!(unknown["explanation"]["base"], unknown["explanation"]["decision"]);
}

#[tokio::test]
async fn what_predict_refuses_is_refused_alike() {
    let state = serving(&two_models(), true);
    for body in [
        json!({"text": " "}),
        json!({"text": "x".repeat(100_001)}),
        json!({"texts": ["a"]}),
        json!({"text": 3}),
        json!({"text": "a", "model": "Nobody"}),
        json!({"text": "x".repeat(2_000_000)}),
    ] {
        let refused = explained(&state, body.clone()).await;
        let alike = ask(&state, post("/predict", body.to_string())).await;
        assert!(refused.status >= 400);
        assert_eq!(
            (refused.status, &refused.json["detail"]),
            (alike.status, &alike.json["detail"])
        );
    }
    let unnamed = Request::post("/explain").body("{}".into()).unwrap();
    assert_eq!(ask(&state, unnamed).await.status, 415);
    assert_eq!(ask(&state, get("/explain")).await.status, 405);
}

#[tokio::test]
async fn a_net_is_explained_and_an_encoder_without_gradients_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-distilbert");
    for entry in std::fs::read_dir(fixture).unwrap().flatten() {
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let config = folder.path().join("config.json");
    let told = std::fs::read_to_string(&config).unwrap().replace("\"gelu\"", "\"relu\"");
    std::fs::write(&config, told).unwrap();
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let relu = folder.path().to_str().unwrap();
    for (checkpoint, status) in [(fixture, 200), (relu, 422)] {
        book.json(&["models", "import", checkpoint, "--name", "Net"]);
        let config = ServeConfig {
            models: vec!["Net".to_owned()],
            pin: Some(if status == 200 { 1 } else { 2 }),
            log: None,
            explains: true,
            ..ServeConfig::new(Store::new(book.store()))
        };
        let text = json!({"text": "a wonderfully superb film"});
        let state = config.load().unwrap();
        let answer = explained(&state, text).await;
        assert_eq!(answer.status, status, "{}", answer.json);
        if status == 200 {
            // A text that is longer than the net reads is cut, and said to be, as it is predicted.
            let long = "a film ".repeat(600);
            for (text, cut) in [("a wonderfully superb film", false), (long.as_str(), true)] {
                let body = json!({ "text": text });
                let found = explained(&state, body.clone()).await.json["truncated"].clone();
                let plain = ask(&state, post("/predict", body.to_string())).await.json;
                assert_eq!((&found, &plain["truncated"]), (&json!(cut), &json!(cut)), "{text}");
                assert_eq!(book.json(&["explain", "Net/1", text])["truncated"], json!(cut));
                let told = book.call(&["explain", "Net/1", text]).stdout;
                let warning = "warning: the text is longer than the model reads";
                assert_eq!(told.contains(warning), cut, "{told}");
            }
            let explanation = &answer.json["explanation"];
            assert_eq!(explanation["words"].as_array().unwrap().len(), 4, "{explanation}");
            assert_eq!(explanation["integration"]["baseline"], "padding", "{explanation}");
        } else {
            assert_eq!(answer.json["detail"][0]["type"], "unexplained");
        }
    }
}
