//! `serve`: the Production version over HTTP until a signal comes.

use clap::Args;
use serde_json::json;

use super::{Interim, Session};
use crate::{
    error::Result,
    output::Output,
    registry::DEFAULT_MODEL,
    serve::{self, ServeConfig, ServerState},
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
        let config = ServeConfig {
            host: self.host.clone(),
            port: self.port,
            model: self.model.clone(),
            ..ServeConfig::new(session.book.store().clone())
        };
        let state = ServerState::load(&config.store, &config.model, config.limits.clone())?;
        let (listener, addr) = serve::bind(&config.host, config.port)?;
        let url = format!("http://{addr}");
        let serving = state.model_info().map_or_else(
            || {
                format!(
                    "{} has no Production version: /predict answers 503 until one is promoted and \
                     the server is started again",
                    self.model
                )
            },
            |model| format!("serving {}/{} (Production)", model.name, model.version),
        );
        let mut shown = Ok(());
        serve::start_with(state, listener, || {
            let output = Output::new(json!({"url": url}))
                .text(format!("{serving}\nlistening on {url} (Ctrl-C stops)"));
            shown = session.show(&output, Interim::Answer);
        })?;
        shown?;
        Ok(Output::new(json!({"url": url, "stopped": true})).text("stopped"))
    }
}
