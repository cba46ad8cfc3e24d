//! Asking a server in MLflow's REST API: requests, patience, second tries, and what a refusal says. It
//! knows no experiment, run or model.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    thread,
    time::Duration,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::{Agent, Body, SendBody, http::Response};

use crate::{
    address::RegistryAddress,
    error::{Error, ErrorKind, Result},
    trust,
};

/// The time that a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The time that an answer in JSON may take in all.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two pieces of a file.
const PIECE: Duration = Duration::from_secs(60);
/// Pauses before what may be asked again is asked again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// The longest answer in JSON that is read: 1,000 runs with 100 params each have 10 MB.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// All that a part of a path or a query cannot hold as it is.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const RESERVED_IN_PATHS: AsciiSet = RESERVED.remove(b'/');

/// The API of experiments, runs and models.
pub(super) const API: &str = "/api/2.0/mlflow";
/// The API of artifacts.
pub(super) const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// A server that is asked.
pub(super) struct Client {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

/// The effect of asking twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It does: it is asked again where no answer came.
    Safe,
    /// It does not.
    Never,
}

impl Client {
    /// # Errors
    /// [`ErrorKind::Invalid`] where the environment names certificates that cannot be read.
    pub(super) fn new(address: &RegistryAddress) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PIECE))
            .timeout_per_write(Some(PIECE))
            // A redirect would lead the credentials elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(trust::tls()?)
            .user_agent(concat!("trialbook/", env!("CARGO_PKG_VERSION")))
            .build();
        let authorization = address.authorization();
        Ok(Self { agent: config.into(), base: address.url().to_owned(), authorization })
    }

    /// The server, for people.
    pub(super) fn place(&self) -> &str {
        &self.base
    }

    /// The answer to a question whose fields are a query.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let mut url = self.url(path);
        for (idx, (key, value)) in query.iter().enumerate() {
            url.push(if idx == 0 { '?' } else { '&' });
            url.push_str(key);
            url.push('=');
            url.extend(utf8_percent_encode(value, &RESERVED));
        }
        self.json(Repeat::Safe, || self.send("GET", &url, None))
    }

    /// The answer to a question whose fields are a body.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        repeat: Repeat,
    ) -> Result<Value> {
        let (url, body) = (self.url(path), body.to_string());
        self.json(repeat, || self.send(method, &url, Some(&body)))
    }

    /// Puts a file at `path` of the artifact API. Put twice, it is there once.
    pub(super) fn upload(&self, path: &str, file: &Path) -> Result<()> {
        let url = self.url(&format!("{PROXY}/{}", encoded(path)));
        self.json(Repeat::Safe, || {
            let opened = File::open(file).and_then(|file| Ok((file.metadata()?.len(), file)));
            let (n_bytes, file) = match opened {
                Ok(opened) => opened,
                Err(error) => return Err(ureq::Error::Io(error)),
            };
            let request = ureq::http::Request::builder().method("PUT").uri(&url);
            let request = self.authorized(request).header("content-length", n_bytes);
            let request = request.header("content-type", "application/octet-stream");
            self.agent.run(request.body(SendBody::from_owned_reader(file))?)
        })
        .map(drop)
    }

    /// Hands the bytes at a path of the server to `take`, as they come.
    pub(super) fn download<T>(
        &self,
        path: &str,
        mut take: impl FnMut(&mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        let url = self.url(path);
        let mut response = self.answered(Repeat::Safe, || self.send("GET", &url, None))?;
        take(&mut response.body_mut().as_reader())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn authorized(&self, request: ureq::http::request::Builder) -> ureq::http::request::Builder {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    fn send(
        &self,
        method: &str,
        url: &str,
        body: Option<&str>,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        let request = self.authorized(ureq::http::Request::builder().method(method).uri(url));
        match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(body)?)
            }
            None => self.agent.run(request.body(())?),
        }
    }

    fn json(
        &self,
        repeat: Repeat,
        send: impl Fn() -> std::result::Result<Response<Body>, ureq::Error>,
    ) -> Result<Value> {
        let mut response = self.answered(repeat, send)?;
        let read = response.body_mut().with_config().limit(MAX_JSON_BYTES).read_to_vec();
        let bytes = read.map_err(|error| self.silent(error))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|source| self.foreign("JSON was expected").with_source(source))
    }

    /// An answer that is no refusal.
    fn answered(
        &self,
        repeat: Repeat,
        send: impl Fn() -> std::result::Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        let mut pauses = PAUSES.iter();
        loop {
            let answer = send();
            let is_passing = match &answer {
                Ok(response) => matches!(response.status().as_u16(), 429 | 502 | 503 | 504),
                Err(error) => is_silence(error),
            };
            if is_passing
                && repeat == Repeat::Safe
                && let Some(pause) = pauses.next()
            {
                thread::sleep(*pause);
                continue;
            }
            return match answer {
                Ok(response) if response.status().is_success() => Ok(response),
                Ok(response) => Err(self.refused(response)),
                Err(error) => Err(self.silent(error)),
            };
        }
    }

    /// The error of a request that got no answer.
    fn silent(&self, error: ureq::Error) -> Error {
        let (base, hint) =
            (&self.base, "check --registry or TRIALBOOK_REGISTRY, and that the server runs");
        if let Some(refusal) = trust::refusal(base, &error) {
            return refusal;
        }
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Error::invalid(format!("{base} is not the address of a registry")).with_hint(hint)
            }
            error if is_silence(&error) => Error::new(
                ErrorKind::Unavailable,
                format!("the registry at {base} does not answer"),
            )
            .with_hint(hint)
            .with_source(error),
            error => Error::new(
                ErrorKind::Unavailable,
                format!("the registry at {base} cannot be asked"),
            )
            .with_hint(hint)
            .with_source(error),
        }
    }

    /// The error of an answer that is no answer of MLflow's API.
    fn foreign(&self, what: &str) -> Error {
        Error::invalid(format!("{} answers otherwise than an MLflow server: {what}", self.base))
            .with_hint("--registry takes the address that MLFLOW_TRACKING_URI has")
    }

    /// The error of a refusal, in the server's own words.
    fn refused(&self, mut response: Response<Body>) -> Error {
        let status = response.status().as_u16();
        let body =
            response.body_mut().with_config().limit(1 << 20).read_to_vec().unwrap_or_default();
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = said["error_code"].as_str().unwrap_or_default();
        let message = said["message"].as_str().unwrap_or_default();
        if code.is_empty() && !matches!(status, 401 | 403 | 429 | 500..=599) {
            return self.foreign(&format!("HTTP status {status}"));
        }
        let kind = match (code, status) {
            ("RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND" | "ENDPOINT_NOT_FOUND", _) => {
                ErrorKind::NotFound
            }
            ("RESOURCE_ALREADY_EXISTS" | "RESOURCE_CONFLICT" | "ABORTED", _) => ErrorKind::Conflict,
            ("DATA_LOSS", _) => ErrorKind::Corrupt,
            ("RESOURCE_EXHAUSTED", _) => ErrorKind::Io,
            (_, 429 | 500..=599) => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        let words = if message.is_empty() { code } else { message };
        let colon = if words.is_empty() { "" } else { ": " };
        let error = Error::new(
            kind,
            format!("the registry at {} refused (HTTP {status}){colon}{words}", self.base),
        );
        match status {
            401 | 403 => error.with_hint(
                "show it a key: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and \
                 MLFLOW_TRACKING_PASSWORD",
            ),
            429 | 500..=599 => error.with_hint("its own log says more; try again later"),
            _ => error,
        }
    }
}

/// True if nothing came back, whatever the reason.
fn is_silence(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() != io::ErrorKind::NotFound,
        ureq::Error::Timeout(_) | ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

/// A path as it stands in a URL.
pub(super) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, &RESERVED_IN_PATHS).to_string()
}
