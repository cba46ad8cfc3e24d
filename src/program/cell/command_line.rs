//! Runs one command line of a cell: parses it, runs it in this process, hands its answers to the
//! front end. A command that does not look at interrupts is left behind when one comes.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use trialbook::{
    book::Book,
    display::{self, Content},
    error::{Error, ErrorKind, Result},
    hint::Spelling,
    output::{Outcome, Output},
    progress::{Interrupt, Monitor},
    store::Store,
};

use super::{
    failure::Failure,
    front::{Event, Front},
    mistyped::check_verb,
    verbs,
    words::words,
};
use crate::command::{self, Command, Request, Servers, Session};

/// The time that an interrupt may go unnoticed by who waits for a command.
const POLL: Duration = Duration::from_millis(20);

/// Runs `line`, a command without its colon, until it is done or `interrupt` is raised.
///
/// # Errors
/// When it is no command, fails, is blocked by a gate or interrupted.
pub(crate) fn run_command(
    line: &str,
    store: &Store,
    servers: &Servers,
    interrupt: &Interrupt,
    front: &Arc<dyn Front>,
) -> Result<(), Failure> {
    let words = words(line, sql_flag_takes_value)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(verb) = words.first() {
        check_verb(verb)?;
    }
    let (command, json) = match command::request(&words)? {
        Request::Run { command, json } => (command, json),
        Request::Help(text) => {
            front.event(Event::Page(Content::text(text)));
            return Ok(());
        }
    };
    let monitor = Monitor { progress: front.progress(), interrupt: interrupt.clone() };
    let shown = Arc::clone(front);
    let mut session = Session::new(Book::with_store(store.clone()), monitor, move |output, _| {
        show(output, json, &shown);
        Ok(())
    });
    session.servers = Some(servers.clone());
    let output = run(command, session, interrupt)?;
    if output.outcome() == Outcome::Blocked {
        return Err(Failure::blocked(&output));
    }
    show(&output, json, front);
    Ok(())
}

/// Runs `command` here if it looks at interrupts itself. The others write whole or not at all: they
/// run beside, and nobody waits for one that was interrupted.
fn run(command: Command, session: Session, interrupt: &Interrupt) -> Result<Output> {
    if command.heeds_interrupts() {
        return command.run(&session);
    }
    let (sender, answer) = mpsc::channel();
    let worker = std::thread::Builder::new()
        .name("command".to_owned())
        .spawn(move || {
            // Without a receiver the answer comes too late for anybody.
            let _ = sender.send(command.run(&session));
        })
        .map_err(|source| {
            Error::new(ErrorKind::Io, "cannot start a thread for the command").with_source(source)
        })?;
    loop {
        match answer.recv_timeout(POLL) {
            Ok(output) => {
                drop(worker.join());
                return output;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => interrupt.check()?,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                drop(worker.join());
                return Err(Error::new(ErrorKind::Internal, "the command panicked"));
            }
        }
    }
}

/// True if a value follows this flag of `sql`.
fn sql_flag_takes_value(flag: &str) -> bool {
    verbs::argument(&["sql"], flag).is_some_and(|flag| flag.get_action().takes_values())
}

fn show(output: &Output, json: bool, front: &Arc<dyn Front>) {
    let contents = if json {
        let text = format!("{:#}", output.json());
        vec![Content::text(text).with("application/json", output.json().clone())]
    } else {
        display::contents(&output.clone().spelled(Spelling::Cell), front.width())
    };
    for content in contents {
        front.event(Event::Display { content, id: None });
    }
}
