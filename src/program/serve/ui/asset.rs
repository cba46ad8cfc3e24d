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

/// The path below which they lie.
pub(super) const FOLDER: &str = "/ui/assets/";

const FILES: [(&str, &str, &str); 4] = [
    ("ui.css", "text/css; charset=utf-8", include_str!("asset/ui.css")),
    ("ui.js", "text/javascript; charset=utf-8", include_str!("asset/ui.js")),
    ("label.js", "text/javascript; charset=utf-8", include_str!("asset/label.js")),
    ("links.js", "text/javascript; charset=utf-8", include_str!("asset/links.js")),
];

/// The tag that tells each file's content from any other.
static TAGS: LazyLock<[String; 4]> =
    LazyLock::new(|| FILES.map(|(_, _, content)| hex(&Sha256::digest(content))[..32].to_owned()));

/// The URL of a file's present content, which a browser may keep for good: asking each time whether it is
/// still the same would hold the first paint up.
pub(super) fn url(name: &str) -> String {
    match FILES.iter().position(|(found, _, _)| *found == name) {
        Some(idx) => format!("{FOLDER}{name}?v={}", TAGS[idx]),
        None => format!("{FOLDER}{name}"),
    }
}

/// The file that a path names.
pub(super) async fn asset(uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let name = uri.path().strip_prefix(FOLDER).unwrap_or_default();
    let idx = FILES.iter().position(|(found, _, _)| *found == name);
    let idx = idx.ok_or_else(ApiError::not_found)?;
    let (_, content_type, content) = FILES[idx];
    let tag = format!("\"{}\"", TAGS[idx]);
    let tag = HeaderValue::from_str(&tag).map_err(|_| ApiError::internal())?;
    let is_named = uri.query().and_then(|query| query.strip_prefix("v=")) == Some(&TAGS[idx]);
    // A newer program has newer files under the same names.
    let kept = if is_named { "public, max-age=31536000, immutable" } else { "no-cache" };
    let about = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
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

    #[tokio::test]
    async fn only_the_url_of_the_present_content_is_kept_for_good() {
        for (path, expected) in [
            (url("ui.css"), "public, max-age=31536000, immutable"),
            (format!("{FOLDER}ui.css"), "no-cache"),
            (format!("{FOLDER}ui.css?v=0"), "no-cache"),
            (url("ui.css").replace("ui.css", "ui.js"), "no-cache"),
        ] {
            let answer = asset(path.parse().unwrap(), HeaderMap::new()).await.unwrap();
            assert_eq!(answer.headers()[header::CACHE_CONTROL], expected, "{path}");
        }
    }

    #[test]
    fn nothing_comes_from_outside_and_no_text_becomes_markup() {
        for (name, _, content) in FILES {
            for forbidden in ["http:", "https:", "innerHTML", "eval(", "@import", "url("] {
                assert!(!content.contains(forbidden), "{forbidden} in {name}");
            }
        }
    }
}
