//! The cell that runs right now, and the request that it stop, from any thread.

use std::{
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use trialbook::{progress::Interrupt, runtime::Ask};

use crate::{cell::engine::ask::ask, toolchain::GroupId};

/// The state that the running cell and those who interrupt it share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// True while a cell runs: an interrupt while idle is for nobody.
    busy: bool,
    /// The time when the person first asked for the stop of this cell.
    interrupted: Option<Instant>,
    /// True if it has to stop at once.
    has_no_grace: bool,
    command: Option<Interrupt>,
    groups: Vec<GroupId>,
    child: Option<UnixStream>,
}

impl Running {
    /// A cell begins; until the guard goes, an interrupt is for it.
    pub(crate) fn begin(&self) -> Busy {
        let mut state = self.state();
        *state = State { busy: true, ..State::default() };
        Busy(self.clone())
    }

    /// Asks the running cell to stop. With none running, nothing happens.
    pub(crate) fn interrupt(&self) {
        let mut state = self.state();
        if !state.busy {
            return;
        }
        state.interrupted.get_or_insert_with(Instant::now);
        if let Some(command) = &state.command {
            command.raise();
        }
        for group in &state.groups {
            group.kill();
        }
        if let Some(child) = &state.child {
            // A child that is gone has stopped already.
            let _ = ask(child, &Ask::Interrupt);
        }
    }

    /// Asks the running cell to stop, with all patience used up.
    pub(crate) fn end(&self) {
        self.interrupt();
        self.state().has_no_grace = true;
    }

    /// True if the running cell was asked to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.state().interrupted.is_some()
    }

    /// The time since the running cell was asked to stop.
    pub(crate) fn interrupted_for(&self) -> Option<Duration> {
        let state = self.state();
        let since = state.interrupted.map(|when| when.elapsed());
        if state.has_no_grace { since.map(|_| Duration::MAX) } else { since }
    }

    /// A command runs that looks at `interrupt`.
    pub(crate) fn command(&self, interrupt: &Interrupt) -> Part {
        self.part(What::Command, |state| {
            if state.interrupted.is_some() {
                interrupt.raise();
            }
            state.command = Some(interrupt.clone());
        })
    }

    /// A process group runs that an interrupt ends.
    pub(crate) fn group(&self, group: GroupId) -> Part {
        self.part(What::Group(group), |state| {
            if state.interrupted.is_some() {
                group.kill();
            }
            state.groups.push(group);
        })
    }

    /// The child runs, and listens to this socket.
    pub(crate) fn child(&self, socket: UnixStream) -> Part {
        self.part(What::Child, |state| {
            if state.interrupted.is_some() {
                let _ = ask(&socket, &Ask::Interrupt);
            }
            state.child = Some(socket);
        })
    }

    fn part(&self, what: What, set: impl FnOnce(&mut State)) -> Part {
        set(&mut self.state());
        Part { running: self.clone(), what }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cell runs for as long as this lives.
#[derive(Debug)]
pub(crate) struct Busy(Running);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.state() = State::default();
    }
}

/// A part of a cell runs for as long as this lives.
#[derive(Debug)]
pub(crate) struct Part {
    running: Running,
    what: What,
}

#[derive(Debug)]
enum What {
    Command,
    Group(GroupId),
    Child,
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut state = self.running.state();
        match self.what {
            What::Command => state.command = None,
            What::Group(ended) => state.groups.retain(|group| *group != ended),
            What::Child => state.child = None,
        }
    }
}
