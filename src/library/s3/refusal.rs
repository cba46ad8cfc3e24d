//! A refusal of S3 as an error of ours: the URL, what the server answered by its code and sentence, and
//! what to do. What else a server says is left out: it may name keys and requests.

use std::error::Error as StdError;

use object_store::client::{HttpError, HttpErrorKind};

use super::S3Url;
use crate::error::{Error, ErrorKind};

const CREDENTIALS: &str =
    "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN";
/// The beginning of the addresses at which machines and containers of AWS are told their roles.
const METADATA: &str = "169.254.";
const RIGHTS: &str = "give the credentials s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, \
                      s3:DeleteObject and s3:AbortMultipartUpload on what is in it";
const REGION: &str = "set AWS_REGION to the bucket's region";
const BUCKET: &str = "check the bucket's name, AWS_REGION and AWS_ENDPOINT_URL, or make the bucket";
const NETWORK: &str = "check the network and AWS_ENDPOINT_URL, and try again; nothing was changed";

/// The answer of a server that refused.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    code: Option<String>,
    message: Option<String>,
}

/// The error for `error`, met while doing `action` (such as `read`) at `url`.
pub(super) fn refused(action: &str, url: &S3Url, error: &object_store::Error) -> Error {
    let text = chain(error);
    let answer = Answer::of(&text);
    let code = answer.code.as_deref().unwrap_or_default();
    let (kind, found, hint) = match error {
        _ if code == "NoSuchBucket" => (ErrorKind::NotFound, "no such bucket", Some(BUCKET)),
        object_store::Error::NotFound { .. } => {
            (ErrorKind::NotFound, "no such object", Some("check the URL"))
        }
        _ if is_of_region(code, error) => {
            (ErrorKind::Invalid, "the bucket is in another region", Some(REGION))
        }
        _ if is_of_credentials(code) => {
            (ErrorKind::Invalid, "the credentials are not accepted", Some(CREDENTIALS))
        }
        // A machine's own role was asked for, which it has not.
        _ if text.contains(METADATA) => (ErrorKind::Invalid, "no credentials", Some(CREDENTIALS)),
        _ if code == "RequestTimeTooSkewed" => {
            (ErrorKind::Io, "the clock is wrong", Some("set this machine's clock"))
        }
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => {
            (ErrorKind::Io, "access denied", Some(RIGHTS))
        }
        _ => match http_kind(error) {
            Some(HttpErrorKind::Connect) => {
                (ErrorKind::Unavailable, "the server cannot be reached", Some(NETWORK))
            }
            Some(HttpErrorKind::Timeout) => {
                (ErrorKind::Unavailable, "the server does not answer", Some(NETWORK))
            }
            Some(_) => (ErrorKind::Unavailable, "the connection broke off", Some(NETWORK)),
            None if status(error).is_some_and(|status| status >= 500) => {
                let hint = "try again later; nothing was changed";
                (ErrorKind::Unavailable, "the server fails", Some(hint))
            }
            None => (ErrorKind::Io, "the server refused", None),
        },
    };
    let said = answer.said();
    let error = Error::new(kind, format!("cannot {action} {url}: {found}{said}"));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

impl Answer {
    /// The answer within the text of an error.
    fn of(text: &str) -> Self {
        let between = |tag: &str| {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            let (inner, _) = rest.split_once(&format!("</{tag}>"))?;
            let inner: String = inner.chars().filter(|char| !char.is_control()).take(300).collect();
            (!inner.is_empty()).then_some(inner)
        };
        Self { code: between("Code"), message: between("Message") }
    }

    fn said(&self) -> String {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => format!(" ({code}: {})", message.trim_end_matches('.')),
            (Some(only), None) | (None, Some(only)) => format!(" ({only})"),
            (None, None) => String::new(),
        }
    }
}

fn is_of_region(code: &str, error: &object_store::Error) -> bool {
    matches!(
        code,
        "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
    ) || chain(error).contains("redirect without LOCATION")
        || status(error).is_some_and(|status| (300..400).contains(&status))
}

fn is_of_credentials(code: &str) -> bool {
    matches!(
        code,
        "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "InvalidClientTokenId"
    )
}

/// The error with all its causes as one text, for what only the text says.
fn chain(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

fn http_kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut cause = error.source();
    while let Some(source) = cause {
        if let Some(http) = source.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        cause = source.source();
    }
    None
}

/// The status that the server answered with, which only the text of the error says.
fn status(error: &object_store::Error) -> Option<u16> {
    let text = chain(error);
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn an_answer_is_named_by_code_and_sentence_and_what_to_do() {
        let url: S3Url = "s3://models/a".parse().unwrap();
        let body = "status code: 403 Forbidden: <Error><Code>InvalidAccessKeyId</Code><Message>The key \
                    does not exist.</Message><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>";
        let error = refused("read", &url, &generic(body));
        assert_eq!(
            error.chain(),
            "cannot read s3://models/a: the credentials are not accepted (InvalidAccessKeyId: The key \
             does not exist)"
        );
        assert!(!format!("{error:?}").contains("AKIASECRET"));
        for (text, kind, part) in [
            ("<Code>NoSuchBucket</Code>", ErrorKind::NotFound, "no such bucket"),
            ("<Code>PermanentRedirect</Code>", ErrorKind::Invalid, "another region"),
            ("status code: 503 Slow: <Code>SlowDown</Code>", ErrorKind::Unavailable, "SlowDown"),
            ("PUT http://169.254.169.254/latest/api/token", ErrorKind::Invalid, "no credentials"),
            ("a page", ErrorKind::Io, "the server refused"),
        ] {
            let error = refused("read", &url, &generic(text));
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
