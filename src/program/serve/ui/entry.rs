//! How people get in where the store has API keys: a form takes a key once, and a cookie shows it from
//! then on to the pages alone (`Path=/ui`). Scripts cannot read the cookie, and other sites cannot make a
//! browser send it. What changes something has to come from a page of this server besides.

use axum::http::{HeaderMap, HeaderValue, header};
use maud::html;
use trialbook::hint::{Hint, Spelling};

use super::{
    answer::{Answer, PageFrame},
    query::Query,
    shell::Tab,
};

/// The cookie's name.
const COOKIE: &str = "trialbook_key";

/// Shows the key in the cookie as programs show theirs, unless the request shows one itself.
pub(super) fn show_key(headers: &mut HeaderMap) {
    if headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key") {
        return;
    }
    let key = headers.get_all(header::COOKIE).iter().find_map(|line| {
        let pairs = line.to_str().ok()?.split(';');
        pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE)
    });
    let shown = key.and_then(|(_, key)| HeaderValue::from_str(&format!("Bearer {key}")).ok());
    if let Some(shown) = shown {
        headers.insert(header::AUTHORIZATION, shown);
    }
}

/// True if a form was sent by a page of this server: browsers say where a form comes from, and a program
/// that shows its key itself is no browser that was made to.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let site =
        text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
    match (site, text(header::HOST)) {
        (Some(site), Some(host)) => site.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// The form that asks for a key.
pub(super) fn form(query: &Query, problem: Option<&str>) -> PageFrame {
    let next = next(query);
    let told = Hint::from("This server asks for a key of its store; ")
        .run("keys add NAME")
        .say(" makes one.");
    let told = told.spelled(Spelling::Program);
    let body = html! {
        div.narrow {
            h1 { "Sign in" }
            form.card method="post" action="/ui/login" {
                input type="hidden" name="next" value=(next);
                label for="key" { "API key" }
                input #key type="password" name="key" autocomplete="current-password"
                    spellcheck="false" required autofocus aria-invalid=[problem.map(|_| "true")]
                    aria-describedby="key-said";
                p #key-said .hint.ill[problem.is_some()] {
                    (problem.unwrap_or(&told))
                }
                p.actions { button.main type="submit" { "Sign in" } }
            }
        }
    };
    PageFrame { tab: None, ..PageFrame::new(Tab::Runs, "Sign in", body) }
}

/// Keeps a key that opens the pages.
pub(super) fn enter(key: &str, form: &Query, is_encrypted: bool) -> Answer {
    let secure = if is_encrypted { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={key}; Path=/ui; HttpOnly; SameSite=Strict{secure}");
    Answer::See { url: next(form), cookie: Some(cookie) }
}

/// Forgets the key.
pub(super) fn leave() -> Answer {
    let cookie = format!("{COOKIE}=; Path=/ui; HttpOnly; SameSite=Strict; Max-Age=0");
    Answer::See { url: "/ui/login".to_owned(), cookie: Some(cookie) }
}

/// The page to go to from here: one of this interface, whatever else was asked for.
fn next(query: &Query) -> String {
    let asked = query.get("next").filter(|url| {
        url.starts_with("/ui/") && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    });
    asked.unwrap_or("/ui/runs").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn only_a_page_of_this_server_sends_forms() {
        for (origin, host, expected) in [
            (Some("http://lab:5000"), "lab:5000", true),
            (Some("https://LAB:5000"), "lab:5000", true),
            (Some("http://lab:5001"), "lab:5000", false),
            (Some("http://evil.test"), "lab:5000", false),
            (Some("null"), "lab:5000", false),
            (None, "lab:5000", false),
        ] {
            let mut sent = vec![("host", host)];
            sent.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(is_own(&headers(&sent)), expected, "{origin:?}");
        }
    }

    #[test]
    fn the_cookie_is_a_key_where_none_is_shown() {
        let mut asked = headers(&[("cookie", "a=b; trialbook_key=tbk_1; c=d")]);
        show_key(&mut asked);
        assert_eq!(asked["authorization"], "Bearer tbk_1");
        let mut asked =
            headers(&[("cookie", "trialbook_key=tbk_1"), ("authorization", "Bearer x")]);
        show_key(&mut asked);
        assert_eq!(asked["authorization"], "Bearer x");
    }

    #[test]
    fn whoever_signed_in_stays_on_this_server() {
        for (url, expected) in [
            ("/ui/models/M?a=1", "/ui/models/M?a=1"),
            ("//evil.test", "/ui/runs"),
            ("https://evil.test/ui/", "/ui/runs"),
            ("/ui/\\evil", "/ui/runs"),
            ("/ui/a\r\nset-cookie: x", "/ui/runs"),
            ("", "/ui/runs"),
        ] {
            assert_eq!(next(&Query::default().and("next", url)), expected, "{url}");
        }
    }
}
