//! The reports of long work, and the request that it stop. The front end owns the bar and the
//! signal; the work sees a [`Monitor`] and never knows who watches. This file draws nothing.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use crate::error::{Error, ErrorKind, Result};

/// Receives the stages of a long piece of work.
pub trait Progress: Send + Sync {
    /// A new stage begins; `total` is its number of steps where it is known.
    fn begin(&self, stage: &str, total: Option<u64>);
    /// `n_steps` more steps of the current stage are done.
    fn advance(&self, n_steps: u64);
    /// A short remark beside the current stage, such as `loss 0.31`.
    fn note(&self, remark: &str);
    /// The current stage is over.
    fn end(&self);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _stage: &str, _total: Option<u64>) {}
    fn advance(&self, _n_steps: u64) {}
    fn note(&self, _remark: &str) {}
    fn end(&self) {}
}

/// A flag that asks running work to stop at its next safe point. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The flag that an interrupt of the shell or of Jupyter raises while a cell runs.
    pub fn of_process() -> Self {
        static FLAG: OnceLock<Interrupt> = OnceLock::new();
        FLAG.get_or_init(Self::default).clone()
    }

    /// The shared flag itself, for a signal handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Asks for the stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Takes the request back: the work it was meant for is over.
    pub fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// True if a stop was asked for.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`ErrorKind::Interrupted`] once a stop was asked for. Loops call this once a step.
    pub fn check(&self) -> Result<()> {
        if self.is_raised() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        Ok(())
    }
}

/// The handle of long work: for reporting, and for hearing when to stop. Cheap to clone.
#[derive(Clone)]
pub struct Monitor {
    /// The receiver of stages.
    pub progress: Arc<dyn Progress>,
    /// The wish to stop.
    pub interrupt: Interrupt,
}

impl Monitor {
    /// Nobody watches and nobody interrupts: scripts and tests.
    pub fn silent() -> Self {
        Self { progress: Arc::new(Silent), interrupt: Interrupt::default() }
    }

    /// Runs `work` as one stage: begins it, ends it however the work ends.
    pub fn stage<T>(&self, name: &str, total: Option<u64>, work: impl FnOnce() -> T) -> T {
        self.progress.begin(name, total);
        let outcome = work();
        self.progress.end();
        outcome
    }
}

impl Default for Monitor {
    /// Nobody watches; an interrupt of the shell or of Jupyter stops the work.
    fn default() -> Self {
        Self { progress: Arc::new(Silent), interrupt: Interrupt::of_process() }
    }
}
