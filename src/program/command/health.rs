//! `health`: a running server's health, as an exit code. A container's health check needs no curl.

use std::path::PathBuf;

use clap::Args;
use trialbook::{error::Result, output::Output};

use super::Session;
use crate::serve::{self, Credentials, ModelHealth};

/// `health --url http://127.0.0.1:8000`
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// The server's address [default: http://127.0.0.1:PORT, https with --tls-cert]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The port of a server on this machine [default: as for `serve`, from the environment or
    /// trialbook.toml]
    #[arg(long, env = "TRIALBOOK_PORT", default_value_t = 8000)]
    port: u16,
    /// The API key, for a server that asks for one on /health
    #[arg(long, env = "TRIALBOOK_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// The certificate that the server was started with (PEM), for an https address. The server has
    /// to show this certificate; the name in it does not matter
    #[arg(long, env = "TRIALBOOK_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
}

impl Health {
    pub(super) fn run(&self, _session: &Session) -> Result<Output> {
        let credentials = Credentials { key: self.key.clone(), tls_cert: self.tls_cert.clone() };
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        let url = self.url.clone().unwrap_or_else(|| format!("{scheme}://127.0.0.1:{}", self.port));
        let health = serve::health_check(&url, &credentials)?;
        let said = health.models.iter().map(|ModelHealth { name, model, problem, .. }| {
            match (model, problem) {
                (Some(model), _) => format!("serving {name}/{}", model.version),
                (None, Some(problem)) => format!("{name} does not answer: {problem}"),
                (None, None) => format!("{name} has no Production version"),
            }
        });
        let said: Vec<String> = said.collect();
        Ok(Output::new(&health).text(format!("ok: {}", said.join(", "))))
    }
}
