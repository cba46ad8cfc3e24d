//! The five sockets: opening them, and reading requests off them one by one. A message that is
//! unsigned, cut short or no JSON is logged and passed over; the connection goes on.

use std::{path::Path, time::Duration};

use jupyter_protocol::{ConnectionInfo, JupyterMessage};
use jupyter_zmq_client::{
    KernelControlConnection, KernelHeartbeatConnection, KernelIoPubXPubConnection,
    KernelShellConnection, KernelStdinConnection, RawMessage, RouterRecvConnection,
    RouterSendConnection, RuntimeError, create_kernel_control_connection,
    create_kernel_heartbeat_connection, create_kernel_iopub_xpub_connection,
    create_kernel_shell_connection, create_kernel_stdin_connection,
};
use tokio::sync::mpsc;
use trialbook::error::{Error, ErrorKind, Result};
use zeromq::{SocketRecv as _, SocketSend as _};

use super::message::Request;

/// The signature that this kernel knows.
const SIGNATURE_SCHEME: &str = "hmac-sha256";

/// After a socket failed to read, so that a lasting failure does not keep a core busy.
const PAUSE: Duration = Duration::from_millis(50);

/// The five sockets, bound.
pub(super) struct Sockets {
    pub(super) shell: KernelShellConnection,
    pub(super) control: KernelControlConnection,
    pub(super) stdin: KernelStdinConnection,
    pub(super) iopub: KernelIoPubXPubConnection,
    pub(super) heartbeat: KernelHeartbeatConnection,
}

/// The addresses where the front end wants to meet, as its connection file says.
///
/// # Errors
/// When the file cannot be read, is no connection file, or wants a signature of another kind.
pub(super) fn read_connection_file(path: &Path) -> Result<ConnectionInfo> {
    let text = std::fs::read(path)
        .map_err(|source| Error::io("read the connection file", path, source))?;
    let info: ConnectionInfo = serde_json::from_slice(&text).map_err(|source| {
        Error::invalid(format!("{path:?} is not a connection file of Jupyter")).with_source(source)
    })?;
    if !info.key.is_empty() && info.signature_scheme != SIGNATURE_SCHEME {
        return Err(Error::invalid(format!(
            "connection file {path:?}: signature_scheme {:?}, expected {SIGNATURE_SCHEME:?}",
            info.signature_scheme
        )));
    }
    Ok(info)
}

impl Sockets {
    /// Binds all five.
    ///
    /// # Errors
    /// When a port is taken, with the address.
    pub(super) async fn bind(info: &ConnectionInfo, session: &str) -> Result<Self> {
        let refused = |name: &str, url: String, source: RuntimeError| {
            Error::new(ErrorKind::Io, format!("cannot bind the {name} socket to {url}"))
                .with_source(source)
                .with_hint("the front end chose the port: start the kernel again")
        };
        Ok(Self {
            shell: create_kernel_shell_connection(info, session)
                .await
                .map_err(|source| refused("shell", info.shell_url(), source))?,
            control: create_kernel_control_connection(info, session)
                .await
                .map_err(|source| refused("control", info.control_url(), source))?,
            stdin: create_kernel_stdin_connection(info, session)
                .await
                .map_err(|source| refused("stdin", info.stdin_url(), source))?,
            iopub: create_kernel_iopub_xpub_connection(info, session)
                .await
                .map_err(|source| refused("iopub", info.iopub_url(), source))?,
            heartbeat: create_kernel_heartbeat_connection(info)
                .await
                .map_err(|source| refused("heartbeat", info.hb_url(), source))?,
        })
    }
}

/// The next good message of a socket.
pub(super) async fn receive(connection: &mut RouterRecvConnection, socket: &str) -> Request {
    loop {
        let frames = match connection.socket.recv().await {
            Ok(frames) => frames,
            Err(error) => {
                tracing::warn!(socket, %error, "a socket failed to read");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let read = RawMessage::from_multipart(frames, &connection.mac)
            .map_err(|source| Error::invalid(reason(&source)).with_source(source))
            .and_then(Request::new);
        match read {
            Ok(request) => return request,
            Err(error) => {
                tracing::warn!(socket, error = %error.chain(), "a message was ignored");
            }
        }
    }
}

/// The crate's own words for a bad signature are "Unspecified".
fn reason(error: &RuntimeError) -> &'static str {
    match error {
        RuntimeError::VerifyError(_) | RuntimeError::DecodeError(_) => "the signature is wrong",
        RuntimeError::MissingDelimiter => "no delimiter frame",
        _ => "the frames are wrong",
    }
}

/// Messages on their way out of one socket.
#[derive(Debug, Clone)]
pub(super) struct Outbox(mpsc::UnboundedSender<JupyterMessage>);

impl Outbox {
    /// Sends what is put into the outbox, until the last clone of it is gone.
    pub(super) fn start(
        mut connection: RouterSendConnection,
        socket: &'static str,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (outbox, mut messages) = mpsc::unbounded_channel();
        let sending = tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                // A front end that went away does not wait for its answer.
                if let Err(error) = connection.send(message).await {
                    tracing::debug!(socket, %error, "a message found nobody");
                }
            }
        });
        (Self(outbox), sending)
    }

    /// Sends `message` soon, in the order of the calls.
    pub(super) fn send(&self, message: JupyterMessage) {
        // The socket closes only when the kernel ends: then nobody waits for the message.
        let _ = self.0.send(message);
    }
}

/// Answers heartbeats with their own bytes, for ever.
pub(super) async fn beat(mut heartbeat: KernelHeartbeatConnection) {
    loop {
        let beaten = match heartbeat.socket.recv().await {
            Ok(beat) => heartbeat.socket.send(beat).await,
            Err(error) => Err(error),
        };
        if let Err(error) = beaten {
            tracing::debug!(%error, "a heartbeat was missed");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
