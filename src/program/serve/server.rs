//! Running the service on a socket: inside a runtime, as a blocking call that stops on signals, or
//! on a thread of its own with a handle.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener as StdListener},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};
use trialbook::error::{Error, ErrorKind, Result};

use super::{
    app::app, config::ServeConfig, follow::follow, http::connection, shutdown::Signals,
    state::ServerState,
};

/// Serves until `shutdown` completes and the requests in flight are answered, or the grace of
/// [`Limits::grace`](super::Limits::grace) is over.
///
/// # Errors
/// When the socket fails.
pub async fn run(
    listener: TcpListener,
    state: ServerState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        // No one listens any more only when serving is over.
        let _ = stopping.send(());
    };
    let hurry = async {
        // An error means that `shutdown` was dropped before its end: then nothing stops the server.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(state.limits().grace).await;
    };
    serve(listener, state.clone(), shutdown, hurry).await
}

/// Serves the store's production models until SIGINT or SIGTERM. `on_ready` gets the address once
/// the server listens there and heeds the signals.
///
/// # Errors
/// When the store cannot be read, the model's files are not what was written, or the address is
/// taken. A store without a production model is no error: the server says so on every question.
pub fn start(config: &ServeConfig, on_ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let state = config.load()?;
    let (listener, addr) = bind_for(&state, &config.host, config.port)?;
    start_with(state, listener, || on_ready(addr))
}

/// Serves `state` until SIGINT or SIGTERM; `on_ready` is called once the signals are heeded.
///
/// # Errors
/// When the socket or the runtime fails.
pub fn start_with(
    state: ServerState,
    listener: StdListener,
    on_ready: impl FnOnce(),
) -> Result<()> {
    let runtime = runtime()?;
    let ending = state.clone();
    let outcome = runtime.block_on(async {
        let mut signals = Signals::install()?;
        let listener = adopt(listener)?;
        on_ready();
        let (stopping, stopped) = oneshot::channel();
        let grace = state.limits().grace;
        let hurry = async move {
            signals.next().await;
            tracing::info!("stopping: requests in flight are finished first");
            let _ = stopping.send(());
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                () = signals.next() => {}
            }
        };
        let shutdown = async {
            let _ = stopped.await;
        };
        serve(listener, state, shutdown, hurry).await
    });
    leave(runtime);
    // A thread that loads a version, or predicts for a client that was given up, may hold the state
    // for longer than this process has.
    ending.close();
    outcome
}

/// A server on a thread of its own. Dropping it stops it as [`Server::stop`] does.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    url: String,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Server {
    /// Starts serving the store's production models; it listens when this returns. Signals are left
    /// to the caller.
    ///
    /// # Errors
    /// As for [`start`].
    pub fn start(config: &ServeConfig) -> Result<Self> {
        let state = config.load()?;
        Self::with_state(state, &config.host, config.port)
    }

    /// Starts serving `state`; it listens when this returns.
    ///
    /// # Errors
    /// When the address is taken or the system refuses a thread.
    pub fn with_state(state: ServerState, host: &str, port: u16) -> Result<Self> {
        let (listener, addr) = bind_for(&state, host, port)?;
        let url = state.url(addr);
        let runtime = runtime()?;
        let (shutdown, stopped) = oneshot::channel::<()>();
        let ending = state.clone();
        let serve_to_end = move || {
            let outcome = runtime.block_on(async {
                // A dropped sender stops the server like a sent word.
                let stopped = async {
                    let _ = stopped.await;
                };
                run(adopt(listener)?, state, stopped).await
            });
            leave(runtime);
            ending.close();
            outcome
        };
        let thread = std::thread::Builder::new()
            .name("trialbook-serve".to_owned())
            .spawn(serve_to_end)
            .map_err(|source| {
                Error::new(ErrorKind::Io, "cannot start the server's thread").with_source(source)
            })?;
        Ok(Self { addr, url, shutdown: Some(shutdown), thread: Some(thread) })
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address that it listens on, as `http://HOST:PORT`, or `https://` where connections are encrypted.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Takes no more requests, finishes those in flight, and returns when that is done.
    ///
    /// # Errors
    /// When the socket failed while serving.
    pub fn stop(mut self) -> Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> Result<()> {
        drop(self.shutdown.take());
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the server's thread panicked"))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(error = error.chain(), "the server ended badly");
        }
    }
}

/// Serves until `shutdown` and all requests in flight are done, or until `hurry` is.
async fn serve(
    listener: TcpListener,
    state: ServerState,
    shutdown: impl Future<Output = ()> + Send + 'static,
    hurry: impl Future<Output = ()>,
) -> Result<()> {
    let _followers = follow(&state)?;
    let ending = state.clone();
    let shutdown = async move {
        shutdown.await;
        // They would go on until the grace is over.
        ending.changes().end();
    };
    let terms = connection::Terms {
        tls: state.tls().cloned(),
        limits: state.limits().clone(),
        app: app(state),
    };
    tokio::select! {
        biased;
        () = connection::serve(listener, terms, shutdown) => {}
        () = hurry => tracing::warn!("stopped before every request in flight was answered"),
    }
    Ok(())
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("trialbook-http")
        // Where clients run on the same cores, they get theirs before this asks for the next request:
        // fewer wake-ups, each for more requests.
        .on_thread_park(std::thread::yield_now)
        .enable_all()
        .build()
        .map_err(|source| {
            Error::new(ErrorKind::Io, "cannot start the server's threads").with_source(source)
        })
}

/// Lets go of `runtime` without waiting for work whose client was given up.
fn leave(runtime: Runtime) {
    runtime.shutdown_timeout(Duration::from_millis(100));
}

/// As [`bind`], for a server of `state`.
///
/// # Errors
/// As [`bind`], and [`ErrorKind::Invalid`] where other machines reach the address, the store has no
/// API key, and [`Security::no_auth`](super::Security::no_auth) does not say that this is meant.
pub fn bind_for(state: &ServerState, host: &str, port: u16) -> Result<(StdListener, SocketAddr)> {
    let (listener, addr) = bind(host, port)?;
    state.guard().check_exposure(addr)?;
    Ok((listener, addr))
}

/// Listens on the first address of `host` that lets us, and says which one that is.
///
/// # Errors
/// [`ErrorKind::Conflict`] when the port is taken, [`ErrorKind::Io`] or [`ErrorKind::Invalid`] for
/// an address that is not ours.
pub fn bind(host: &str, port: u16) -> Result<(StdListener, SocketAddr)> {
    use std::io::ErrorKind as Cause;

    let bound = StdListener::bind((host, port)).and_then(|listener| {
        let addr = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok((listener, addr))
    });
    bound.map_err(|source| {
        let (kind, hint) = match source.kind() {
            Cause::AddrInUse => {
                (ErrorKind::Conflict, "choose another with --port, or 0 for any free one")
            }
            Cause::PermissionDenied => (ErrorKind::Io, "choose a port above 1023 with --port"),
            _ => (ErrorKind::Invalid, "use --host 127.0.0.1, or 0.0.0.0 for every interface"),
        };
        Error::new(kind, format!("cannot listen on {host}:{port}"))
            .with_hint(hint)
            .with_source(source)
    })
}

fn adopt(listener: StdListener) -> Result<TcpListener> {
    TcpListener::from_std(listener).map_err(|source| {
        Error::new(ErrorKind::Io, "cannot serve on this socket").with_source(source)
    })
}
