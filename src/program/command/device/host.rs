//! Computing trainings for others: who may, whose turn it is, and what is told while they run. A training lives
//! in a folder of its own that goes with it; no path of a client's is ever opened.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::serve::key_of;
use trialbook::{
    book::now_ms,
    data::Split,
    error::{Error, ErrorKind, Result},
    model::{
        Classifier as _, Device,
        neural::{
            NeuralConfig, StateKeeping,
            remote::{
                IncomingFiles, PATH, RemoteJob, RemoteMessage, SentSplit, SteadyStream, Wire,
                kept_files, sent_in_pieces, web_socket_config,
            },
        },
    },
    progress::{Interrupt, Monitor, Progress},
    registry::{KeyState, Registry, Scope, digest},
};
use tungstenite::{
    accept_hdr_with_config,
    handshake::server::{ErrorResponse, Request, Response},
    http::StatusCode,
};

/// The most clients at a time: one trains, the others wait.
const MAX_CLIENTS: usize = 16;
/// The time that a client may take for its first words.
const HANDSHAKE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
/// Messages that wait for the network, of 4 MiB at most.
const N_WAITING: usize = 16;

type Told = (RemoteMessage, Vec<u8>);

/// Everything that trainings of one server share.
struct DeviceHost<'a> {
    registry: &'a Registry,
    device: Device,
    turn: Mutex<()>,
    n_clients: AtomicUsize,
    stop: &'a Interrupt,
}

/// Computes trainings until `stop` is raised.
pub(super) fn serve(
    listener: &TcpListener,
    registry: &Registry,
    device: Device,
    stop: &Interrupt,
) -> Result<()> {
    let host =
        DeviceHost { registry, device, turn: Mutex::new(()), n_clients: AtomicUsize::new(0), stop };
    thread::scope(|scope| {
        while !stop.is_raised() {
            match listener.accept() {
                // Whoever has not shown a key yet costs a thread as well.
                Ok(_) if host.n_clients.load(Ordering::SeqCst) >= 2 * MAX_CLIENTS => {}
                Ok((stream, _)) => {
                    let host = &host;
                    host.n_clients.fetch_add(1, Ordering::SeqCst);
                    scope.spawn(move || {
                        if let Err(error) = host.client(stream) {
                            tracing::warn!(
                                error = error.chain(),
                                "a training for another machine ended"
                            );
                        }
                        host.n_clients.fetch_sub(1, Ordering::SeqCst);
                    });
                }
                // Nobody is there; or the system refuses for now.
                Err(_) => thread::sleep(LOOK),
            }
        }
    });
    Ok(())
}

impl DeviceHost<'_> {
    /// The status for a request that is not let in.
    #[allow(clippy::result_large_err, reason = "tungstenite's type")]
    fn admit(&self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let refuse = |status: StatusCode| {
            let mut refused = ErrorResponse::new(None);
            *refused.status_mut() = status;
            Err(refused)
        };
        if request.uri().path() != PATH {
            return refuse(StatusCode::NOT_FOUND);
        }
        let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).map(digest);
        let Ok(keys) = self.registry.keys() else {
            return refuse(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let Some(shown) = shown else { return refuse(StatusCode::UNAUTHORIZED) };
        let found = key_of(&keys, |key| &key.sha256, &shown);
        let found = found.filter(|key| key.state(now_ms()) == KeyState::Active);
        match found {
            None => refuse(StatusCode::UNAUTHORIZED),
            Some(key) if !key.scope.covers(Scope::Write) => refuse(StatusCode::FORBIDDEN),
            Some(_) if self.n_clients.load(Ordering::SeqCst) > MAX_CLIENTS => {
                refuse(StatusCode::SERVICE_UNAVAILABLE)
            }
            Some(_) => Ok(response),
        }
    }

    fn client(&self, stream: TcpStream) -> Result<()> {
        let unfit = |source| Error::new(ErrorKind::Io, "a client's connection").with_source(source);
        stream.set_nonblocking(false).map_err(unfit)?;
        let _ = stream.set_nodelay(true);
        stream.set_read_timeout(Some(HANDSHAKE)).map_err(unfit)?;
        stream.set_write_timeout(Some(HANDSHAKE)).map_err(unfit)?;
        #[allow(clippy::result_large_err, reason = "tungstenite's type")]
        let admit = |request: &Request, response| self.admit(request, response);
        // Whoever is not let in has been told so.
        let Ok(socket) =
            accept_hdr_with_config(SteadyStream(stream), admit, Some(web_socket_config()))
        else {
            return Ok(());
        };
        let mut wire = Wire::new(socket)?;
        let place = tempfile::tempdir().map_err(|source| {
            Error::new(ErrorKind::Io, "cannot make a folder for a training").with_source(source)
        })?;
        let outcome = self.received(&mut wire, place.path()).and_then(|job| match job {
            Some(job) => self.computed(&mut wire, &job, place.path()),
            None => Ok(()),
        });
        if let Err(error) = &outcome {
            let _ = wire.send(&RemoteMessage::failed(error), &[]);
        }
        // What was sent last may be lost where a connection ends with something unread: the client
        // goes first.
        let since = Instant::now();
        while since.elapsed() < HANDSHAKE && !self.stop.is_raised() && wire.poll(LOOK).is_ok() {}
        wire.close();
        outcome
    }

    /// Takes a training and its files; nothing when the client does not want it any more.
    fn received(&self, wire: &mut Wire, place: &Path) -> Result<Option<RemoteJob>> {
        let mut files = IncomingFiles::new(place);
        let mut job = None;
        loop {
            self.stop.check()?;
            match wire.poll(LOOK)? {
                None => {}
                Some((RemoteMessage::Job(wanted), _)) if job.is_none() => job = Some(wanted),
                Some((RemoteMessage::Piece { name, last }, bytes)) if job.is_some() => {
                    files.take(&name, last, &bytes)?;
                }
                Some((RemoteMessage::Start, _)) if job.is_some() => return Ok(job),
                Some((RemoteMessage::Stop, _)) => return Ok(None),
                Some(_) => {
                    return Err(Error::invalid(
                        "a message came out of its order: expected the training, its files, and the start",
                    ));
                }
            }
        }
    }

    /// Computes `job` on a thread, and tells the client of it meanwhile.
    fn computed(&self, wire: &mut Wire, job: &RemoteJob, place: &Path) -> Result<()> {
        let interrupt = Interrupt::default();
        let (sender, told) = sync_channel(N_WAITING);
        thread::scope(|scope| {
            let training = {
                let interrupt = interrupt.clone();
                scope.spawn(move || self.train(job, place, &interrupt, &sender))
            };
            let followed = self.tell(wire, &told, &interrupt);
            if followed.is_err() {
                interrupt.raise();
            }
            // The training may wait to be heard.
            drop(told);
            let trained = training.join().unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, "the training panicked on the remote device"))
            });
            followed?;
            trained
        })?;
        wire.send(&RemoteMessage::Finished, &[])
    }

    fn tell(&self, wire: &mut Wire, told: &Receiver<Told>, interrupt: &Interrupt) -> Result<()> {
        let mut looked = Instant::now();
        loop {
            match told.recv_timeout(LOOK) {
                Ok((message, bytes)) => wire.send(&message, &bytes)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.stop.is_raised() {
                interrupt.raise();
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if let Some((RemoteMessage::Stop, _)) = wire.poll(Duration::from_millis(1))? {
                    interrupt.raise();
                }
            }
        }
    }

    fn train(
        &self,
        job: &RemoteJob,
        place: &Path,
        interrupt: &Interrupt,
        told: &SyncSender<Told>,
    ) -> Result<()> {
        let tell = |message: RemoteMessage, bytes: Vec<u8>| {
            let gone = |_| Error::new(ErrorKind::Interrupted, "the client is gone");
            told.send((message, bytes)).map_err(gone)
        };
        let mut config: NeuralConfig =
            serde_json::from_value(job.recipe.clone()).map_err(|source| {
                Error::invalid("the settings are none that this version knows")
                    .with_hint("use the same version of trialbook on both machines")
                    .with_source(source)
            })?;
        config.device = self.device;
        let checkpoint_name = config.checkpoint.take().map(|folder| folder.display().to_string());
        config.checkpoint = checkpoint_name.as_ref().map(|_| place.join("checkpoint"));
        let train = split(place, "train.json")?;
        let validation = job.has_validation.then(|| split(place, "validation.json")).transpose()?;
        let folder = place.join("state");
        fs::create_dir_all(&folder).map_err(|source| Error::io("create", &folder, source))?;
        let _turn = self.turn(interrupt, &tell)?;
        let mut sent = Vec::new();
        let mut kept = || {
            for name in kept_files(&folder)? {
                let path = folder.join(&name);
                let changed = changed(&path);
                if sent.contains(&(name.clone(), changed)) {
                    continue;
                }
                sent_in_pieces(&path, &format!("state/{name}"), &mut |message, bytes| {
                    tell(message, bytes)
                })?;
                sent.retain(|(other, _)| *other != name);
                sent.push((name, changed));
            }
            tell(RemoteMessage::Kept, Vec::new())
        };
        let keeping = StateKeeping {
            folder: job.keeps_states.then_some(folder.as_path()),
            kept: &mut kept,
            checkpoint_name: checkpoint_name.as_deref(),
        };
        let monitor = Monitor {
            progress: Arc::new(ToldProgress(told.clone())),
            interrupt: interrupt.clone(),
        };
        let mut log = |key: &str, value: f64, step: u64| {
            let (key, bits) = (key.to_owned(), value.to_bits());
            tell(RemoteMessage::Metric { key, bits, step }, Vec::new())
        };
        let net = config.train_by(&train, validation.as_ref(), &monitor, &mut log, keeping)?;
        let model = place.join("model");
        fs::create_dir_all(&model).map_err(|source| Error::io("create", &model, source))?;
        net.save(&model)?;
        let entries = fs::read_dir(&model).map_err(|source| Error::io("read", &model, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| Error::io("read", &model, source))?;
            let name = format!("model/{}", entry.file_name().to_string_lossy());
            sent_in_pieces(&entry.path(), &name, &mut |message, bytes| tell(message, bytes))?;
        }
        Ok(())
    }

    /// Waits until no other training is computed.
    fn turn(
        &self,
        interrupt: &Interrupt,
        tell: &dyn Fn(RemoteMessage, Vec<u8>) -> Result<()>,
    ) -> Result<std::sync::MutexGuard<'_, ()>> {
        let mut is_told = false;
        loop {
            match self.turn.try_lock() {
                Ok(turn) => return Ok(turn),
                Err(TryLockError::Poisoned(turn)) => return Ok(PoisonError::into_inner(turn)),
                Err(TryLockError::WouldBlock) => {}
            }
            interrupt.check()?;
            if !is_told {
                is_told = true;
                tell(RemoteMessage::Waiting, Vec::new())?;
            }
            thread::sleep(LOOK);
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn split(place: &Path, name: &str) -> Result<Split> {
    let path = place.join(name);
    let bytes = fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
    let sent: SentSplit = serde_json::from_slice(&bytes)
        .map_err(|source| Error::invalid(format!("{name} is no split")).with_source(source))?;
    sent.try_into()
}

/// Sends what a training reports. Nobody hears it once the client is gone.
struct ToldProgress(SyncSender<Told>);

impl ToldProgress {
    fn tell(&self, message: RemoteMessage) {
        let _ = self.0.send((message, Vec::new()));
    }
}

impl Progress for ToldProgress {
    fn begin(&self, stage: &str, total: Option<u64>) {
        self.tell(RemoteMessage::Begin { stage: stage.to_owned(), total });
    }

    fn advance(&self, n_steps: u64) {
        self.tell(RemoteMessage::Advance { n_steps });
    }

    fn note(&self, remark: &str) {
        self.tell(RemoteMessage::Note { remark: remark.to_owned() });
    }

    fn end(&self) {
        self.tell(RemoteMessage::End);
    }
}
