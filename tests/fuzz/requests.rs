//! Bodies of requests, as libFuzzer makes them up by what they reach: each is answered, as JSON of the
//! shape that was promised, with a prediction where a JSON reader finds one text to predict and
//! with the client's fault where it does not.
#![no_main]

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Request, header},
};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;
use trialbook::{
    model::{Classifier, Probabilities},
    registry::Stage,
};
use trialbook_program::serve::{self, Limits, ModelInfo, ServedModel, ServerState};

/// Small enough for the fuzzer to pass them.
const MAX_TEXTS: usize = 4;
const MAX_CHARS: usize = 12;

/// Answers at once: what is looked at here lies before it.
struct Indifferent([String; 2]);

impl Classifier for Indifferent {
    fn name(&self) -> &'static str {
        "indifferent"
    }

    fn classes(&self) -> &[String] {
        &self.0
    }

    fn predict(&self, texts: &[&str]) -> trialbook::Result<Probabilities> {
        Ok(Probabilities::new(vec![0.5; 2 * texts.len()], 2))
    }

    fn save(&self, _dir: &Path) -> trialbook::Result<()> {
        Ok(())
    }

    fn describe(&self) -> Value {
        Value::Null
    }
}

/// A server of the models `A` and `B`, and what it runs on.
static SERVER: LazyLock<(Router, Runtime)> = LazyLock::new(|| {
    let model = |name: &str| {
        let info = ModelInfo {
            name: name.to_owned(),
            version: 1,
            stage: Stage::Production,
            run_id: "0123456789abcdef0123456789abcdef".to_owned(),
        };
        let classifier = Arc::new(Indifferent(["neg", "pos"].map(str::to_owned)));
        (name.to_owned(), Some(ServedModel { classifier, info: Arc::new(info), words: None }))
    };
    let limits = Limits { batch_texts: MAX_TEXTS, text_chars: MAX_CHARS, ..Limits::default() };
    let state = ServerState::of_models(vec![model("A"), model("B")], limits).unwrap();
    (serve::app(state), Builder::new_current_thread().enable_time().build().unwrap())
});

/// Status, type and body of the answer.
fn ask(path: &str, content_type: &str, body: &[u8]) -> (u16, String, Bytes) {
    let (app, runtime) = &*SERVER;
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, content_type)
        .body(Body::from(body.to_vec()))
        .unwrap();
    runtime.block_on(async {
        let answer = app.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let content_type = head.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        (head.status.as_u16(), content_type, to_bytes(body, usize::MAX).await.unwrap())
    })
}

/// The fields of an object, repeated ones included.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        json.deserialize_map(FieldsVisitor)
    }
}

/// What a JSON object says as another reader reads it: of a repeated field the last.
#[derive(Default)]
struct Said {
    /// None for what is no list.
    texts: Option<Vec<Value>>,
    n_texts: usize,
    plain: HashMap<String, Value>,
}

impl Said {
    /// None for what is not to be read.
    fn of(body: &[u8], key: &str) -> Option<Self> {
        let Fields(fields) = serde_json::from_str(str::from_utf8(body).ok()?).ok()?;
        let mut said = Self::default();
        for (name, raw) in fields {
            if name == key && key == "texts" {
                let texts: Option<Vec<&RawValue>> = serde_json::from_str(raw.get()).ok();
                said.n_texts = texts.as_ref().map_or(0, Vec::len);
                said.texts = match texts {
                    // Those beyond are not looked at, only counted.
                    Some(texts) => {
                        let read = texts.into_iter().take(MAX_TEXTS).map(plain);
                        Some(read.collect::<Option<Vec<_>>>()?)
                    }
                    None => plain(raw).map(|_| None)?,
                };
            } else if name == key || ["truncate", "model", "id"].contains(&name.as_str()) {
                said.plain.insert(name, plain(raw)?);
            }
        }
        Some(said)
    }

    /// Whether the fields beside the texts are as they should be.
    fn is_in_order(&self) -> bool {
        let is_flag = self.plain.get("truncate").is_none_or(Value::is_boolean);
        is_flag && self.plain.get("model").is_none_or(|name| name == "A" || name == "B")
    }

    /// Whether a line may be called so.
    fn has_id(&self) -> bool {
        self.plain.get("id").is_none_or(|id| id.is_string() || id.is_i64() || id.is_u64())
    }

    fn is_single(&self) -> bool {
        self.is_in_order() && self.plain.get("text").is_some_and(is_text)
    }

    fn is_batch(&self) -> bool {
        let are_texts = self.texts.as_ref().is_some_and(|texts| texts.iter().all(is_text));
        self.is_in_order() && are_texts && (1..=MAX_TEXTS).contains(&self.n_texts)
    }
}

/// What is neither array nor object; those are not looked into.
fn plain(raw: &RawValue) -> Option<Value> {
    if raw.get().starts_with(['[', '{']) {
        return Some(Value::Null);
    }
    serde_json::from_str(raw.get()).ok()
}

fn is_text(text: &Value) -> bool {
    text.as_str().is_some_and(|text| {
        text.chars().count() <= MAX_CHARS && !text.chars().all(char::is_whitespace)
    })
}

fn check_prediction(prediction: &Value) {
    assert_eq!(prediction["probability"], 0.5, "{prediction}");
    assert!(prediction["model"]["name"].is_string(), "{prediction}");
}

fn check_error(error: &Value) {
    for field in ["error", "error_type", "request_id"] {
        assert!(error[field].is_string(), "{field} of {error}");
    }
    assert!(!error["detail"].is_null(), "{error}");
}

fn check(path: &str, body: &[u8]) {
    let is_batch = path != "/predict";
    let (status, content_type, answer) = ask(path, "application/json", body);
    assert!(content_type.starts_with("application/json"), "{content_type}");
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let said = Said::of(body, if is_batch { "texts" } else { "text" });
    let said = said.filter(|said| if is_batch { said.is_batch() } else { said.is_single() });
    match (status, said) {
        (200, Some(said)) if is_batch => {
            let predictions = answer.as_array().unwrap();
            assert_eq!(predictions.len(), said.n_texts);
            predictions.iter().for_each(check_prediction);
        }
        (200, Some(_)) => check_prediction(&answer),
        (400 | 404 | 422, None) => check_error(&answer),
        (status, said) => panic!("{status}, and another reader says {}: {answer}", said.is_some()),
    }
}

/// Each line is answered by one line, in order.
fn check_lines(body: &[u8]) {
    let (status, content_type, answer) = ask("/predict/batch", "application/x-ndjson", body);
    assert_eq!((status, content_type.as_str()), (200, "application/x-ndjson"));
    let answers = answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let answers: Vec<Value> = answers.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let is_not_blank = |line: &&[u8]| !line.trim_ascii().is_empty();
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').filter(is_not_blank).collect();
    assert_eq!(answers.len(), lines.len(), "{answers:?}");
    for (line, answer) in lines.into_iter().zip(&answers) {
        let is_answered =
            Said::of(line, "text").is_some_and(|said| said.is_single() && said.has_id());
        assert_eq!(answer["error"].is_null(), is_answered, "{answer}");
        if is_answered {
            check_prediction(answer);
        } else {
            check_error(answer);
        }
    }
}

// The first byte says where the others go.
fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((first, body)) = bytes.split_first() else { return Corpus::Reject };
    match first {
        b'1' => check("/predict", body),
        b'2' => check("/predict/batch", body),
        b'3' => check_lines(body),
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});
