//! Why a page cannot be shown as asked: a status, a sentence, and what to do.

use axum::http::StatusCode;
use serde_json::{Value, json};
use trialbook::{
    error::{Error, ErrorKind},
    hint::Spelling,
};

/// A refusal, for people and for programs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PageFailure {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) said: String,
    pub(super) hint: Option<String>,
}

impl PageFailure {
    pub(super) fn new(status: StatusCode, kind: &'static str, said: impl Into<String>) -> Self {
        Self { status, kind, said: said.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 400: the query asks for what cannot be.
    pub(super) fn invalid(said: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", said)
    }

    /// 403: a form that did not come from a page of this server.
    pub(super) fn foreign() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_origin",
            "this form was not sent by a page of this server",
        )
        .hint("open the page here and send it again")
    }

    /// 404: there is no store behind this server.
    pub(super) fn without_store() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "this server has no store to look at")
    }

    /// What happened and what to do about it, for a part of a page that is well otherwise.
    pub(super) fn from_text(error: &Error) -> (String, Option<String>) {
        (error.to_string(), error.hint().map(|hint| hint.spelled(Spelling::Program)))
    }

    pub(super) fn json(&self) -> Value {
        json!({"error": self.said, "error_type": self.kind, "detail": self.hint})
    }
}

/// An error that the user can mend is told in the library's words; one that may name files of this
/// machine goes to the log.
impl From<Error> for PageFailure {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict | ErrorKind::Blocked => StatusCode::CONFLICT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let hint = error.hint().map(|hint| hint.spelled(Spelling::Program));
        if status != StatusCode::INTERNAL_SERVER_ERROR || error.kind() == ErrorKind::Corrupt {
            return Self { status, kind: error.kind().name(), said: error.to_string(), hint };
        }
        tracing::error!(error = error.chain(), "a page could not be made");
        Self::new(status, error.kind().name(), "the page could not be made")
            .hint("the server's log says why")
    }
}
