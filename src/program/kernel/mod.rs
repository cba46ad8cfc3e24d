//! The Jupyter kernel: the messaging protocol 5.5 over ZeroMQ, and its entry in Jupyter's list of
//! kernels. Sockets live in one thread, cells run in another, completion and history in a third;
//! a busy cell never keeps a request from its answer. It knows cells only through [`crate::cell`].

mod assistance;
mod comm;
mod execution;
mod front;
mod info;
mod message;
mod past;
mod position;
mod publisher;
mod question;
mod service;
mod spec;
mod text;
mod wire;

use std::{
    cell::RefCell,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use clap::Subcommand;
use jupyter_protocol::ConnectionInfo;
use tokio::sync::oneshot;
use trialbook::{
    error::{Error, ErrorKind, Result},
    output::Output,
    store::Store,
};

pub use spec::{Install, Uninstall};

use self::{
    assistance::Assistance,
    comm::Comms,
    execution::{Current, Execution, Links},
    message::Request,
    publisher::Publisher,
    question::Questions,
    service::{Service, Stop},
    wire::{Outbox, Sockets},
};
use crate::cell::{Failure, History, Interpreter, Options};

/// The time that the running cell may take to tidy up when the kernel ends.
const LAST_CELL: Duration = Duration::from_millis(1500);

/// The time that the last messages may take to leave.
const LAST_MESSAGES: Duration = Duration::from_millis(200);

/// The time between two looks whether the program that started the kernel still lives.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// `kernel install`, `kernel uninstall`, and what Jupyter starts
#[derive(Debug, Clone, Subcommand)]
pub enum Kernel {
    /// Put "Rust (trialbook)" into Jupyter's list of kernels
    Install(Install),
    /// Take it out again
    Uninstall(Uninstall),
    /// Run the kernel; Jupyter does this
    #[command(hide = true)]
    Run {
        /// The file in which Jupyter says where to meet
        #[arg(short = 'f', long, value_name = "FILE")]
        connection_file: std::path::PathBuf,
    },
}

impl Kernel {
    /// Does what was asked; `run` comes back when the kernel has ended.
    ///
    /// # Errors
    /// When files cannot be written or sockets not bound.
    pub fn run(&self, store: &Store) -> Result<Output> {
        match self {
            Self::Install(install) => install.run(),
            Self::Uninstall(uninstall) => uninstall.run(),
            Self::Run { connection_file } => {
                run(connection_file, store)?;
                Ok(Output::default())
            }
        }
    }
}

/// Runs the kernel that `connection_file` asks for until a front end ends it.
///
/// # Errors
/// When the file is no connection file, or its ports are taken.
pub fn run(connection_file: &Path, store: &Store) -> Result<()> {
    let info = wire::read_connection_file(connection_file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| {
        Error::new(ErrorKind::Io, "cannot start the kernel's sockets").with_source(source)
    })?;
    runtime.block_on(serve(info, store))
}

async fn serve(info: ConnectionInfo, store: &Store) -> Result<()> {
    let session = uuid::Uuid::new_v4().to_string();
    let Sockets { shell, control, stdin, iopub, heartbeat } =
        Sockets::bind(&info, &session).await?;
    let mut signals = Signals::install()?;
    let (shell, shell_requests) = shell.split();
    let (control, control_requests) = control.split();
    let (stdin, answers) = stdin.split();
    let (shell, shell_sent) = Outbox::start(shell, "shell");
    let (control, control_sent) = Outbox::start(control, "control");
    let (stdin, _) = Outbox::start(stdin, "stdin");
    let (publisher, published) = Publisher::start(iopub);
    tokio::spawn(wire::beat(heartbeat));

    let interpreter = Interpreter::new(Options::new(store.clone()));
    let links = Links {
        publisher,
        shell,
        questions: Arc::new(Questions::new(stdin)),
        history: Arc::new(Mutex::new(History::new(store))),
        current: Current::default(),
        quit: Arc::default(),
    };
    let quit = Arc::clone(&links.quit);
    let (assistant, interrupter) = (interpreter.assistant(), interpreter.interrupter());
    let assistance =
        Assistance { assistant: Arc::clone(&assistant), history: Arc::clone(&links.history) };
    let lookups = start_assistance(assistance, links.clone())?;
    let (jobs, last_cell) = start_execution(Execution::new(interpreter, links.clone()))?;
    let comms = RefCell::new(Comms::default());
    let service = Service { info, links, control, assistant, interrupter, jobs, lookups, comms };
    tracing::info!(session, "the kernel listens");

    let stop = tokio::select! {
        stop = service.serve_shell(shell_requests) => stop,
        stop = service.serve_control(control_requests) => stop,
        stop = service.serve_stdin(answers) => stop,
        stop = signals.serve(&service) => stop,
        stop = orphaned() => stop,
        () = quit.notified() => Stop::Ended("a cell asked for it"),
    };
    end(service, stop, last_cell).await;
    for sent in [shell_sent, control_sent, published] {
        // A front end that takes nothing any more does not keep the kernel alive.
        let _ = tokio::time::timeout(LAST_MESSAGES, sent).await;
    }
    Ok(())
}

/// Ends the running cell, waits for it, and answers last of all: who gets the answer finds neither
/// a child process nor a temporary folder any more.
async fn end(service: Service, stop: Stop, last_cell: oneshot::Receiver<()>) {
    let Service { links, jobs, interrupter, .. } = service;
    links.current.close();
    drop(jobs);
    links.questions.close();
    interrupter.end();
    if tokio::time::timeout(LAST_CELL, last_cell).await.is_err() {
        tracing::warn!("the running cell did not stop in time");
    }
    match stop {
        Stop::Asked { request, outbox } => {
            let reply = service::shutdown_reply(&request);
            outbox.send(request.reply(reply.clone()));
            // Every front end of the kernel learns that it ends, not only the one that asked.
            links.publisher.send(request.publication(reply));
            links.publisher.idle(&request);
        }
        Stop::Ended(reason) => tracing::info!(reason, "the kernel ends"),
    }
}

/// Starts the thread that runs cells. The receiver hears when it is over and its child is gone.
fn start_execution(
    execution: Execution,
) -> Result<(mpsc::Sender<execution::Job>, oneshot::Receiver<()>)> {
    let (jobs, queue) = mpsc::channel();
    let (over, last_cell) = oneshot::channel();
    start_thread("cells", move || {
        execution.run(&queue);
        // Nobody listens when the kernel ended without waiting.
        let _ = over.send(());
    })?;
    Ok((jobs, last_cell))
}

/// Starts the thread that looks things up.
fn start_assistance(assistance: Assistance, links: Links) -> Result<mpsc::Sender<Arc<Request>>> {
    let (lookups, requests) = mpsc::channel();
    start_thread("lookups", move || {
        assistance.run(&requests, |request, answer| {
            let reply = match answer {
                Ok(content) => request.reply_json(content),
                Err(error) => request.reply_failure(&Failure::from(error)),
            };
            links.shell.send(reply);
            service::done(&links, request);
        });
    })?;
    Ok(lookups)
}

fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(|_| ()).map_err(|source| {
        Error::new(ErrorKind::Io, format!("cannot start the thread {name:?}")).with_source(source)
    })
}

/// Returns when the program that started the kernel is gone: Jupyter names it in the environment.
/// A kernel that outlives a crashed server would hold its memory for ever.
#[cfg(unix)]
async fn orphaned() -> Stop {
    let started_by = rustix::process::getppid();
    if std::env::var_os("JPY_PARENT_PID").is_none() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(PARENT_CHECK).await;
        if rustix::process::getppid() != started_by {
            return Stop::Ended("the program that started the kernel is gone");
        }
    }
}

/// Elsewhere a process does not learn of its parent's end.
#[cfg(not(unix))]
async fn orphaned() -> Stop {
    std::future::pending().await
}

/// SIGINT interrupts the cell, SIGTERM ends the kernel.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn install() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| {
            signal(kind).map_err(|source| {
                Error::new(ErrorKind::Io, "cannot listen for signals").with_source(source)
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn serve(&mut self, service: &Service) -> Stop {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => service.interrupt(),
                _ = self.terminate.recv() => return Stop::Ended("SIGTERM"),
            }
        }
    }
}

/// Elsewhere interrupts come as messages, as the kernel's entry asks for.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn install() -> Result<Self> {
        Ok(Self)
    }

    async fn serve(&mut self, _service: &Service) -> Stop {
        std::future::pending().await
    }
}
