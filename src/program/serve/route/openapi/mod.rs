//! `GET /openapi.json`: the endpoints as an OpenAPI document, made of the same table as the router.
//!
//! Crates such as utoipa and aide describe each handler beside it; here one table makes the router,
//! `/info` and the document, which therefore agree.

use serde_json::{Map, Value, json};

use crate::serve::http::{access::Access, limits::Limits};

use super::endpoint::{Content, Endpoint};

/// The parts of bodies, as JSON Schema 2020-12.
const SCHEMAS: &str = include_str!("schemas.json");

/// The meaning of each refusal's status, and the kinds of error that have it.
const REFUSALS: [(u16, &str, &[&str]); 11] = [
    (
        400,
        "The body is not JSON, or is incomplete; or the request names no host, or several.",
        &["malformed_json", "incomplete_body", "invalid_host"],
    ),
    (401, "The server asks for an API key.", &["unauthorized"]),
    (
        403,
        "The key's scope is too small, or the page of another site asks.",
        &["forbidden", "foreign_host"],
    ),
    (
        404,
        "There is nothing at this path, the model is not served here, or there is nothing to tell drift by.",
        &["not_found", "model_not_found", "drift_unknown"],
    ),
    (408, "The body did not arrive in time.", &["request_timeout"]),
    (413, "The body is too long.", &["payload_too_large"]),
    (
        415,
        "The content-type header of the request is not JSON in UTF-8.",
        &["unsupported_media_type"],
    ),
    (
        422,
        "The body is JSON, but it is not a valid request for this endpoint.",
        &["validation_error"],
    ),
    (
        429,
        "The caller sends requests too often, or too much work is waiting already.",
        &["too_many_requests", "overloaded"],
    ),
    (500, "The model failed; the server's log says why.", &["internal"]),
    (
        503,
        "No version is in production, the request waited too long for the model, the disk refuses, or what drift is told by cannot be read.",
        &["model_unavailable", "too_late", "not_kept", "drift_unknown"],
    ),
];

/// The document of a server that has these `endpoints` and `limits`.
pub(crate) fn document(
    endpoints: impl IntoIterator<Item = &'static Endpoint>,
    limits: &Limits,
) -> Value {
    let mut schemas: Value =
        serde_json::from_str(SCHEMAS).expect("schemas.json is JSON: a test reads it");
    schemas["QuestionTexts"]["maxItems"] = limits.batch_texts.into();
    schemas["QuestionText"]["maxLength"] = limits.text_chars.into();
    let paths: Map<String, Value> = endpoints
        .into_iter()
        .map(|endpoint| {
            let method = endpoint.method.name().to_ascii_lowercase();
            (endpoint.path.to_owned(), json!({ method: operation(endpoint) }))
        })
        .collect();
    let responses: Map<String, Value> = REFUSALS
        .iter()
        .map(|(status, meaning, error_types)| {
            (refusal_name(*status), refusal(*status, meaning, error_types))
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": crate::NAME,
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Predictions of a text classifier",
            "description": "All errors have the same JSON: the schema Error. Every answer has the id of \
                            its request in the header x-request-id. A request may send an id of its \
                            own in this header; then the answer has the same one.",
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        // Relative to this document: also behind a proxy that puts a prefix in front.
        "servers": [{ "url": "." }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "header": { "type": "apiKey", "in": "header", "name": "x-api-key" },
            },
            "headers": {
                "RequestId": {
                    "description": "The request's id.",
                    "schema": { "type": "string" },
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut operation = json!({ "summary": endpoint.does, "operationId": operation_id(endpoint) });
    if !endpoint.detail.is_empty() {
        operation["description"] = endpoint.detail.into();
    }
    if let Some(parameter) = &endpoint.parameter {
        let mut schema = json!({ "type": "string", "minLength": 1 });
        let values = (parameter.values)();
        if !values.is_empty() {
            schema["enum"] = values.into();
        }
        operation["parameters"] = json!([{
            "name": parameter.name,
            "in": "path",
            "required": true,
            "description": parameter.does,
            "schema": schema,
        }]);
    }
    if !endpoint.takes.is_empty() {
        operation["requestBody"] = json!({ "required": true, "content": content(endpoint.takes) });
    }
    let mut responses = Map::new();
    for (status, answers) in endpoint.answers {
        let mut response = json!({ "description": meaning(*status), "headers": headers() });
        if !answers.is_empty() {
            response["content"] = content(answers);
        }
        responses.insert(status.to_string(), response);
    }
    // The guard stands before every endpoint that is not open to all.
    let guarded: &[u16] = if endpoint.access == Access::Open { &[] } else { &[401, 403, 429] };
    if !guarded.is_empty() {
        // Also none: a store without keys asks for none.
        operation["security"] = json!([{}, { "bearer": [] }, { "header": [] }]);
    }
    for status in endpoint.refuses.iter().chain(guarded) {
        let reference = format!("#/components/responses/{}", refusal_name(*status));
        responses.insert(status.to_string(), json!({ "$ref": reference }));
    }
    operation["responses"] = responses.into();
    operation
}

/// `get_health_live`, the same from version to version: clients name functions by it.
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(|letter: char| !letter.is_ascii_alphanumeric());
    let method = endpoint.method.name().to_ascii_lowercase();
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [] => format!("{method}_root"),
        words => format!("{method}_{}", words.join("_")),
    }
}

fn content(contents: &[Content]) -> Value {
    let contents = contents.iter().map(|content| {
        let mut described =
            json!({ "schema": { "$ref": format!("#/components/schemas/{}", content.schema) } });
        if let Some(example) = content.example() {
            described["example"] = example;
        }
        (content.media_type.to_owned(), described)
    });
    contents.collect::<Map<String, Value>>().into()
}

fn headers() -> Value {
    json!({ "x-request-id": { "$ref": "#/components/headers/RequestId" } })
}

fn meaning(status: u16) -> &'static str {
    match status {
        304 => "The client has the current version already.",
        503 => "No version is in production.",
        _ => "The request succeeded.",
    }
}

fn refusal_name(status: u16) -> String {
    format!("Refusal{status}")
}

fn refusal(status: u16, meaning: &str, error_types: &[&str]) -> Value {
    let mut headers = headers();
    if matches!(status, 429 | 503) {
        headers["retry-after"] = json!({
            "description": "How many seconds to wait; absent while there is no model.",
            "schema": { "type": "integer" },
        });
    }
    json!({
        "description": format!("{meaning} error_type: {}.", error_types.join(", ")),
        "headers": headers,
        // One schema for all of them, so that a generated client has one type of error.
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        "x-error-types": error_types,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::table::endpoints, *};

    /// Every `$ref` in `value`.
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn what_is_referred_to_is_there_and_what_is_there_is_referred_to() {
        let document = document(endpoints(), &Limits::default());
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for kind in ["schemas", "responses", "headers"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let reference = format!("#/components/{kind}/{name}");
                assert!(found.contains(reference.as_str()), "{reference}");
            }
        }
    }

    /// Clients that are generated from the document have one type of error, and tools that do not know
    /// lines of JSON have no example of them to send.
    #[test]
    fn all_refusals_have_the_same_named_schema() {
        let document = document(endpoints(), &Limits::default());
        for (name, refusal) in document["components"]["responses"].as_object().unwrap() {
            let schema = &refusal["content"]["application/json"]["schema"];
            assert_eq!(*schema, json!({ "$ref": "#/components/schemas/Error" }), "{name}");
            assert!(!refusal["x-error-types"].as_array().unwrap().is_empty(), "{name}");
        }
        let lines = &document["components"]["schemas"]["LineQuestions"];
        assert!(lines.get("examples").is_none() && lines.get("example").is_none(), "{lines}");
    }

    #[test]
    fn the_document_has_every_endpoint_once() {
        let document = document(endpoints(), &Limits::default());
        let mut operation_ids = BTreeSet::new();
        for endpoint in endpoints() {
            let method = endpoint.method.name().to_ascii_lowercase();
            let operations = document["paths"][endpoint.path].as_object().unwrap();
            assert_eq!(operations.keys().collect::<Vec<_>>(), [&method], "{}", endpoint.path);
            let operation_id = operations[&method]["operationId"].as_str().unwrap();
            assert!(operation_ids.insert(operation_id.to_owned()), "{operation_id}");
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), endpoints().len());
        assert_eq!(document["components"]["schemas"]["QuestionTexts"]["maxItems"], 10_000);
        assert_eq!(document["components"]["schemas"]["QuestionText"]["maxLength"], 100_000);
    }
}
