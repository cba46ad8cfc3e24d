//! The child process: loads one compiled cell after the other and runs it.

// Loading and calling compiled code is what this file is for, and the language cannot check it.
#![allow(unsafe_code)]

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::{
    error::{Error, ErrorKind},
    hint::Spelling,
    progress::Interrupt,
    runtime::{
        cell::{self, Cell},
        input, mark, panic,
        protocol::{Ask, ENTRY, Ended, SOCKET_ENV, Tell},
        stdin,
    },
};

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
    Spelling::set_cells();
    panic::note_all();
    let (sender, asked) = mpsc::channel();
    let questions = socket.try_clone()?;
    // Without an interpreter there is nobody to ask.
    stdin::install(move |n_answers| drop(tell(&questions, &Tell::WantsInput { n_answers })))?;
    input::begin_to_serve();
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
                panic::note_cell(&library, number);
                Interrupt::of_process().lower();
                panic::forget();
                stdin::set_busy(true);
                let ended = run(&mut cell, &library, is_shared);
                stdin::set_busy(false);
                mark::end_streams();
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
