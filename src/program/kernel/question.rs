//! Questions that a running cell asks the person, over the stdin socket. One is open at a time.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    mpsc::{self, Sender},
};

use jupyter_protocol as protocol;
use serde::Deserialize;
use trialbook::error::{Error, ErrorKind, Result};

use super::{message::Request, wire::Outbox};
use crate::cell::InputRequest;

/// The end of a wait.
enum Answer {
    Value(String),
    Interrupted,
}

/// The stdin socket as a cell sees it.
pub(super) struct Questions {
    outbox: Outbox,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The kernel ends: nobody will answer any more.
    is_closed: bool,
}

/// The question that waits for its answer.
struct Open {
    id: String,
    answer: Sender<Answer>,
}

/// The fields of an `input_reply` that matter.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    value: String,
}

impl Questions {
    /// Questions that leave by `outbox`.
    pub(super) fn new(outbox: Outbox) -> Self {
        Self { outbox, state: Mutex::default() }
    }

    /// Asks whoever sent `request` and waits for the answer.
    ///
    /// # Errors
    /// When the person interrupts.
    pub(super) fn ask(&self, request: &Request, question: &InputRequest) -> Result<String> {
        let message = request.question(protocol::InputRequest {
            prompt: question.prompt.clone(),
            password: question.is_password,
        });
        let (answer, answered) = mpsc::channel();
        {
            let mut state = self.state();
            if state.is_closed {
                return Err(interrupted());
            }
            state.open = Some(Open { id: message.header.msg_id.clone(), answer });
        }
        self.outbox.send(message);
        match answered.recv() {
            Ok(Answer::Value(value)) => Ok(value),
            // The other end goes away only with the kernel.
            Ok(Answer::Interrupted) | Err(_) => Err(interrupted()),
        }
    }

    /// Takes an answer. One to no question, or to an older one, is passed over.
    pub(super) fn answer(&self, reply: &Request) {
        let mut state = self.state();
        let fits = state
            .open
            .as_ref()
            .is_some_and(|open| reply.parent_id().is_none_or(|parent| parent == open.id));
        match reply.content::<Reply>() {
            Ok(Reply { value }) if fits => state.end(Answer::Value(value)),
            Ok(_) => tracing::debug!("an answer without a question was ignored"),
            Err(error) => tracing::warn!(error = %error.chain(), "an answer was ignored"),
        }
    }

    /// Ends the wait without an answer.
    pub(super) fn interrupt(&self) {
        self.state().end(Answer::Interrupted);
    }

    /// Ends the wait, and every later one before it begins: the kernel ends.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.end(Answer::Interrupted);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self, answer: Answer) {
        if let Some(open) = self.open.take() {
            // The cell that asked may have been ended meanwhile.
            let _ = open.answer.send(answer);
        }
    }
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted")
}
