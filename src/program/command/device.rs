//! `device serve`: lends the device of this machine to trainings on others.

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{
    error::{Error, Result},
    hint::Hint,
    model::Device,
    output::Output,
    registry::{KeyState, Scope},
};

use super::{Interim, Session};
use crate::serve;

mod host;

/// The verbs on devices.
#[derive(Debug, Clone, Subcommand)]
pub enum DeviceCommand {
    /// Let other machines train on the device of this one, with --device remote:ws://HOST:PORT
    ///
    /// Clients show an API key of scope write or admin of this store, in TRIALBOOK_KEY. Connections are not
    /// encrypted: where others read the network, go through a tunnel such as ssh -L.
    Serve(DeviceServe),
}

/// `device serve --port 7070`
#[derive(Debug, Clone, Args)]
pub struct DeviceServe {
    /// The address to listen on; 127.0.0.1 is this machine only
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 7070)]
    port: u16,
    /// The device to lend: auto, cpu, cuda:N or wgpu:N
    #[arg(long, env = Device::ENV, default_value = "auto", value_name = "DEVICE")]
    device: Device,
}

impl DeviceCommand {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let Self::Serve(serve) = self;
        serve.run(session)
    }
}

impl DeviceServe {
    fn run(&self, session: &Session) -> Result<Output> {
        let device = self.device.resolve()?.device();
        let registry = session.book.registry()?;
        let now_ms = trialbook::book::now_ms();
        let has_key = registry
            .keys()?
            .iter()
            .any(|key| key.state(now_ms) == KeyState::Active && key.scope.covers(Scope::Write));
        if !has_key {
            return Err(Error::invalid(
                "the store has no API key that may train, and one is always asked for",
            )
            .with_hint(Hint::from("make one with ").run("keys add NAME --scope write")));
        }
        let (listener, addr) = serve::bind(&self.host, self.port)?;
        let remote = format!("remote:ws://{addr}");
        let mut text = format!("lending {device}\nlistening: --device {remote} (Ctrl-C stops)");
        if !addr.ip().to_canonical().is_loopback() {
            text.push_str(
                "\nconnections are not encrypted: whoever reads this network reads texts and the key; a \
                 tunnel such as ssh -L 7070:127.0.0.1:7070 is safe",
            );
        }
        let shown = json!({"device": device, "remote": remote});
        session.show(&Output::new(shown.clone()).text(text), Interim::Answer)?;
        host::serve(&listener, registry, device, &session.monitor.interrupt)?;
        Ok(Output::new(shown).text("stopped"))
    }
}
