//! What threads write after their cell, for the front end that it had.

use std::sync::Arc;

use serde_json::Value;
use trialbook::display::{CLEAR_MIME, Content, ID_MIME};

use crate::cell::{
    engine::stream::{Piece, Pieces},
    front::{Event, Front, Stream},
};

/// Hands what threads write after their cell to its front end.
pub(crate) struct Late {
    front: Arc<dyn Front>,
    stdout: Pieces,
    stderr: Pieces,
}

impl Late {
    /// For the front end of the cell that has just ended.
    pub(crate) fn new(front: Arc<dyn Front>) -> Self {
        Self { front, stdout: Pieces::default(), stderr: Pieces::default() }
    }

    /// Takes bytes of a stream.
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let pieces = match stream {
            Stream::Stdout => self.stdout.feed(bytes),
            Stream::Stderr => self.stderr.feed(bytes),
        };
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => self.front.event(Event::Stream(stream, bytes)),
                Piece::Content { mime, data } if !is_ours(&mime) => {
                    let content = Content::default().with(&mime, value(&mime, data));
                    self.front.event(Event::Display { content, id: None });
                }
                // Between cells there is no value, and nobody to ask.
                Piece::Content { .. }
                | Piece::Input { .. }
                | Piece::Result
                | Piece::Turn(_)
                | Piece::End => {}
            }
        }
    }

    /// What was held back for more is shown as it is: the next cell begins.
    pub(crate) fn finish(&mut self) {
        for (stream, rest) in
            [(Stream::Stdout, self.stdout.rest()), (Stream::Stderr, self.stderr.rest())]
        {
            if !rest.is_empty() {
                self.front.event(Event::Stream(stream, rest));
            }
        }
    }
}

/// Whether a form is a sign between us and the child, and no content.
fn is_ours(mime: &str) -> bool {
    mime == CLEAR_MIME || mime == ID_MIME
}

/// The data of a form.
pub(super) fn value(mime: &str, data: String) -> Value {
    match mime.ends_with("json") {
        true => serde_json::from_str(&data).unwrap_or(Value::String(data)),
        false => Value::String(data),
    }
}
