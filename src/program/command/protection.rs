//! The flags of `serve` and `ui` that protect a server: keys, rates, other sites, encryption, limits. Each one
//! is an environment variable as well.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, builder::FalseyValueParser};

use crate::serve::{AllowedHosts, Limits, Origin, RateLimit, Security, TlsFiles};

/// The options that protect a server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Security")]
pub(super) struct Protection {
    /// Let other machines connect although the store has no API key. Once it has keys, the server
    /// asks for one
    #[arg(long, env = "TRIALBOOK_NO_AUTH", value_parser = FalseyValueParser::new())]
    no_auth: bool,
    /// Ask for a key on /health too; without this flag it is open to everybody
    #[arg(long, env = "TRIALBOOK_AUTH_HEALTH", value_parser = FalseyValueParser::new())]
    auth_health: bool,
    /// Ask for an admin key on /metrics too; without this flag it is open to everybody
    #[arg(long, env = "TRIALBOOK_AUTH_METRICS", value_parser = FalseyValueParser::new())]
    auth_metrics: bool,
    /// Requests a second that each caller may make: each key, and each address without a key
    #[arg(long, env = "TRIALBOOK_RATE_LIMIT", value_name = "N")]
    rate_limit: Option<NonZeroU32>,
    /// Requests that a caller may make at once after a pause [default: as many as a second allows]
    #[arg(long, env = "TRIALBOOK_RATE_BURST", value_name = "N", requires = "rate_limit")]
    rate_burst: Option<NonZeroU32>,
    /// Let pages of this site ask from a browser (https://example.org); may be given several times
    #[arg(
        long = "cors-origin",
        env = "TRIALBOOK_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    cors_origins: Vec<Origin>,
    /// Let clients of the tracking API know this server under this name (mlflow.example.org); may be given
    /// several times, * stands for any characters. This machine's names and private addresses need none
    #[arg(
        long = "allowed-hosts",
        env = "TRIALBOOK_ALLOWED_HOSTS",
        value_name = "HOST",
        value_delimiter = ','
    )]
    allowed_hosts: Vec<String>,
    /// Encrypt connections with this certificate (PEM, with its chain); read again when it changes
    #[arg(long, env = "TRIALBOOK_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, env = "TRIALBOOK_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Most texts in a batch
    #[arg(
        long,
        env = "TRIALBOOK_MAX_BATCH",
        value_name = "TEXTS",
        default_value_t = Limits::default().batch_texts
    )]
    max_batch: usize,
    /// Longest text
    #[arg(
        long,
        env = "TRIALBOOK_MAX_TEXT",
        value_name = "CHARACTERS",
        default_value_t = Limits::default().text_chars
    )]
    max_text: usize,
    /// Most connections at a time; further clients wait
    #[arg(
        long,
        env = "TRIALBOOK_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = Limits::default().connections,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    max_connections: u32,
    /// The time that a client may take for the headers of a request, and that a connection may be
    /// idle
    #[arg(
        long,
        env = "TRIALBOOK_IDLE_TIMEOUT",
        value_name = "SECONDS",
        default_value_t = Limits::default().idle_wait.as_secs(),
        value_parser = seconds()
    )]
    idle_timeout: u64,
    /// The time that a client may take for the body of a request
    #[arg(
        long,
        env = "TRIALBOOK_BODY_TIMEOUT",
        value_name = "SECONDS",
        default_value_t = Limits::default().body_wait.as_secs(),
        value_parser = seconds()
    )]
    body_timeout: u64,
}

/// From one second to one day.
fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=24 * 60 * 60)
}

impl Protection {
    /// Under which names the tracking API is asked.
    pub(super) fn allowed_hosts(&self) -> AllowedHosts {
        AllowedHosts::new(&self.allowed_hosts)
    }

    /// The rules of access.
    pub(super) fn security(&self) -> Security {
        let rate_limit = self.rate_limit.map(|per_second| RateLimit {
            per_second,
            burst: self.rate_burst.unwrap_or(per_second),
        });
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        Security {
            no_auth: self.no_auth,
            auth_health: self.auth_health,
            auth_metrics: self.auth_metrics,
            rate_limit,
            cors_origins: self.cors_origins.clone(),
            tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
        }
    }

    /// The limits of a request.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            batch_texts: self.max_batch,
            text_chars: self.max_text,
            connections: self.max_connections,
            idle_wait: Duration::from_secs(self.idle_timeout),
            body_wait: Duration::from_secs(self.body_timeout),
            ..Limits::default()
        }
    }
}
