//! `serve`: the Production version over HTTP until a signal comes.

use clap::Args;
use serde_json::json;

use super::Session;
use crate::{
    error::Result,
    output::Output,
    registry::DEFAULT_MODEL,
    serve::{self, ServeConfig},
};

/// `serve --port 8000`
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The address to listen on; 127.0.0.1 is this machine only
    #[arg(long, env = "TRIALBOOK_HOST", default_value = "127.0.0.1")]
    host: String,
    /// The port; 0 takes a free one
    #[arg(long, env = "TRIALBOOK_PORT", default_value_t = 8000)]
    port: u16,
    /// The registered model whose Production version answers
    #[arg(long, env = "TRIALBOOK_MODEL", default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

impl Serve {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let mut config = ServeConfig::new(session.book.store().clone());
        config.host.clone_from(&self.host);
        config.port = self.port;
        config.model.clone_from(&self.model);
        let production = session.book.registry()?.production(&self.model)?;
        let serving = production.map_or_else(
            || {
                format!(
                    "{} has no Production version: /predict answers 503 until one is promoted and the server restarted",
                    self.model
                )
            },
            |version| format!("{}/{} (Production)", version.model, version.version),
        );
        let mut shown = Ok(());
        let mut url = String::new();
        serve::start(&config, |addr| {
            url = format!("http://{addr}");
            shown = session.show(
                &Output::new(json!({"url": url}))
                    .text(format!("serving {serving}\nlistening on {url} (Ctrl-C stops)")),
            );
        })?;
        shown?;
        Ok(Output::new(json!({"url": url, "stopped": true})).text("stopped"))
    }
}
