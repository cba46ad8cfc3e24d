//! The address of a registry that a server keeps, with what that server wants to be shown. It reads the
//! environment, and never shows a secret: not in text, not in errors, not in debug output.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::error::{Error, Result};

/// The environment variable that names the server of the registry.
pub const REGISTRY_ENV: &str = "TRIALBOOK_REGISTRY";
/// MLflow's variable for the same, which is read where [`REGISTRY_ENV`] or `--registry` says
/// [`MLFLOW`].
const TRACKING_URI_ENV: &str = "MLFLOW_TRACKING_URI";
/// The word for the server that MLflow's own variable names.
const MLFLOW: &str = "mlflow";

const HINT: &str = "write it like http://registry.example.org:5000, or mlflow for what MLFLOW_TRACKING_URI names; \
                    nothing at all means the store's own registry";

/// The address of a server that answers MLflow's REST API: `http://HOST:5000`.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryAddress {
    /// Scheme, host, port and path, without credentials and without a `/` at the end.
    url: String,
    credentials: Option<Credential>,
}

/// The credentials that a server wants to be shown.
#[derive(Clone, PartialEq, Eq)]
enum Credential {
    /// Name and password, for HTTP's Basic.
    Basic(String, String),
    /// A token, for HTTP's Bearer.
    Bearer(String),
}

impl RegistryAddress {
    /// The server that `text` names: a URL, which may carry `USER:PASSWORD@`, or `mlflow` for the one
    /// that `MLFLOW_TRACKING_URI` names. None for nothing: then the store's own registry is meant.
    /// Without credentials in the URL, those of `MLFLOW_TRACKING_TOKEN`, or of
    /// `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, are shown to it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no address of a server.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if text != MLFLOW {
            return Self::of_url(text, "the registry").map(Some);
        }
        match variable(TRACKING_URI_ENV) {
            Some(url) => Self::of_url(&url, TRACKING_URI_ENV).map(Some),
            None => Err(Error::invalid(format!(
                "the registry is to be that of {TRACKING_URI_ENV}, which is not set"
            ))
            .with_hint(format!(
                "set {TRACKING_URI_ENV} to the server's address, or name the server itself"
            ))),
        }
    }

    /// The server that `TRIALBOOK_REGISTRY` names, if it names one.
    ///
    /// # Errors
    /// As [`RegistryAddress::parse`].
    pub fn from_env() -> Result<Option<Self>> {
        Self::parse(&variable(REGISTRY_ENV).unwrap_or_default())
    }

    /// The server at the URL `text`, which errors call `what`.
    ///
    /// # Errors
    /// As [`RegistryAddress::parse`].
    pub(crate) fn of_url(text: &str, what: &str) -> Result<Self> {
        // The text itself is not repeated where it may hold a password.
        let refuse = |why: &str| Error::invalid(format!("{what} {why}")).with_hint(HINT);
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some(_) | None if text.contains('@') => {
                return Err(refuse(
                    "is not the address of a server: it begins with neither http:// nor https://",
                ));
            }
            _ => {
                return Err(refuse(&format!(
                    "{text:?} is not the address of a server: it begins with neither http:// nor https://"
                )));
            }
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (secret, host) = match authority.rsplit_once('@') {
            Some((secret, host)) => (Some(secret), host),
            None => (None, authority),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(refuse("names no host"));
        }
        if path.contains(['?', '#']) || path.contains(char::is_whitespace) {
            return Err(refuse("has more than a path behind its host"));
        }
        let credentials = match secret {
            Some(secret) => {
                let (name, password) = secret.split_once(':').unwrap_or((secret, ""));
                let decode = |part: &str| {
                    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
                };
                Some(Credential::Basic(decode(name), decode(password)))
            }
            None => of_environment(),
        };
        let url = format!("{scheme}://{host}/{path}").trim_end_matches('/').to_owned();
        Ok(Self { url, credentials })
    }

    /// Scheme, host, port and path, without credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The header `authorization` of a request to the server, where it wants one.
    pub(crate) fn authorization(&self) -> Option<String> {
        self.credentials.as_ref().map(|credential| match credential {
            Credential::Basic(name, password) => {
                format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
            }
            Credential::Bearer(token) => format!("Bearer {token}"),
        })
    }

    /// The variables that tell a child process of it, secrets included.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![(REGISTRY_ENV, self.url.clone())];
        match &self.credentials {
            Some(Credential::Bearer(token)) => {
                variables.push(("MLFLOW_TRACKING_TOKEN", token.clone()));
            }
            Some(Credential::Basic(name, password)) => {
                variables.push(("MLFLOW_TRACKING_TOKEN", String::new()));
                variables.push(("MLFLOW_TRACKING_USERNAME", name.clone()));
                variables.push(("MLFLOW_TRACKING_PASSWORD", password.clone()));
            }
            None => {}
        }
        variables
    }
}

/// Without the credentials: they are nobody else's to read.
impl fmt::Debug for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegistryAddress").field(&self.url).finish()
    }
}

impl fmt::Display for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.url)
    }
}

fn of_environment() -> Option<Credential> {
    if let Some(token) = variable("MLFLOW_TRACKING_TOKEN") {
        return Some(Credential::Bearer(token));
    }
    let name = variable("MLFLOW_TRACKING_USERNAME")?;
    Some(Credential::Basic(name, variable("MLFLOW_TRACKING_PASSWORD").unwrap_or_default()))
}

/// A variable that says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_without_its_secret_and_never_shows_it() {
        for (text, url) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
            ("https://lab.example.org/mlflow/", "https://lab.example.org/mlflow"),
            (" http://ada:tb_s%40cret@lab:5000 ", "http://lab:5000"),
        ] {
            let address = RegistryAddress::parse(text).unwrap().unwrap();
            assert_eq!(address.url(), url);
            for shown in [format!("{address}"), format!("{address:?}")] {
                assert!(!shown.contains("cret"), "{shown}");
            }
        }
        let address = RegistryAddress::parse("http://ada:s%40@lab").unwrap().unwrap();
        assert!(address.credentials == Some(Credential::Basic("ada".into(), "s@".into())));
        assert_eq!(RegistryAddress::parse(" ").unwrap(), None);
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused_without_its_secret() {
        for text in [
            "sqlite:///mlflow.db",
            "lab:5000",
            "http://",
            "ftp://a:secret@b",
            "http://a b",
            "http://a/?x=1",
        ] {
            let error = RegistryAddress::parse(text).unwrap_err();
            assert!(error.hint().is_some(), "{text}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
