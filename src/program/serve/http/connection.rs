//! Connections: accepted as long as there is room, encrypted if that is asked for, and ended when
//! their clients are too slow or the server stops. The one home of hyper.
//!
//! `axum::serve` has no limits for clients that are slow, and does not bound how many there are.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use axum::{
    Router, extract::Request, http::header, response::Response, routing::future::RouteFuture,
};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{limits::Limits, linger::Lingering, peer::Peer, stall::Stalling, tls::Tls};

/// Open files that are no connections: the store, the log, a model that is loaded.
const OTHER_FILES: u64 = 64;
/// The time that nothing is accepted after the system refused to, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest head of a request, and longest line in it. Browsers send some hundred bytes.
const HEAD_BYTES: usize = 32 << 10;

/// The parts that every connection gets.
#[derive(Clone)]
pub(crate) struct Terms {
    /// Answers the requests.
    pub(crate) app: Router,
    /// None where connections are not encrypted.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) limits: Limits,
}

/// Serves until `shutdown` completes and every request in flight is answered.
pub(crate) async fn serve(listener: TcpListener, terms: Terms, shutdown: impl Future<Output = ()>) {
    let n_slots = n_slots(terms.limits.connections);
    let slots = Arc::new(Semaphore::new(n_slots as usize));
    // That it is gone is what connections hear.
    let (stopping, stopped) = watch::channel(());
    let accepting = async {
        loop {
            let slot = free_slot(&slots).await;
            let (stream, peer) = accept(&listener).await;
            let connection = Connection { terms: terms.clone(), peer, stopped: stopped.clone() };
            tokio::spawn(connection.serve(stream, slot));
        }
    };
    tokio::select! {
        biased;
        () = shutdown => {}
        () = accepting => {}
    }
    drop((listener, stopping));
    // Once every slot is free, the last connection is over.
    let _ = slots.acquire_many(n_slots).await;
}

/// The number of connections that there may be: as many as are `wanted`, or as this process may open files.
fn n_slots(wanted: u32) -> u32 {
    let mut files = getrlimit(Resource::Nofile);
    if files.current != files.maximum {
        // The lower limit is what the session began with; the upper one is there to be used.
        let raised = Rlimit { current: files.maximum, ..files };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            files = raised;
        }
    }
    let n_files = files.current.unwrap_or(u64::MAX);
    let possible = n_files.saturating_sub(OTHER_FILES).max(1);
    match u32::try_from(possible) {
        Ok(possible) if possible < wanted => {
            tracing::warn!(wanted, possible, "the limit of open files allows fewer connections");
            possible
        }
        _ => wanted,
    }
}

/// Room for one more connection.
async fn free_slot(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
        return slot;
    }
    tracing::warn!("every connection is taken: new ones wait until one ends");
    Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed")
}

async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => {
                // Answers are one write each: Nagle's algorithm could only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, Peer(addr.ip()));
            }
            // The client changed its mind.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One client's connection.
struct Connection {
    terms: Terms,
    peer: Peer,
    stopped: watch::Receiver<()>,
}

impl Connection {
    /// Answers what comes over `stream`. The slot is free again when this ends.
    async fn serve(mut self, stream: TcpStream, _slot: OwnedSemaphorePermit) {
        let Some(tls) = &self.terms.tls else { return self.answer(stream).await };
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        let outcome = tokio::select! {
            outcome = timeout(self.terms.limits.idle_wait, handshake) => outcome,
            _ = self.stopped.changed() => return,
        };
        match outcome {
            Ok(Ok(stream)) => self.answer(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
            Err(_) => tracing::debug!("a handshake took too long"),
        }
    }

    async fn answer<T: AsyncRead + AsyncWrite + Unpin>(mut self, stream: T) {
        let Limits { idle_wait, write_wait, .. } = self.terms.limits;
        let stream = TokioIo::new(Stalling::new(stream, write_wait));
        let answering = Answering { app: self.terms.app, peer: self.peer };
        // A client that shuts down its side of a connection is taken to be gone: a connection that it
        // closed looks the same until something is written, and who hangs up is not asked for.
        let serving = http1::Builder::new()
            .half_close(false)
            .timer(TokioTimer::new())
            // From the connection or the answer before on: it ends idle connections too.
            .header_read_timeout(idle_wait)
            .max_header_size(HEAD_BYTES)
            .serve_connection(stream, answering);
        let mut serving = std::pin::pin!(serving);
        let outcome = tokio::select! {
            biased;
            outcome = &mut serving => outcome,
            _ = self.stopped.changed() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// The service as one connection sees it.
struct Answering {
    app: Router,
    peer: Peer,
}

impl Service<Request<Incoming>> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let is_held_back = request.headers().contains_key(header::EXPECT);
        let request = request.map(|body| Lingering::new(body, is_held_back));
        tower_service::Service::call(&mut self.app.clone(), request)
    }
}
