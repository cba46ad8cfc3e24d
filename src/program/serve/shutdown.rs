//! The end of a server: on the first SIGINT or SIGTERM it takes no more requests and finishes those
//! in flight, on the second it waits no longer.

use trialbook::error::{Error, ErrorKind, Result};

/// The signals that stop a server. From [`Signals::install`] on they no longer kill the process.
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Listens for both signals. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(unix)]
    pub fn install() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| {
            signal(kind).map_err(|source| {
                Error::new(ErrorKind::Io, "cannot listen for stop signals").with_source(source)
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Listens for Ctrl-C.
    ///
    /// # Errors
    /// Never on this system.
    #[cfg(not(unix))]
    pub fn install() -> Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next signal.
    #[cfg(unix)]
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for the next Ctrl-C.
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        // Without a handler nothing can ask for the stop: wait for ever.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
