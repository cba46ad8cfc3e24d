//! The answers of the kernel's threads: requests on shell and control, answers on stdin, signals.
//! Nothing here waits for a cell, so the sockets stay alive while one runs.

use std::{
    cell::RefCell,
    sync::{Arc, mpsc},
    time::Duration,
};

use chrono::Utc;
use jupyter_protocol::{
    ConnectionInfo, InterruptReply, JupyterMessage, JupyterMessageContent, ReplyStatus,
    ShutdownReply,
};
use jupyter_zmq_client::RouterRecvConnection;
use serde::Deserialize;
use serde_json::json;
use trialbook::error::{Error, ErrorKind, Result};

use super::{
    assistance::completeness,
    comm::Comms,
    execution::{Job, Links},
    info,
    message::{self, EXECUTE, Request},
    wire::{Outbox, receive},
};
use crate::cell::{Assistant, Failure, Interrupter};

/// An interrupt that comes just when a cell begins is repeated after this time.
const BEGINNING: Duration = Duration::from_millis(50);

/// The reason why the kernel ends.
pub(super) enum Stop {
    /// A front end asked for it.
    Asked {
        /// The request, still to be answered.
        request: Arc<Request>,
        /// By which socket.
        outbox: Outbox,
    },
    /// SIGTERM, or the front end that started the kernel is gone.
    Ended(&'static str),
}

/// One of the two sockets for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Shell,
    Control,
}

/// The state of the sockets' thread.
pub(super) struct Service {
    pub(super) info: ConnectionInfo,
    pub(super) links: Links,
    pub(super) control: Outbox,
    pub(super) assistant: Arc<Assistant>,
    pub(super) interrupter: Interrupter,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) lookups: mpsc::Sender<Arc<Request>>,
    pub(super) comms: RefCell<Comms>,
}

#[derive(Deserialize)]
struct Shutdown {
    #[serde(default)]
    restart: bool,
}

impl Service {
    /// Answers the shell socket until the kernel has to end.
    pub(super) async fn serve_shell(&self, mut connection: RouterRecvConnection) -> Stop {
        loop {
            let request = Arc::new(receive(&mut connection, "shell").await);
            if let Some(stop) = self.answer(&request, Channel::Shell) {
                return stop;
            }
        }
    }

    /// Answers the control socket until the kernel has to end.
    pub(super) async fn serve_control(&self, mut connection: RouterRecvConnection) -> Stop {
        loop {
            let request = Arc::new(receive(&mut connection, "control").await);
            if let Some(stop) = self.answer(&request, Channel::Control) {
                return stop;
            }
        }
    }

    /// Hands answers on stdin to the cell that asked, for ever.
    pub(super) async fn serve_stdin(&self, mut connection: RouterRecvConnection) -> Stop {
        loop {
            let reply = receive(&mut connection, "stdin").await;
            if reply.kind() == "input_reply" {
                self.links.questions.answer(&reply);
            } else {
                tracing::warn!(kind = reply.kind(), "a message on stdin was ignored");
            }
        }
    }

    /// Asks the running cell to stop. While none runs, an interrupt is for nobody.
    pub(super) fn interrupt(&self) {
        let Some(running) = self.links.current.get() else {
            tracing::debug!("an interrupt found nothing to stop");
            return;
        };
        self.links.questions.interrupt();
        self.interrupter.interrupt();
        let (current, questions) = (self.links.current.clone(), Arc::clone(&self.links.questions));
        let interrupter = self.interrupter.clone();
        tokio::spawn(async move {
            tokio::time::sleep(BEGINNING).await;
            if current.get().is_some_and(|now| Arc::ptr_eq(&now, &running)) {
                questions.interrupt();
                interrupter.interrupt();
            }
        });
    }

    fn answer(&self, request: &Arc<Request>, channel: Channel) -> Option<Stop> {
        match request.kind() {
            // These say themselves when they are busy: they wait for their turn.
            EXECUTE if channel == Channel::Shell => {
                let job = Job { request: Arc::clone(request), arrived: Utc::now() };
                // The other end is gone only when the kernel ends.
                let _ = self.jobs.send(job);
                return None;
            }
            "complete_request" | "inspect_request" | "history_request"
                if channel == Channel::Shell =>
            {
                self.links.publisher.busy(request);
                let _ = self.lookups.send(Arc::clone(request));
                return None;
            }
            "shutdown_request" => {
                self.links.publisher.busy(request);
                let outbox = self.outbox(channel).clone();
                return Some(Stop::Asked { request: Arc::clone(request), outbox });
            }
            _ => {}
        }
        self.links.publisher.busy(request);
        match self.answer_at_once(request) {
            Ok(Some(reply)) => self.outbox(channel).send(reply),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(kind = request.kind(), error = %error.chain(), "a request failed");
                if request.kind().ends_with("_request") {
                    self.outbox(channel).send(request.reply_failure(&Failure::from(error)));
                }
            }
        }
        done(&self.links, request);
        None
    }

    /// The answer to what needs neither a cell nor a file.
    fn answer_at_once(&self, request: &Arc<Request>) -> Result<Option<JupyterMessage>> {
        let mut comms = self.comms.borrow_mut();
        let publish = |message: Option<JupyterMessage>| {
            if let Some(message) = message {
                self.links.publisher.send(message);
            }
            None
        };
        let reply: JupyterMessageContent = match request.kind() {
            "kernel_info_request" => info::kernel_info().into(),
            "is_complete_request" => completeness(&self.assistant, request)?.into(),
            "connect_request" => return Ok(Some(request.reply_json(info::ports(&self.info)))),
            "comm_info_request" => {
                return comms.info(request).map(|info| Some(request.reply_json(info)));
            }
            "comm_open" => return comms.open(request).map(publish),
            "comm_msg" => return comms.message(request).map(publish),
            "comm_close" => return comms.close(request).map(|()| None),
            "interrupt_request" => {
                self.interrupt();
                InterruptReply::new().into()
            }
            "debug_request" => return Ok(Some(request.reply_json(no_debugger(request)))),
            "create_subshell_request" | "delete_subshell_request" | "list_subshell_request" => {
                return Err(Error::new(ErrorKind::Unavailable, "this kernel has no subshells"));
            }
            kind => {
                tracing::warn!(kind, "a message of an unknown kind was ignored");
                return Ok(None);
            }
        };
        Ok(Some(request.reply(reply)))
    }

    fn outbox(&self, channel: Channel) -> &Outbox {
        match channel {
            Channel::Shell => &self.links.shell,
            Channel::Control => &self.control,
        }
    }
}

/// Says that `request` is answered. Where a cell runs meanwhile, front ends are told that the kernel
/// is still busy: many show the latest status they heard, whoever it was for.
pub(super) fn done(links: &Links, request: &Arc<Request>) {
    links.publisher.idle(request);
    if let Some(running) = links.current.get() {
        links.publisher.send(running.publication(message::busy()));
    }
}

/// The last answer of all.
pub(super) fn shutdown_reply(request: &Request) -> JupyterMessageContent {
    // Without the flag the kernel ends all the same.
    let restart = request.content().is_ok_and(|Shutdown { restart }| restart);
    ShutdownReply { restart, status: ReplyStatus::Ok, error: None }.into()
}

/// The Debug Adapter Protocol's way of saying no.
fn no_debugger(request: &Request) -> serde_json::Value {
    let asked: serde_json::Value = request.content().unwrap_or_default();
    json!({
        "type": "response",
        "request_seq": asked["seq"],
        "command": asked["command"],
        "success": false,
        "message": "this kernel has no debugger",
    })
}
