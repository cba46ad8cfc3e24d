//! The surroundings of a command: a book, who watches, and where an interim answer goes.

use std::sync::{Arc, Mutex, PoisonError};

use trialbook::{book::Book, error::Result, output::Output, progress::Monitor};

use crate::serve::Server;

/// The purpose of an output that comes before a command is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interim {
    /// People who wait.
    Remark,
    /// People, and not where the answer goes: something else is written there.
    Aside,
    /// Programs too: the address a server listens on.
    Answer,
}

/// The part of a front end that takes interim outputs.
type Show = dyn Fn(&Output, Interim) -> Result<()> + Send + Sync;

/// Servers that were started in a session and go on beside its cells. They stop with the last clone.
#[derive(Clone, Default)]
pub struct Servers(Arc<Mutex<Vec<Server>>>);

impl Servers {
    /// Keeps `server` going.
    pub fn keep(&self, server: Server) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(server);
    }

    /// Hands all of them over, oldest first.
    pub fn take(&self) -> Vec<Server> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One front end's standing with one store.
pub struct Session {
    /// The open store.
    pub book: Book,
    /// Progress and interrupt of whatever runs.
    pub monitor: Monitor,
    /// The place for servers that outlive their command; `None` where nothing goes on after it.
    pub servers: Option<Servers>,
    show: Box<Show>,
}

impl Session {
    /// A session whose interim outputs go to `show`; the final one is the command's return value.
    pub fn new(
        book: Book,
        monitor: Monitor,
        show: impl Fn(&Output, Interim) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { book, monitor, servers: None, show: Box::new(show) }
    }

    /// Shows something before the command is over.
    ///
    /// # Errors
    /// When the front end cannot show it.
    pub fn show(&self, output: &Output, interim: Interim) -> Result<()> {
        (self.show)(output, interim)
    }
}
