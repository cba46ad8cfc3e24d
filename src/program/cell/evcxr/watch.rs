//! The watcher of cargo's builds.

use std::{fmt, sync::Arc};

use trialbook::progress::Interrupt;

/// The watcher of a build, who can stop it.
#[derive(Clone)]
pub struct Watch {
    /// Takes each line that cargo says, without its newline, as it says it.
    pub line: Arc<dyn Fn(&str) + Send + Sync>,
    /// Ends cargo and everything it started.
    pub interrupt: Interrupt,
}

impl Watch {
    /// Nobody watches and nobody interrupts.
    pub fn silent() -> Self {
        Self { line: Arc::new(|_| {}), interrupt: Interrupt::default() }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("interrupt", &self.interrupt).finish_non_exhaustive()
    }
}
