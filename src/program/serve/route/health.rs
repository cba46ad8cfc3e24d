//! `GET /health`, from both ends: what the server says about itself, and how a container's health
//! check asks it.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trialbook::error::{Error, ErrorKind, Result};

use crate::serve::{
    http::{
        client::{self, Credentials, HttpAnswer},
        error::ApiError,
        request_id::RequestId,
    },
    model::{served::ModelInfo, slot::ModelSlot},
    state::ServerState,
};

use super::release;

/// Far more than a health report has, of however many models.
const MAX_REPORT_BYTES: u64 = 1 << 20;

/// A server's account of itself. The fields of one model are the default one's; all of them
/// are in `models`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthReport {
    /// `ok`, or `unavailable` when there is no version of the default model to ask.
    pub status: HealthStatus,
    /// The model version that answers.
    pub model: Option<ModelInfo>,
    /// The reason why another version answers than the registry wants, such as one that cannot be loaded, or why
    /// it wants none: there is no such model; or another certificate is shown than the one in its
    /// file.
    #[serde(default)]
    pub problem: Option<String>,
    /// Seconds since the server started.
    pub uptime_s: f64,
    /// Its predictions since then: the number of texts, the labels' counts, the confidences of the
    /// latest 10,000, and the number that the log had to leave out.
    #[serde(default)]
    pub monitoring: Value,
    /// Every model, the default one first.
    #[serde(default)]
    pub models: Vec<ModelHealth>,
}

/// A server's account of one of its models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHealth {
    /// The registered model's name.
    pub name: String,
    /// `ok` if its questions are answered.
    pub status: HealthStatus,
    /// As [`HealthReport::model`], of this model.
    pub model: Option<ModelInfo>,
    /// The classes that it tells apart; none without a version to ask.
    #[serde(default)]
    pub classes: Vec<String>,
    /// As [`HealthReport::problem`], of this model.
    pub problem: Option<String>,
    /// As [`HealthReport::monitoring`], of this model; what the log left out is of all.
    pub monitoring: Value,
    /// The release that runs here, if one does: its number, kind, candidate and share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Value>,
}

impl ModelHealth {
    fn of(slot: &ModelSlot) -> Self {
        let served = slot.served().ok();
        let classes = served.as_ref().map(|served| served.classifier.classes().to_vec());
        let model = served.map(|served| ModelInfo::clone(&served.info));
        Self {
            name: slot.name().to_owned(),
            status: if model.is_some() { HealthStatus::Ok } else { HealthStatus::Unavailable },
            model,
            classes: classes.unwrap_or_default(),
            problem: slot.problem(),
            monitoring: slot.monitor().report(),
            release: release::summary(slot),
        }
    }
}

/// The state of a server or of one of its models: are predictions answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// They are.
    Ok,
    /// They are not: no version is in production.
    Unavailable,
}

/// The handler: 200 with a report, or 503 with the report and the fields of every other error.
pub(crate) async fn health(
    State(state): State<ServerState>,
    Extension(request_id): Extension<RequestId>,
) -> Response {
    let models: Vec<ModelHealth> = state.slots().iter().map(ModelHealth::of).collect();
    let ModelHealth { status, model, problem, monitoring, .. } = models[0].clone();
    let problem = problem.or_else(|| state.tls()?.problem());
    // A server that only tracks is well without a model.
    let status = if state.serves() { status } else { HealthStatus::Ok };
    let report =
        HealthReport { status, model, problem, uptime_s: state.uptime_s(), monitoring, models };
    let mut json = serde_json::to_value(&report).expect("a report has string keys, plain values");
    let status = match report.status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::Unavailable => {
            let error = state.default_slot().unavailable();
            let refusal: Value = serde_json::from_slice(&error.body(request_id.as_str()))
                .expect("an error's body is JSON");
            if let (Value::Object(json), Value::Object(refusal)) = (&mut json, refusal) {
                json.extend(refusal);
            }
            error.status()
        }
    };
    let content_type = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, content_type)], json.to_string()).into_response()
}

/// `GET /health/live`: 200 as long as the process answers at all.
pub(crate) async fn live() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// `GET /health/ready`: 200 when the default model answers, 503 with what to do otherwise. A server
/// listens once every version that was in production is loaded and warmed up, so that what comes
/// later to another model takes no ready server away from the rest.
pub(crate) async fn ready(
    State(state): State<ServerState>,
) -> std::result::Result<Response, ApiError> {
    let served = state.default_slot().served()?;
    Ok(Json(json!({ "status": "ok", "model": *served.info })).into_response())
}

/// Asks the server at `server` (`http://127.0.0.1:8000`, or just `127.0.0.1:8000`) how it is, with
/// the `credentials` that it wants. Waits 3 seconds at most; never goes through a proxy.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when nothing answers, or the server says that it has no model;
/// [`ErrorKind::Invalid`] when `server` is no address, something else than trialbook answers, or the
/// credentials are not those that the server wants.
pub fn health_check(server: &str, credentials: &Credentials) -> Result<HealthReport> {
    let url = health_url(server);
    let HttpAnswer { status, json } = client::get(&url, credentials, MAX_REPORT_BYTES)?;
    let json = json.unwrap_or_default();
    if matches!(status, 401 | 403)
        && let Some(said) = json["error"].as_str()
    {
        return Err(Error::invalid(format!("{url} answered {status}: {said}"))
            .with_hint("give a valid key with --key KEY or in TRIALBOOK_KEY"));
    }
    let Ok(report) = serde_json::from_value::<HealthReport>(json.clone()) else {
        return Err(Error::invalid(format!(
            "{url} is not a trialbook server: HTTP status {status}"
        ))
        .with_hint("check host and port"));
    };
    if report.status == HealthStatus::Ok {
        return Ok(report);
    }
    let message = json["error"].as_str().unwrap_or("the server has no model to ask");
    let error = Error::new(ErrorKind::Unavailable, message);
    Err(match json["detail"].as_str() {
        Some(detail) => error.with_hint(detail),
        None => error,
    })
}

fn health_url(server: &str) -> String {
    let with_scheme =
        if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let base = with_scheme.trim_end_matches('/');
    if base.ends_with("/health") { base.to_owned() } else { format!("{base}/health") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_in_several_ways() {
        for server in [
            "127.0.0.1:8000",
            "http://127.0.0.1:8000",
            "http://127.0.0.1:8000/",
            "http://127.0.0.1:8000/health",
        ] {
            assert_eq!(health_url(server), "http://127.0.0.1:8000/health", "{server}");
        }
    }

    #[test]
    fn nonsense_is_no_address() {
        for server in ["", "http://", "two words:8000", "ftp://127.0.0.1:1"] {
            let error = health_check(server, &Credentials::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{server:?}: {error:?}");
        }
    }
}
