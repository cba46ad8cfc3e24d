//! Asking a server from the command line: short waits, never through a proxy.

use std::{fmt, path::PathBuf, time::Duration};

use axum::http::HeaderValue;
use serde_json::Value;
use trialbook::error::{Error, ErrorKind, Result};
use trialbook::hint::Hint;
use ureq::unversioned::{
    resolver::DefaultResolver,
    transport::{Connector as _, TcpConnector},
};

use super::pinned::{self, PinnedConnector};

/// The time that an answer may take in all.
const PATIENCE: Duration = Duration::from_secs(3);

/// The credentials that a client shows a server, and those that the server has to show.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The API key, for a server that asks for one.
    pub key: Option<String>,
    /// The file of the server's certificate in PEM, for a server that encrypts: it has to show this
    /// one, and may be asked at any of its addresses.
    pub tls_cert: Option<PathBuf>,
}

/// Without the key: it is nobody else's to read.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_ref().map(|_| "…");
        f.debug_struct("Credentials").field("key", &key).field("tls_cert", &self.tls_cert).finish()
    }
}

impl Credentials {
    /// The header that shows the key.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a key that no header can hold.
    fn header(&self) -> Result<Option<HeaderValue>> {
        let header = self.key.as_ref().map(|key| HeaderValue::from_str(key)).transpose();
        header.map_err(|source| {
            Error::invalid("the API key has characters that no key has")
                .with_hint(Hint::from("give it as ").run("keys add NAME").say(" showed it"))
                .with_source(source)
        })
    }

    /// An agent whose answers are looked at whatever their status is.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    fn agent(&self) -> Result<ureq::Agent> {
        // A proxy from the environment is for the world outside, not for the server next door.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build();
        // Only with the certificate that was named: no authority of the web vouches for a server here.
        let (plain, resolver) = (().chain(TcpConnector::default()), DefaultResolver::default());
        Ok(match &self.tls_cert {
            Some(cert) => {
                let connector = plain.chain(PinnedConnector::of(cert)?);
                ureq::Agent::with_parts(config, connector, resolver)
            }
            None => ureq::Agent::with_parts(config, plain, resolver),
        })
    }
}

/// An answer, whatever its status.
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    /// None for a body that is not JSON.
    pub(crate) json: Option<Value>,
}

/// Gets `url`, reading `max_bytes` of the answer at most.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when nothing answers; [`ErrorKind::Invalid`] for what is no address and
/// for credentials that cannot be used or do not fit the server.
pub(crate) fn get(url: &str, credentials: &Credentials, max_bytes: u64) -> Result<HttpAnswer> {
    let mut request = credentials.agent()?.get(url);
    if let Some(key) = credentials.header()? {
        request = request.header("x-api-key", key);
    }
    let mut response = request.call().map_err(|error| unanswered(url, error))?;
    let status = response.status().as_u16();
    let json = response.body_mut().with_config().limit(max_bytes).read_json().ok();
    Ok(HttpAnswer { status, json })
}

/// A request that got no answer from `url`.
fn unanswered(url: &str, error: ureq::Error) -> Error {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            Error::invalid(format!("{url:?} is not a server address"))
                .with_hint("write it like http://127.0.0.1:8000")
                .with_source(error)
        }
        ureq::Error::TlsRequired => {
            Error::invalid(format!("{url} is encrypted, and its certificate is not known"))
                .with_hint("name the certificate that the server was started with, --tls-cert FILE")
        }
        error if pinned::is_another_certificate(&error) => {
            Error::invalid(format!("{url} shows a certificate other than the one that was named"))
                .with_hint("name the certificate that the server was started with")
                .with_source(error)
        }
        ureq::Error::Protocol(_) => Error::new(
            ErrorKind::Unavailable,
            format!("the program at {url} does not answer in HTTP"),
        )
        .with_hint(
            "if it is encrypted, ask https:// with --tls-cert FILE; else check host and port",
        )
        .with_source(error),
        _ => Error::new(ErrorKind::Unavailable, format!("no answer from {url}"))
            .with_hint(
                Hint::from("start the server with ").run("serve").say(", or check host and port"),
            )
            .with_source(error),
    }
}

/// Posts `question` as JSON to `url` and returns the JSON answer of a 200.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when nothing answers; [`ErrorKind::Invalid`] for any other status,
/// with the server's own words.
pub fn post(url: &str, question: &Value) -> Result<Value> {
    let mut response = Credentials::default()
        .agent()?
        .post(url)
        .send_json(question)
        .map_err(|error| unanswered(url, error))?;
    let status = response.status().as_u16();
    let answer = response.body_mut().read_json::<Value>();
    match answer {
        Ok(answer) if status == 200 => Ok(answer),
        Ok(answer) => {
            let said = answer["error"].as_str().unwrap_or("no reason given");
            Err(Error::invalid(format!("{url} answered {status}: {said}")))
        }
        Err(error) => {
            Err(Error::invalid(format!("{url} answered {status} without JSON")).with_source(error))
        }
    }
}
