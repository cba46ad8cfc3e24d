//! Asking a server from the command line: short waits, never through a proxy.

use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// How long an answer may take in all.
const PATIENCE: Duration = Duration::from_secs(3);

/// An agent whose answers are looked at whatever their status is.
pub(crate) fn agent() -> ureq::Agent {
    // A proxy from the environment is for the world outside, not for the server next door.
    ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .into()
}

/// A request that got no answer from `url`.
pub(crate) fn unanswered(url: &str, error: ureq::Error) -> Error {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            Error::invalid(format!("{url:?} is no server address"))
                .with_hint("write it like http://127.0.0.1:8000")
                .with_source(error)
        }
        ureq::Error::TlsRequired => {
            Error::invalid(format!("{url} is encrypted, which this client does not speak"))
                .with_hint("ask it with curl, or a server of the same store without --tls-cert")
        }
        _ => Error::new(ErrorKind::Unavailable, format!("no answer from {url}"))
            .with_hint("start the server with `trialbook serve`, or check host and port")
            .with_source(error),
    }
}

/// Posts `question` as JSON to `url` and returns the JSON answer of a 200.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when nothing answers; [`ErrorKind::Invalid`] for any other status,
/// with the server's own words.
pub fn post(url: &str, question: &Value) -> Result<Value> {
    let mut response =
        agent().post(url).send_json(question).map_err(|error| unanswered(url, error))?;
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
