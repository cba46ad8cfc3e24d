//! The iopub socket: everything a front end shows, in the order it happened. Streams are sent in
//! batches; whatever else is published pushes the text before it out first.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jupyter_protocol::{IoPubWelcome, JupyterMessage, Status};
use jupyter_zmq_client::{KernelIoPubXPubConnection, SubscriptionEvent};
use tokio::{sync::mpsc, time::Instant};

use super::{
    message::{self, EXECUTE, Request},
    text::Text,
};
use crate::cell::Stream;

/// The time that text waits for more.
const BATCH_TIME: Duration = Duration::from_millis(20);
/// The number of bytes at which text no longer waits for more.
const BATCH_BYTES: usize = 64 << 10;
/// The number of bytes that a cell may print ahead of the front ends before it has to wait for
/// them.
const ROOM_BYTES: usize = 64 << 20;
/// The time that a front end that takes nothing may hold up the others.
const PATIENCE: Duration = Duration::from_secs(5);

/// One thing to publish.
enum Publication {
    Message(Box<JupyterMessage>),
    Text {
        parent: Arc<Request>,
        stream: Stream,
        bytes: Vec<u8>,
    },
    /// The request is over: what was held over will never be whole.
    End(Arc<Request>),
}

/// Hands things to the iopub socket, from any thread.
#[derive(Clone)]
pub(super) struct Publisher {
    queue: mpsc::UnboundedSender<Publication>,
    n_waiting_bytes: Arc<AtomicUsize>,
}

impl Publisher {
    /// Publishes on `iopub` until the last clone of the publisher is gone.
    pub(super) fn start(iopub: KernelIoPubXPubConnection) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, publications) = mpsc::unbounded_channel();
        let n_waiting_bytes = Arc::default();
        let publisher = Self { queue, n_waiting_bytes: Arc::clone(&n_waiting_bytes) };
        let socket = Socket {
            iopub,
            n_waiting_bytes,
            batch: None,
            texts: <[Text; 2]>::default(),
            was_busy: false,
            is_stalled: false,
        };
        (publisher, tokio::spawn(socket.run(publications)))
    }

    /// Publishes `message` after all that was published before.
    pub(super) fn send(&self, message: JupyterMessage) {
        self.push(Publication::Message(Box::new(message)));
    }

    /// Publishes what a stream of the cell printed. Waits while the front ends are far behind, so
    /// that a cell that prints for ever does not fill the memory; never call it from a socket's task.
    pub(super) fn print(&self, parent: &Arc<Request>, stream: Stream, bytes: Vec<u8>) {
        while self.n_waiting_bytes.load(Ordering::Relaxed) > ROOM_BYTES && !self.queue.is_closed() {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.n_waiting_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.push(Publication::Text { parent: Arc::clone(parent), stream, bytes });
    }

    /// Says that work on `request` begins.
    pub(super) fn busy(&self, request: &Request) {
        self.send(request.publication(message::busy()));
    }

    /// Says that work on `request` is over.
    pub(super) fn idle(&self, request: &Arc<Request>) {
        self.push(Publication::End(Arc::clone(request)));
    }

    fn push(&self, publication: Publication) {
        // The socket closes only when the kernel ends: then nobody is there to see it.
        let _ = self.queue.send(publication);
    }
}

/// The socket's own side.
struct Socket {
    iopub: KernelIoPubXPubConnection,
    n_waiting_bytes: Arc<AtomicUsize>,
    batch: Option<Batch>,
    texts: [Text; 2],
    was_busy: bool,
    is_stalled: bool,
}

/// Text that waits for more.
struct Batch {
    parent: Arc<Request>,
    stream: Stream,
    text: String,
    due: Instant,
}

impl Socket {
    async fn run(mut self, mut publications: mpsc::UnboundedReceiver<Publication>) {
        loop {
            let due = self.batch.as_ref().map(|batch| batch.due);
            let batch_is_due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                subscription = self.iopub.recv_subscription() => match subscription {
                    Ok(SubscriptionEvent::Subscribe(topic)) => self.welcome(topic).await,
                    Ok(SubscriptionEvent::Unsubscribe(_)) => {}
                    Err(error) => tracing::debug!(%error, "a subscriber went away"),
                },
                () = batch_is_due => self.flush().await,
                publication = publications.recv() => match publication {
                    Some(publication) => self.publish(publication).await,
                    None => break self.flush().await,
                },
            }
        }
    }

    async fn publish(&mut self, publication: Publication) {
        match publication {
            Publication::Message(message) => {
                self.flush().await;
                self.was_busy = true;
                self.send(*message).await;
            }
            Publication::End(request) => {
                self.flush().await;
                // Requests answered beside a running cell do not end its text.
                if request.kind() == EXECUTE {
                    self.finish_texts(&request).await;
                }
                self.send(request.publication(message::idle())).await;
            }
            Publication::Text { parent, stream, bytes } => {
                self.n_waiting_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                self.append(parent, stream, &bytes).await;
            }
        }
    }

    async fn append(&mut self, parent: Arc<Request>, stream: Stream, bytes: &[u8]) {
        let goes_on = self
            .batch
            .as_ref()
            .is_some_and(|batch| batch.stream == stream && Arc::ptr_eq(&batch.parent, &parent));
        if !goes_on {
            self.flush().await;
        }
        let batch = self.batch.get_or_insert_with(|| Batch {
            parent,
            stream,
            text: String::new(),
            due: Instant::now() + BATCH_TIME,
        });
        let text = match stream {
            Stream::Stdout => &mut self.texts[0],
            Stream::Stderr => &mut self.texts[1],
        };
        text.push(bytes, &mut batch.text);
        if batch.text.len() >= BATCH_BYTES {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        if let Some(batch) = self.batch.take()
            && !batch.text.is_empty()
        {
            let content = message::stream(batch.stream, &batch.text);
            self.send(batch.parent.publication(content)).await;
        }
    }

    async fn finish_texts(&mut self, request: &Request) {
        for (stream, text) in [Stream::Stdout, Stream::Stderr].into_iter().zip(0..) {
            let mut rest = String::new();
            self.texts[text].finish(&mut rest);
            if !rest.is_empty() {
                self.send(request.publication(message::stream(stream, &rest))).await;
            }
        }
    }

    /// A new subscriber learns that it is heard, and the first one that the kernel has started.
    async fn welcome(&mut self, topic: String) {
        self.send(message::announcement(IoPubWelcome::new(topic))).await;
        if !self.was_busy {
            self.was_busy = true;
            self.send(message::announcement(Status::starting())).await;
        }
    }

    /// Sends to all subscribers. One that takes nothing for a while (a stopped program) loses
    /// messages from then on instead of holding up the others.
    async fn send(&mut self, message: JupyterMessage) {
        let patience = if self.is_stalled { Duration::from_millis(1) } else { PATIENCE };
        match tokio::time::timeout(patience, self.iopub.send(message)).await {
            Ok(Ok(())) => self.is_stalled = false,
            Ok(Err(error)) => tracing::debug!(%error, "a publication found nobody"),
            Err(_) => {
                if !self.is_stalled {
                    tracing::warn!("a front end takes no output: it loses some");
                }
                self.is_stalled = true;
            }
        }
    }
}
