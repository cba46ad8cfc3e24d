//! The key that a request shows. Only its digest is kept: whether it opens anything is the guard's
//! business.

use axum::http::{HeaderMap, HeaderName, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use trialbook::registry::digest;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const BEARER: &str = "bearer ";
const BASIC: &str = "basic ";

/// The key that a request showed to get in, kept by one that goes on for long, to ask if it still would.
pub(crate) struct Shown {
    sha256: Option<[u8; 32]>,
    /// The key's name, where one was shown with it.
    name: Option<String>,
}

impl Shown {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if let Some(key) = shown(headers) {
            return Self { sha256: Some(digest(key)), name: None };
        }
        match basic(headers) {
            Some((name, key)) => Self { sha256: Some(digest(&key)), name: Some(name) },
            None => Self { sha256: None, name: None },
        }
    }

    /// The SHA-256 of the key; none where none was shown.
    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256
    }

    /// The name that was shown with it, if one was.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Name and key in `Authorization: Basic …`, as user and password (RFC 7617): MLflow's clients send them so.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_at_checked(BASIC.len())?;
    if !scheme.eq_ignore_ascii_case(BASIC) {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, key) = text.split_once(':')?;
    (!key.is_empty()).then(|| (name.to_owned(), key.to_owned()))
}

/// The key in `Authorization: Bearer KEY`, else in `X-API-Key: KEY`.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then_some(key.trim())
    });
    bearer.or_else(|| headers.get(X_API_KEY)?.to_str().ok()).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn user_and_password_are_a_keys_name_and_the_key() {
        // `web:abc:d`, `web:` and `web`.
        for (value, expected) in [
            ("Basic d2ViOmFiYzpk", Some(("web", "abc:d"))),
            ("basic  d2ViOmFiYzpk", Some(("web", "abc:d"))),
            ("Basic d2ViOg==", None),
            ("Basic d2Vi", None),
            ("Basic !!!", None),
            ("Basic", None),
        ] {
            let found = basic(&headers(&[("authorization", value)]));
            let expected = expected.map(|(name, key)| (name.to_owned(), key.to_owned()));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn a_key_is_read_from_either_header() {
        for (pairs, expected) in [
            (&[("authorization", "Bearer abc")][..], Some("abc")),
            (&[("authorization", "bearer  abc ")], Some("abc")),
            (&[("x-api-key", "abc")], Some("abc")),
            (&[("authorization", "Basic abc"), ("x-api-key", "def")], Some("def")),
            (&[("authorization", "Bearer abc"), ("x-api-key", "def")], Some("abc")),
            (&[("authorization", "Bearer")], None),
            (&[("authorization", "Bearer ")], None),
            (&[("x-api-key", "")], None),
            (&[], None),
        ] {
            assert_eq!(shown(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
