//! Asking a server that speaks MLflow's REST API: JSON there and back, files as streams. A request that
//! fails ends the move, which goes on where it was when it is asked for again: nothing is tried twice here.

use std::{io::Read, time::Duration};

use serde_json::Value;
use ureq::http::Response;

use super::artifact_place::encoded;
use crate::{
    address::RegistryAddress,
    error::{Error, ErrorKind, Result},
    trust,
};

const API: &str = "/api/2.0/mlflow";
/// Larger than any answer that is JSON.
const MAX_JSON_BYTES: u64 = 256 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// A server and what is shown to it.
pub(super) struct RestClient {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

impl RestClient {
    /// A client of the server at `url`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what is no address of a server.
    pub(super) fn new(url: &str) -> Result<Self> {
        let address = RegistryAddress::of_url(url, "the server")
            .map_err(|error| error.with_hint("write it like http://HOST:5000"))?;
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(trust::tls()?)
            .build();
        let url = address.url().to_owned();
        Ok(Self { agent: config.into(), url, authorization: address.authorization() })
    }

    /// The server's address, without a password.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Gets `path`, below MLflow's API, with a query.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when nothing answers, [`ErrorKind::NotFound`] for what is not there,
    /// [`ErrorKind::Corrupt`] for an answer that is no JSON object.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = format!("{}{API}{path}{}", self.url, query_of(query));
        let request = self.shown(self.agent.get(&url));
        answer(&url, request.call())
    }

    /// Posts a body to `path`.
    ///
    /// # Errors
    /// As [`RestClient::get`].
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{API}{path}", self.url);
        answer(&url, self.shown(self.agent.post(&url)).send_json(body))
    }

    /// Changes `path`.
    ///
    /// # Errors
    /// As [`RestClient::get`].
    pub(super) fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{API}{path}", self.url);
        answer(&url, self.shown(self.agent.patch(&url)).send_json(body))
    }

    /// Deletes what `body` names at `path`.
    ///
    /// # Errors
    /// As [`RestClient::get`].
    pub(super) fn delete(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{API}{path}", self.url);
        let request = self.shown(self.agent.delete(&url)).force_send_body();
        answer(&url, request.send_json(body))
    }

    /// The content of a file at `path` of the server.
    ///
    /// # Errors
    /// As [`RestClient::get`].
    pub(super) fn download(&self, path: &str, query: &[(&str, &str)]) -> Result<Box<dyn Read>> {
        let url = format!("{}{path}{}", self.url, query_of(query));
        let response = self.shown(self.agent.get(&url)).call();
        let response = response.map_err(|error| unanswered(&url, error))?;
        if !response.status().is_success() {
            answer(&url, Ok(response))?;
            return Err(nonsense(&url, "another status than 200"));
        }
        Ok(Box::new(response.into_body().into_reader()))
    }

    /// Puts a file to a path of the proxy for artifacts.
    ///
    /// # Errors
    /// As [`RestClient::get`].
    pub(super) fn upload(&self, path: &str, file: std::fs::File) -> Result<()> {
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{}", self.url, encoded(path));
        let response = self.shown(self.agent.put(&url)).send(file);
        let response = response.map_err(|error| unanswered(&url, error))?;
        if response.status().is_success() {
            return Ok(());
        }
        answer(&url, Ok(response)).map(drop)
    }

    fn shown<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }
}

/// The JSON object that was answered, or the refusal in it.
fn answer(url: &str, response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value> {
    let mut response = response.map_err(|error| unanswered(url, error))?;
    let status = response.status();
    let text = response.body_mut().with_config().limit(MAX_JSON_BYTES).read_to_vec();
    let text = text.map_err(|error| unanswered(url, error))?;
    let json: Option<Value> = serde_json::from_slice(&text).ok();
    match json {
        Some(json @ Value::Object(_)) if status.is_success() => Ok(json),
        Some(json) if !status.is_success() => Err(refusal(url, status.as_u16(), &json)),
        _ if status.is_success() => Err(nonsense(url, "no JSON object")),
        _ => Err(refusal(url, status.as_u16(), &Value::Null)),
    }
}

fn refusal(url: &str, status: u16, json: &Value) -> Error {
    let said = json["message"].as_str().unwrap_or("without a word that is MLflow's");
    let message = format!("{} refused with {status}: {said}", without_query(url));
    let kind = match (status, json["error_code"].as_str()) {
        (_, Some("RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND")) => ErrorKind::NotFound,
        (401 | 403, _) => {
            return Error::new(ErrorKind::Unavailable, message).with_hint(
                "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            );
        }
        (409, _) | (_, Some("RESOURCE_ALREADY_EXISTS")) => ErrorKind::Conflict,
        (500.., _) | (404, _) => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, message)
}

fn nonsense(url: &str, found: &str) -> Error {
    let message = format!("{} answered {found}", without_query(url));
    Error::new(ErrorKind::Unavailable, message).with_hint("is it a tracking server of MLflow?")
}

fn unanswered(url: &str, error: ureq::Error) -> Error {
    if let Some(refusal) = trust::refusal(without_query(url), &error) {
        return refusal;
    }
    let message = format!("{} does not answer: {error}", without_query(url));
    Error::new(ErrorKind::Unavailable, message)
        .with_source(error)
        .with_hint("is the server running? What was done stays; the next try goes on from there")
}

fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn query_of(query: &[(&str, &str)]) -> String {
    let escaped = |text: &str| encoded(text).replace('/', "%2F");
    let pairs: Vec<String> =
        query.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password_and_may_be_encrypted() {
        let client = RestClient::new("https://Aladdin:open%20sesame@h:5000/base/").unwrap();
        assert_eq!(client.url(), "https://h:5000/base");
        // RFC 7617, section 2.
        let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(client.authorization.as_deref(), Some(expected));
        let refused = RestClient::new("ftp://h").err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn queries_escape_what_would_end_them() {
        assert_eq!(query_of(&[("a", "x&y=z/ü"), ("b", "")]), "?a=x%26y%3Dz%2F%C3%BC&b=");
    }
}
