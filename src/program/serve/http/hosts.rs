//! The names of this server and the other sites that browsers may use, as MLflow has had it since 3.5: a
//! page that makes its own name point here (DNS rebinding) reads nothing, and no other site's page
//! changes anything.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};

/// The names under which clients may know this server, beside this machine's and private addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Names such as `mlflow.example.org`, each with or without a port; `*` stands for any characters.
    pub fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.trim().to_ascii_lowercase()).collect())
    }

    /// Refuses a request with these headers that may not be answered.
    ///
    /// # Errors
    /// The sentence that says why not.
    pub(crate) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), String> {
        let value = |name| {
            headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
        };
        // What has no host was asked in the process itself, or refused before.
        if let Some(host) = value(header::HOST)
            && !self.allows(host)
        {
            return Err(format!(
                "Invalid Host header - possible DNS rebinding attack detected: {host:?} is no name of \
                 this server (start it with --allowed-hosts {host})"
            ));
        }
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        match value(header::ORIGIN) {
            Some(origin) if changes && !self.allows_origin(origin, value(header::HOST)) => Err(
                format!("Cross-origin request blocked: pages of {origin} may not change anything"),
            ),
            _ => Ok(()),
        }
    }

    fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        is_here(name)
            || name.parse::<IpAddr>().is_ok_and(is_private)
            || self.0.iter().any(|allowed| is_like(name, allowed) || is_like(&host, allowed))
    }

    fn allows_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let origin = origin.to_ascii_lowercase();
        let Some((_, site)) = origin.split_once("://") else { return false };
        let is_own = host.is_some_and(|host| host.eq_ignore_ascii_case(site));
        is_own
            || is_here(without_port(site))
            || self.0.iter().any(|allowed| allowed == "*" || *allowed == origin)
    }
}

fn is_here(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "::1" | "0.0.0.0")
}

/// As RFC 1918 and RFC 4193 have it.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback() || (address.segments()[0] & 0xfe00) == 0xfc00,
    }
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.split(':').next().unwrap_or(host)
}

fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| is_like(&text[at..], rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn is_answered(allowed: &[&str], method: Method, headers: &[(&'static str, &str)]) -> bool {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        AllowedHosts::new(&allowed).check(&method, &headers.collect()).is_ok()
    }

    #[test]
    fn this_machine_private_addresses_and_allowed_names_are_answered() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:1",
            "[::1]:5000",
            "10.1.2.3:80",
            "192.168.0.9",
            "172.31.0.1",
            "LOCALHOST:5",
        ] {
            assert!(is_answered(&[], Method::POST, &[("host", host)]), "{host}");
        }
        for host in ["evil.test", "localhost.evil.test", "172.32.0.1", "8.8.8.8:80", ""] {
            assert!(!is_answered(&[], Method::GET, &[("host", host)]), "{host}");
        }
        let allowed = ["mlflow.example.org", "*.lab:5000"];
        for (host, expected) in [
            ("mlflow.example.org", true),
            ("mlflow.example.org:443", true),
            ("a.lab:5000", true),
            ("a.lab:5001", false),
            ("lab:5000", false),
            ("mlflow.example.org.evil.test", false),
        ] {
            assert_eq!(is_answered(&allowed, Method::GET, &[("host", host)]), expected, "{host}");
        }
        assert!(is_answered(&["*"], Method::GET, &[("host", "any.test")]));
    }

    #[test]
    fn no_other_sites_page_changes_anything() {
        let asked = |method, origin| {
            is_answered(
                &["https://allowed.test"],
                method,
                &[("host", "10.0.0.1:5000"), ("origin", origin)],
            )
        };
        assert!(!asked(Method::POST, "https://evil.test"));
        assert!(!asked(Method::DELETE, "null"));
        assert!(asked(Method::GET, "https://evil.test"), "reading is the browser's business");
        for origin in ["http://10.0.0.1:5000", "http://localhost:3000", "https://allowed.test"] {
            assert!(asked(Method::POST, origin), "{origin}");
        }
    }
}
