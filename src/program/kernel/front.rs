//! A front end as a running cell sees it: events become publications, questions go to stdin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use trialbook::{
    display::Content,
    error::{Error, ErrorKind, Result},
    progress::{Progress, Silent},
};

use super::{
    message::{self, Request},
    publisher::Publisher,
    question::Questions,
};
use crate::cell::{DisplayProgress, Event, Front, InputRequest, document::Kept};

/// The rights and the manner of the running cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Nothing is shown.
    pub(super) is_silent: bool,
    /// The front end answers questions.
    pub(super) allows_input: bool,
}

/// The front end of one execute request.
pub(super) struct CellFront {
    publisher: Publisher,
    request: Arc<Request>,
    questions: Arc<Questions>,
    manner: Manner,
    count: usize,
    pages: Mutex<Vec<Value>>,
    shown: Arc<Mutex<Shown>>,
}

/// The content that the cell has shown so far, progress left out.
#[derive(Default)]
struct Shown {
    kept: Kept,
    /// Front ends were told to clear when the next thing is shown.
    is_clearing: bool,
}

impl CellFront {
    /// The front end that sent `request`, whose cell has the number `count`.
    pub(super) fn new(
        request: &Arc<Request>,
        manner: Manner,
        count: usize,
        publisher: &Publisher,
        questions: &Arc<Questions>,
    ) -> Self {
        Self {
            publisher: publisher.clone(),
            request: Arc::clone(request),
            questions: Arc::clone(questions),
            manner,
            count,
            pages: Mutex::default(),
            shown: Arc::default(),
        }
    }

    /// The cell is over: what was to go away with the next thing shown goes away without it.
    pub(super) fn finish(&self) {
        let is_clearing = std::mem::take(&mut lock(&self.shown).is_clearing);
        if is_clearing && !self.manner.is_silent {
            publish(&self.publisher, &self.request, self.count, Event::Clear { wait: false });
        }
    }

    /// The pages that the cell wants shown beside it, as payloads of the reply.
    pub(super) fn take_pages(&self) -> Vec<Value> {
        std::mem::take(&mut self.pages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Front for CellFront {
    fn event(&self, event: Event) {
        match event {
            Event::Page(content) => self
                .pages
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(json!({"source": "page", "data": content.data, "start": 0})),
            _ if self.manner.is_silent => {}
            event => {
                {
                    let mut shown = lock(&self.shown);
                    shown.kept.keep(&event);
                    shown.is_clearing = false;
                }
                publish(&self.publisher, &self.request, self.count, event);
            }
        }
    }

    fn input(&self, request: &InputRequest) -> Result<String> {
        if !self.manner.allows_input {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the cell asks for input, and this front end cannot give any",
            )
            .with_hint("run the cell in a notebook or a console, not in a batch"));
        }
        self.questions.ask(&self.request, request)
    }

    fn takes_late_output(&self) -> bool {
        true
    }

    fn progress(&self) -> Arc<dyn Progress> {
        if self.manner.is_silent {
            return Arc::new(Silent);
        }
        let (publisher, request) = (self.publisher.clone(), Arc::clone(&self.request));
        let (count, shown) = (self.count, Arc::clone(&self.shown));
        Arc::new(DisplayProgress::new(move |event| match event {
            Event::Withdraw { id } => {
                let mut shown = lock(&shown);
                for event in withdrawn(&mut shown, id) {
                    publish(&publisher, &request, count, event);
                }
            }
            event => publish(&publisher, &request, count, event),
        }))
    }
}

/// The events that take a display away. Jupyter can only clear all that a cell has shown: the rest
/// is shown again.
fn withdrawn(shown: &mut Shown, id: String) -> Vec<Event> {
    let Some(rest) = shown.kept.events() else {
        return vec![Event::Update { content: Content::text(""), id }];
    };
    shown.is_clearing = rest.is_empty();
    [Event::Clear { wait: true }].into_iter().chain(rest).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn publish(publisher: &Publisher, request: &Arc<Request>, count: usize, event: Event) {
    let content = match event {
        Event::Stream(stream, bytes) => return publisher.print(request, stream, bytes),
        Event::Display { content, id } => message::display("display_data", &content, id.as_deref()),
        Event::Update { content, id } => {
            message::display("update_display_data", &content, Some(&id))
        }
        Event::Result(content) => message::result(&content, count),
        Event::Withdraw { id } => {
            message::display("update_display_data", &Content::text(""), Some(&id))
        }
        Event::Clear { wait } => message::clear(wait),
        // A page belongs to a reply; whoever has none to give shows it in its place.
        Event::Page(content) => message::display("display_data", &content, None),
    };
    publisher.send(request.publication(content));
}

/// Keeps the value of a user expression, shows nothing and answers nothing.
#[derive(Debug, Default)]
pub(super) struct ValueFront {
    value: Mutex<Content>,
}

impl ValueFront {
    /// The value, empty where there was none.
    pub(super) fn take(&self) -> Content {
        std::mem::take(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Front for ValueFront {
    fn event(&self, event: Event) {
        // A command shows its answer instead of having a value.
        if let Event::Result(content) | Event::Display { content, .. } = event {
            *self.value.lock().unwrap_or_else(PoisonError::into_inner) = content;
        }
    }

    fn input(&self, _request: &InputRequest) -> Result<String> {
        Err(Error::new(ErrorKind::Unavailable, "a user expression cannot ask for input"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Stream;

    #[test]
    fn what_stood_beside_a_progress_display_is_shown_again() {
        let mut shown = Shown::default();
        let clear = Event::Clear { wait: true };
        assert_eq!(withdrawn(&mut shown, "p".to_owned()), std::slice::from_ref(&clear));
        assert!(shown.is_clearing, "nothing has come in its place yet");
        let text = Event::Stream(Stream::Stdout, b"before".to_vec());
        let table = Event::Display { content: Content::text("table"), id: None };
        shown.kept.keep(&text);
        shown.kept.keep(&table);
        assert_eq!(withdrawn(&mut shown, "p".to_owned()), [clear, text, table]);
        assert!(!shown.is_clearing);
        shown.kept.keep(&Event::Stream(Stream::Stdout, vec![b'x'; 2 << 20]));
        let instead = Event::Update { content: Content::text(""), id: "p".to_owned() };
        assert_eq!(withdrawn(&mut shown, "p".to_owned()), [instead]);
    }
}
