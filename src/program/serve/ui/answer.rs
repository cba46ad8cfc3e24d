//! What a page is asked with, and the forms its answer can have: a page for browsers and, at the same URL,
//! JSON for programs. By `Accept`, as the server's other pages have it.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

pub(super) use super::shell::PageFrame;
use super::{failure::PageFailure, query::Query, shell};
use crate::serve::changes::RegistryMark;

/// The rights of a page: load its own parts, ask this server, and send forms to it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// The rights of a stored file that is opened by itself: none at all.
const FILE_POLICY: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// One request for a page.
#[derive(Debug)]
pub(super) struct PageRequest {
    /// The parts of the path that stand for names.
    pub(super) params: Vec<(String, String)>,
    pub(super) query: Query,
    /// The fields of a form that was sent.
    pub(super) form: Query,
    /// Whether JSON is wanted.
    pub(super) json: bool,
    /// True if a key let the request in; else none was asked for.
    pub(super) is_keyed: bool,
    /// In whose name it acts: the key's, or else the address it comes from.
    pub(super) who: String,
    /// The state of the registry before it was read, by which a page knows of a newer one.
    pub(super) mark: Option<RegistryMark>,
}

impl PageRequest {
    /// The part of the path that is called `name`.
    pub(super) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// An answer.
pub(super) enum Answer {
    Page(PageFrame),
    Json(Value),
    /// Another page, after something was changed.
    See {
        url: String,
        cookie: Option<String>,
    },
    /// A stored file.
    File {
        content_type: &'static str,
        name: String,
        bytes: Vec<u8>,
        is_shown: bool,
    },
}

/// `outcome` as a response.
pub(super) fn respond(asked: &PageRequest, outcome: Result<Answer, PageFailure>) -> Response {
    match outcome {
        Ok(Answer::Page(page)) => html(StatusCode::OK, asked, &page),
        Ok(Answer::Json(value)) => json(StatusCode::OK, &value),
        Ok(Answer::See { url, cookie }) => see(&url, cookie.as_deref()),
        Ok(Answer::File { content_type, name, bytes, is_shown }) => {
            file(content_type, &name, bytes, is_shown)
        }
        Err(failure) if asked.json => json(failure.status, &failure.json()),
        Err(failure) => html(failure.status, asked, &shell::failure(&failure)),
    }
}

/// Leads a browser on to another page.
pub(super) fn see(url: &str, cookie: Option<&str>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let url = HeaderValue::from_str(url).unwrap_or(HeaderValue::from_static("/ui/runs"));
    response.headers_mut().insert(header::LOCATION, url);
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(cookie).ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn html(status: StatusCode, asked: &PageRequest, page: &PageFrame) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept, cookie, authorization"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Without a referrer browsers do not say where a form comes from.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    (status, headers, shell::document(page, asked.is_keyed, asked.mark).into_string())
        .into_response()
}

fn json(status: StatusCode, value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::VARY, "accept")];
    (status, headers, value.to_string()).into_response()
}

fn file(content_type: &'static str, name: &str, bytes: Vec<u8>, is_shown: bool) -> Response {
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(FILE_POLICY));
    if !is_shown {
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' })
            .collect();
        let value = format!("attachment; filename=\"{plain}\"");
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
    }
    response
}
