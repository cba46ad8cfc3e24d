//! Bodies that are refused before they are read. A connection that is closed while bytes are still
//! coming in is reset, and the reset may overtake the refusal: so what still comes is read and
//! thrown away, for a while (RFC 9112, 9.6).
//!
//! hyper closes such a connection at once.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use tokio::{runtime::Handle, time::timeout};

/// The time for which unwanted bytes are read.
const LINGER: Duration = Duration::from_secs(5);
/// The time that a client may pause meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// A body whose rest is read when it is dropped before its end.
pub(super) struct Lingering<B: Unread> {
    /// None at its end.
    body: Option<B>,
    /// The client sends it only once it is asked to.
    is_held_back: bool,
}

/// A body that can be read by a task of its own.
pub(super) trait Unread: Body<Data: Send, Error: Send> + Send + Unpin + 'static {}

impl<B: Body<Data: Send, Error: Send> + Send + Unpin + 'static> Unread for B {}

impl<B: Unread> Lingering<B> {
    /// `is_held_back` says that the client waits for a `100 Continue`.
    pub(super) fn new(body: B, is_held_back: bool) -> Self {
        Self { body: Some(body), is_held_back }
    }
}

impl<B: Unread> Body for Lingering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.is_held_back = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Unread> Drop for Lingering<B> {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        if body.is_end_stream() || self.is_held_back {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(timeout(LINGER, async move {
            loop {
                let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
                let Ok(Some(Ok(_))) = timeout(PAUSE, frame).await else { return };
            }
        }));
    }
}
