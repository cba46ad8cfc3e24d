//! `health`: a running server's health, as an exit code. A container's health check needs no curl.

use clap::Args;

use super::Session;
use crate::{
    error::Result,
    output::Output,
    serve::{self, ModelHealth},
};

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
        let said = health.models.iter().map(|ModelHealth { name, model, .. }| match model {
            Some(model) => format!("serving {name}/{}", model.version),
            None => format!("{name} has no Production version"),
        });
        let said: Vec<String> = said.collect();
        Ok(Output::new(&health).text(format!("ok: {}", said.join(", "))))
    }
}
