//! The query of a URL and the fields of a form: names with values, several under one name. Pages say in
//! their URL what they show, so links are made from the query that was asked.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The bytes that stand in a URL as they are (RFC 3986, unreserved).
const CODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most characters of a query that are read.
const MAX_CHARS: usize = 64 * 1024;

/// Names with values, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// As `application/x-www-form-urlencoded` spells it.
    pub(super) fn of(text: &str) -> Self {
        Self(pairs(text.get(..MAX_CHARS).unwrap_or(text)))
    }

    /// The fields of a form, all of them: how long a form may be is known where it is received.
    pub(super) fn of_form(text: &str) -> Self {
        Self(pairs(text))
    }

    /// Every name with its value, blank ones too.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value under `name`, as it is.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The first value under `name` that is not blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, value)| found == name && !value.trim().is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// Every value under `name` that is not blank.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.0.iter().filter(move |(found, _)| found == name);
        of_name.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
    }

    /// The whole number under `name`, `otherwise` where there is none, at most `max`.
    pub(super) fn number(&self, name: &str, otherwise: usize, max: usize) -> usize {
        self.get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise).min(max)
    }

    /// The same with this one value under `name`.
    #[must_use]
    pub(super) fn with(&self, name: &str, value: impl ToString) -> Self {
        self.without(name).and(name, value)
    }

    /// The same and this value under `name`.
    #[must_use]
    pub(super) fn and(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same with nothing under `name`.
    #[must_use]
    pub(super) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(found, _)| found != name).cloned().collect())
    }

    /// Names and values that are not blank, but for those under `names`.
    pub(super) fn but<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self
            .0
            .iter()
            .filter(|(name, value)| !names.contains(&name.as_str()) && !value.trim().is_empty());
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The URL of `path` with this query.
    pub(super) fn on(&self, path: &str) -> String {
        let mut url = path.to_owned();
        for (idx, (name, value)) in self.but(&[]).enumerate() {
            url.push(if idx == 0 { '?' } else { '&' });
            url.push_str(&coded(name));
            url.push('=');
            url.push_str(&coded(value));
        }
        url
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    });
    pairs.collect()
}

/// `text` as one part of a URL.
pub(super) fn coded(text: &str) -> String {
    utf8_percent_encode(text, CODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_back_as_it_was_written() {
        let query = Query::of("filter=metrics.f1+%3E+0.5&col=a&col=b%26c&empty=&lone");
        assert_eq!(query.get("filter"), Some("metrics.f1 > 0.5"));
        assert_eq!(query.all("col").collect::<Vec<_>>(), ["a", "b&c"]);
        assert_eq!((query.get("empty"), query.get("lone"), query.get("no")), (None, None, None));
        let url = query.with("page", 2).without("filter").on("/ui/runs");
        assert_eq!(url, "/ui/runs?col=a&col=b%26c&page=2");
        assert_eq!(Query::of("x=%ff&x=ä").all("x").collect::<Vec<_>>(), ["\u{fffd}", "ä"]);
        assert_eq!(Query::of(&"é=1&".repeat(20_000)).number("é", 0, 9), 1);
        let form = Query::of_form(&format!("note={}&blank=", "x".repeat(2 * MAX_CHARS)));
        assert_eq!(form.raw("note").map(str::len), Some(2 * MAX_CHARS));
        assert_eq!((form.raw("blank"), form.raw("no")), (Some(""), None));
        assert_eq!(coded("a/b?<é>"), "a%2Fb%3F%3C%C3%A9%3E");
    }
}
