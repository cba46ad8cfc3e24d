//! `health`: a running server's health, as an exit code. A container's health check needs no curl.

use clap::Args;

use super::Session;
use crate::{error::Result, output::Output, serve};

/// `health --url http://127.0.0.1:8000`
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// The server's address
    #[arg(long, default_value = "http://127.0.0.1:8000", value_name = "URL")]
    url: String,
}

impl Health {
    pub(super) fn run(&self, _session: &Session) -> Result<Output> {
        let health = serve::health_check(&self.url)?;
        let said = health.model.as_ref().map_or_else(
            || "ok".to_owned(),
            |model| format!("ok: serving {}/{}", model.name, model.version),
        );
        Ok(Output::new(&health).text(said))
    }
}
