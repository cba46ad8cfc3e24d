//! The web pages: their parts are built into the program, and a content security policy lets them
//! load only those and talk only to this server.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};
use trialbook::figure::hex;

use crate::serve::http::error::ApiError;

const HTML: &str = include_str!("page/index.html");
const DOCS_HTML: &str = include_str!("page/docs.html");

/// The rights of the page: load its own parts and ask this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
/// The same for Swagger UI, whose style sheet holds its icons.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                           img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'";

/// A part of a page.
struct Asset {
    /// Below `/assets`.
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
    encoding: Option<&'static str>,
    caching: Caching,
}

/// The time that a browser keeps a part.
#[derive(Clone, Copy)]
enum Caching {
    /// Asks each time whether its own is still the one: a newer program has newer parts under the
    /// same names.
    Ask,
    /// For good: the name says which version it is.
    Keep,
}

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 7] = [
    own("page.css", CSS, include_bytes!("page/page.css")),
    own("page.js", JAVASCRIPT, include_bytes!("page/page.js")),
    own("icon.svg", "image/svg+xml", include_bytes!("page/icon.svg")),
    own("docs.css", CSS, include_bytes!("page/docs.css")),
    own("docs.js", JAVASCRIPT, include_bytes!("page/docs.js")),
    swagger_ui("swagger-ui-5.35.0.css", CSS, include_bytes!("page/swagger-ui/swagger-ui.css.gz")),
    swagger_ui(
        "swagger-ui-bundle-5.35.0.js",
        JAVASCRIPT,
        include_bytes!("page/swagger-ui/swagger-ui-bundle.js.gz"),
    ),
];

const fn own(name: &'static str, content_type: &'static str, content: &'static [u8]) -> Asset {
    Asset { name, content_type, content, encoding: None, caching: Caching::Ask }
}

/// Compressed where it lies: every browser unpacks gzip.
const fn swagger_ui(
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
) -> Asset {
    Asset { name, content_type, content, encoding: Some("gzip"), caching: Caching::Keep }
}

/// The names below `/assets`.
pub(crate) fn asset_names() -> Vec<&'static str> {
    ASSETS.iter().map(|asset| asset.name).collect()
}

/// `GET /assets/{name}`.
pub(crate) async fn asset(uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    // The bare path: what it would be decoded to is no name either.
    let name = uri.path().strip_prefix("/assets/").unwrap_or_default();
    let idx = ASSETS.iter().position(|asset| asset.name == name).ok_or_else(ApiError::not_found)?;
    let asset = &ASSETS[idx];
    let tag = &TAGS[idx];
    let caching = match asset.caching {
        Caching::Ask => "no-cache",
        Caching::Keep => "public, max-age=31536000, immutable",
    };
    let mut response = if holds(&headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response =
            ([(header::CONTENT_TYPE, asset.content_type)], asset.content).into_response();
        if let Some(encoding) = asset.encoding {
            let encoding = HeaderValue::from_static(encoding);
            response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
        }
        response
    };
    response.headers_mut().insert(header::ETAG, tag.clone());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

/// The tag that tells each asset's content from any other.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tags = ASSETS.iter().map(|asset| {
        let tag = format!("\"{}\"", &hex(&Sha256::digest(asset.content))[..32]);
        HeaderValue::from_str(&tag).expect("hexadecimal digits are ASCII")
    });
    tags.collect()
});

/// True if the client says that it has the content of `tag` (RFC 9110, section 13.1.2).
fn holds(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let held = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|held| held.to_str().ok());
    held.flat_map(|held| held.split(','))
        .map(|held| held.trim().trim_start_matches("W/"))
        .any(|held| held == "*" || *tag == held)
}

/// The page to try the model on.
pub(crate) fn html() -> Response {
    page(HTML, POLICY)
}

/// `GET /docs`: Swagger UI.
pub(crate) async fn docs() -> Response {
    page(DOCS_HTML, DOCS_POLICY)
}

fn page(html: &'static str, policy: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    (headers, html).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> &'static str {
        let asset = ASSETS.iter().find(|asset| asset.name == name).unwrap();
        std::str::from_utf8(asset.content).unwrap()
    }

    #[test]
    fn pages_have_nothing_inline_and_nothing_from_outside() {
        for html in [HTML, DOCS_HTML] {
            for forbidden in
                ["<style", " style=", "<script>", " onclick=", " onload=", "http:", "//"]
            {
                assert!(!html.contains(forbidden), "{forbidden} in {html}");
            }
        }
        for name in ["page.css", "page.js", "docs.css", "docs.js"] {
            for forbidden in ["http:", "https:", "innerHTML", "eval(", "@import", "url("] {
                assert!(!text(name).contains(forbidden), "{forbidden} in {name}");
            }
        }
    }

    #[test]
    fn every_part_that_a_page_loads_is_there() {
        for html in [HTML, DOCS_HTML] {
            let parts: Vec<&str> =
                html.split('"').filter_map(|quoted| quoted.strip_prefix("assets/")).collect();
            assert!(parts.len() >= 3, "{parts:?}");
            for part in parts {
                assert!(asset_names().contains(&part), "{part}");
            }
        }
    }

    #[test]
    fn every_element_the_script_looks_up_is_on_the_page() {
        let ids: Vec<&str> = text("page.js")
            .split("byId(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(!ids.is_empty());
        for id in ids {
            assert!(HTML.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}
