//! The progress of a command, as something shown and updated in its place. It is gone when the
//! command is over, so that what a notebook keeps does not depend on how fast the machine was.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use trialbook::{display::Content, figure, progress::Progress};

use crate::cell::front::Event;

/// The time below which nothing is shown.
const DELAY: Duration = Duration::from_millis(300);
/// Between two updates.
const INTERVAL: Duration = Duration::from_millis(100);
/// Columns of the bar in plain text.
const BAR: u64 = 20;

/// Shows progress by events, such as a notebook can update in place.
pub struct DisplayProgress<S: Fn(Event)> {
    show: S,
    state: Mutex<State>,
}

struct State {
    id: String,
    begun: Instant,
    /// The time when the display was last written; nothing is shown yet where there is none.
    shown: Option<Instant>,
    stage: Option<Stage>,
}

struct Stage {
    name: String,
    begun: Instant,
    n_done: u64,
    total: Option<u64>,
    remark: String,
}

impl<S: Fn(Event)> DisplayProgress<S> {
    /// Nothing has begun. `show` takes the events.
    pub fn new(show: S) -> Self {
        let state = State {
            id: uuid::Uuid::new_v4().to_string(),
            begun: Instant::now(),
            shown: None,
            stage: None,
        };
        Self { show, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Stage)) {
        let mut state = self.state();
        if let Some(stage) = &mut state.stage {
            change(stage);
            self.refresh(&mut state);
        }
    }

    /// Shows the running stage, if it is time to.
    fn refresh(&self, state: &mut State) {
        let is_time = match state.shown {
            None => state.begun.elapsed() >= DELAY,
            Some(shown) => shown.elapsed() >= INTERVAL,
        };
        if let Some(stage) = state.stage.as_ref().filter(|_| is_time) {
            let content = stage.content();
            self.write(state, content);
        }
    }

    fn write(&self, state: &mut State, content: Content) {
        let id = state.id.clone();
        (self.show)(match state.shown.replace(Instant::now()) {
            None => Event::Display { content, id: Some(id) },
            Some(_) => Event::Update { content, id },
        });
    }
}

impl<S: Fn(Event) + Send + Sync> Progress for DisplayProgress<S> {
    fn begin(&self, stage: &str, total: Option<u64>) {
        let mut state = self.state();
        state.stage = Some(Stage {
            name: stage.to_owned(),
            begun: Instant::now(),
            n_done: 0,
            total,
            remark: String::new(),
        });
        self.refresh(&mut state);
    }

    fn advance(&self, n_steps: u64) {
        self.change(|stage| stage.n_done += n_steps);
    }

    fn note(&self, remark: &str) {
        self.change(|stage| remark.clone_into(&mut stage.remark));
    }

    fn end(&self) {
        self.state().stage = None;
    }
}

impl<S: Fn(Event)> Drop for DisplayProgress<S> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.shown.is_some() {
            (self.show)(Event::Withdraw { id: state.id.clone() });
        }
    }
}

impl Stage {
    fn content(&self) -> Content {
        let took = figure::seconds(self.begun.elapsed().as_secs_f64());
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return Content::text(format!("{} {took} {}", self.name, self.remark).trim_end())
                .with("text/html", format!("<progress></progress> {}", self.label(&took)));
        };
        let n_done = self.n_done.min(total);
        // A total near the end of the range is no number of steps: saturate instead of overflowing.
        let percent = n_done.saturating_mul(100) / total;
        let filled = usize::try_from(percent * BAR / 100).unwrap_or(0);
        let empty = usize::try_from(BAR).unwrap_or(0).saturating_sub(filled);
        let bar = format!("{}{}", "█".repeat(filled), "░".repeat(empty));
        let text = format!("{} {bar} {percent:>3}% {took} {}", self.name, self.remark);
        Content::text(text.trim_end()).with(
            "text/html",
            format!(
                "<progress value=\"{n_done}\" max=\"{total}\"></progress> {percent}% {}",
                self.label(&took)
            ),
        )
    }

    fn label(&self, took: &str) -> String {
        let text = format!("{} {took} {}", self.name, self.remark);
        text.trim_end().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    type Seen = Arc<Mutex<Vec<Event>>>;

    fn progress() -> (DisplayProgress<impl Fn(Event) + Send + Sync>, Seen) {
        let seen = Seen::default();
        let sink = Arc::clone(&seen);
        (DisplayProgress::new(move |event| sink.lock().unwrap().push(event)), seen)
    }

    fn age<S: Fn(Event)>(progress: &DisplayProgress<S>) {
        let mut state = progress.state();
        state.begun = state.begun.checked_sub(DELAY).unwrap();
        state.shown = state.shown.and_then(|shown| shown.checked_sub(INTERVAL));
    }

    #[test]
    fn what_is_over_at_once_shows_nothing() {
        let (progress, seen) = progress();
        progress.begin("count words", Some(10));
        progress.advance(10);
        progress.end();
        drop(progress);
        assert_eq!(*seen.lock().unwrap(), []);
    }

    #[test]
    fn a_long_stage_is_updated_in_place_and_goes_away() {
        let (progress, seen) = progress();
        age(&progress);
        progress.begin("fit", Some(4));
        progress.advance(1);
        age(&progress);
        progress.advance(1);
        progress.note("loss < 1");
        progress.end();
        drop(progress);
        let seen = seen.lock().unwrap();
        let [
            Event::Display { content: first, id: Some(shown) },
            Event::Update { content: second, id: updated },
            Event::Withdraw { id: gone },
        ] = seen.as_slice()
        else {
            panic!("{seen:?}");
        };
        assert_eq!((shown, shown), (updated, gone));
        assert!(first.plain().starts_with("fit ░░░░░░░░░░░░░░░░░░░░   0%"), "{first:?}");
        assert!(second.plain().starts_with("fit ██████████░░░░░░░░░░  50%"), "{second:?}");
        assert!(second.data["text/html"].as_str().unwrap().contains("value=\"2\" max=\"4\""));
    }
}
