//! A process and all that it starts, ended together: the one place that makes process groups and sends
//! them signals. It knows no program by name.
//!
//! process-wrap, the crate for it, wraps each of the few calls that are made here in a type of its own, and
//! does not end a group with the thread that started it.

use std::{
    io,
    os::unix::process::CommandExt as _,
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

/// The name of a process group: its leader's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupId(Pid);

impl GroupId {
    /// Starts `command` as the leader of a group of its own: Ctrl-C in the terminal reaches this program
    /// alone, which then ends all of the group.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        let child = command.process_group(0).spawn()?;
        let group = Self(Pid::from_child(&child));
        Ok((child, group))
    }

    /// Ends all processes of the group at once.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
    }

    fn signal(self, signal: Signal) {
        // Nothing left to signal is what is wanted.
        let _ = kill_process_group(self.0, signal);
    }
}

/// A process and all it starts. Dropping it ends them.
pub(crate) struct Group {
    leader: Child,
    id: GroupId,
}

impl Group {
    /// Starts `command`, which gets a group of its own and ends with the thread that starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        end_with_us(command);
        let (leader, id) = GroupId::spawn(command)?;
        Ok(Self { leader, id })
    }

    /// What it prints, once and where it is piped.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.leader.stdout.take()
    }

    /// What it complains about, once and where it is piped.
    pub(crate) fn stderr(&mut self) -> Option<ChildStderr> {
        self.leader.stderr.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The interrupt; dropping the group then ends it.
    pub(crate) fn wait(&mut self, interrupt: &Interrupt) -> Result<ExitStatus> {
        loop {
            let status = self.leader.try_wait().map_err(|source| {
                Error::new(ErrorKind::Io, "cannot wait for a process").with_source(source)
            })?;
            if let Some(status) = status {
                return Ok(status);
            }
            interrupt.check()?;
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.leader.try_wait(), Ok(Some(_))) {
            return;
        }
        self.id.signal(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE && matches!(self.leader.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        // Cargo may be gone while a compiler it started goes on.
        self.id.kill();
        let _ = self.leader.wait();
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Asserts that `end` ends a shell and the process it started: either would keep the pipe open for a
    /// minute.
    fn check(script: &str, end: impl FnOnce(Group)) {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdout(std::process::Stdio::piped());
        let mut group = Group::spawn(&mut shell).unwrap();
        let mut stdout = group.stdout().unwrap();
        // Both are there.
        stdout.read_exact(&mut [0; 6]).unwrap();
        let started = Instant::now();
        end(group);
        stdout.read_to_end(&mut Vec::new()).unwrap();
        assert!(started.elapsed() < Duration::from_secs(30), "{script}: {:?}", started.elapsed());
    }

    #[test]
    fn a_group_ends_whole_when_it_is_dropped_or_killed() {
        const TWO: &str = "sleep 60 & echo ready; wait";
        /// Neither listens to a plain request.
        const TWO_DEAF: &str = "trap '' TERM; sleep 60 & echo ready; wait; sleep 60";
        for script in [TWO, TWO_DEAF] {
            check(script, drop);
            check(script, |mut group| {
                group.id.kill();
                let _ = group.leader.wait();
            });
        }
    }

    #[test]
    fn an_interrupt_is_heard_while_a_process_runs() {
        let interrupt = Interrupt::default();
        interrupt.raise();
        let mut group = Group::spawn(Command::new("sleep").arg("60")).unwrap();
        assert_eq!(group.wait(&interrupt).unwrap_err().kind(), ErrorKind::Interrupted);
        drop(group);
        let mut group = Group::spawn(&mut Command::new("true")).unwrap();
        assert!(group.wait(&Interrupt::default()).unwrap().success());
    }
}
