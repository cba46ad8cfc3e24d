//! Asks a helper that may take seconds to start and to answer, from whoever cannot wait: it runs
//! on a thread of its own, the latest question goes before older ones, and who asks gets an answer
//! within a moment or none.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use trialbook::display::Content;

use crate::cell::Completion;

/// The time that an answer may take. Whoever types notices more.
pub(super) const MOMENT: Duration = Duration::from_millis(500);

/// A question about a place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Asked {
    /// The completions there.
    Completions,
    /// The documentation of the word before it.
    Documentation,
}

/// The answer of the helper.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    /// The beginning of the text that the items replace.
    pub(super) start: usize,
    pub(super) items: Vec<Completion>,
    pub(super) documentation: Option<Content>,
}

/// Whoever answers, one question at a time. It is made and used on the worker's thread alone.
pub(super) trait Helper {
    fn answer(&mut self, asked: Asked, source: &str, cursor: usize) -> Option<Found>;
}

/// The thread, or what it starts with.
pub(super) struct Worker {
    state: Mutex<State>,
    last: Last,
}

/// The last answer and its question. One that came too late is there when the person asks again.
type Last = Arc<Mutex<Option<(Place, Option<Found>)>>>;

/// A question, its text, and the byte in it.
type Place = (Asked, String, usize);

enum State {
    /// Nobody has asked yet: a helper costs time and memory.
    Waiting(Box<dyn FnOnce() -> Option<Box<dyn Helper>> + Send>),
    /// It starts, or is ready.
    Started { questions: mpsc::Sender<Question>, ready: mpsc::Receiver<()>, is_ready: bool },
    /// It could not start, or broke.
    Gone,
}

struct Question {
    place: Place,
    answer: mpsc::Sender<Option<Found>>,
}

impl Worker {
    /// A worker that starts its helper with the first question.
    pub(super) fn new(start: impl FnOnce() -> Option<Box<dyn Helper>> + Send + 'static) -> Self {
        Self { state: Mutex::new(State::Waiting(Box::new(start))), last: Last::default() }
    }

    /// The answer that the helper finds within a moment. While it starts, nothing: at once.
    pub(super) fn ask(&self, asked: Asked, source: String, cursor: usize) -> Option<Found> {
        let place = (asked, source, cursor);
        if let Some((known, found)) = &*lock(&self.last)
            && *known == place
        {
            return found.clone();
        }
        let (answer, answered) = mpsc::channel();
        {
            let mut state = lock(&self.state);
            *state = std::mem::replace(&mut *state, State::Gone).next(&self.last)?;
            let State::Started { questions, is_ready: true, .. } = &*state else { return None };
            let question = Question { place, answer };
            if questions.send(question).is_err() {
                *state = State::Gone;
                return None;
            }
        }
        answered.recv_timeout(MOMENT).ok()?
    }
}

impl State {
    /// The state in which a question finds it.
    fn next(self, last: &Last) -> Option<Self> {
        match self {
            Self::Waiting(start) => {
                let (questions, asked) = mpsc::channel();
                let (is_ready, ready) = mpsc::channel();
                let last = Arc::clone(last);
                thread::Builder::new()
                    .name("analyzer".to_owned())
                    .spawn(move || {
                        let Some(helper) = start() else { return };
                        if is_ready.send(()).is_ok() {
                            serve(helper, &asked, &last);
                        }
                    })
                    .ok()?;
                Some(Self::Started { questions, ready, is_ready: false })
            }
            Self::Started { questions, ready, is_ready: false } => match ready.try_recv() {
                Ok(()) => Some(Self::Started { questions, ready, is_ready: true }),
                Err(mpsc::TryRecvError::Empty) => {
                    Some(Self::Started { questions, ready, is_ready: false })
                }
                Err(mpsc::TryRecvError::Disconnected) => None,
            },
            Self::Started { .. } => Some(self),
            Self::Gone => None,
        }
    }
}

fn serve(mut helper: Box<dyn Helper>, asked: &mpsc::Receiver<Question>, last: &Last) {
    while let Ok(mut question) = asked.recv() {
        // Whoever asked before has typed on since.
        while let Ok(later) = asked.try_recv() {
            question = later;
        }
        let Question { place, answer } = question;
        let found = helper.answer(place.0, &place.1, place.2);
        *lock(last) = Some((place, found.clone()));
        // Nobody may listen any more.
        let _ = answer.send(found);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, time::Instant};

    use super::*;

    /// Answers with what it was asked, unless the text says otherwise; waits but once.
    struct Echo(Arc<Barrier>, bool);

    impl Helper for Echo {
        fn answer(&mut self, _: Asked, source: &str, cursor: usize) -> Option<Found> {
            match source {
                "wait" if !std::mem::replace(&mut self.1, true) => drop(self.0.wait()),
                "break" => panic!("as asked"),
                _ => {}
            }
            Some(Found { start: cursor, ..Found::default() })
        }
    }

    /// A worker whose helper is ready, and what lets it go on.
    fn ready() -> (Worker, Arc<Barrier>) {
        let barrier = Arc::new(Barrier::new(2));
        let (inner, started) = (Arc::clone(&barrier), Arc::clone(&barrier));
        let worker = Worker::new(move || {
            started.wait();
            Some(Box::new(Echo(inner, false)))
        });
        let clock = Instant::now();
        assert_eq!(ask(&worker, "first", 1), None, "it only begins to start");
        assert!(clock.elapsed() < MOMENT);
        barrier.wait();
        while ask(&worker, "again", 1).is_none() {
            thread::yield_now();
        }
        (worker, barrier)
    }

    fn ask(worker: &Worker, source: &str, cursor: usize) -> Option<usize> {
        let found = worker.ask(Asked::Completions, source.to_owned(), cursor);
        found.map(|found| found.start)
    }

    #[test]
    fn nobody_waits_for_a_helper_that_starts_or_thinks() {
        let (worker, barrier) = ready();
        assert_eq!(ask(&worker, "quick", 7), Some(7));
        let clock = Instant::now();
        assert_eq!(ask(&worker, "wait", 8), None);
        assert!(clock.elapsed() >= MOMENT, "it was given its moment");
        barrier.wait();
        let again = Instant::now();
        while ask(&worker, "wait", 8) != Some(8) {
            // Asked too early it thinks again, until the answer is there.
            assert!(again.elapsed() < 20 * MOMENT);
        }
        assert_eq!(ask(&worker, "quick", 9), Some(9), "it goes on");
    }

    #[test]
    fn a_helper_that_breaks_is_gone_and_nothing_else() {
        let (worker, _) = ready();
        assert_eq!(ask(&worker, "break", 1), None);
        let clock = Instant::now();
        while clock.elapsed() < MOMENT && ask(&worker, "quick", 2).is_some() {}
        assert_eq!(ask(&worker, "quick", 2), None);
        let none = Worker::new(|| None);
        assert_eq!(ask(&none, "quick", 3), None);
    }
}
