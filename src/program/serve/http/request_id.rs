//! The name of a request in its answer, in errors, in the log and in its trace.

use axum::http::{HeaderMap, HeaderName};

/// Names a request in its answer, in errors and in the log.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of one request: the client's own, if it is short and plain, else a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// Longer ids are replaced: they go into every log line.
    const MAX_LEN: usize = 128;

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_plain = |id: &&str| {
            !id.is_empty()
                && id.len() <= Self::MAX_LEN
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
        };
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        match given.filter(is_plain) {
            Some(id) => Self(id.to_owned()),
            None => Self(uuid::Uuid::new_v4().simple().to_string()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_plain_id_is_kept_and_any_other_replaced() {
        let long = "a".repeat(129);
        for (given, kept) in [
            ("7b0c-42", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            ("", false),
            ("two words", false),
            ("quote\"", false),
            (long.as_str(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(given).unwrap());
            let id = RequestId::of(&headers);
            assert_eq!(id.as_str() == given, kept, "{given:?} became {id:?}");
        }
        assert_eq!(RequestId::of(&HeaderMap::new()).as_str().len(), 32);
    }
}
