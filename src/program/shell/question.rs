//! A cell's question to the person, asked on the terminal and answered through stdin.

use std::{
    io::{self, BufRead, Write},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use trialbook::error::{Error, ErrorKind, Result};

use super::signals::Signals;
use crate::cell::InputRequest;

/// The time that a Ctrl-C may go unnoticed.
const POLL: Duration = Duration::from_millis(50);

/// Asks, and returns the line that is answered.
///
/// # Errors
/// When stdin is not there for answers, ends, or Ctrl-C is pressed.
pub(super) fn ask(request: &InputRequest, answers: bool, signals: &Signals) -> Result<String> {
    if !answers {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("the cell asks {:?} and nobody can answer: stdin holds cells", request.prompt),
        )
        .with_hint("run it as `trialbook run FILE`, or in the shell"));
    }
    let fail =
        |source: io::Error| Error::new(ErrorKind::Io, "cannot read the answer").with_source(source);
    let mut stdout = io::stdout();
    stdout.write_all(request.prompt.as_bytes()).and_then(|()| stdout.flush()).map_err(fail)?;
    let hidden = request.is_password.then(Hidden::new).flatten();
    let mut line = String::new();
    loop {
        if signals.is_interrupted() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        let stdin = io::stdin();
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        let patience = Timespec::try_from(POLL).ok();
        match poll(&mut waiting, patience.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(fail(errno.into())),
        }
        // A terminal hands over whole lines, so this does not wait.
        let n_bytes = stdin.lock().read_line(&mut line).map_err(fail)?;
        if hidden.is_some() {
            let _ = stdout.write_all(b"\n");
        }
        if n_bytes == 0 {
            return Err(Error::new(ErrorKind::Unavailable, "stdin ended before the answer came"));
        }
        return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
    }
}

/// Typed keys are not shown while it lives.
struct Hidden(Termios);

impl Hidden {
    fn new() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Without a terminal there is nothing to set back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
