//! The type that a request gives its body. The types that are read are taken: JSON or lines of
//! JSON, in UTF-8, not compressed.

use axum::http::{HeaderMap, header};

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// One JSON value: `application/json`, `application/*+json`.
    Json,
    /// One JSON value a line: `application/x-ndjson` and its other names.
    JsonLines,
}

/// Of answers in lines of JSON.
pub(crate) const JSON_LINES: &str = "application/x-ndjson";

/// The other names of lines of JSON.
const JSON_LINES_NAMES: [&str; 4] = ["x-ndjson", "ndjson", "jsonl", "x-jsonlines"];

impl MediaType {
    /// The form that the headers announce; none for anything that is not read.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
            return None;
        }
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        let mut parts = value.split(';').map(str::trim);
        let subtype = parts.next()?.strip_prefix("application/")?;
        let charset = parts.find_map(|parameter| parameter.strip_prefix("charset="));
        // ASCII is UTF-8 too.
        let charset = charset.map_or("utf-8", |charset| charset.trim_matches('"'));
        if !["utf-8", "utf8", "us-ascii"].contains(&charset) {
            return None;
        }
        if JSON_LINES_NAMES.contains(&subtype) {
            return Some(Self::JsonLines);
        }
        (subtype == "json" || subtype.ends_with("+json")).then_some(Self::Json)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::{MediaType::*, *};

    #[test]
    fn json_and_its_lines_are_told_from_everything_else() {
        for (content_type, expected) in [
            ("application/json", Some(Json)),
            ("Application/JSON; charset=UTF-8", Some(Json)),
            ("application/json;charset=\"utf-8\"", Some(Json)),
            ("application/json; version=2", Some(Json)),
            ("application/problem+json", Some(Json)),
            ("application/x-ndjson", Some(JsonLines)),
            ("application/jsonl; charset=utf-8", Some(JsonLines)),
            ("application/json; charset=latin1", None),
            ("application/json; charset=utf-16", None),
            ("application/jsonish", None),
            ("application/", None),
            ("application", None),
            ("text/json", None),
            ("text/plain", None),
            (";", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(MediaType::of(&headers), expected, "{content_type:?}");
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
            assert_eq!(MediaType::of(&headers), expected, "{content_type:?}");
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            assert_eq!(MediaType::of(&headers), None, "{content_type:?}");
        }
        assert_eq!(MediaType::of(&HeaderMap::new()), None);
    }
}
