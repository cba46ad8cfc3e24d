//! The progress bar on stderr: one line for the stage that runs.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use trialbook::progress::Progress;

/// A progress bar on stderr, gone when its stage is over.
#[derive(Default)]
pub(crate) struct Bar {
    current: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// Does `work`, which prints, with the bar out of its way.
    pub(crate) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match current {
            Some(bar) => bar.suspend(work),
            None => work(),
        }
    }

    fn with(&self, act: impl FnOnce(&ProgressBar)) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = current.as_ref() {
            act(bar);
        }
    }
}

impl Progress for Bar {
    fn begin(&self, stage: &str, total: Option<u64>) {
        let bar = match total {
            Some(total) => ProgressBar::new(total)
                .with_style(style("{prefix:>12} {bar:20} {percent:>3}% {elapsed} {msg}")),
            None => ProgressBar::new_spinner()
                .with_style(style("{prefix:>12} {spinner} {elapsed} {msg}")),
        };
        bar.set_prefix(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = current.replace(bar) {
            former.finish_and_clear();
        }
    }

    fn advance(&self, n_steps: u64) {
        self.with(|bar| bar.inc(n_steps));
    }

    fn note(&self, remark: &str) {
        self.with(|bar| bar.set_message(remark.to_owned()));
    }

    fn end(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = current.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
