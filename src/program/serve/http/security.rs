//! A server's settings about its clients: who must show a key, how often one may ask, which pages
//! of other sites may, and how connections are encrypted. All of it is off by default, on an address
//! that only this machine reaches.

use std::{fmt, num::NonZeroU32, path::PathBuf, str::FromStr};

use trialbook::error::Error;

/// The settings of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Listens where other machines reach it although the store has no key. Once there is one, it
    /// is asked for all the same.
    pub no_auth: bool,
    /// `/health` and what is below it need a key too, where keys are needed.
    pub auth_health: bool,
    /// `/metrics` needs an admin key, where keys are needed.
    pub auth_metrics: bool,
    /// The rate at which one caller may ask; none for any rate.
    pub rate_limit: Option<RateLimit>,
    /// Sites whose pages may ask from a browser.
    pub cors_origins: Vec<Origin>,
    /// Encrypts every connection.
    pub tls: Option<TlsFiles>,
}

/// The rate at which one caller may ask: a key, or an address that shows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second, in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once after a silence.
    pub burst: NonZeroU32,
}

/// A certificate and its key, each in a PEM file. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those that lead to its authority.
    pub cert: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// A site as a browser names it, `https://example.org` or `http://localhost:3000`; `*` is every
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Every site.
    pub(crate) const ANY: &'static str = "*";

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
            matches!(scheme, "http" | "https")
                && !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        });
        if is_origin || text == Self::ANY {
            // Browsers write hosts in lower case.
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Error::invalid(format!("{text:?} is not an origin")).with_hint(
            "write scheme, host and port, as in https://example.org, or * for every origin",
        ))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (text, expected) in [
            ("https://example.org", true),
            ("http://localhost:3000", true),
            ("http://[::1]:8000", true),
            ("*", true),
            ("https://example.org/", false),
            ("https://example.org/page", false),
            ("https://", false),
            ("example.org", false),
            ("file:///page.html", false),
            ("https://user@example.org", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Origin>().is_ok(), expected, "{text:?}");
        }
        assert_eq!(
            "https://Example.ORG".parse::<Origin>().unwrap().as_str(),
            "https://example.org"
        );
    }
}
