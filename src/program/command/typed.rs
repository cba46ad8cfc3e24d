//! Commands by their words, for commands that carry out others: the table of commands hands them down, so that
//! none needs the table.

use trialbook::{error::Result, output::Output};

use super::session::Session;

/// Runs a command as if its words had been typed.
pub(super) type Typed = fn(&[&str], &Session) -> Result<Output>;

/// Refuses words that are no command, or one that cannot be meant, before it runs.
pub(super) type CheckWords = fn(&[&str]) -> Result<()>;
