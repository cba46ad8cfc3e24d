//! The kernel as a front end sees it: signed frames over real sockets. What needs Jupyter itself is
//! in tests/jupyter.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use jupyter_protocol::{
    ConnectionInfo, ExecuteRequest, ExecutionState, InterruptRequest, JupyterMessage,
    JupyterMessageContent, KernelInfoRequest, ReplyStatus, ShutdownRequest, Transport,
};
use jupyter_zmq_client::{
    ClientControlConnection, ClientIoPubConnection, ClientShellConnection,
    create_client_control_connection, create_client_iopub_connection,
    create_client_shell_connection_with_identity, peek_ports_with_listeners,
    peer_identity_for_session,
};
use tempfile::TempDir;
use tokio::time::timeout;
use zeromq::{Socket as _, SocketSend as _, ZmqMessage};

/// A busy machine may take this long for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const SESSION: &str = "a-session-of-the-tests";

/// A kernel and everything a front end holds of it.
struct Kernel {
    process: Child,
    info: ConnectionInfo,
    shell: ClientShellConnection,
    control: ClientControlConnection,
    iopub: ClientIoPubConnection,
    _store: TempDir,
}

impl Kernel {
    async fn start() -> Self {
        let store = tempfile::tempdir().unwrap();
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (ports, listeners) = peek_ports_with_listeners(local, 5).await.unwrap();
        let info = ConnectionInfo {
            ip: local.to_string(),
            transport: Transport::TCP,
            shell_port: ports[0],
            iopub_port: ports[1],
            stdin_port: ports[2],
            control_port: ports[3],
            hb_port: ports[4],
            key: "a key of the tests".to_owned(),
            signature_scheme: "hmac-sha256".to_owned(),
            kernel_name: None,
        };
        let file = store.path().join("connection.json");
        std::fs::File::create(&file)
            .unwrap()
            .write_all(&serde_json::to_vec(&info).unwrap())
            .unwrap();
        drop(listeners);
        let process = Command::new(env!("CARGO_BIN_EXE_trialbook"))
            .arg("--store")
            .arg(store.path())
            .args(["kernel", "run", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut iopub = create_client_iopub_connection(&info, "", SESSION).await.unwrap();
        let welcome = read(iopub.read()).await;
        assert!(matches!(welcome.content, JupyterMessageContent::IoPubWelcome(_)), "{welcome:?}");
        let identity = peer_identity_for_session(SESSION).unwrap();
        let shell =
            create_client_shell_connection_with_identity(&info, SESSION, identity).await.unwrap();
        let control = create_client_control_connection(&info, SESSION).await.unwrap();
        Self { process, info, shell, control, iopub, _store: store }
    }

    /// Sends `code` and returns the id of the request.
    async fn submit(&mut self, code: &str) -> String {
        let request: JupyterMessage = ExecuteRequest::new(code.to_owned()).into();
        let id = request.header.msg_id.clone();
        self.shell.send(request).await.unwrap();
        id
    }

    /// The reply to request `id`.
    async fn reply(&mut self, id: &str) -> JupyterMessage {
        loop {
            let reply = read(self.shell.read()).await;
            if is_child(&reply, id) {
                return reply;
            }
        }
    }

    /// What request `id` publishes until it is idle, by kind.
    async fn published(&mut self, id: &str) -> Vec<String> {
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != "idle") {
            let message = read(self.iopub.read()).await;
            if is_child(&message, id) {
                kinds.push(match &message.content {
                    JupyterMessageContent::Status(status) => {
                        status.execution_state.as_str().to_owned()
                    }
                    content => content.message_type().to_owned(),
                });
            }
        }
        kinds
    }

    /// What `code` shows or fails with, as JSON.
    async fn shown(&mut self, code: &str) -> String {
        let id = self.submit(code).await;
        loop {
            let message = read(self.iopub.read()).await;
            let shows = matches!(
                message.content,
                JupyterMessageContent::DisplayData(_) | JupyterMessageContent::ErrorOutput(_)
            );
            if is_child(&message, &id) && shows {
                return serde_json::to_string(&message.content).unwrap();
            }
        }
    }

    async fn run(&mut self, code: &str) -> (ReplyStatus, Vec<String>) {
        let id = self.submit(code).await;
        let kinds = self.published(&id).await;
        (status(&self.reply(&id).await), kinds)
    }

    /// Returns when the cell `id` runs.
    async fn wait_until_busy(&mut self, id: &str) {
        loop {
            let message = read(self.iopub.read()).await;
            if is_child(&message, id)
                && matches!(message.content, JupyterMessageContent::ExecuteInput(_))
            {
                return;
            }
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // One that has ended is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_child(message: &JupyterMessage, id: &str) -> bool {
    message.parent_header.as_ref().is_some_and(|parent| parent.msg_id == id)
}

fn status(reply: &JupyterMessage) -> ReplyStatus {
    match &reply.content {
        JupyterMessageContent::ExecuteReply(reply) => reply.status.clone(),
        content => panic!("{content:?}"),
    }
}

async fn read(
    message: impl Future<Output = jupyter_zmq_client::Result<JupyterMessage>>,
) -> JupyterMessage {
    timeout(PATIENCE, message).await.expect("an answer in time").unwrap()
}

/// Runs `test` against a kernel of its own.
fn with_kernel(test: impl AsyncFnOnce(&mut Kernel)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut kernel = Kernel::start().await;
        test(&mut kernel).await;
    });
}

#[test]
fn the_kernel_says_that_it_starts_and_what_it_is() {
    with_kernel(async |kernel| {
        let starting = read(kernel.iopub.read()).await;
        let JupyterMessageContent::Status(status) = starting.content else {
            panic!("{starting:?}");
        };
        assert_eq!(status.execution_state, ExecutionState::Starting);
        assert!(starting.parent_header.is_none());

        kernel.shell.send(KernelInfoRequest {}.into()).await.unwrap();
        let reply = read(kernel.shell.read()).await;
        assert_eq!(reply.header.version, "5.5");
        let JupyterMessageContent::KernelInfoReply(info) = reply.content else {
            panic!("{reply:?}");
        };
        assert_eq!(info.protocol_version, "5.5");
        assert_eq!(info.language_info.file_extension.as_deref(), Some(".rs"));
    });
}

#[test]
fn a_cell_is_busy_input_output_idle() {
    with_kernel(async |kernel| {
        let (status, kinds) = kernel.run(":data list").await;
        assert_eq!(status, ReplyStatus::Ok);
        assert_eq!(kinds, ["busy", "execute_input", "display_data", "idle"]);
        let (status, kinds) = kernel.run(":no-such-command").await;
        assert_eq!(status, ReplyStatus::Error);
        assert_eq!(kinds, ["busy", "execute_input", "error", "idle"]);
    });
}

#[test]
fn a_row_that_looks_like_advice_is_shown_as_it_is() {
    with_kernel(async |kernel| {
        let row = "run `trialbook data list` first";
        let shown = kernel.shown(&format!(":sql select '{row}' as said")).await;
        // In plain text and in HTML.
        assert_eq!(shown.matches(row).count(), 2, "{shown}");
        let shown = kernel.shown(":data list").await;
        assert!(shown.contains("add one with `:data add NAME PATH`"), "{shown}");
        let shown = kernel.shown(":models show '`trialbook data list`'").await;
        assert!(shown.contains("`trialbook data list`"), "{shown}");
        assert!(shown.contains("`:train` registers one"), "{shown}");
    });
}

#[test]
fn bad_signatures_and_short_frames_are_passed_over() {
    with_kernel(async |kernel| {
        let stranger = ConnectionInfo { key: "another key".to_owned(), ..kernel.info.clone() };
        let identity = peer_identity_for_session("stranger").unwrap();
        let mut unsigned =
            create_client_shell_connection_with_identity(&stranger, "stranger", identity)
                .await
                .unwrap();
        unsigned.send(ExecuteRequest::new("!touch forged".to_owned()).into()).await.unwrap();
        let mut raw = zeromq::DealerSocket::new();
        raw.connect(&kernel.info.shell_url()).await.unwrap();
        for frames in [vec!["<IDS|MSG>"], vec!["<IDS|MSG>", ""], vec!["hello", "world"]] {
            let frames: Vec<bytes::Bytes> = frames.into_iter().map(bytes::Bytes::from).collect();
            raw.send(ZmqMessage::try_from(frames).unwrap()).await.unwrap();
        }
        // Nothing but this cell's own messages: the forged one was never run.
        let (status, kinds) = kernel.run(":data list").await;
        assert_eq!(status, ReplyStatus::Ok);
        assert_eq!(kinds.last().map(String::as_str), Some("idle"));
        let forged = timeout(Duration::from_millis(200), unsigned.read()).await;
        assert!(forged.is_err(), "a forged request was answered");
    });
}

#[test]
fn an_interrupt_stops_the_cell_and_aborts_what_waits() {
    with_kernel(async |kernel| {
        let sleeping = kernel.submit("!sleep 60").await;
        let behind = kernel.submit(":data list").await;
        kernel.wait_until_busy(&sleeping).await;
        let began = Instant::now();
        kernel.control.send(InterruptRequest {}.into()).await.unwrap();
        assert_eq!(status(&kernel.reply(&sleeping).await), ReplyStatus::Error);
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
        assert_eq!(status(&kernel.reply(&behind).await), ReplyStatus::Aborted);
        assert_eq!(kernel.run(":data list").await.0, ReplyStatus::Ok);
    });
}

#[test]
fn a_shutdown_ends_the_process_while_a_cell_runs() {
    with_kernel(async |kernel| {
        let sleeping = kernel.submit("!sleep 60").await;
        kernel.wait_until_busy(&sleeping).await;
        kernel.control.send(ShutdownRequest { restart: false }.into()).await.unwrap();
        let reply = read(kernel.control.read()).await;
        assert!(matches!(reply.content, JupyterMessageContent::ShutdownReply(_)), "{reply:?}");
        let ended = Instant::now();
        let status = loop {
            if let Some(status) = kernel.process.try_wait().unwrap() {
                break status;
            }
            assert!(ended.elapsed() < PATIENCE, "the process is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(status.success(), "{status}");
    });
}
