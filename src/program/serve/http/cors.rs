//! Pages of other sites: which ones a browser lets read answers, and what it is told when it asks
//! before it sends (the Fetch standard's CORS protocol). Without listed origins nothing is said, and
//! browsers keep other sites out.
//!
//! `CorsLayer` of tower-http answers every OPTIONS, for any origin and with 200: a path's own answer
//! (405 with the methods it takes, 401 without a key) would be lost, as would the order in which this
//! server looks at hosts, keys and rates.

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::security::Origin;

/// The headers that pages may send; a browser adds its own.
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, x-api-key, x-request-id");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");
/// The headers that pages may read besides the few that all may.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("retry-after, x-request-id");
/// The time that a browser need not ask again: 10 minutes.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The listed origins.
pub(crate) struct Cors {
    origins: Vec<String>,
    is_any: bool,
}

/// The origin of one request, which is a listed one.
pub(crate) struct Granted(HeaderValue);

impl Cors {
    pub(crate) fn new(origins: &[Origin]) -> Self {
        let origins: Vec<String> =
            origins.iter().map(|origin| origin.as_str().to_owned()).collect();
        let is_any = origins.iter().any(|origin| origin == Origin::ANY);
        Self { origins, is_any }
    }

    /// The request's origin, if its pages may ask.
    pub(crate) fn granted(&self, headers: &HeaderMap) -> Option<Granted> {
        if self.origins.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        if self.is_any {
            return Some(Granted(HeaderValue::from_static(Origin::ANY)));
        }
        let is_listed = self.origins.iter().any(|listed| origin.as_bytes() == listed.as_bytes());
        is_listed.then(|| Granted(origin.clone()))
    }

    /// Says in an answer who may read it.
    pub(crate) fn say(&self, granted: Option<Granted>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        // A cache must not hand one site's answer to another, also where there was no origin.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(Granted(origin)) = granted {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}

/// True if a browser asks for leave to send something.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that, for a listed origin.
pub(crate) fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_are_named_in_answers() {
        let cors = |origins: &[&str]| {
            let origins: Vec<Origin> = origins.iter().map(|one| one.parse().unwrap()).collect();
            Cors::new(&origins)
        };
        let listed = ["https://example.org", "http://localhost:3000"];
        for (origins, origin, expected) in [
            (&listed[..], Some("https://example.org"), Some("https://example.org")),
            (&listed, Some("http://localhost:3000"), Some("http://localhost:3000")),
            (&listed, Some("http://localhost:3001"), None),
            (&listed, Some("https://example.org.evil.test"), None),
            (&listed, Some("null"), None),
            (&listed, None, None),
            (&["*"], Some("https://anywhere.test"), Some("*")),
            (&[], Some("https://example.org"), None),
        ] {
            let mut asked = HeaderMap::new();
            if let Some(origin) = origin {
                asked.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let cors = cors(origins);
            let mut answered = HeaderMap::new();
            cors.say(cors.granted(&asked), &mut answered);
            let allowed = answered.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed.and_then(|value| value.to_str().ok()), expected, "{origin:?}");
            assert_eq!(answered.contains_key(header::VARY), !origins.is_empty(), "{origin:?}");
        }
    }
}
