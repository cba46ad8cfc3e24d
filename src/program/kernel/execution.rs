//! Runs cells, one after the other, in a thread of its own.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::{
    front::{CellFront, Manner, ValueFront},
    message::{self, Request},
    publisher::Publisher,
    question::Questions,
    wire::Outbox,
};
use crate::cell::{Failure, FailureKind, Front, History, Interpreter};

/// The compiler is got ready this long after the start, so that it does not slow down the answer to
/// the first `kernel_info_request`.
const WARM_UP_AFTER: Duration = Duration::from_millis(300);

/// A request that was sent before its sender could hear of a failure may arrive this much later.
const ON_ITS_WAY: TimeDelta = TimeDelta::milliseconds(100);

/// A cell that waits for its turn.
pub(super) struct Job {
    pub(super) request: Arc<Request>,
    pub(super) arrived: DateTime<Utc>,
}

/// The fields of an `execute_request` that matter; what is left out is as the protocol says.
#[derive(Debug, Deserialize)]
struct Cell {
    code: String,
    #[serde(default)]
    silent: bool,
    #[serde(default = "yes")]
    store_history: bool,
    #[serde(default)]
    user_expressions: Option<BTreeMap<String, String>>,
    #[serde(default = "yes")]
    allow_stdin: bool,
    #[serde(default = "yes")]
    stop_on_error: bool,
}

fn yes() -> bool {
    true
}

/// The state that the thread that runs cells shares with the sockets.
#[derive(Clone)]
pub(super) struct Links {
    pub(super) publisher: Publisher,
    pub(super) shell: Outbox,
    pub(super) questions: Arc<Questions>,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) current: Current,
    /// Told when a cell asked for the session's end.
    pub(super) quit: Arc<Notify>,
}

/// The cell that runs, for whoever has to know whether one does.
#[derive(Clone, Default)]
pub(super) struct Current(Arc<Mutex<Turn>>);

#[derive(Default)]
struct Turn {
    request: Option<Arc<Request>>,
    is_closed: bool,
}

impl Current {
    /// The request whose cell runs.
    pub(super) fn get(&self) -> Option<Arc<Request>> {
        self.turn().request.clone()
    }

    /// Lets no further cell run: the kernel ends.
    pub(super) fn close(&self) {
        self.turn().is_closed = true;
    }

    fn is_closed(&self) -> bool {
        self.turn().is_closed
    }

    fn set(&self, request: Option<&Arc<Request>>) {
        self.turn().request = request.cloned();
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own state.
pub(super) struct Execution {
    interpreter: Interpreter,
    links: Links,
    n_executed: usize,
    /// The time when the last cell that stops the queue failed.
    stopped_at: Option<DateTime<Utc>>,
}

impl Execution {
    /// Nothing has run yet.
    pub(super) fn new(interpreter: Interpreter, links: Links) -> Self {
        interpreter.expect_warm_up();
        Self { interpreter, links, n_executed: 0, stopped_at: None }
    }

    /// Runs what comes until the other end of `jobs` is gone.
    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        match jobs.recv_timeout(WARM_UP_AFTER) {
            Ok(job) => self.answer(&job),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        self.interpreter.warm_up();
        for job in jobs {
            self.answer(&job);
        }
    }

    fn answer(&mut self, job: &Job) {
        let request = &job.request;
        self.links.current.set(Some(request));
        self.links.publisher.busy(request);
        let reply = if self.is_aborted(job) {
            // A count would have front ends show the cell as run.
            json!({"status": "aborted"})
        } else {
            match request.content::<Cell>() {
                Ok(cell) => self.execute(request, &cell),
                Err(error) => self.error_reply(&Failure::from(error)),
            }
        };
        self.links.shell.send(request.reply_json(reply));
        self.links.current.set(None);
        self.links.publisher.idle(request);
        if self.interpreter.wants_to_quit() {
            self.links.quit.notify_one();
        }
    }

    /// True if the kernel ends, or the job was sent before its sender could hear that a cell before
    /// it failed.
    fn is_aborted(&self, job: &Job) -> bool {
        let sent = job.request.header().date;
        self.links.current.is_closed()
            || self.stopped_at.is_some_and(|stopped_at| is_overtaken(stopped_at, job.arrived, sent))
    }

    fn execute(&mut self, request: &Arc<Request>, cell: &Cell) -> Value {
        let is_kept = cell.store_history && !cell.silent && !cell.code.trim().is_empty();
        if is_kept {
            self.n_executed += 1;
            self.remember(&cell.code);
        }
        if !cell.silent {
            let input = message::input(&cell.code, self.n_executed);
            self.links.publisher.send(request.publication(input));
        }
        let manner = Manner { is_silent: cell.silent, allows_input: cell.allow_stdin };
        let front = Arc::new(CellFront::new(
            request,
            manner,
            self.n_executed,
            &self.links.publisher,
            &self.links.questions,
        ));
        let shown: Arc<dyn Front> = Arc::clone(&front) as Arc<dyn Front>;
        let outcome = self.interpret(&cell.code, &shown);
        front.finish();
        match outcome {
            Ok(()) => json!({
                "status": "ok",
                "execution_count": self.n_executed,
                "payload": self.payload(&front),
                "user_expressions": self.evaluate(cell.user_expressions.as_ref()),
            }),
            Err(failure) => {
                if !cell.silent {
                    let error = message::error(&failure);
                    self.links.publisher.send(request.publication(error));
                }
                if cell.stop_on_error {
                    self.stopped_at = Some(Utc::now());
                }
                self.error_reply(&failure)
            }
        }
    }

    /// A bug that panics costs its cell, not the session.
    fn interpret(&mut self, code: &str, front: &Arc<dyn Front>) -> Result<(), Failure> {
        let interpreter = &mut self.interpreter;
        catch_unwind(AssertUnwindSafe(|| interpreter.execute(code, front))).unwrap_or_else(
            |panic| {
                let said = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                let message = format!("the command panicked: {said} (this is a bug of trialbook)");
                Err(Failure::new(FailureKind::Panic, "panic", message))
            },
        )
    }

    fn payload(&self, front: &CellFront) -> Vec<Value> {
        let mut payload = front.take_pages();
        if self.interpreter.wants_to_quit() {
            payload.push(json!({"source": "ask_exit", "keepkernel": false}));
        }
        payload
    }

    fn evaluate(&mut self, expressions: Option<&BTreeMap<String, String>>) -> Map<String, Value> {
        let mut values = Map::new();
        for (name, expression) in expressions.into_iter().flatten() {
            let front = Arc::new(ValueFront::default());
            let shown: Arc<dyn Front> = Arc::clone(&front) as Arc<dyn Front>;
            let value = match self.interpret(expression, &shown) {
                Ok(()) => {
                    let content = front.take();
                    json!({"status": "ok", "data": content.data, "metadata": content.metadata})
                }
                Err(failure) => {
                    let mut value = message::failure_fields(&failure);
                    value.insert("status".to_owned(), "error".into());
                    value.into()
                }
            };
            values.insert(name.clone(), value);
        }
        values
    }

    fn error_reply(&self, failure: &Failure) -> Value {
        let mut reply = message::failure_fields(failure);
        reply.extend([
            ("status".to_owned(), "error".into()),
            ("execution_count".to_owned(), self.n_executed.into()),
            ("payload".to_owned(), json!([])),
            ("user_expressions".to_owned(), json!({})),
        ]);
        reply.into()
    }

    fn remember(&self, code: &str) {
        let mut history = self.links.history.lock().unwrap_or_else(PoisonError::into_inner);
        // A store that cannot be written must not keep anybody from working.
        if let Err(error) = history.append(code) {
            tracing::warn!(error = %error.chain(), "a cell is missing in the history");
        }
    }
}

/// True if a request that `arrived` then, sent at `sent` by its sender's clock, was on its way when
/// the failure at `stopped_at` was not yet told.
fn is_overtaken(stopped_at: DateTime<Utc>, arrived: DateTime<Utc>, sent: DateTime<Utc>) -> bool {
    arrived <= stopped_at || (sent <= stopped_at && arrived <= stopped_at + ON_ITS_WAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_before_the_failure_is_aborted() {
        let at = |ms: i64| DateTime::from_timestamp_millis(1_000_000 + ms).unwrap();
        // In the queue when the cell failed.
        assert!(is_overtaken(at(0), at(-5), at(-6)));
        // On its way when the cell failed.
        assert!(is_overtaken(at(0), at(5), at(-1)));
        // Sent after the failure was told.
        assert!(!is_overtaken(at(0), at(5), at(4)));
        // A front end whose clock is an hour late does not lose what it sends later.
        assert!(!is_overtaken(at(0), at(200), at(-3_600_000)));
    }
}
