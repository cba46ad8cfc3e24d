//! A front end as a running cell sees it: events become publications, questions go to stdin.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::{
    message::{self, Request},
    publisher::Publisher,
    question::Questions,
};
use crate::{
    cell::{DisplayProgress, Event, Front, InputRequest},
    display::Content,
    error::{Error, ErrorKind, Result},
    progress::{Progress, Silent},
};

/// What the running cell may do.
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
            event => publish(&self.publisher, &self.request, self.count, event),
        }
    }

    fn input(&self, request: &InputRequest) -> Result<String> {
        if !self.manner.allows_input {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the cell asks for input, and this front end does not take any",
            )
            .with_hint("run the cell in a notebook or a console, not in a batch"));
        }
        self.questions.ask(&self.request, request)
    }

    fn progress(&self) -> Arc<dyn Progress> {
        if self.manner.is_silent {
            return Arc::new(Silent);
        }
        let (publisher, request) = (self.publisher.clone(), Arc::clone(&self.request));
        let count = self.count;
        Arc::new(DisplayProgress::new(move |event| publish(&publisher, &request, count, event)))
    }
}

fn publish(publisher: &Publisher, request: &Arc<Request>, count: usize, event: Event) {
    let content = match event {
        Event::Stream(stream, bytes) => return publisher.print(request, stream, bytes),
        Event::Display { content, id } => message::display("display_data", &content, id.as_deref()),
        Event::Update { content, id } => {
            message::display("update_display_data", &content, Some(&id))
        }
        Event::Result(content) => message::result(&content, count),
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
