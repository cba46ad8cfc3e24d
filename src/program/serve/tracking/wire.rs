//! The form of answers and refusals: MLflow's JSON, its error codes and their statuses.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use trialbook::{
    error::{Error, ErrorKind},
    hint::Spelling,
};

use crate::serve::http::error::ApiError;

/// MLflow's names of what can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    InvalidParameterValue,
    BadRequest,
    AlreadyExists,
    DoesNotExist,
    EndpointNotFound,
    Unauthenticated,
    PermissionDenied,
    Conflict,
    LimitExceeded,
    DataLoss,
    ResourceExhausted,
    NotImplemented,
    TemporarilyUnavailable,
    InternalError,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidParameterValue => "INVALID_PARAMETER_VALUE",
            Self::BadRequest => "BAD_REQUEST",
            Self::AlreadyExists => "RESOURCE_ALREADY_EXISTS",
            Self::DoesNotExist => "RESOURCE_DOES_NOT_EXIST",
            Self::EndpointNotFound => "ENDPOINT_NOT_FOUND",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::Conflict => "RESOURCE_CONFLICT",
            Self::LimitExceeded => "REQUEST_LIMIT_EXCEEDED",
            Self::DataLoss => "DATA_LOSS",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::TemporarilyUnavailable => "TEMPORARILY_UNAVAILABLE",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// MLflow's clients try again for minutes on 408, 429, 500, 502, 503 and 504: what cannot get
    /// better by itself has none of these.
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameterValue | Self::BadRequest | Self::AlreadyExists => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::DoesNotExist | Self::EndpointNotFound => StatusCode::NOT_FOUND,
            Self::Conflict | Self::DataLoss => StatusCode::CONFLICT,
            Self::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::ResourceExhausted => StatusCode::INSUFFICIENT_STORAGE,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The reason for not answering a request as asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WireRefusal {
    pub(super) code: Code,
    pub(super) message: String,
}

impl WireRefusal {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameterValue, message)
    }

    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(Code::DoesNotExist, message)
    }

    pub(super) fn no_endpoint(method: &str, path: &str) -> Self {
        let message = format!(
            "there is no endpoint {method} {path} here: this server answers MLflow's experiments, \
             runs, metrics, artifacts, logged models and model registry"
        );
        Self::new(Code::EndpointNotFound, message)
    }

    /// The same refusal where what was to be made exists already.
    pub(super) fn of_making(error: &Error) -> Self {
        let refusal = Self::from(error);
        match error.kind() {
            ErrorKind::Conflict => Self { code: Code::AlreadyExists, ..refusal },
            _ => refusal,
        }
    }

    pub(super) fn body(&self) -> Vec<u8> {
        body(self.code, &self.message)
    }
}

impl From<Error> for WireRefusal {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for WireRefusal {
    fn from(error: &Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Invalid | ErrorKind::Conflict => Code::InvalidParameterValue,
            ErrorKind::NotFound => Code::DoesNotExist,
            ErrorKind::Blocked => Code::Conflict,
            ErrorKind::Corrupt => Code::DataLoss,
            ErrorKind::Unavailable => Code::TemporarilyUnavailable,
            ErrorKind::Io if is_full(error) => Code::ResourceExhausted,
            _ => Code::InternalError,
        };
        if matches!(code, Code::InternalError | Code::DataLoss | Code::ResourceExhausted) {
            tracing::error!(error = error.chain(), "tracking failed");
        }
        if code == Code::InternalError {
            // What failed may name files of this machine: that is for the log.
            return Self::new(code, "the store could not be used: the server's log says why");
        }
        let mut message = error.to_string();
        if let Some(hint) = error.hint() {
            message.push_str(": ");
            message.push_str(&hint.spelled(Spelling::Program));
        }
        Self { code, message }
    }
}

/// True if the disk is full.
fn is_full(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(found) = cause {
        if let Some(io) = found.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::StorageFull;
        }
        cause = found.source();
    }
    false
}

impl IntoResponse for WireRefusal {
    fn into_response(self) -> Response {
        json_response(self.code.status(), self.body())
    }
}

/// A refusal of the server's own, for one of these endpoints.
pub(in crate::serve) fn body_of(error: &ApiError) -> Vec<u8> {
    let code = match error.status().as_u16() {
        400 | 413 | 422 => Code::BadRequest,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 | 405 => Code::EndpointNotFound,
        408 | 503 => Code::TemporarilyUnavailable,
        429 => Code::LimitExceeded,
        _ => Code::InternalError,
    };
    body(code, &error.sentence())
}

fn body(code: Code, message: &str) -> Vec<u8> {
    let json = json!({ "error_code": code.as_str(), "message": message });
    serde_json::to_vec(&json).expect("texts serialise")
}

/// The answer `value`.
pub(super) fn answer(value: &Value) -> Response {
    json_response(StatusCode::OK, serde_json::to_vec(value).expect("values serialise"))
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], Body::from(body)).into_response()
}
