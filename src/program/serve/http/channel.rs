//! Bodies that are sent and read piece by piece.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

/// A body whose pieces are still being made.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

/// A body of what is sent, with room for `n_pieces` that the client has not taken yet. An error ends
/// it in a way that the client notices.
pub(crate) fn channel(n_pieces: usize) -> (mpsc::Sender<io::Result<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(n_pieces);
    (sender, Body::new(Pieces(receiver)))
}

/// The next piece of `body`; none at its end.
pub(crate) async fn frame(body: &mut Body) -> Option<Result<Frame<Bytes>, axum::Error>> {
    poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
