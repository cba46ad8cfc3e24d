//! The files that pages load: style sheet and scripts, built into the program, each under its own URL, so
//! that nothing has to stand inside a page.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use trialbook::figure::hex;

use crate::serve::http::error::ApiError;

/// Where they lie.
pub(super) const FOLDER: &str = "/ui/assets/";

const FILES: [(&str, &str, &str); 3] = [
    ("ui.css", "text/css; charset=utf-8", include_str!("asset/ui.css")),
    ("ui.js", "text/javascript; charset=utf-8", include_str!("asset/ui.js")),
    ("links.js", "text/javascript; charset=utf-8", include_str!("asset/links.js")),
];

/// What tells each file's content from any other.
static TAGS: LazyLock<[HeaderValue; 3]> = LazyLock::new(|| {
    FILES.map(|(_, _, content)| {
        let tag = format!("\"{}\"", &hex(&Sha256::digest(content))[..32]);
        HeaderValue::from_str(&tag).expect("hexadecimal digits are ASCII")
    })
});

/// The file that a path names.
pub(super) async fn asset(uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let name = uri.path().strip_prefix(FOLDER).unwrap_or_default();
    let idx = FILES.iter().position(|(found, _, _)| *found == name);
    let idx = idx.ok_or_else(ApiError::not_found)?;
    let (_, content_type, content) = FILES[idx];
    let tag = TAGS[idx].clone();
    let about = [
        (header::ETAG, tag.clone()),
        // A newer program has newer files under the same names.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
    ];
    Ok(match headers.get(header::IF_NONE_MATCH) {
        Some(held) if *held == tag => (StatusCode::NOT_MODIFIED, about).into_response(),
        _ => (about, content).into_response(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_from_outside_and_no_text_becomes_markup() {
        for (name, _, content) in FILES {
            for forbidden in ["http:", "https:", "innerHTML", "eval(", "@import", "url("] {
                assert!(!content.contains(forbidden), "{forbidden} in {name}");
            }
        }
    }
}
