//! Every refusal of the server in one JSON shape: `error`, `error_type`, `detail`, `request_id`.
//! The status codes are decided here and nowhere else.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use trialbook::{
    error::{Error, ErrorKind},
    hint::{CommandLine, Hint, Spelling},
    registry::Scope,
};

/// The challenge of a 401 (RFC 6750).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"trialbook\"");

/// Characters that are shown of a name that a client made up.
const MAX_NAME_CHARS: usize = 250;

/// The reason why a request was not answered as asked. It becomes the body once the request's id is known,
/// in [`ApiError::body`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    status: StatusCode,
    error_type: &'static str,
    error: String,
    detail: Detail,
    retry_after_s: Option<u32>,
}

/// The exact fault, or the way out: a list for a body that does not validate, else a sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Detail {
    Sentence(String),
    Fields(Vec<FieldError>),
}

/// One fault of a request body, in the shape and words that FastAPI's clients know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FieldError {
    loc: Vec<Place>,
    msg: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// One step on the way to the fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Place {
    Name(&'static str),
    Index(usize),
}

/// An error as JSON, alone or as part of a longer object.
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    error: &'a str,
    error_type: &'a str,
    detail: &'a Detail,
    request_id: &'a str,
}

impl FieldError {
    /// A fault of the body itself.
    pub(crate) fn of_body(kind: &'static str, msg: impl Into<String>) -> Self {
        Self { loc: vec![Place::Name("body")], msg: msg.into(), kind }
    }

    /// A fault of the body's field `name`.
    pub(crate) fn of_field(name: &'static str, kind: &'static str, msg: impl Into<String>) -> Self {
        let mut fault = Self::of_body(kind, msg);
        fault.loc.push(Place::Name(name));
        fault
    }

    /// The same fault, of one element of the field.
    pub(crate) fn at(mut self, index: usize) -> Self {
        self.loc.push(Place::Index(index));
        self
    }
}

impl ApiError {
    fn new(
        status: StatusCode,
        error_type: &'static str,
        error: &str,
        detail: impl Into<Hint>,
    ) -> Self {
        // Whoever asks a server has no cell to type in.
        let detail = Detail::Sentence(detail.into().spelled(Spelling::Program));
        Self { status, error_type, error: error.to_owned(), detail, retry_after_s: None }
    }

    /// 422: the body is JSON, but not what the endpoint takes.
    pub(crate) fn validation(faults: Vec<FieldError>) -> Self {
        Self {
            detail: Detail::Fields(faults),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "validation_error",
                "the request body does not validate",
                "",
            )
        }
    }

    /// 400: the body is no JSON; `reason` says where.
    pub(crate) fn malformed_json(reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", "the request body is not JSON", reason)
    }

    /// 400: the body broke off.
    pub(crate) fn incomplete_body() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "incomplete_body",
            "the request body could not be read to its end",
            "send as many bytes as the request announces",
        )
    }

    /// 400: HTTP/1.1 without the name of a host, or with several.
    pub(crate) fn invalid_host() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_host",
            "the request does not name one host",
            "send the header `host` once",
        )
    }

    /// 401: no key was shown.
    pub(crate) fn key_missing() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this server requires an API key",
            Hint::from("send the header `authorization: Bearer KEY` or `x-api-key: KEY`; ")
                .run("keys add NAME")
                .say(" makes a key"),
        )
    }

    /// 401: the key that was shown opens nothing.
    pub(crate) fn key_refused() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the API key is unknown, revoked or expired",
            Hint::new()
                .run("keys list")
                .say(" shows which keys are valid, ")
                .run("keys add NAME")
                .say(" makes a new one"),
        )
    }

    /// 403: the key opens other things.
    pub(crate) fn forbidden(has: Scope, needed: Scope) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            &format!("this request needs the scope {needed}, and the API key has the scope {has}"),
            Hint::from("make one with ").run(CommandLine::new("keys add NAME --scope").arg(needed)),
        )
    }

    /// 429: one caller asks too often.
    pub(crate) fn too_many_requests(per_second: u32, wait_s: u32) -> Self {
        Self {
            retry_after_s: Some(wait_s),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                &format!("more than {per_second} requests a second"),
                "wait as long as the retry-after header says, and send many texts as one batch",
            )
        }
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is nothing at this path",
            "GET / lists the endpoints",
        )
    }

    /// 404: no model called `name` is served here; those called `names` are.
    pub(crate) fn model_not_found(name: &str, names: &[&str]) -> Self {
        let shown: String = name.chars().take(MAX_NAME_CHARS).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "model_not_found",
            &format!("the model {shown:?} is not served here"),
            format!("this server has {}", names.join(", ")),
        )
    }

    /// 405; the `Allow` header names the methods there are.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path does not take this method",
            "the allow header names the methods it takes; GET / lists the endpoints",
        )
    }

    /// 408: the body did not arrive in time.
    pub(crate) fn request_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "the request body did not arrive in time",
            "send the body without pausing, or send smaller batches",
        )
    }

    /// 413.
    pub(crate) fn payload_too_large(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            &format!("the request body is longer than {limit_bytes} bytes"),
            "shorten the text, or send the texts in several batches",
        )
    }

    /// 413, of one line of a stream.
    pub(crate) fn line_too_long(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            &format!("the line is longer than {limit_bytes} bytes"),
            "shorten the text; the lines after it are still answered",
        )
    }

    /// 415; `accepted` names the content types there are.
    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the request body must be JSON in UTF-8, not compressed",
            format!("send it with the header content-type: {accepted}"),
        )
    }

    /// 503: there is no model to ask; the `problem` is why none of its versions answers that should.
    pub(crate) fn model_unavailable(model: &str, problem: Option<&str>) -> Self {
        let what = match problem {
            Some(problem) => format!("no version of the model {model:?} answers: {problem}"),
            None => format!("no version of the model {model:?} is in production"),
        };
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "model_unavailable",
            &what,
            Hint::from("train one with ")
                .run("train tfidf --deploy")
                .say(", or promote one with ")
                .run(CommandLine::new("promote").arg(model).written("VERSION"))
                .say(": the server takes it up within 2 seconds"),
        )
    }

    /// 403: a page of another site asks under a name that is not this server's.
    pub(crate) fn foreign_host() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            "this server is not known by the name that the request gives it",
            "name it with --allowed-hosts, or ask with an API key",
        )
    }

    /// 503: the disk refuses labels.
    pub(crate) fn not_kept() -> Self {
        Self {
            retry_after_s: Some(5),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_kept",
                "the labels could not be written to the disk",
                "send all of them again later: a label that is sent twice counts once",
            )
        }
    }

    /// It is not known whether the model's traffic has drifted: 404 where the version or this server has nothing
    /// to tell it by, 503 where that cannot be read.
    pub(crate) fn drift_unknown(error: &Error) -> Self {
        let status = match error.kind() {
            ErrorKind::NotFound | ErrorKind::Invalid => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let message = match error.kind() {
            ErrorKind::NotFound | ErrorKind::Invalid => error.to_string(),
            // The reason may name files of this machine.
            _ => "the log or the reference profile cannot be read".to_owned(),
        };
        let hint =
            error.hint().cloned().unwrap_or_else(|| "the server's log has the reason".into());
        Self::new(status, "drift_unknown", &message, hint)
    }

    /// 429: too much work is waiting already.
    pub(crate) fn overloaded() -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "overloaded",
                "too much work is waiting already",
                "try again in a second, or send smaller batches",
            )
        }
    }

    /// 503: the request waited for the model as long as one may.
    pub(crate) fn too_late() -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_late",
                "the request waited too long for the model",
                "try again in a second, or send smaller batches",
            )
        }
    }

    /// 500: a bug. What exactly is for the log, not for the client.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the model failed on this request",
            "the server's log has the reason under this request_id",
        )
    }

    /// The complete JSON body.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        serde_json::to_vec(&self.fields(request_id)).expect("texts and numbers serialise")
    }

    /// The fields of the JSON body.
    pub(crate) fn fields<'a>(&'a self, request_id: &'a str) -> ErrorBody<'a> {
        let Self { error, error_type, detail, .. } = self;
        ErrorBody { error, error_type, detail, request_id }
    }

    /// Error and detail as one sentence.
    pub(crate) fn sentence(&self) -> String {
        match &self.detail {
            Detail::Sentence(detail) => format!("{}: {detail}", self.error),
            Detail::Fields(faults) => {
                let faults: Vec<&str> = faults.iter().map(|fault| fault.msg.as_str()).collect();
                format!("{}: {}", self.error, faults.join("; "))
            }
        }
    }

    /// The kind of error, as clients and metrics read it.
    pub(crate) fn error_type(&self) -> &'static str {
        self.error_type
    }

    /// The status alone, for the log.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

/// A failure of the library inside a handler. Only the user's own mistakes are told in its words:
/// other messages may name files of this machine.
impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "validation_error",
                &error.to_string(),
                match error.hint() {
                    Some(hint) => hint.clone(),
                    None => "the model does not take this input".into(),
                },
            ),
            kind => {
                tracing::error!(?kind, error = error.chain(), "prediction failed");
                Self::internal()
            }
        }
    }
}

/// Status and headers now; the body follows in the middleware, which knows the request's id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        response.extensions_mut().insert(self);
        response
    }
}
