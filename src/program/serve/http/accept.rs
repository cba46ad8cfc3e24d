//! The form in which a client wants its answer: a page or JSON, by its `Accept`.

use axum::http::{HeaderMap, header};

/// True if a client that sends `headers` gets the page.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    prefers_html(accept.unwrap_or_default())
}

/// True if `accept` gives HTML a higher quality than JSON (RFC 9110, section 12.5.1). Programs that
/// say nothing, or `*/*`, get JSON.
fn prefers_html(accept: &str) -> bool {
    quality(accept, "text", "html") > quality(accept, "application", "json")
}

/// The quality that the most specific matching range of `accept` gives the media type.
fn quality(accept: &str, kind: &str, subtype: &str) -> f32 {
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let Some((range_kind, range_subtype)) = parts.next().and_then(|name| name.split_once('/'))
        else {
            continue;
        };
        let specificity = match (range_kind, range_subtype) {
            ("*", "*") => 1,
            (found, "*") if found.eq_ignore_ascii_case(kind) => 2,
            (found, sub)
                if found.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) =>
            {
                3
            }
            _ => continue,
        };
        let quality = parts
            .find_map(|parameter| parameter.strip_prefix("q="))
            .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        if specificity > best.0 {
            best = (specificity, quality);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_the_page_and_programs_json() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", true),
            ("Text/HTML;level=1; q=0.5, application/json;q=0.4", true),
            ("text/*", true),
            ("", false),
            ("*/*", false),
            ("application/json", false),
            ("application/json, text/html", false),
            ("application/json, text/html;q=0.9", false),
            ("text/html;q=0", false),
            ("text/html;q=nonsense", false),
            ("nonsense", false),
        ] {
            assert_eq!(prefers_html(accept), expected, "{accept}");
        }
    }
}
