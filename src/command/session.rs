//! What a command runs against: a book, who watches, and where an interim answer goes.

use crate::{book::Book, error::Result, output::Output, progress::Monitor};

/// Where a front end takes interim answers.
type Show = dyn Fn(&Output) -> Result<()> + Send + Sync;

/// One front end's standing with one store.
pub struct Session {
    /// The open store.
    pub book: Book,
    /// Progress and interrupt of whatever runs.
    pub monitor: Monitor,
    show: Box<Show>,
}

impl Session {
    /// A session whose interim answers go to `show`; the final one is the command's return value.
    pub fn new(
        book: Book,
        monitor: Monitor,
        show: impl Fn(&Output) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { book, monitor, show: Box::new(show) }
    }

    /// Shows something before the command is over, such as the address a server listens on.
    ///
    /// # Errors
    /// When the front end cannot show it.
    pub fn show(&self, output: &Output) -> Result<()> {
        (self.show)(output)
    }
}
