//! The output of threads between cells, for the front ends that their cells had.

use std::sync::Arc;

use serde_json::Value;
use trialbook::display::{CLEAR_MIME, Content, ID_MIME};

use crate::cell::{
    engine::{
        owners::Owners,
        stream::{Piece, Pieces},
    },
    front::{Event, Front, Stream},
};

/// Hands what threads write between cells to the front end of their cell.
pub(crate) struct Late {
    front: Arc<dyn Front>,
    owners: Owners,
    stdout: Pieces,
    stderr: Pieces,
}

impl Late {
    /// For the front end of the cell that has just ended, where no mark names another.
    pub(crate) fn new(front: Arc<dyn Front>, owners: Owners) -> Self {
        Self { front, owners, stdout: Pieces::default(), stderr: Pieces::default() }
    }

    /// Takes bytes of a stream.
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let pieces = match stream {
            Stream::Stdout => self.stdout.feed(bytes),
            Stream::Stderr => self.stderr.feed(bytes),
        };
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => self.event(stream, Event::Stream(stream, bytes)),
                Piece::Content { mime, data } if !is_ours(&mime) => {
                    let content = Content::default().with(&mime, value(&mime, data));
                    self.event(stream, Event::Display { content, id: None });
                }
                Piece::Of(cell) => self.owners.turn_to(stream, cell),
                // Between cells there is no value, and nobody to ask.
                Piece::Content { .. }
                | Piece::Input { .. }
                | Piece::Result
                | Piece::Turn(_)
                | Piece::End => {}
            }
        }
    }

    fn event(&self, stream: Stream, event: Event) {
        self.owners.of(stream).unwrap_or_else(|| Arc::clone(&self.front)).event(event);
    }

    /// Shows what was held back for more as it is: the next cell begins.
    pub(crate) fn finish(&mut self) {
        for (stream, rest) in
            [(Stream::Stdout, self.stdout.rest()), (Stream::Stderr, self.stderr.rest())]
        {
            if !rest.is_empty() {
                self.event(stream, Event::Stream(stream, rest));
            }
        }
    }
}

/// True if a form is a sign between us and the child, and no content.
pub(super) fn is_ours(mime: &str) -> bool {
    mime == CLEAR_MIME || mime == ID_MIME
}

/// The data of a form.
pub(super) fn value(mime: &str, data: String) -> Value {
    match mime.ends_with("json") {
        true => serde_json::from_str(&data).unwrap_or(Value::String(data)),
        false => Value::String(data),
    }
}
