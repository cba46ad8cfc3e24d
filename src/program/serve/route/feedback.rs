//! `POST /feedback`: true labels of texts that were predicted, one or many. Each is answered for itself; what
//! is acknowledged is on the disk. It refuses to know what becomes of a label: that is the log's business.

use axum::{
    Json,
    extract::{DefaultBodyLimit, Request, State},
    http::HeaderMap,
    routing::{MethodRouter, post},
};
use serde_json::{Map, Value, json};
use trialbook::{
    book::now_ms,
    error::{Error, Result},
    monitor::GivenLabel,
};

use crate::serve::{
    http::{
        admitted::Admitted,
        error::{ApiError, FieldError},
        hosts::AllowedHosts,
        media::MediaType,
        waiting::waiting,
    },
    model::{feedback::FeedbackAnswer, outcome::FeedbackOutcome},
    state::ServerState,
};

use super::predict::read;

/// The route.
pub(super) fn feedback(state: &ServerState) -> MethodRouter<ServerState> {
    post(respond).layer(DefaultBodyLimit::max(state.limits().batch_body_bytes))
}

async fn respond(
    State(state): State<ServerState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    if MediaType::of(request.headers()) != Some(MediaType::Json) {
        return Err(ApiError::unsupported_media_type("application/json"));
    }
    let is_keyed = matches!(request.extensions().get(), Some(Admitted(Some(_))));
    // A page of another site that makes its own name point here must not label anything. Browsers say where a
    // request comes from, other clients do not.
    if !is_keyed && headers.contains_key("origin") {
        let otherwise = AllowedHosts::default();
        let hosts = state.allowed_hosts().unwrap_or(&otherwise);
        hosts.check(request.method(), &headers).map_err(|_| ApiError::foreign_host())?;
    }
    let max_bytes = state.limits().batch_body_bytes;
    let body = read(&state, request, max_bytes).await?;
    let done = waiting(move || answer(&state, &body)).await;
    done.map_err(|_| ApiError::internal())?.map(Json)
}

fn answer(state: &ServerState, body: &[u8]) -> Result<Value, ApiError> {
    let Some(feedback) = state.feedback() else { return Err(ApiError::not_found()) };
    let text =
        str::from_utf8(body).map_err(|error| ApiError::malformed_json(&error.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed: Value =
        serde_json::from_str(text).map_err(|error| ApiError::malformed_json(&error.to_string()))?;
    let (items, is_list) = match parsed {
        Value::Array(items) => (items, true),
        item @ Value::Object(_) => (vec![item], false),
        _ => {
            return Err(ApiError::validation(vec![FieldError::of_body(
                "model_attributes_type",
                "Input should be a label, or a list of labels",
            )]));
        }
    };
    let max_labels = state.limits().batch_texts;
    if items.is_empty() || items.len() > max_labels {
        let msg = format!("List should have 1 to {max_labels} labels, not {}", items.len());
        let kind = if items.is_empty() { "too_short" } else { "too_long" };
        return Err(ApiError::validation(vec![FieldError::of_body(kind, msg)]));
    }
    let now_ms = now_ms();
    let labels: Vec<Result<GivenLabel>> = items.iter().map(|item| label(item, now_ms)).collect();
    let answers = feedback.take(state.slots(), labels).map_err(|error| {
        tracing::error!(error = error.chain(), "labels could not be kept");
        ApiError::not_kept()
    })?;
    for outcome in FeedbackOutcome::ALL {
        let n = answers.iter().filter(|answer| answer.outcome == outcome).count();
        state.metrics().labelled(outcome, n);
    }
    if let ([FeedbackAnswer { outcome: FeedbackOutcome::Refused, error: Some(error) }], false) =
        (answers.as_slice(), is_list)
    {
        return Err(ApiError::validation(vec![FieldError::of_body("invalid_label", error)]));
    }
    Ok(told(&items, &answers))
}

/// How many labels had each outcome, and that of each.
fn told(items: &[Value], answers: &[FeedbackAnswer]) -> Value {
    let mut told = Map::new();
    for outcome in FeedbackOutcome::ALL {
        let n = answers.iter().filter(|answer| answer.outcome == outcome).count();
        told.insert(outcome.as_str().to_owned(), n.into());
    }
    let labels = items.iter().zip(answers).map(|(item, FeedbackAnswer { outcome, error })| {
        let id = item.get("request_id").or_else(|| item.get("id"));
        let mut one = json!({"request_id": id.filter(|id| id.is_string()), "outcome": outcome});
        let status = match outcome {
            FeedbackOutcome::Unmatched => Some(404),
            FeedbackOutcome::Refused => Some(422),
            _ => None,
        };
        if let (Some(status), Some(error)) = (status, error) {
            one["status"] = status.into();
            one["error"] = error.as_str().into();
        }
        one
    });
    told.insert("labels".to_owned(), labels.collect());
    Value::Object(told)
}

/// The label that `item` spells.
fn label(item: &Value, now_ms: i64) -> Result<GivenLabel> {
    let Some(fields) = item.as_object() else {
        return Err(Error::invalid("expected an object with request_id and label"));
    };
    let known =
        ["request_id", "id", "index", "line", "label", "source", "timestamp_ms", "sampled_by"];
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        let name: String = name.chars().take(100).collect();
        return Err(Error::invalid(format!(
            "field {name:?} is not known: expected {}",
            known.join(", ")
        )));
    }
    let get = |name: &str| fields.get(name);
    let text = |name: &str| match get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid(format!("{name} should be a string"))),
    };
    let request_id = match (text("request_id")?, text("id")?) {
        (Some(id), None) | (None, Some(id)) => id,
        (Some(_), Some(_)) => {
            return Err(Error::invalid("both request_id and id are given: expected one"));
        }
        (None, None) => return Err(Error::invalid("request_id is missing")),
    };
    let number = |name: &str, least: u32| match get(name) {
        None => Ok(None),
        Some(value) => {
            let number = whole(value).and_then(|number| u32::try_from(number).ok());
            let number = number.filter(|number| *number >= least);
            number.map(Some).ok_or_else(|| {
                Error::invalid(format!("{name} should be a whole number from {least} on"))
            })
        }
    };
    let index = match (number("index", 0)?, number("line", 1)?) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("both index and line are given: expected one"));
        }
        (Some(index), None) => index,
        (None, Some(line)) => line - 1,
        (None, None) => 0,
    };
    let label = match fields.get("label") {
        None => return Err(Error::invalid("label is missing; null takes a label back")),
        Some(Value::Null) => None,
        Some(Value::String(label)) => Some(label.clone()),
        Some(Value::Bool(label)) => Some(label.to_string()),
        Some(Value::Number(_)) if whole(&fields["label"]).is_some() => {
            whole(&fields["label"]).map(|label| label.to_string())
        }
        Some(_) => return Err(Error::invalid("label should be the name of a class")),
    };
    let timestamp_ms =
        match get("timestamp_ms") {
            None => None,
            Some(value) => {
                // More than a number here can be is in the future anyhow.
                let far = || value.as_f64().filter(|at_ms| at_ms.fract() == 0.0 && *at_ms > 0.0);
                let at_ms =
                    whole(value).or_else(|| far().map(|_| i64::MAX)).filter(|at_ms| *at_ms >= 0);
                // Who says it has a clock that is ahead: it is said now.
                Some(at_ms.map(|at_ms| at_ms.min(now_ms)).ok_or_else(|| {
                    Error::invalid("timestamp_ms should be milliseconds since 1970")
                })?)
            }
        };
    let given = GivenLabel {
        request_id,
        index,
        label,
        source: text("source")?.unwrap_or_else(|| GivenLabel::DEFAULT_SOURCE.to_owned()),
        timestamp_ms,
        sampled_by: text("sampled_by")?.map(|by| by.parse()).transpose()?,
    };
    given.check()?;
    Ok(given)
}

/// A whole number, however JSON writes it: `7.0` is the same number as `7`.
fn whole(value: &Value) -> Option<i64> {
    /// Larger ones are not exact as a float.
    const MAX_EXACT: f64 = (1_u64 << 53) as f64;
    let of_float =
        || value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < MAX_EXACT);
    value.as_i64().or_else(|| of_float().map(|number| number as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_which_text_and_which_class() {
        let now_ms = 1_000;
        let read = |item: Value| label(&item, now_ms);
        let given = read(json!({"request_id": "r", "label": "pos"})).unwrap();
        assert_eq!((given.index, given.source.as_str()), (0, "user"));
        let given =
            read(json!({"id": "r", "line": 3, "label": 1, "source": "annotator:ann"})).unwrap();
        assert_eq!((given.index, given.label.as_deref()), (2, Some("1")));
        let whole = json!({"id": "r", "index": 3.0, "label": 1.0, "timestamp_ms": 5.0});
        let given = read(whole).unwrap();
        assert_eq!(
            (given.index, given.label.as_deref(), given.timestamp_ms),
            (3, Some("1"), Some(5))
        );
        let given =
            read(json!({"request_id": "r", "label": null, "sampled_by": "random"})).unwrap();
        assert_eq!(given.label, None);
        for (item, expected) in [
            (json!(5), "expected an object"),
            (json!({"label": "pos"}), "request_id is missing"),
            (json!({"request_id": "a", "id": "b", "label": "pos"}), "both request_id and id"),
            (json!({"request_id": "r"}), "label is missing"),
            (json!({"request_id": 5, "label": "pos"}), "request_id should be a string"),
            (json!({"request_id": "r", "label": "pos", "sampled_by": null}), "sampled_by should"),
            (json!({"request_id": "r", "label": 0.5}), "label should be"),
            (json!({"request_id": "r", "label": "pos", "index": -1}), "index should be"),
            (json!({"request_id": "r", "label": "pos", "line": 0}), "line should be"),
            (json!({"request_id": "r", "label": "pos", "line": 1, "index": 0}), "both index"),
            (json!({"request_id": "r", "label": "pos", "lable": "x"}), "field \"lable\""),
            (json!({"request_id": "r", "label": "pos", "source": "a b"}), "source \"a b\""),
            (json!({"request_id": "r", "label": "pos", "sampled_by": "x"}), "\"x\" is no way"),
            (json!({"request_id": "r", "label": "pos", "timestamp_ms": -1}), "timestamp_ms"),
        ] {
            let error = read(item.clone()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{item}: {error}");
        }
    }
}
