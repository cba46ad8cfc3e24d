//! The web page: three files and an icon, built into the program, with a content security policy
//! that lets the page load only those and talk only to this server.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::state::ServerState;

const HTML: &str = include_str!("page/index.html");
const CSS: &str = include_str!("page/page.css");
const JS: &str = include_str!("page/page.js");
const ICON: &str = include_str!("page/icon.svg");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page's parts below `/assets`.
pub(crate) fn assets() -> Router<ServerState> {
    Router::new()
        .route("/assets/page.css", get(|| async { part(CSS, "text/css; charset=utf-8") }))
        .route("/assets/page.js", get(|| async { part(JS, "text/javascript; charset=utf-8") }))
        .route("/assets/icon.svg", get(|| async { part(ICON, "image/svg+xml") }))
}

/// The page itself.
pub(crate) fn html() -> Response {
    let mut response = part(HTML, "text/html; charset=utf-8");
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn part(content: &'static str, content_type: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        // A newer program has newer parts under the same names.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_nothing_inline_and_nothing_from_outside() {
        for forbidden in ["<style", " style=", "<script>", " onclick=", " onload=", "http:", "//"] {
            assert!(!HTML.contains(forbidden), "{forbidden} in index.html");
        }
        for (name, content) in [("page.css", CSS), ("page.js", JS)] {
            for forbidden in ["http:", "https:", "innerHTML", "eval(", "@import", "url("] {
                assert!(!content.contains(forbidden), "{forbidden} in {name}");
            }
        }
    }

    #[test]
    fn every_element_the_script_looks_up_is_on_the_page() {
        let ids: Vec<&str> =
            JS.split("byId(\"").skip(1).filter_map(|s| s.split('"').next()).collect();
        assert!(!ids.is_empty());
        for id in ids {
            assert!(HTML.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}
