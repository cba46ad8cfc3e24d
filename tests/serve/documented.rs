//! Whether an answer is one that the OpenAPI document speaks of. Every answer that the tests of the
//! server get comes past here, so that the document cannot say less than the server does.

use axum::{
    body::to_bytes,
    http::{HeaderMap, Method, Request, Uri},
};
use serde_json::Value;
use tower::ServiceExt;
use trialbook_program::serve::{self, ServerState};

use super::double::no_model;

/// The document that the server hands out.
pub(crate) async fn document() -> Value {
    document_of(no_model()).await
}

/// The document that the server of `state` hands out.
pub(crate) async fn document_of(state: ServerState) -> Value {
    let request = Request::get("/openapi.json").body(axum::body::Body::empty()).unwrap();
    let body = serve::app(state).oneshot(request).await.unwrap().into_body();
    serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap()
}

/// What was asked.
pub(crate) struct Question {
    method: Method,
    path: String,
}

impl Question {
    pub(crate) fn new(method: &Method, uri: &Uri) -> Self {
        Self { method: method.clone(), path: uri.path().to_owned() }
    }

    /// Fails unless `document` says that this question may be answered so.
    pub(crate) fn check(&self, document: &Value, status: u16, headers: &HeaderMap, body: &[u8]) {
        let Self { method, path } = self;
        let shown = format!("{method} {path} {status}: {}", String::from_utf8_lossy(body));
        let Some(operations) = self.operations(document) else {
            assert_eq!(status, 404, "{shown}");
            return;
        };
        // A HEAD is answered as the GET is.
        let name = if method == Method::HEAD { "get" } else { &*method.as_str().to_lowercase() };
        let Some(operation) = operations.get(name) else {
            assert_eq!(status, 405, "{shown}");
            let allowed = headers["allow"].to_str().unwrap();
            let has = |method: &str| operations.get(method.to_lowercase()).is_some();
            assert!(allowed.split(',').all(|method| method == "HEAD" || has(method)), "{shown}");
            return;
        };
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "the document knows no such status: {shown}");
        let response = match response["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).unwrap(),
            None => response,
        };
        let contents = response["content"].as_object();
        if body.is_empty() {
            assert!(method == Method::HEAD || contents.is_none(), "{shown}");
            return;
        }
        let essence = headers["content-type"].to_str().unwrap().split(';').next().unwrap();
        let has_type = contents.is_some_and(|contents| contents.contains_key(essence));
        assert!(has_type, "no content of type {essence}: {shown}");
        if let Some(known) = response.get("x-error-types") {
            let found: Value = serde_json::from_slice(body).unwrap();
            assert!(known.as_array().unwrap().contains(&found["error_type"]), "{shown}");
        }
    }

    /// What the document has for the path.
    fn operations<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        let paths = document["paths"].as_object().unwrap();
        let matches = |template: &str| match template.split_once('{') {
            Some((before, rest)) => {
                let after = rest.split_once('}').unwrap().1;
                let name = self.path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
            }
            None => template == self.path,
        };
        paths.iter().find(|(template, _)| matches(template)).map(|(_, operations)| operations)
    }
}
