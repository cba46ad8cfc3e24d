//! The process that runs cells: this program once more, which loads the prelude and then one cell
//! after the other. Its end takes the variables with it and nothing else.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Child as Process, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use trialbook::{
    address::{REGISTRY_ENV, RegistryAddress},
    error::{Error, ErrorKind, Result},
    hint::Hint,
    runtime::{Ask, RUNTIME_SYMBOL, SOCKET_ENV, Tell},
    store::{ARTIFACT_CACHE_ENV, STORE_ARTIFACTS_ENV, STORE_ENV, Store},
};

use crate::{
    cell::{
        engine::{ask::ask, late::Late, owners::Owners},
        front::OutputStream,
    },
    toolchain::GroupId,
};

/// The environment variable that tells the child which prelude to load.
const PRELUDE_ENV: &str = "TRIALBOOK_CELL_PRELUDE";

/// The time that a child may take to load the prelude. It takes milliseconds; a cold disk takes
/// more.
const START_LIMIT: Duration = Duration::from_secs(60);

/// One thing that the child did.
#[derive(Debug)]
pub(crate) enum Happened {
    /// It wrote.
    Wrote(OutputStream, Vec<u8>),
    /// It closed a stream.
    Closed(OutputStream),
    /// It told something.
    Told(Tell),
    /// It is gone.
    Gone,
}

/// A running child.
pub(crate) struct CellProcess {
    process: Process,
    group: GroupId,
    socket: UnixStream,
    happened: Receiver<Happened>,
    /// The events that were taken from the queue between cells and are for the next one.
    held_back: VecDeque<Happened>,
    late: Arc<Mutex<Option<Late>>>,
    owners: Owners,
    n_answers: u64,
}

/// Runs cells until the interpreter goes, when the process was started as a cell's child, and then
/// never returns. To be called first in `main`.
// Calling into the prelude, which the compiler of this program never sees, cannot be checked.
#[allow(unsafe_code)]
pub fn serve_if_child() {
    let Some(prelude) = std::env::var_os(PRELUDE_ENV) else {
        return;
    };
    let run = || -> Result<i32, libloading::Error> {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // Cells are linked against nothing: they find the prelude's symbols because they are global.
        // SAFETY: the prelude is a library of ours, made by rustc; its initialisers are Rust's own.
        let prelude = unsafe { Library::open(Some(&prelude), RTLD_NOW | RTLD_GLOBAL) }?;
        // SAFETY: `runtime::trialbook_runtime` has this signature.
        let serve = unsafe { prelude.get::<extern "C" fn() -> i32>(RUNTIME_SYMBOL.as_bytes()) }?;
        let code = serve();
        std::mem::forget(prelude);
        Ok(code)
    };
    let code = run().unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "cannot load the prelude: {error}");
        3
    });
    std::process::exit(code);
}

impl CellProcess {
    /// Starts a child that loads `prelude` and uses `store`. `dir` is a folder for its socket;
    /// `library_dirs` are where shared objects are looked for.
    ///
    /// # Errors
    /// When the process cannot be started or does not come up.
    pub(crate) fn start(
        prelude: &Path,
        library_dirs: &[PathBuf],
        dir: &Path,
        store: &Store,
    ) -> Result<Self> {
        let cannot = |source: io::Error| {
            Error::new(ErrorKind::Io, "cannot start the process that runs cells")
                .with_source(source)
        };
        let address = dir.join("socket");
        // The former child's.
        let _ = std::fs::remove_file(&address);
        let listener = UnixListener::bind(&address).map_err(cannot)?;
        let program = std::env::current_exe().map_err(cannot)?;
        let mut search: Vec<PathBuf> = library_dirs.to_vec();
        if let Some(inherited) = std::env::var_os("LD_LIBRARY_PATH") {
            search.extend(std::env::split_paths(&inherited));
        }
        let search = std::env::join_paths(search).map_err(|source| {
            Error::invalid("a library folder's path holds a colon").with_source(source)
        })?;
        let artifacts = store.wanted_artifacts().map(ToString::to_string).unwrap_or_default();
        let mut command = Command::new(program);
        command
            .env(PRELUDE_ENV, prelude)
            .env(SOCKET_ENV, &address)
            .env(STORE_ENV, std::path::absolute(store.root()).map_err(cannot)?)
            .env(STORE_ARTIFACTS_ENV, artifacts)
            .env(ARTIFACT_CACHE_ENV, store.artifact_cache_bytes().to_string())
            .env(REGISTRY_ENV, "")
            .envs(store.registry_address().map(RegistryAddress::environment).unwrap_or_default())
            .env("LD_LIBRARY_PATH", search)
            // It makes one of its own.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A terminal's Ctrl-C is for the interpreter, which then asks the child.
        let (mut process, group) = GroupId::spawn(&mut command).map_err(cannot)?;
        let socket = match accept(&listener, &mut process) {
            Ok(socket) => socket,
            Err(error) => {
                group.kill();
                let mut said = String::new();
                if let Some(mut stderr) = process.stderr.take() {
                    let _ = stderr.read_to_string(&mut said);
                }
                let _ = process.wait();
                return Err(Error::new(
                    ErrorKind::Io,
                    format!("the process that runs cells did not start: {error} {}", said.trim()),
                )
                .with_hint(
                    Hint::new().run("prelude build --force").say(" makes the prelude anew"),
                ));
            }
        };
        let (sender, happened) = sync_channel(1024);
        let missing = || Error::new(ErrorKind::Internal, "the child has no streams");
        let stdout = process.stdout.take().ok_or_else(missing)?;
        let stderr = process.stderr.take().ok_or_else(missing)?;
        let late = Arc::default();
        follow(stdout, OutputStream::Stdout, sender.clone(), Arc::clone(&late));
        follow(stderr, OutputStream::Stderr, sender.clone(), Arc::clone(&late));
        listen(socket.try_clone().map_err(cannot)?, sender);
        let owners = Owners::default();
        Ok(Self {
            process,
            group,
            socket,
            happened,
            held_back: VecDeque::new(),
            late,
            owners,
            n_answers: 0,
        })
    }

    /// Asks the child for something.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn ask(&self, asked: &Ask) -> io::Result<()> {
        ask(&self.socket, asked)
    }

    /// Answers a question of the cell, or a read of its standard input: with a line, or with why there
    /// is none.
    pub(crate) fn answer(&mut self, line: Result<String, &Error>) {
        let error = line.as_ref().err();
        let asked = Ask::Answer {
            reason: error.map(|error| error.chain()).unwrap_or_default(),
            is_interrupted: error.is_some_and(|error| error.kind() == ErrorKind::Interrupted),
            line: line.ok(),
        };
        self.n_answers += 1;
        // A child that is gone shows in what happens next.
        let _ = self.ask(&asked);
    }

    /// The number of answers it was given.
    pub(crate) fn n_answers(&self) -> u64 {
        self.n_answers
    }

    /// The owners of what its cells print.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The socket, for others who ask.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub(crate) fn socket(&self) -> io::Result<UnixStream> {
        self.socket.try_clone()
    }

    /// Hands what threads write between cells to `late`; to the next cell where there is none.
    pub(crate) fn set_late(&mut self, late: Option<Late>) {
        let mut place = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = place.as_mut() {
            earlier.finish();
        }
        *place = late;
        let Some(late) = place.as_mut() else { return };
        while let Ok(happened) = self.happened.try_recv() {
            match happened {
                Happened::Wrote(stream, bytes) => late.take(stream, &bytes),
                other => self.held_back.push_back(other),
            }
        }
    }

    /// The next event, or nothing within `limit`.
    pub(crate) fn next(&mut self, limit: Duration) -> Option<Happened> {
        if let Some(happened) = self.held_back.pop_front() {
            return Some(happened);
        }
        match self.happened.recv_timeout(limit) {
            Ok(happened) => Some(happened),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Happened::Gone),
        }
    }

    /// Ends the child if it still runs, and says how it ended.
    pub(crate) fn end(&mut self) -> String {
        // Give one that is just ending the time to say how.
        let until = Instant::now() + Duration::from_millis(200);
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return describe(status),
                Ok(None) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => break,
            }
        }
        self.kill();
        "it was ended".to_owned()
    }

    /// Ends the child and whatever it started, at once.
    pub(crate) fn kill(&mut self) {
        self.group.kill();
        // A cell may have left the group.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for CellProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept(listener: &UnixListener, process: &mut Process) -> io::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let until = Instant::now() + START_LIMIT;
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false)?;
                return Ok(socket);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => {}
        }
        if let Some(status) = process.try_wait()? {
            return Err(io::Error::other(describe(status)));
        }
        if Instant::now() > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn follow(
    mut from: impl Read + Send + 'static,
    stream: OutputStream,
    to: SyncSender<Happened>,
    late: Arc<Mutex<Option<Late>>>,
) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(n_bytes) => {
                    let mut late = late.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(late) = late.as_mut() {
                        late.take(stream, &buffer[..n_bytes]);
                        continue;
                    }
                    drop(late);
                    if to.send(Happened::Wrote(stream, buffer[..n_bytes].to_vec())).is_err() {
                        return;
                    }
                }
            }
        }
        // Without an interpreter nobody needs to know.
        let _ = to.send(Happened::Closed(stream));
    });
}

fn listen(socket: UnixStream, to: SyncSender<Happened>) {
    std::thread::spawn(move || {
        for line in BufReader::new(socket).lines() {
            let Some(told) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else {
                break;
            };
            if to.send(Happened::Told(told)).is_err() {
                return;
            }
        }
        let _ = to.send(Happened::Gone);
    });
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with code {code}"),
        (None, Some(signal)) => {
            let name = match signal {
                4 => "illegal instruction",
                6 => "aborted",
                7 => "bus error",
                9 => "killed, perhaps for want of memory",
                11 => "segmentation fault, or the stack overflowed",
                15 => "terminated",
                _ => "a signal",
            };
            format!("it was ended by signal {signal} ({name})")
        }
        (None, None) => "it ended".to_owned(),
    }
}
