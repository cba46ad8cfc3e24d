//! Comms: channels that front ends open to a named target in the kernel. One target is known:
//! [`ECHO`], which sends everything back.

use std::collections::BTreeMap;

use bytes::Bytes;
use jupyter_protocol::{CommClose, CommId, CommMsg, JupyterMessage};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use trialbook::error::Result;

use super::message::Request;

/// Sends data and binary buffers back as they came: shows whether all that lies between a front end
/// and the kernel carries them.
const ECHO: &str = "trialbook.echo";

/// The open comms, by their ids.
#[derive(Debug, Default)]
pub(super) struct Comms {
    open: BTreeMap<String, String>,
}

/// The fields that matter of the three comm messages and of `comm_info_request`.
#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    comm_id: String,
    #[serde(default)]
    target_name: Option<String>,
    #[serde(default)]
    data: Map<String, Value>,
}

impl Comms {
    /// Opens a comm. One to an unknown target is closed at once, as the protocol wants it.
    ///
    /// # Errors
    /// When the message is not what it has to be.
    pub(super) fn open(&mut self, request: &Request) -> Result<Option<JupyterMessage>> {
        let Content { comm_id, target_name, .. } = request.content()?;
        match target_name {
            Some(target) if target == ECHO => {
                self.open.insert(comm_id, target);
                Ok(None)
            }
            target => {
                tracing::debug!(
                    target = target.as_deref(),
                    "a comm to an unknown target was closed"
                );
                let close = CommClose { comm_id: CommId(comm_id), data: Map::new() };
                Ok(Some(request.publication(close)))
            }
        }
    }

    /// The answer to a message to a comm; one to a comm that is not open is passed over.
    ///
    /// # Errors
    /// When the message is not what it has to be.
    pub(super) fn message(&self, request: &Request) -> Result<Option<JupyterMessage>> {
        let Content { comm_id, data, .. } = request.content()?;
        if !self.open.contains_key(&comm_id) {
            tracing::debug!("a message to a comm that is not open was ignored");
            return Ok(None);
        }
        let buffers: Vec<Bytes> = request.buffers().to_vec();
        let echo = CommMsg { comm_id: CommId(comm_id), data };
        Ok(Some(request.publication(echo).with_buffers(buffers)))
    }

    /// Forgets a comm.
    ///
    /// # Errors
    /// When the message is not what it has to be.
    pub(super) fn close(&mut self, request: &Request) -> Result<()> {
        let Content { comm_id, .. } = request.content()?;
        self.open.remove(&comm_id);
        Ok(())
    }

    /// The reply to `comm_info_request`: the open comms, all or those of one target.
    ///
    /// # Errors
    /// When the message is not what it has to be.
    pub(super) fn info(&self, request: &Request) -> Result<Value> {
        let Content { target_name: wanted, .. } = request.content()?;
        let comms: Map<String, Value> = self
            .open
            .iter()
            .filter(|(_, target)| wanted.as_ref().is_none_or(|wanted| wanted == *target))
            .map(|(id, target)| (id.clone(), json!({"target_name": target})))
            .collect();
        Ok(json!({"status": "ok", "comms": comms}))
    }
}
