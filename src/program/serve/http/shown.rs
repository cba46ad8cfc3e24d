//! The key that a request shows. Only its digest is kept: whether it opens anything is the guard's
//! business.

use axum::http::{HeaderMap, HeaderName, header};
use trialbook::registry::digest;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const BEARER: &str = "bearer ";

/// What a request showed to get in, for one that goes on for long: whether it still would.
pub(crate) struct Shown(Option<[u8; 32]>);

impl Shown {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(shown(headers).map(digest))
    }

    /// The SHA-256 of the key; none where none was shown.
    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        self.0
    }
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
