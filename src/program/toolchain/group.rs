//! A process and all that it starts, ended together: when nobody waits for them any more, and when
//! this process ends.

use std::{
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use trialbook::{
    error::{Error, ErrorKind, Result},
    progress::Interrupt,
};

/// How long it may take to tidy up once it is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

/// A process and all it starts. Dropping it ends them.
pub(super) struct Group(Child);

impl Group {
    /// Starts `command`, which gets a group of its own.
    ///
    /// # Errors
    /// When it cannot be started, with its name.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let program = PathBuf::from(command.get_program());
        end_with_us(command);
        // A group of its own: Ctrl-C in the terminal reaches us alone, and we end all of it.
        let child = command
            .process_group(0)
            .spawn()
            .map_err(|source| Error::io("start", &program, source))?;
        Ok(Self(child))
    }

    /// What it prints, once and where it is piped.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// What it complains about, once and where it is piped.
    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The interrupt; dropping the group then ends it.
    pub(super) fn wait(&mut self, interrupt: &Interrupt) -> Result<ExitStatus> {
        loop {
            let status = self.0.try_wait().map_err(|source| {
                Error::new(ErrorKind::Io, "cannot wait for a process").with_source(source)
            })?;
            if let Some(status) = status {
                return Ok(status);
            }
            interrupt.check()?;
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Nothing left to signal is what is wanted.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        // Cargo may be gone while a compiler it started goes on.
        self.signal(Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Has the system end the command when the thread that starts it is gone, however it went: a build
/// that nobody waits for any more would keep every core busy for minutes.
#[cfg(target_os = "linux")]
// Only an unsafe call reaches the new process before its program starts.
#[allow(unsafe_code)]
fn end_with_us(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call and touches no memory.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(Into::into)
        });
    }
}

/// Other systems have no such thing; there the build goes on to its end.
#[cfg(not(target_os = "linux"))]
fn end_with_us(_command: &mut Command) {}
