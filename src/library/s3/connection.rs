//! A connection to a bucket by the usual environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
//! `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, `AWS_ALLOW_HTTP`, and
//! the roles of containers and machines. Opening one asks no server.

use std::{
    env,
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder};

use super::S3Url;
use crate::error::{Error, ErrorKind, Result};

/// A request, one part of a file at most, takes no longer on the slowest network worth having.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The address at which a machine of AWS is told its role.
const METADATA: SocketAddr =
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)), 80);

/// The bucket of `url`.
///
/// # Errors
/// [`ErrorKind::Invalid`] without credentials or with an endpoint that is none.
pub(super) fn connect(url: &S3Url) -> Result<Arc<dyn ObjectStore>> {
    check_credentials(url)?;
    let endpoint = said("AWS_ENDPOINT_URL_S3").or_else(|| said("AWS_ENDPOINT_URL"));
    let endpoint = endpoint.or_else(|| said("AWS_ENDPOINT"));
    let allows_http =
        said("AWS_ALLOW_HTTP").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if let Some(endpoint) = &endpoint {
        check_endpoint(endpoint, allows_http)?;
    }
    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT);
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 6,
        retry_timeout: Duration::from_secs(60),
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(url.bucket())
        .with_client_options(options)
        .with_retry(retry);
    if said("AWS_REGION").or_else(|| said("AWS_DEFAULT_REGION")).is_none() {
        builder = builder.with_region("us-east-1");
    }
    let connected = builder.build().map_err(|error| {
        // Its text names variables, not values.
        Error::invalid(format!("cannot connect to {url}: {error}"))
            .with_hint("check the variables whose names begin with AWS_")
    })?;
    Ok(Arc::new(connected))
}

/// Without credentials the client would ask for a machine's role for a long time.
fn check_credentials(url: &S3Url) -> Result<()> {
    let with_keys = said("AWS_ACCESS_KEY_ID").is_some() || said("AWS_SECRET_ACCESS_KEY").is_some();
    let is_anonymous = said("AWS_SKIP_SIGNATURE").is_some();
    let by_role = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_METADATA_ENDPOINT",
    ];
    if with_keys || is_anonymous || by_role.into_iter().any(|name| said(name).is_some()) {
        return Ok(());
    }
    let may_ask = said("AWS_EC2_METADATA_DISABLED").is_none_or(|value| value != "true");
    if may_ask && TcpStream::connect_timeout(&METADATA, Duration::from_secs(1)).is_ok() {
        return Ok(());
    }
    Err(Error::invalid(format!("no credentials for {url}")).with_hint(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL for a server that is not \
         Amazon's",
    ))
}

/// Keys and data go over plain HTTP only to this machine, or where that is allowed by name.
fn check_endpoint(endpoint: &str, allows_http: bool) -> Result<()> {
    if endpoint.starts_with("https://") || endpoint.starts_with("http://") && allows_http {
        return Ok(());
    }
    let Some(rest) = endpoint.strip_prefix("http://") else {
        return Err(Error::invalid("AWS_ENDPOINT_URL begins with neither https:// nor http://")
            .with_hint("write it as https://HOST or http://HOST:PORT"));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    // A name in front of an @ is no host.
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !rest.contains('@') && (host == "localhost" || is_loopback) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        "AWS_ENDPOINT_URL is plain HTTP: everyone on the way could read what is sent",
    )
    .with_hint("use https://, or set AWS_ALLOW_HTTP=true in a network that you trust"))
}

/// A variable of the environment; an empty one counts as none.
fn said(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::check_endpoint;

    #[test]
    fn plain_http_goes_to_this_machine_alone_unless_it_is_allowed() {
        for endpoint in [
            "https://minio.lab",
            "http://localhost:9000",
            "http://127.0.0.1:5000/",
            "http://[::1]:5000",
        ] {
            check_endpoint(endpoint, false).unwrap();
        }
        for endpoint in ["http://minio.lab:9000", "http://10.0.0.7", "http://localhost.lab"] {
            check_endpoint(endpoint, false).unwrap_err();
            check_endpoint(endpoint, true).unwrap();
        }
        check_endpoint("http://localhost@elsewhere/", false).unwrap_err();
        check_endpoint("http://localhost:9000@elsewhere/", false).unwrap_err();
        check_endpoint("minio.lab", true).unwrap_err();
    }
}
