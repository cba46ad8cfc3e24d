//! `ui`: a server without a model, for those who track, look and register.

use std::process::{Command, Stdio};

use clap::{Args, builder::FalseyValueParser};
use serde_json::json;
use trialbook::{
    error::{Error, Result},
    output::Output,
};

use super::{Interim, Session, protection};
use crate::serve::{self, ServeConfig};

/// Programs that open a page in the user's browser, by system.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// `ui --port 5000`
#[derive(Debug, Clone, Args)]
pub struct Ui {
    /// The address to listen on; 127.0.0.1 is this machine only
    #[arg(long, env = "TRIALBOOK_UI_HOST", default_value = "127.0.0.1")]
    host: String,
    /// The port; 0 takes a free one
    #[arg(long, env = "TRIALBOOK_UI_PORT", default_value_t = 5000)]
    port: u16,
    /// Do not open the browser
    #[arg(long, env = "TRIALBOOK_NO_BROWSER", value_parser = FalseyValueParser::new())]
    no_browser: bool,
    #[command(flatten)]
    protection: protection::Protection,
}

impl Ui {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        if session.servers.is_some() {
            return Err(Error::invalid(
                "ui serves until Ctrl-C, and this session would wait for it",
            )
            .with_hint("run it in a terminal of its own"));
        }
        let config = ServeConfig {
            host: self.host.clone(),
            port: self.port,
            log: None,
            serves: false,
            limits: self.protection.limits(),
            security: self.protection.security(),
            tracking: Some(self.protection.allowed_hosts()),
            ..ServeConfig::new(session.book.store().clone())
        };
        let state = config.load()?;
        let (listener, addr) = serve::bind_for(&state, &config.host, config.port)?;
        let url = state.url(addr);
        let mut shown = Ok(());
        serve::start_with(state, listener, || {
            let output = Output::new(json!({"url": url})).text(format!(
                "tracking on {url} (Ctrl-C stops)\nclients find it with MLFLOW_TRACKING_URI={url}"
            ));
            shown = session.show(&output, Interim::Answer);
            if !self.no_browser {
                open(&url);
            }
        })?;
        shown?;
        Ok(Output::new(json!({"url": url, "stopped": true})).text("stopped"))
    }
}

/// Opens the browser where there is a screen; without one the URL was said.
fn open(url: &str) {
    let has_screen = cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !has_screen {
        return;
    }
    for opener in OPENERS {
        let started = Command::new(opener)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if started.is_ok() {
            return;
        }
    }
}
