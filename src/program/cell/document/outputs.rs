//! The outputs of cells, kept as a notebook keeps it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use trialbook::{display::Content, error::Result, progress::Progress};

use crate::cell::{Event, Failure, Front, InputRequest, Stream};

/// The number of bytes that one cell may print into a notebook; a loop that prints for ever must
/// not fill the memory.
const MAX_STREAM_BYTES: usize = 1 << 20;

/// Hands everything on to a front end and keeps it.
pub struct Recorder {
    front: Arc<dyn Front>,
    kept: Mutex<Kept>,
}

/// The content that a cell has shown so far, as it stands.
#[derive(Default)]
pub(crate) struct Kept {
    outputs: Vec<Kind>,
    n_stream_bytes: usize,
    clear_first: bool,
}

enum Kind {
    Stream(Stream, Vec<u8>),
    Display(Content, Option<String>),
    Result(Content),
}

impl Recorder {
    /// A recorder before `front`.
    pub fn new(front: &Arc<dyn Front>) -> Arc<Self> {
        Arc::new(Self { front: Arc::clone(front), kept: Mutex::default() })
    }

    /// The content shown since the last call, as the `outputs` of cell number `count`.
    pub fn take(&self, count: usize, failure: Option<&Failure>) -> Vec<Value> {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let shown = kept.outputs.into_iter().map(|kind| match kind {
            Kind::Stream(stream, bytes) => {
                let name = match stream {
                    Stream::Stdout => "stdout",
                    Stream::Stderr => "stderr",
                };
                let text = String::from_utf8_lossy(&bytes);
                json!({"name": name, "output_type": "stream", "text": lines(&text)})
            }
            Kind::Display(content, _) => {
                let (data, metadata) = bundle(content);
                json!({"data": data, "metadata": metadata, "output_type": "display_data"})
            }
            Kind::Result(content) => {
                let (data, metadata) = bundle(content);
                json!({
                    "data": data,
                    "execution_count": count,
                    "metadata": metadata,
                    "output_type": "execute_result",
                })
            }
        });
        let failure = failure.map(|failure| {
            json!({
                "ename": failure.name,
                "evalue": failure.message,
                "output_type": "error",
                "traceback": failure.traceback,
            })
        });
        shown.chain(failure).collect()
    }
}

impl Front for Recorder {
    fn event(&self, event: Event) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).keep(&event);
        self.front.event(event);
    }

    fn input(&self, request: &InputRequest) -> Result<String> {
        self.front.input(request)
    }

    fn progress(&self) -> Arc<dyn Progress> {
        self.front.progress()
    }

    fn width(&self) -> Option<u16> {
        self.front.width()
    }
}

impl Kept {
    /// The events that would show the same again; none where too much was printed to be kept.
    pub(crate) fn events(&self) -> Option<Vec<Event>> {
        let event = |kind: &Kind| match kind {
            Kind::Stream(stream, bytes) => Event::Stream(*stream, bytes.clone()),
            Kind::Display(content, id) => {
                Event::Display { content: content.clone(), id: id.clone() }
            }
            Kind::Result(content) => Event::Result(content.clone()),
        };
        let is_all = self.n_stream_bytes <= MAX_STREAM_BYTES;
        is_all.then(|| self.outputs.iter().map(event).collect())
    }

    /// Takes over what was shown.
    pub(crate) fn keep(&mut self, event: &Event) {
        if matches!(event, Event::Stream(..) | Event::Display { .. } | Event::Result(_))
            && std::mem::take(&mut self.clear_first)
        {
            self.outputs.clear();
        }
        match event {
            Event::Stream(stream, bytes) => self.keep_stream(*stream, bytes),
            Event::Display { content, id } => {
                self.outputs.push(Kind::Display(content.clone(), id.clone()));
            }
            Event::Update { content, id } => {
                for output in &mut self.outputs {
                    if let Kind::Display(shown, Some(shown_id)) = output
                        && shown_id == id
                    {
                        *shown = content.clone();
                    }
                }
            }
            Event::Withdraw { id } => self
                .outputs
                .retain(|output| !matches!(output, Kind::Display(_, Some(shown)) if shown == id)),
            Event::Result(content) => self.outputs.push(Kind::Result(content.clone())),
            Event::Clear { wait: true } => self.clear_first = true,
            Event::Clear { wait: false } => self.outputs.clear(),
            Event::Page(_) => {}
        }
    }

    fn keep_stream(&mut self, stream: Stream, bytes: &[u8]) {
        let room = MAX_STREAM_BYTES.saturating_sub(self.n_stream_bytes);
        let kept = &bytes[..bytes.len().min(room)];
        self.n_stream_bytes += bytes.len();
        match self.outputs.last_mut() {
            Some(Kind::Stream(last, text)) if *last == stream => text.extend_from_slice(kept),
            _ if kept.is_empty() => {}
            _ => self.outputs.push(Kind::Stream(stream, kept.to_vec())),
        }
    }
}

/// A bundle as it lies in a file: texts as lists of lines.
fn bundle(content: Content) -> (Value, Value) {
    let data: serde_json::Map<String, Value> = content
        .data
        .into_iter()
        .map(|(mime, data)| match data {
            Value::String(text) if is_text(&mime) => (mime, lines(&text)),
            data => (mime, data),
        })
        .collect();
    (Value::Object(data), Value::Object(content.metadata))
}

fn is_text(mime: &str) -> bool {
    mime.starts_with("text/") || mime == "image/svg+xml" || mime == "application/javascript"
}

/// `text` as a notebook keeps it: a list of lines with their newlines.
pub(super) fn lines(text: &str) -> Value {
    text.split_inclusive('\n').collect()
}
