//! `!program arguments`: hands a line to the system's shell and shows what it writes as it comes.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
};

use trialbook::error::{Error, ErrorKind};

use crate::{
    cell::{
        engine::Running,
        failure::{Failure, FailureKind},
        front::{Event, Front, Stream},
    },
    toolchain::GroupId,
};

/// Runs `line` in `sh`.
///
/// # Errors
/// When it does not end with success, is interrupted, or there is no shell.
pub(crate) fn run(line: &str, running: &Running, front: &dyn Front) -> Result<(), Failure> {
    let cannot = |source: std::io::Error| {
        Error::new(ErrorKind::Unavailable, format!("cannot run `{line}`")).with_source(source)
    };
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut process, group) = GroupId::spawn(&mut command).map_err(cannot)?;
    let _part = running.group(group);
    let (sender, written) = mpsc::channel();
    let stdout = process.stdout.take().map(|pipe| follow(pipe, Stream::Stdout, sender.clone()));
    let stderr = process.stderr.take().map(|pipe| follow(pipe, Stream::Stderr, sender));
    for (stream, bytes) in written {
        front.event(Event::Stream(stream, bytes));
    }
    for reader in [stdout, stderr].into_iter().flatten() {
        // It only reads: a panic there would be a bug of `follow`.
        let _ = reader.join();
    }
    let status = process.wait().map_err(cannot)?;
    if running.is_interrupted() {
        let message = format!("interrupted; `{line}` was ended");
        return Err(Failure::new(FailureKind::Interrupted, "interrupted", message));
    }
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Error, "shell", format!("`{line}` ended with {status}")))
}

fn follow(
    mut pipe: impl Read + Send + 'static,
    stream: Stream,
    to: mpsc::Sender<(Stream, Vec<u8>)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(n_bytes @ 1..) = pipe.read(&mut buffer) {
            if to.send((stream, buffer[..n_bytes].to_vec())).is_err() {
                break;
            }
        }
    })
}
