//! The child process: loads one compiled cell after the other and runs it.

// Loading and calling compiled code is what this file is for, and the language cannot check it.
#![allow(unsafe_code)]

use std::{
    any::Any,
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    panic::PanicHookInfo,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::ThreadId,
};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::{
    error::{Error, ErrorKind},
    progress::Interrupt,
    runtime::{
        cell::{self, Cell},
        input,
        print::{PrintsTo, try_print},
        protocol::{Ask, ENTRY, Ended, MARK, SOCKET_ENV, Tell},
        stdin,
    },
};

/// The last panic. One that another thread hands on to the cell's own is the cell's panic too.
static PANIC: Mutex<Option<Ended>> = Mutex::new(None);

/// The thread that runs cells. Its name does not tell: this library did not start the process.
static CELLS: OnceLock<ThreadId> = OnceLock::new();

/// Serves the interpreter that started this process until it goes away. Returns the exit code.
///
/// The name is not mangled: the child's host finds it in the prelude by name.
#[unsafe(no_mangle)]
pub extern "C" fn trialbook_runtime() -> i32 {
    let Some(path) = std::env::var_os(SOCKET_ENV) else {
        return 2;
    };
    match UnixStream::connect(&path).and_then(|socket| serve(&socket)) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn serve(socket: &UnixStream) -> io::Result<()> {
    CELLS.get_or_init(|| std::thread::current().id());
    std::panic::set_hook(Box::new(note_panic));
    let (sender, asked) = mpsc::channel();
    let questions = socket.try_clone()?;
    // Without an interpreter there is nobody to ask.
    stdin::install(move |n_answers| drop(tell(&questions, &Tell::WantsInput { n_answers })))?;
    IS_SERVED.store(true, Ordering::Relaxed);
    let reader = BufReader::new(socket.try_clone()?);
    std::thread::spawn(move || {
        for line in reader.lines() {
            match line.map(|line| serde_json::from_str(&line)) {
                Ok(Ok(Ask::Interrupt)) => {
                    Interrupt::of_process().raise();
                    cell::wake();
                }
                Ok(Ok(Ask::Answer { line, reason, is_interrupted })) => {
                    take_answer(line, reason, is_interrupted);
                }
                Ok(Ok(ask)) => drop(sender.send(ask)),
                _ => break,
            }
        }
        // The interpreter is gone: whatever runs here, nobody waits for it.
        std::process::exit(0);
    });
    let mut cell = Cell::default();
    tell(socket, &Tell::Ready)?;
    for ask in asked {
        match ask {
            Ask::Run { library, cell: number, is_shared } => {
                note_cell(&library, number);
                Interrupt::of_process().lower();
                drop(PANIC.lock().unwrap_or_else(PoisonError::into_inner).take());
                stdin::set_busy(true);
                let ended = run(&mut cell, &library, is_shared);
                stdin::set_busy(false);
                end_streams();
                tell(socket, &Tell::Done { ended, variables: cell.names() })?;
            }
            Ask::Forget { names } => cell.forget(&names),
            // SAFETY: cells run on this very thread, and none runs now. Threads that earlier cells
            // left behind may read the environment; the same holds for any `set_var` in a cell.
            Ask::SetEnv { name, value } => unsafe { std::env::set_var(name, value) },
            Ask::Interrupt | Ask::Answer { .. } => {}
        }
    }
    Ok(())
}

/// The numbers of cells by the names under which the compiler knew their programs.
static NUMBERS: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

fn note_cell(library: &Path, number: u64) {
    let program = library.with_extension("rs");
    let program = program.file_name().map(PathBuf::from).unwrap_or_default();
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner).insert(program, number);
}

/// Whether an interpreter answers this process's questions.
static IS_SERVED: AtomicBool = AtomicBool::new(false);

/// Whether an interpreter answers this process's questions.
pub(super) fn is_served() -> bool {
    IS_SERVED.load(Ordering::Relaxed)
}

/// Whether the calling thread is the one that runs cells.
pub(super) fn is_thread_of_cells() -> bool {
    CELLS.get() == Some(&std::thread::current().id())
}

/// Hands an answer to the question that waits for it, else to who reads standard input.
fn take_answer(line: Option<String>, reason: String, is_interrupted: bool) {
    let kind = if is_interrupted { ErrorKind::Interrupted } else { ErrorKind::Unavailable };
    let answer = line.ok_or_else(|| Error::new(kind, reason));
    if let Some(answer) = input::answer(answer) {
        stdin::answer(answer.as_deref().ok());
    }
    stdin::count_answer();
}

fn tell(mut socket: &UnixStream, told: &Tell) -> io::Result<()> {
    static ONE_LINE: Mutex<()> = Mutex::new(());
    let _whole = ONE_LINE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut line = serde_json::to_string(told)?;
    line.push('\n');
    socket.write_all(line.as_bytes())
}

fn run(cell: &mut Cell, library: &Path, is_shared: bool) -> Ended {
    // The loader binds a global symbol to the first library that defined it: a static of one symbol is
    // then one for all cells.
    let scope = if is_shared { RTLD_GLOBAL } else { RTLD_LOCAL };
    // SAFETY: the interpreter compiled this file against the prelude that this code is part of; its
    // only initialisers are those that rustc makes.
    let library = match unsafe { Library::open(Some(library), RTLD_NOW | scope) } {
        Ok(library) => library,
        Err(error) => return Ended::Refused { message: format!("cannot load the cell: {error}") },
    };
    // SAFETY: the generated code declares this function with this very signature.
    let entry = unsafe { library.get::<extern "C" fn(&mut Cell)>(ENTRY.as_bytes()) };
    match entry {
        Ok(entry) => entry(cell),
        Err(error) => return Ended::Refused { message: format!("cannot find the cell: {error}") },
    }
    // Variables and threads may point into its code for as long as the process lives.
    std::mem::forget(library);
    cell.finish()
}

/// Everything a cell wrote lies before this mark.
fn end_streams() {
    let mark = format!("{MARK}end\n");
    let mut stdout = io::stdout().lock();
    let mut stderr = io::stderr().lock();
    // With a closed stream there is nobody to tell.
    let _ = stdout.write_all(mark.as_bytes()).and_then(|()| stdout.flush());
    let _ = stderr.write_all(mark.as_bytes()).and_then(|()| stderr.flush());
}

/// What is shown after this mark is the cell's value.
pub(crate) fn mark_result() {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(format!("{MARK}result\n").as_bytes());
}

fn note_panic(panic: &PanicHookInfo<'_>) {
    let message = panic_message(panic.payload());
    let place =
        panic.location().map(|place| (place.file().to_owned(), place.line(), place.column()));
    let thread = std::thread::current();
    *PANIC.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(Ended::Panic { message: message.clone(), place: place.clone() });
    if is_thread_of_cells() {
        return;
    }
    // A panic in another thread does not end the cell; it must not be silent either.
    let name = thread.name().unwrap_or("unnamed").to_owned();
    let numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let number = place.as_ref().and_then(|(file, ..)| numbers.get(Path::new(file)).copied());
    drop(numbers);
    let place = place.map(|(file, line, _)| format!(" at {file}:{line}")).unwrap_or_default();
    let said = format_args!("thread `{name}` panicked{place}: {message}\n");
    let _ = try_print(PrintsTo::Stderr, number.unwrap_or_default(), said);
}

fn panic_message(payload: &dyn Any) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned())
}

/// The panic that the cell just caught.
pub(crate) fn taken_panic() -> Ended {
    PANIC
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .unwrap_or(Ended::Panic { message: "without a message".to_owned(), place: None })
}
