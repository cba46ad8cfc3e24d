//! The events that a cell sends while it runs, and the trait of a front end that receives them.

use std::sync::Arc;

use trialbook::{
    display::Content,
    error::Result,
    progress::{Progress, Silent},
};

/// One of the two streams of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The output of the cell.
    Stdout,
    /// Its errors and warnings.
    Stderr,
}

/// One thing that happened while a cell ran. A front end shows events in the order they come.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Raw bytes of a stream: not always whole lines, not always UTF-8.
    Stream(Stream, Vec<u8>),
    /// Something to show. With an `id` it can be updated later.
    Display {
        /// The content.
        content: Content,
        /// By which name it can be updated.
        id: Option<String>,
    },
    /// New content for everything shown under `id`.
    Update {
        /// The content that takes its place.
        content: Content,
        /// The name given when it was first shown.
        id: String,
    },
    /// Takes away what is shown under `id`, as if it had never been shown.
    Withdraw {
        /// The name given when it was first shown.
        id: String,
    },
    /// The value of the cell.
    Result(Content),
    /// Forget what the cell has shown so far.
    Clear {
        /// Only when the next thing is shown, which does not flicker.
        wait: bool,
    },
    /// A long text to read beside the cell: help and documentation.
    Page(Content),
}

/// A question the cell asks the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRequest {
    /// The question.
    pub prompt: String,
    /// True if the answer must not be echoed.
    pub is_password: bool,
}

/// A front end as a running cell sees it.
pub trait Front: Send + Sync {
    /// Shows something.
    fn event(&self, event: Event);

    /// Asks the person.
    ///
    /// # Errors
    /// When nobody can answer, or the person interrupts.
    fn input(&self, request: &InputRequest) -> Result<String>;

    /// The display of a long command's stages.
    fn progress(&self) -> Arc<dyn Progress> {
        Arc::new(Silent)
    }

    /// True if it can still show what threads write once their cell is over.
    fn takes_late_output(&self) -> bool {
        false
    }

    /// The width of the terminal in columns, where there is one.
    fn width(&self) -> Option<u16> {
        None
    }
}
