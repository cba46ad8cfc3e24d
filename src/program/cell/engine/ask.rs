//! Asking the process that runs cells for something.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
};

use trialbook::runtime::Ask;

/// Sends `asked` to a child.
///
/// # Errors
/// When the child is gone.
pub(crate) fn ask(mut socket: &UnixStream, asked: &Ask) -> io::Result<()> {
    let mut line = serde_json::to_string(asked)?;
    line.push('\n');
    socket.write_all(line.as_bytes())
}
