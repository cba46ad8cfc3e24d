//! Signals as interrupts: Ctrl-C stops what runs and nothing else.

use std::{
    io::Read,
    os::unix::net::UnixStream,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag, low_level,
};
use trialbook::error::{Error, ErrorKind, Result};

use crate::cell::Interrupter;

/// The requests of the signals so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// Ctrl-C was pressed while the cell that runs now ran.
    interrupted: Arc<AtomicBool>,
    /// The process was asked to end.
    leaving: Arc<AtomicBool>,
    busy: Arc<AtomicBool>,
}

impl Signals {
    /// Watches from now on. `insists` is what a second Ctrl-C during one cell does: in a script it
    /// ends the program, in a session nothing does.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn watch(interrupter: Interrupter, insists: bool) -> Result<Self> {
        let fail =
            |source| Error::new(ErrorKind::Io, "cannot watch for signals").with_source(source);
        let signals = Self::default();
        let (mut bell, ringer) = UnixStream::pair().map_err(fail)?;
        for signal in [SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&signals.leaving)).map_err(fail)?;
        }
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let ringer = ringer.try_clone().map_err(fail)?;
            low_level::pipe::register(signal, ringer).map_err(fail)?;
        }
        let seen = signals.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let mut ring = [0];
                while bell.read_exact(&mut ring).is_ok() {
                    let is_second = seen.interrupted.swap(true, Ordering::Relaxed);
                    let is_idle = !seen.busy.load(Ordering::Relaxed);
                    if seen.is_leaving() && is_idle {
                        process::exit(128 + SIGTERM);
                    }
                    if is_second && insists {
                        process::exit(128 + SIGINT);
                    }
                    interrupter.interrupt();
                }
            })
            .map_err(fail)?;
        Ok(signals)
    }

    /// Notes that a cell begins: an interrupt that came before does not concern it.
    pub(super) fn begin(&self) {
        self.interrupted.store(false, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
    }

    /// Notes that the cell is over.
    pub(super) fn end(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// True if Ctrl-C was pressed since the cell began.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// True if the process was asked to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}
