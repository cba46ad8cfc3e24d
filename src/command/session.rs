//! What a command runs against: a book, who watches, and where an interim answer goes.

use crate::{book::Book, error::Result, output::Output, progress::Monitor};

/// Who needs what is shown before a command is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interim {
    /// People who wait.
    Remark,
    /// Programs too: the address a server listens on.
    Answer,
}

/// Where a front end takes interim outputs.
type Show = dyn Fn(&Output, Interim) -> Result<()> + Send + Sync;

/// One front end's standing with one store.
pub struct Session {
    /// The open store.
    pub book: Book,
    /// Progress and interrupt of whatever runs.
    pub monitor: Monitor,
    show: Box<Show>,
}

impl Session {
    /// A session whose interim outputs go to `show`; the final one is the command's return value.
    pub fn new(
        book: Book,
        monitor: Monitor,
        show: impl Fn(&Output, Interim) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { book, monitor, show: Box::new(show) }
    }

    /// Shows something before the command is over.
    ///
    /// # Errors
    /// When the front end cannot show it.
    pub fn show(&self, output: &Output, interim: Interim) -> Result<()> {
        (self.show)(output, interim)
    }
}
